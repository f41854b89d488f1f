"""The geometry of the page's charts, which `charts.html.jinja` draws.

Places are in percent of the plot, so that a chart fits any width while its words keep their size.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from toolchain.benchmark import formatting
from toolchain.benchmark.results import Window
from toolchain.benchmark.summary import Latency, Row
from toolchain.report.benchmark.pareto import front

LARGEST = 20.0  # px, the radius of the largest file in the scatter
SMALLEST = 3.0  # px, so that no file is too small to be seen
PHONE = 290.0  # px, the narrowest plot, on which no two numbers may lie on each other
HEIGHT = 320.0  # px of the scatter, as in page.css
BINS = 160  # of a histogram's axis
APART = 15.0  # percent between ticks, so that their words fit side by side on a phone
# what the ticks of a logarithmic axis begin with, where there is room for them
ROUND = ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 5), (1,))
CUT = 4  # times the median; a longer bar is cut, or it would flatten all others


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Axis:
    """From a value to its place; `log` says that equal steps are equal factors."""

    low: float
    high: float
    log: bool

    def at(self, value: float) -> float:
        """The place of a value, in percent from `low` to `high`."""
        scale: Callable[[float], float] = math.log10 if self.log else float
        low, high = scale(self.low), scale(self.high)
        return round(100 * (scale(value) - low) / (high - low), 2)


def duration_axis(seconds: Sequence[float]) -> tuple[Axis, tuple[Tick, ...]]:
    """A logarithmic axis on which all these durations lie, with some room at both ends."""
    low, high = min(seconds), max(seconds)
    room = 0.04 * math.log10(high / low) if high > 2 * low else 0.15
    axis = Axis(low / 10**room, high * 10**room, log=True)
    ticks: list[Tick] = []
    for digits in ROUND:
        every = [float(f"{digit}e{power}") for power in range(-10, 6) for digit in digits]
        inside = [each for each in every if axis.low <= each <= axis.high]
        ticks = [Tick(axis.at(each), formatting.round_duration(each)) for each in inside]
        if all(right.at - left.at >= APART for left, right in itertools.pairwise(ticks)):
            break
    return axis, tuple(ticks)


def share_axis(shares: Sequence[float]) -> tuple[Axis, tuple[Tick, ...]]:
    """A linear axis on which all these shares (0–1) lie; its ticks are in percent."""
    low, high = min(shares), max(shares)
    margin = 0.08 * (high - low) or 0.005
    axis = Axis(low - margin, high + margin, log=False)
    steps = [float(f"{digit}e{power}") for power in range(-5, 1) for digit in (1, 2, 5)]
    step = next(each for each in steps if (axis.high - axis.low) / each <= 6)
    first, last = math.ceil(axis.low / step), math.floor(axis.high / step)
    digits = max(0, -math.floor(math.log10(100 * step)))
    return axis, tuple(
        Tick(axis.at(number * step), f"{100 * number * step:.{digits}f} %")
        for number in range(first, last + 1)
    )


@dataclass(frozen=True)
class ScatterPoint:
    """A row in the scatter: `radius` and `lift`, how far above it its number is, in px."""

    number: int
    x: float
    y: float
    low: float
    high: float
    radius: float
    lift: float
    colour: int
    front: bool
    name: str
    size: str
    text: str


@dataclass(frozen=True)
class Scatter:
    """Accuracy over latency; `front` are the corners of the Pareto front's steps."""

    x: tuple[Tick, ...]
    y: tuple[Tick, ...]
    points: tuple[ScatterPoint, ...]
    front: tuple[tuple[float, float], ...]


def scatter(found: Sequence[Row], colours: Mapping[str, int]) -> Scatter | None:
    """All rows that count, of Keras the fastest; None where there are none."""
    shown = [
        (number, row)
        for number, row in enumerate(found, 1)
        if counts(row) and (row.file.format != "keras" or row.faster == 1)
    ]
    if not shown:
        return None
    x, x_ticks = duration_axis([_p50(row) for _, row in shown])
    y, y_ticks = share_axis([bound for _, row in shown for bound in _interval(row)])
    best = front([row for _, row in shown], _p50, _accuracy)
    largest = max(row.file.size for _, row in shown)
    points = [
        ScatterPoint(
            number=number,
            x=x.at(_p50(row)),
            y=100 - y.at(_accuracy(row)),
            low=100 - y.at(_interval(row)[0]),
            high=100 - y.at(_interval(row)[1]),
            radius=round(max(SMALLEST, LARGEST * math.sqrt(row.file.size / largest)), 1),
            lift=0,
            colour=colours[row.file.format],
            front=any(row is each for each in best),
            name=row.name,
            size=formatting.size(row.file.size),
            text=f"{row.name}: {row.accuracy:.2%}, {formatting.duration(_p50(row))}, "
            f"{formatting.size(row.file.size)}",
        )
        for number, row in shown
    ]
    corners = [(x.at(_p50(row)), 100 - y.at(_accuracy(row))) for row in best]
    return Scatter(x_ticks, y_ticks, tuple(_lifted(points)), tuple(_steps(corners)))


