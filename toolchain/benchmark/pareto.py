"""Accuracy against what it costs, as a picture: which models no other beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from toolchain import plots
from toolchain.benchmark import summary
from toolchain.benchmark.results import Result

SIDE = 4.2  # inches of a panel


class Kind(StrEnum):
    """Where a point comes from."""

    MEASURED = "measured here"
    DOCUMENTED = "documented networks"
    PUBLISHED = "published elsewhere"


STYLES = {
    Kind.MEASURED: {"color": plots.FIRST, "marker": "o"},
    Kind.DOCUMENTED: {"color": plots.SECOND, "marker": "s"},
    Kind.PUBLISHED: {"color": "#6e7781", "marker": "x"},
}


@dataclass(frozen=True)
class Point:
    """One model: its accuracy (0–1) and what it costs, in the unit of its panel."""

    name: str
    accuracy: float
    cost: float
    kind: Kind = Kind.MEASURED


@dataclass(frozen=True)
class Panel:
    """The models of one picture; `cost` says what is paid and in which unit."""

    title: str
    cost: str
    points: tuple[Point, ...]


def front(points: Sequence[Point]) -> list[Point]:
    """The points that no other beats in accuracy without costing more, the cheapest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda each: (each.cost, -each.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    return best


def of_result(result: Result) -> list[Panel]:
    """Accuracy against size and against latency of what `toolchain bench` measured."""
    sizes, times = [], []
    for row in summary.rows(result):
        if row.accuracy is not None and row.latency is not None:
            sizes.append(Point(row.name, row.accuracy, row.file.size / 1000))
            times.append(Point(row.name, row.accuracy, row.latency.p50 * 1e6))
    return [
        Panel(result.dataset, "KB of the file", tuple(sizes)),
        Panel(result.dataset, "µs an image, median", tuple(times)),
    ]


def to_png(rows: Sequence[Sequence[Panel]]) -> bytes:
    """A PNG with a row of panels for each data set."""
    columns = max(map(len, rows))
    figure = plots.figure(SIDE * columns, 0.8 * SIDE * len(rows))
    grid: Any = figure.subplots(len(rows), columns, squeeze=False)
    for axes_row, panels in zip(grid, rows, strict=True):
        for axes in axes_row[len(panels) :]:
            axes.axis("off")
        for axes, panel in zip(axes_row, panels, strict=False):
            _draw(axes, panel)
    return plots.png(figure)


def _draw(axes: Any, panel: Panel) -> None:
    for kind, style in STYLES.items():
        shown = [each for each in panel.points if each.kind is kind]
        if shown:
            costs, shares = zip(*((each.cost, 100 * each.accuracy) for each in shown), strict=True)
            axes.scatter(costs, shares, s=28, label=kind, zorder=3, **style)
    edge = front(panel.points)
    axes.step(
        [each.cost for each in edge],
        [100 * each.accuracy for each in edge],
        where="post",
        color=plots.FIRST,
        linewidth=1,
        alpha=0.5,
    )
    for each in panel.points:
        axes.annotate(
            each.name,
            (each.cost, 100 * each.accuracy),
            xytext=(5, -4),
            textcoords="offset points",
            fontsize=7,
        )
    axes.set_xscale("log")
    axes.set(title=panel.title, xlabel=panel.cost, ylabel="accuracy on the test images, %")
    axes.title.set_fontsize(10)
    axes.margins(x=0.25, y=0.12)
    axes.grid(alpha=0.25, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=7, loc="lower right")
