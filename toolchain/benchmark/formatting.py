"""What the Markdown table and the page say in the same words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from toolchain.benchmark.results import Result
from toolchain.formats import SOURCE
from toolchain.model.artifact import Gate, Verdict


def titles(results: Sequence[Result]) -> list[str]:
    """A name for each result: its machine, and what else it takes to tell it from the others."""
    names: list[str] = []
    least = 1 if len({result.dataset for result in results}) == 1 else 2
    for parts in range(least, 4):
        names = [" · ".join(_identity(result)[:parts]) for result in results]
        if len(set(names)) == len(names):
            break
    return names


def _identity(result: Result) -> tuple[str, str, str]:
    return machine(result), result.dataset, result.started[:19].replace("T", " ")


def machine(result: Result) -> str:
    """What a person calls the machine."""
    return result.machine.board or result.machine.processor or "unknown machine"


def duration(seconds: float) -> str:
    """Three digits and a unit, such as `28.5 µs`, `1.20 s`."""
    return _with_unit(seconds, (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)))


def round_duration(seconds: float) -> str:
    """The same of a round number, without decimals that say nothing: `20 µs`."""
    number, unit = duration(seconds).split()
    return f"{float(number):g} {unit}"


def size(count: float) -> str:
    """Three digits and a unit, such as `254 KB`, `1.59 GB`."""
    return _with_unit(count, (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)))


def _with_unit(value: float, units: Sequence[tuple[str, float]]) -> str:
    """In the first unit of which there is at least one, else in the last."""
    unit, factor = next((each for each in units if value >= each[1]), units[-1])
    number = value / factor
    digits = 0 if number >= 99.95 else 1 if number >= 9.995 else 2
    return f"{number:.{digits}f} {unit}"


def doubts(result: Result) -> list[tuple[str, str]]:
    """Why a result is not whole or not to be trusted, each reason with its flag."""
    cut = "interrupted; only what was finished is here"
    return [
        *[("PARTIAL", cut)] * result.partial,
        *[("INVALID", why) for why in result.invalid],
        *[
            (
                "UNDECIDED",
                f"{Path(file.file).name} was published with this word: its test images "
                "were too few to prove it",
            )
            for file in result.files
            if file.verdict is Verdict.UNDECIDED
        ],
    ]


def _by_gate(result: Result) -> dict[Gate, list[str]]:
    """The names of the files that were made from another, by the criteria they are judged by."""
    found: dict[Gate, list[str]] = {}
    for file in result.files:
        if file.format != SOURCE:
            found.setdefault(file.gate, []).append(Path(file.file).name)
    return found


def conditions(result: Result) -> Iterator[tuple[str, str]]:
    """How and on what it was measured: what is meant, and what it was."""
    rules, host, before, after = result.conditions, result.machine, result.before, result.after
    yield "run", f"{rules.mode}, started {result.started}, toolchain {result.toolchain}"
    yield (
        "machine",
        f"{machine(result)}, {host.cores} cores, {host.memory / 2**30:.1f} GiB, {host.system}, "
        f"Python {host.python}, {host.libc or 'unknown C library'}",
    )
    state = [f"load {before.load} before, {after.load} after"]
    if before.temperature is not None:
        state.append(f"{before.temperature} °C before, {after.temperature} °C after")
    if before.governor:
        state.append(f"governor {before.governor}")
    yield "state", "; ".join(state)
    images = f"{rules.images:,} test images"
    if rules.images < rules.of_images:
        images += f", drawn by a seed from {rules.of_images:,}"
    yield "accuracy", f"on {images}; the interval is Wilson's, 95 %"
    for gate, names in _by_gate(result).items():
        yield "allowed", f"{gate} ({', '.join(names)})"
    yield (
        "latency",
        "one image at a time, from pixels to checked probabilities, through Python; "
        f"{rules.windows} windows of {rules.window_seconds:g} s, the files taking turns, each in "
        f"its own process; reading the clock takes {result.clock_ns} ns of every sample",
    )
    yield (
        "cold start",
        f"median of {rules.cold_starts} fresh processes, from the start to the first answer; "
        "memory is their peak above a bare interpreter",
    )
