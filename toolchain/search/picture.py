"""The trials of a search as a picture: accuracy against size and latency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toolchain.benchmark.budget import Budget
from toolchain.search.trials import Outcome, TrialRecord
from toolchain.workstation import plots

AXES = (
    ("size", 1e-3, "file, KB", "max_size"),
    ("latency", 1e6, "latency, µs", "max_latency"),
)
SHOWN = (
    (Outcome.BEHIND, "#9aa4ae", "o", 14, "stopped early"),
    (Outcome.TRAINED, plots.FIRST, "o", 28, "trained to the end of its trial"),
)


def to_png(trials: Sequence[TrialRecord], budget: Budget, title: str) -> bytes:
    """Validation accuracy of all trials that were trained, over the size and the latency of their
    files; the line joins those that no other one beats in both."""
    figure = plots.figure(9, 3.8)
    figure.suptitle(title)
    panels: Sequence[Any] = figure.subplots(1, 2, sharey=True)
    for axes, (name, factor, words, limit) in zip(panels, AXES, strict=True):
        for outcome, color, marker, area, label in SHOWN:
            points = _points([each for each in trials if each.outcome is outcome], name, factor)
            for known in (True, False):
                chosen = [(x, y) for x, y, found_by_hand in points if found_by_hand is known]
                axes.scatter(
                    *zip(*chosen, strict=True) if chosen else ((), ()),
                    color=color,
                    marker="s" if known else marker,
                    s=area,
                    label=f"{label}{', known network' if known else ''}" if chosen else None,
                )
        ended = [each for each in trials if each.outcome is Outcome.TRAINED]
        front = _front(_points(ended, name, factor))
        axes.plot(*zip(*front, strict=True) if front else ((), ()), color=plots.FIRST, alpha=0.5)
        if (most := getattr(budget, limit)) is not None:
            axes.axvline(most * factor, color=plots.SECOND, linestyle=":")
        axes.set_xlabel(words)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("validation accuracy, %")
    if panels[1].get_legend_handles_labels()[1]:
        panels[1].legend(frameon=False, fontsize=8)
    return plots.png(figure)


def _points(
    trials: Sequence[TrialRecord], name: str, factor: float
) -> list[tuple[float, float, bool]]:
    """Cost, accuracy in per cent, and whether the network was known, of each trial."""
    return [
        (getattr(each.cost, name) * factor, 100 * each.accuracy, each.known)
        for each in trials
        if each.cost and each.accuracy is not None
    ]


def _front(points: Sequence[tuple[float, float, bool]]) -> list[tuple[float, float]]:
    """The points that none is both cheaper and better than, by cost."""
    found: list[tuple[float, float]] = []
    for cost, accuracy, _ in sorted(points, key=lambda point: (point[0], -point[1])):
        if not found or accuracy > found[-1][1]:
            found.append((cost, accuracy))
    return found