def counts(row: Row) -> bool:
    """Whether the row has figures, and they count."""
    return row.latency is not None and row.accuracy is not None and not row.problem


def _p50(row: Row) -> float:
    assert row.latency is not None
    return row.latency.p50


def _accuracy(row: Row) -> float:
    assert row.accuracy is not None
    return row.accuracy


def _interval(row: Row) -> tuple[float, float]:
    assert row.interval is not None
    return row.interval


def _steps(corners: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """The outline of what is reached: from the bottom up, along the steps, to the right."""
    level = 100.0
    for x, y in corners:
        yield from ((x, level), (x, y))
        level = y
    yield 100.0, level


def _lifted(points: Sequence[ScatterPoint]) -> Iterator[ScatterPoint]:
    """The points with their numbers where none lies on another or on a point, on a phone.

    Numbers move up and down only: on a wider page they can but come further apart.
    """
    taken = [_pixels(point) for point in points]
    for point in points:
        x, y = _pixels(point)
        lift = next(
            lift
            for lift in _lifts(point.radius + 10)
            if all(abs(x - a) >= 17 or abs(y - lift - b) >= 13 for a, b in taken)
        )
        taken.append((x, y - lift))
        yield dataclasses.replace(point, lift=round(lift, 1))


def _pixels(point: ScatterPoint) -> tuple[float, float]:
    return point.x / 100 * PHONE, point.y / 100 * HEIGHT


def _lifts(least: float) -> Iterator[float]:
    """Above, below, further above, further below."""
    for step in itertools.count():
        yield from (least + 7 * step, -least - 7 * step)


@dataclass(frozen=True)
class Strip:
    """A row's durations: `outline` of its histogram, from 0 to 100 both ways, y downwards;
    `beyond` where the slowest calls lie beyond the axis."""

    name: str
    colour: int
    outline: str
    least: float
    most: float
    p50: float
    p90: float
    p99: float
    latency: Latency
    slowest: float
    beyond: bool


@dataclass(frozen=True)
class Strips:
    """Histograms one below the other on one axis."""

    ticks: tuple[Tick, ...]
    strips: tuple[Strip, ...]


def distributions(found: Sequence[Row], colours: Mapping[str, int]) -> list[Strips]:
    """All calls of all rows that count; Keras, much slower, has an axis of its own."""
    shown = [row for row in found if counts(row)]
    keras = [row for row in shown if row.file.format == "keras"]
    others = [row for row in shown if row.file.format != "keras"]
    return [_strips(rows, colours) for rows in (others, keras) if rows]


def _strips(found: Sequence[Row], colours: Mapping[str, int]) -> Strips:
    # one in a hundred calls may be slower by far, and would make needles of all histograms
    ends = [end for row in found if row.latency for end in (_fastest(row), row.latency.p99)]
    axis, ticks = duration_axis(ends)
    return Strips(ticks, tuple(_strip(row, axis, colours) for row in found))


def _fastest(row: Row) -> float:
    return min(window.nanoseconds[0] for window in row.measurement.windows) / 1e9


def _strip(row: Row, axis: Axis, colours: Mapping[str, int]) -> Strip:
    at, windows = row.latency, row.measurement.windows
    assert at is not None
    slowest = max(window.nanoseconds[-1] for window in windows) / 1e9
    return Strip(
        name=row.name,
        colour=colours[row.file.format],
        outline=_outline(windows, axis),
        least=axis.at(_fastest(row)),
        most=min(100.0, axis.at(slowest)),
        p50=axis.at(at.p50),
        p90=axis.at(at.p90),
        p99=axis.at(at.p99),
        latency=at,
        slowest=slowest,
        beyond=slowest > axis.high,
    )


def _outline(windows: Sequence[Window], axis: Axis) -> str:
    """A histogram's path; its highest bin is as high as the strip."""
    durations = np.concatenate([window.nanoseconds for window in windows]) / 1e9
    calls = np.concatenate([window.calls for window in windows])
    edges = np.geomspace(axis.low, axis.high, BINS + 1)
    counted, _ = np.histogram(durations, edges, weights=calls)
    first, last = np.flatnonzero(counted)[[0, -1]]
    tops = 100 - 100 * counted / counted.max()
    steps = [f"V{tops[i]:.4g}H{100 * (i + 1) / BINS:g}" for i in range(first, last + 1)]
    return f"M{100 * first / BINS:g} 100{''.join(steps)}V100Z"


@dataclass(frozen=True)
class BarPart:
    """A piece of a bar; `width` in percent of the longest whole bar."""

    label: str
    text: str
    width: float


@dataclass(frozen=True)
class StackedBar:
    """A bar of its parts; `cut` where it is too long to be drawn to its end."""

    name: str
    parts: tuple[BarPart, ...]
    text: str
    cut: bool


STEPS = ("Python", "imports", "load", "first answer")


def cold_starts(names: Mapping[str, str], found: Sequence[Row]) -> list[StackedBar]:
    """From nothing to the first answer, one bar a file, by its steps."""
    steps = [
        (names[row.file.file], (row.cold.python, row.cold.imports, row.cold.load, row.cold.first))
        for row in _one_a_file(found)
        if row.cold
    ]
    return _bars(
        [(name, dict(zip(STEPS, each, strict=True))) for name, each in steps], formatting.duration
    )


def sizes(names: Mapping[str, str], found: Sequence[Row]) -> list[tuple[str, list[StackedBar]]]:
    """What a file needs: memory, its own size, and the packages it imports; where known."""
    files = [(names[row.file.file], row) for row in _one_a_file(found)]
    kinds: dict[str, list[tuple[str, int | None]]] = {
        "memory": [(name, row.memory) for name, row in files],
        "file": [(name, row.file.size) for name, row in files],
        "installed packages": [(name, row.installed) for name, row in files],
    }
    known = {  # what is not known, or nothing, has no bar
        kind: [(name, {kind: float(value)}) for name, value in each if value]
        for kind, each in kinds.items()
    }
    return [(kind, _bars(each, formatting.size)) for kind, each in known.items() if each]


def _one_a_file(found: Sequence[Row]) -> list[Row]:
    """The rows that count, the first of each file: start and size do not depend on threads."""
    return list({row.file.file: row for row in reversed(found) if counts(row)}.values())[::-1]


def _bars(
    found: Sequence[tuple[str, Mapping[str, float]]], said: Callable[[float], str]
) -> list[StackedBar]:
    if not found:
        return []
    totals = [sum(parts.values()) for _, parts in found]
    most = CUT * median(totals)
    longest = max(total for total in totals if total <= most)
    return [
        StackedBar(
            name,
            tuple(
                BarPart(label, said(value), round(100 * value / longest, 2))
                for label, value in parts.items()
            ),
            said(total),
            cut=total > most,
        )
        for (name, parts), total in zip(found, totals, strict=True)
    ]


@dataclass(frozen=True)
class Dot:
    """The median of a row on the machine that is number `machine`, counted from 0."""

    machine: int
    at: float
    text: str


@dataclass(frozen=True)
class SideBySide:
    """Medians of the same row on several machines, one line a row, by its name."""

    ticks: tuple[Tick, ...]
    lines: dict[str, list[Dot]]


def side_by_side(found: Sequence[Sequence[Row]]) -> SideBySide | None:
    """p50 of the rows that several of the machines have; None where there are none."""
    medians: dict[str, list[tuple[int, float]]] = {}
    for machine, rows in enumerate(found):
        for row in filter(counts, rows):
            medians.setdefault(row.name, []).append((machine, _p50(row)))
    shared = {name: each for name, each in medians.items() if len(each) > 1}
    if not shared:
        return None
    axis, ticks = duration_axis([p50 for each in shared.values() for _, p50 in each])
    return SideBySide(
        ticks,
        {
            name: [Dot(machine, axis.at(p50), formatting.duration(p50)) for machine, p50 in each]
            for name, each in shared.items()
        },
    )
