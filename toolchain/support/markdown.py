"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table. A column whose name begins with `>` is right-aligned."""
    names = [column.removeprefix(">") for column in columns]
    rule = "|".join("---:" if column.startswith(">") else "---" for column in columns)
    head, *body = (f"| {' | '.join(cells)} |" for cells in (names, *rows))
    return [head, f"|{rule}|", *body]
