"""Results as one Markdown table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from toolchain.benchmark import formatting
from toolchain.benchmark.columns import ON_PAGE
from toolchain.benchmark.results import Result
from toolchain.benchmark.summary import Row, rows
from toolchain.support import markdown


def table(results: Sequence[Result]) -> str:
    """All rows of all results, and under them how each result was measured.

    A row whose figures do not count says why beside its name; a result that is partial or
    invalid says so in each of its rows.
    """
    titled = list(zip(formatting.titles(results), results, strict=True))
    lines = markdown.table(
        ["machine", "file", *(f">{column.name}" for column in ON_PAGE)],
        [_cells(title, result, row) for title, result in titled for row in rows(result)],
    )
    for title, result in titled:
        lines += ["", *_notes(title, result)]
    return "\n".join(lines) + "\n"


def _cells(title: str, result: Result, row: Row) -> list[str]:
    flags = dict.fromkeys(flag for flag, _ in formatting.doubts(result))
    machine = escaped(title) + "".join(f" **{flag}**" for flag in flags)
    why = row.problem or ("" if row.latency else "not measured")
    name = escaped(row.name) + (f" **does not count: {escaped(why)}**" if why else "")
    return [machine, name, *(column.cell(row) for column in ON_PAGE)]


def _notes(title: str, result: Result) -> Iterator[str]:
    yield f"**{escaped(title)}**, {escaped(result.dataset)}:"
    yield ""
    yield from (f"- **{flag}: {escaped(why)}**" for flag, why in formatting.doubts(result))
    yield from (f"- {what}: {escaped(value)}" for what, value in formatting.conditions(result))


def escaped(text: str) -> str:
    """On one line, with nothing in it that Markdown or a table would take for its own."""
    return re.sub(r"([\\|`*<\[])", r"\\\1", " ".join(text.split()))
