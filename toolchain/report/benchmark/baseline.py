"""A run against an earlier one: what changed, and whether it is more than noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from toolchain.benchmark.results import Result
from toolchain.benchmark.statistics import chance_of_slower
from toolchain.benchmark.summary import Row, named_right, rows, short_name, typical
from toolchain.evaluation import metrics
from toolchain.support.errors import UsageError

CHANCE = 0.01  # a change less probable than this is not called noise
GREW = 0.05  # share by which latency or memory must have grown to count
LARGER = 0.01  # share by which a file must have grown to count; its size has no noise
CONTROLS = 2  # unchanged files from which the machine's own drift is told


@dataclass(frozen=True)
class Change:
    """One figure of one file, before and after, in `unit`.

    `low` and `high` bound `after` / `before` as far as the windows, or the processes, of each run
    differ among themselves. `drift` is how many times slower the run's unchanged files became: the
    machine's part of the change, 1 where it is not known. `p` is the chance that noise gives as
    bad a change beyond the drift; None for what has no noise.
    """

    name: str
    what: str
    unit: str
    before: float
    after: float
    low: float
    high: float
    drift: float
    p: float | None
    regression: bool


Pair = tuple[Row, Row]


def compare(before: Result, after: Result) -> list[Change]:
    """What changed from an earlier run of the same data set on the same machine.

    Rows are matched by file name, engine (of any version) and threads. Latency by an exact
    permutation test over the windows' medians, after taking off the drift of the files that did
    not change; memory by its processes; accuracy by McNemar's exact test on the same images. A
    regression is a change for the worse: of p50 by more than 5 % with p < 1 %; of memory by more
    than 5 % without overlap; of accuracy with p < 1 %; of a file's size by more than 1 %.

    Raises:
        UsageError: the runs cannot be compared, or have no row in common.
    """
    for mine, theirs, what in (
        (after.dataset, before.dataset, "is of another data set"),
        (after.truth, before.truth, "used other test images"),
        (after.machine.processor, before.machine.processor, "was made on another machine"),
    ):
        if mine != theirs:
            raise UsageError(f"The earlier run {what}; nothing can be compared.")
    earlier = {_key(before, row): row for row in rows(before)}
    pairs = [(earlier[key], row) for row in rows(after) if (key := _key(after, row)) in earlier]
    if not pairs:
        raise UsageError("The earlier run has no file in common with this one.")
    return [change for pair in pairs for change in _changes(before, after, pair, pairs)]


def _key(result: Result, row: Row) -> tuple[str, str, int]:
    words = [word for word in row.measurement.engine.split() if not word[0].isdigit()]
    return short_name(row.file.file, result), " ".join(words), row.measurement.threads


def _changes(before: Result, after: Result, pair: Pair, pairs: list[Pair]) -> Iterator[Change]:
    old, new = pair
    if old.latency and new.latency:
        yield _latency(old, new, _drift(pair, pairs))
    if old.memory and new.memory and old.measurement.cold_starts and new.measurement.cold_starts:
        yield _memory(before, after, old, new)
    ratio = new.file.size / old.file.size
    sizes = old.file.size / 1e3, new.file.size / 1e3
    yield Change(new.name, "size", "KB", *sizes, ratio, ratio, 1.0, None, ratio > 1 + LARGER)
    if old.accuracy is not None and new.accuracy is not None:
        yield _accuracy(after, old, new)


def _drift(pair: Pair, pairs: list[Pair]) -> float:
    """How many times slower the other files became that are the same bytes in the same engine."""
    controls = [
        new.latency.p50 / old.latency.p50
        for old, new in pairs
        if (old, new) != pair
        and (old.latency and new.latency)
        and old.file.sha256 == new.file.sha256 != pair[1].file.sha256
        and old.measurement.engine == new.measurement.engine
    ]
    return median(controls) if len(controls) >= CONTROLS else 1.0


def _latency(old: Row, new: Row, drift: float) -> Change:
    before = [typical(window) * 1e6 for window in old.measurement.windows]
    after = [typical(window) * 1e6 for window in new.measurement.windows]
    p = chance_of_slower(before, [time / drift for time in after])
    grew = median(after) / median(before) / drift > 1 + GREW
    return _change(new, "p50", "µs", before, after, drift, p, grew and p < CHANCE)


def _memory(before: Result, after: Result, old: Row, new: Row) -> Change:
    was = [(s.peak_bytes - before.bare_peak_bytes) / 1e6 for s in old.measurement.cold_starts]
    now = [(s.peak_bytes - after.bare_peak_bytes) / 1e6 for s in new.measurement.cold_starts]
    # of three processes a side the least possible p is 1 in 20: they have to lie apart instead
    grew = median(now) > median(was) * (1 + GREW) and min(now) > max(was)
    return _change(new, "memory", "MB", was, now, 1.0, chance_of_slower(was, now), grew)


def _change(
    row: Row,
    what: str,
    unit: str,
    before: list[float],
    after: list[float],
    drift: float,
    p: float,
    regression: bool,
) -> Change:
    low, high = min(after) / max(before), max(after) / min(before)
    return Change(
        *(row.name, what, unit, median(before), median(after), low, high, drift, p, regression)
    )


def _accuracy(result: Result, old: Row, new: Row) -> Change:
    right = named_right(result, old.file), named_right(result, new.file)
    only_old, only_new = metrics.discordant_pairs(*right)
    p = metrics.mcnemar_exact(only_old, only_new)
    before, after = old.accuracy or 0.0, new.accuracy or 0.0
    low, high = ((end / before if before else 1.0) for end in new.interval or (after, after))
    worse = only_old > only_new and p < CHANCE
    return Change(*(new.name, "accuracy", "%", 100 * before, 100 * after, low, high, 1.0, p, worse))
