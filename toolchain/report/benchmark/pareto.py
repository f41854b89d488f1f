"""Accuracy against what it costs, as a picture: which models no other beats in both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from toolchain.benchmark import summary
from toolchain.benchmark.results import Result
from toolchain.workstation import plots

Model = TypeVar("Model")

SIDE = 4.2  # inches of a panel


class PointKind(StrEnum):
    """Where a point comes from."""

    MEASURED = "measured here"
    DOCUMENTED = "documented networks"
    PUBLISHED = "published elsewhere"


STYLES = {
    PointKind.MEASURED: {"color": plots.FIRST, "marker": "o"},
    PointKind.DOCUMENTED: {"color": plots.SECOND, "marker": "s"},
    PointKind.PUBLISHED: {"color": "#6e7781", "marker": "x"},
}


@dataclass(frozen=True)
class ParetoPoint:
    """One model: its accuracy (0–1) and what it costs, in the unit of its panel."""

    name: str
    accuracy: float
    cost: float
    kind: PointKind = PointKind.MEASURED


@dataclass(frozen=True)
class Panel:
    """The models of one picture; `cost` says what is paid and in which unit."""

    title: str
    cost: str
    points: tuple[ParetoPoint, ...]


def front(
    models: Iterable[Model], cost: Callable[[Model], float], accuracy: Callable[[Model], float]
) -> list[Model]:
    """The models that no other beats in accuracy without costing more, the cheapest first."""
    best: list[Model] = []
    for model in sorted(models, key=lambda each: (cost(each), -accuracy(each))):
        if not best or accuracy(model) > accuracy(best[-1]):
            best.append(model)
    return best


def of_result(result: Result) -> list[Panel]:
    """Accuracy against size and against latency of what `toolchain bench` measured."""
    sizes, times = [], []
    for row in summary.rows(result):
        if row.accuracy is not None and row.latency is not None:
            sizes.append(ParetoPoint(row.name, row.accuracy, row.file.size / 1000))
            times.append(ParetoPoint(row.name, row.accuracy, row.latency.p50 * 1e6))
    return [
        Panel(result.dataset, "KB of the file", tuple(sizes)),
        Panel(result.dataset, "µs an image, median", tuple(times)),
    ]


def to_png(rows: Sequence[Sequence[Panel]]) -> bytes:
    """A PNG with a row of panels for each data set."""
    columns = max(map(len, rows))
    figure = plots.figure(SIDE * columns, 0.8 * SIDE * len(rows))
    grid: Any = figure.subplots(len(rows), columns, squeeze=False)
    marks: dict[str, Any] = {}
    for axes_row, panels in zip(grid, rows, strict=True):
        for axes in axes_row[len(panels) :]:
            axes.axis("off")
        for axes, panel in zip(axes_row, panels, strict=False):
            marks |= _draw(axes, panel)
    if len(marks) > 1:
        figure.legend(
            marks.values(), marks, loc="outside lower center", ncols=3, frameon=False, fontsize=8
        )
    return plots.png(figure)


def _draw(axes: Any, panel: Panel) -> dict[str, Any]:
    """Draw a panel; what stands for each kind of point in it."""
    marks = {}
    for kind, style in STYLES.items():
        shown = [each for each in panel.points if each.kind is kind]
        if shown:
            costs, shares = zip(*((each.cost, 100 * each.accuracy) for each in shown), strict=True)
            marks[kind.value] = axes.scatter(costs, shares, s=28, zorder=3, **style)
    edge = front(panel.points, lambda each: each.cost, lambda each: each.accuracy)
    axes.step(
        [each.cost for each in edge],
        [100 * each.accuracy for each in edge],
        where="post",
        color=plots.FIRST,
        linewidth=1,
        alpha=0.5,
    )
    for number, each in enumerate(sorted(panel.points, key=lambda point: point.cost)):
        axes.annotate(
            each.name,
            (each.cost, 100 * each.accuracy),
            xytext=(5, (4, -10)[number % 2]),  # neighbours' names do not lie on each other
            textcoords="offset points",
            fontsize=7,
        )
    _scale(axes, panel)
    axes.set(title=panel.title, xlabel=panel.cost, ylabel="accuracy on the test images, %")
    axes.title.set_fontsize(10)
    axes.grid(alpha=0.25, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    return marks


def _scale(axes: Any, panel: Panel) -> None:
    """Costs by their ratio, with room for the names, which are right of the points."""
    from matplotlib import ticker

    costs = [each.cost for each in panel.points] or [1.0]
    shares = [100 * each.accuracy for each in panel.points] or [100.0]
    low, high = min(costs) / 1.5, max(costs) * 1.5
    axes.set_xscale("log")
    axes.set_xlim(low, high * (high / low) ** 0.35)
    axes.set_ylim(min(shares) - 0.5, max(shares) + 0.5)
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if high < 60 * low else (1,)))
    axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,g}"))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
