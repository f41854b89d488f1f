"""Two or more things measured side by side: they take turns in one process, round by round.

A machine that slows down slows all of them; what counts is the ratio within a round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter_ns

from toolchain.support import machine

RESULTS = Path(__file__).parent / "results"
ROUNDS, CALLS, WARM_UP = 21, 200, 20
HOW = f"Median of {ROUNDS} rounds of {CALLS} calls, one thread, taking turns in one process."


def take_turns(runs: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """For each of `runs`, the median duration of a call in each round, in seconds."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            for _ in range(WARM_UP):
                run()
            times[name].append(median(_duration(run) for _ in range(CALLS)) / 1e9)
    return times


def _duration(run: Callable[[], object]) -> int:
    started = perf_counter_ns()
    run()
    return perf_counter_ns() - started


def ratios(times: dict[str, list[float]], baseline: str) -> dict[str, tuple[float, float, float]]:
    """For each, its duration over the baseline's: median, least and largest of the rounds."""
    found = {}
    for name, durations in times.items():
        each = [a / b for a, b in zip(durations, times[baseline], strict=True)]
        found[name] = median(each), min(each), max(each)
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; all columns but the first are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def latency_table(times: dict[str, list[float]], baseline: str) -> str:
    """Each one's median duration, and its ratio to the baseline's with the range of the rounds."""
    shares = ratios(times, baseline)
    return table(
        ("", "µs", f"× {baseline}", "range"),
        [
            (
                name,
                f"{median(durations) * 1e6:.1f}",
                f"{shares[name][0]:.2f}",
                f"{shares[name][1]:.2f} – {shares[name][2]:.2f}",
            )
            for name, durations in times.items()
        ],
    )


def conditions(packages: Sequence[str], how: str) -> str:
    """The machine, the versions and the day of a measurement, and how it was made."""
    here = machine.describe()
    return (
        f"{here.board or here.processor}, {here.cores} cores, {here.memory / 2**30:.0f} GiB, "
        f"{here.system}, Python {here.python}; "
        f"{''.join(f'{package} {version(package)}; ' for package in packages)}"
        f"{datetime.now(UTC):%Y-%m-%d}. {how}"
    )


def publish(script: str, text: str, packages: Sequence[str], how: str = HOW) -> None:
    """Print a result, and keep it as `results/NAME.md` with the machine and the versions.

    What lies in a folder below this one has the folder's name before its own.
    """
    path = Path(script).resolve().relative_to(RESULTS.resolve().parent)
    page = f"# `benchmarks/{path.as_posix()}`\n\n{text}\n{conditions(packages, how)}\n"
    print(page)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{'-'.join(path.with_suffix('').parts)}.md").write_text(page, encoding="utf-8")
