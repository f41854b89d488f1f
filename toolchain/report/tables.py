"""Tables on standard output, and what carries them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

WIDE = 200  # columns where nobody looks at a terminal: a table in a file is not to be folded


def console() -> Console:
    """Standard output as it is now."""
    return Console(
        file=sys.stdout,
        width=None if sys.stdout.isatty() else WIDE,
        highlight=False,
        markup=False,
        emoji=False,
    )


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table that is never wider than the terminal, and whose words are never cut.

    A column whose name begins with `>` is right-aligned. Columns in brackets, `[seconds]`, are
    left out where no cell has more than a dash, and where there is no room for them, the last
    first.
    """
    out = console()
    shown = [
        index
        for index, column in enumerate(columns)
        if not column.startswith("[") or any(row[index] not in ("", "–") for row in rows)
    ]
    wanted = len(shown)
    while True:
        table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
        for index in shown:
            right = columns[index].strip("[]").startswith(">")
            table.add_column(
                columns[index].strip("[]>"), justify="right" if right else "left", overflow="fold"
            )
        for row in rows:
            table.add_row(*(row[index] for index in shown))
        optional = [index for index in shown if columns[index].startswith("[")]
        if not optional or table.__rich_measure__(out, out.options).maximum <= out.width:
            break
        shown.remove(optional[-1])
    out.print(table)
    if len(shown) < wanted:
        out.print("The terminal is too narrow for all columns; --json has everything.")
