"""What a benchmark found."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.report.tables import console, print_table

if TYPE_CHECKING:
    from toolchain.benchmark.results import Result
    from toolchain.benchmark.summary import Row
    from toolchain.report.benchmark.baseline import Change
    from toolchain.report.benchmark.choice import Choice


def bench(result: Result, chosen: Choice, changes: Sequence[Change]) -> None:
    """The files side by side, which one to ship, and how all was measured."""
    from toolchain.benchmark import formatting
    from toolchain.benchmark.columns import ON_TERMINAL
    from toolchain.benchmark.summary import rows

    found = rows(result)
    print_table(
        f"{result.dataset}, one image at a time ({result.conditions.mode})",
        ("file", *(f">{c.name}" if c.needed else f"[>{c.name}]" for c in ON_TERMINAL)),
        [(row.name, *(c.cell(row) for c in ON_TERMINAL)) for row in found],
    )
    print_table(
        "From nothing to the first answer, in ms, and what it needs",
        (
            "file",
            ">all",
            "[>Python]",
            "[>imports]",
            "[>load]",
            "[>first]",
            ">memory MB",
            ">disk MB",
        ),
        [_cold_cells(row) for row in found if row.measurement.cold_starts],
    )
    out = console()
    lines = (_decision_lines(chosen), _thread_lines(found), map(_change_line, changes))
    told = (f"{flag}: {why}" for flag, why in formatting.doubts(result))
    how = (f"{what}: {text}" for what, text in formatting.conditions(result))
    for line in itertools.chain(*lines, how, told):
        out.print(line, soft_wrap=True)


def _cold_cells(row: Row) -> tuple[str, ...]:
    cold, disk = row.cold, row.installed
    if cold is None:
        return ()
    steps = (cold.python, cold.imports, cold.load, cold.first)
    return (
        Path(row.file.file).name,
        *(f"{1e3 * time:,.0f}" for time in (sum(steps), *steps)),
        f"{(row.memory or 0) / 1e6:,.1f}",
        "?" if disk is None else f"{disk / 1e6:,.0f}",
    )


def _decision_lines(chosen: Choice) -> Iterator[str]:
    if chosen.row is None:
        yield "Ship none: nothing fits."
    else:
        yield f"Ship {chosen.row.name}: {chosen.why}."
    for row, reason in chosen.reasons:
        yield f"  not {row.name}: {reason}"


def _thread_lines(found: Sequence[Row]) -> Iterator[str]:
    """With how many threads each file is fastest, where several numbers were tried."""
    if len({row.measurement.threads for row in found}) < 2:
        return
    timed = [(row.latency.p50, row) for row in found if row.latency and not row.problem]
    fastest: dict[str, tuple[float, Row]] = {}
    for time, row in timed:
        file = row.file.file
        fastest[file] = min(fastest.get(file, (time, row)), (time, row), key=lambda pair: pair[0])
    for _, row in fastest.values():
        yield f"{Path(row.file.file).name} is fastest with {row.measurement.threads} thread(s)."


def _change_line(change: Change) -> str:
    chance = "" if change.p is None else f", p = {change.p:.2g}"
    if change.drift != 1:
        chance += f"; the unchanged files became {change.drift:.3f} times as slow"
    return (
        f"{'WORSE ' if change.regression else ''}{change.name} {change.what}: "
        f"{change.before:,.2f} → {change.after:,.2f} {change.unit} "
        f"({change.low:.3f} to {change.high:.3f} times{chance})"
    )
