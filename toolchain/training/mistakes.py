"""Where a model errs: the classes it confuses, and the test images it was surest of, wrongly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain.evaluation.metrics import confusion_matrix
from toolchain.model.images import as_picture
from toolchain.workstation.plots import FIRST, figure, legible, png

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolchain.model.dataset import Dataset

SHOWN = 12  # images
COLUMNS = 4
NAMED = 30  # classes, above which their names no longer fit
COUNTED = 15  # classes, above which the counts no longer fit


def surest(
    scores: NDArray[np.float32], truth: NDArray[np.unsignedinteger], most: int
) -> NDArray[np.int64]:
    """The images with a wrong class, the most probable first."""
    wrong = np.flatnonzero(scores.argmax(1) != truth)
    return wrong[np.argsort(-scores[wrong].max(1), kind="stable")][:most]


def picture(title: str, scores: NDArray[np.float32], dataset: Dataset) -> bytes:
    """A PNG of both, for probabilities float32 `[N, classes]` of all test images."""
    made = figure(13, 6.2)
    made.suptitle(title)
    panels: Any = made.subfigures(1, 2, width_ratios=(1.1, 1))
    left, right = panels
    counts = confusion_matrix(dataset.test_labels, scores.argmax(1), len(dataset.labels))
    labels = legible(dataset.labels)
    _draw_confusion(left.subplots(), counts, labels)
    _draw_images(right, scores, dataset, labels)
    return png(made)


def _draw_confusion(axes: Any, counts: NDArray[np.int64], labels: list[str]) -> None:
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)  # rare confusions stay visible
    axes.set(title="all test images", xlabel="taken for", ylabel="is")
    axes.title.set_fontsize(10)
    places = range(len(labels)) if len(labels) <= NAMED else ()
    axes.set_xticks(places, [labels[place] for place in places], rotation=90)
    axes.set_yticks(places, [labels[place] for place in places])
    if len(labels) <= COUNTED:
        for row, column in zip(*np.nonzero(counts), strict=True):
            color = "white" if shares[row, column] > 0.3 else "black"
            words = f"{counts[row, column]:,}"
            axes.text(column, row, words, ha="center", va="center", color=color, fontsize=8)


def _draw_images(
    panel: Any, scores: NDArray[np.float32], dataset: Dataset, labels: list[str]
) -> None:
    found = surest(scores, dataset.test_labels, SHOWN)
    panel.suptitle("surest and wrong" if len(found) else "no test image was wrong", fontsize=10)
    for axes, image in zip(
        panel.subplots(SHOWN // COLUMNS, COLUMNS).flat, [*found, *[None] * SHOWN], strict=False
    ):
        axes.axis("off")
        if image is None:
            continue
        axes.imshow(as_picture(dataset.test_images[image]), cmap="gray", vmin=0)
        said = f"{labels[scores[image].argmax()]} {scores[image].max():.1%}"
        truth = labels[dataset.test_labels[image]]
        axes.set_title(f"{said}\nis {truth}", fontsize=8, color=FIRST)
