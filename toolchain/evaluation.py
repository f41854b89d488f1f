"""How well a session answers, and whether it answers as Keras does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from toolchain.artifact import Comparison, ModelInfo
from toolchain.errors import ToolchainError, UsageError
from toolchain.formats import Session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolchain.datasets import Dataset


@dataclass(frozen=True)
class Gate:
    """What a file must reach to be published."""

    largest_drop: float = 0.5
    """Percentage points by which accuracy may fall below that of Keras."""
    least_agreement: float = 0.99
    """Share of images (0–1) on which the top class must be that of Keras."""

    def failures(self, comparison: Comparison) -> tuple[str, ...]:
        """Why the file does not pass, in words; empty when it does."""
        found = []
        if not math.isfinite(comparison.largest_difference):
            found.append("it gives values that are not numbers")
        if -comparison.change > self.largest_drop:
            found.append(
                f"accuracy fell by {-comparison.change:.2f} points, "
                f"at most {self.largest_drop:g} are allowed"
            )
        if comparison.agreement < self.least_agreement:
            found.append(
                f"it agrees with Keras on {comparison.agreement:.2%} of the images, "
                f"at least {self.least_agreement:.2%} are asked for"
            )
        return tuple(found)


def scores(session: Session, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities float32 `[N, classes]` for uint8 `[N, H, W, C]`, N at least 1."""
    if len(images) == 0:
        raise ToolchainError("There are no images to evaluate.")
    return session.run(images)


def accuracy(scores: NDArray[np.float32], labels: NDArray[np.integer]) -> float:
    """The share (0–1) of images whose top class in `scores` `[N, classes]` is their label."""
    return int((scores.argmax(1) == labels).sum()) / len(labels)


def check_fits(info: ModelInfo, dataset: Dataset) -> None:
    """A model is only judged on what it was made for.

    Raises:
        UsageError: the data set has other classes, or images of another shape.
    """
    takes = (info.input.height, info.input.width, info.input.channels)
    if dataset.test_images.shape[1:] != takes or dataset.labels != info.labels:
        raise UsageError(
            f"{info.name} was trained on '{info.dataset}' and takes {list(takes)} pixels; "
            f"'{dataset.name}' has other classes or another shape."
        )


def compare(
    file_scores: NDArray[np.float32],
    keras_scores: NDArray[np.float32],
    labels: NDArray[np.integer],
) -> Comparison:
    """A file's probabilities against Keras', float32 `[N, classes]`; `labels` are the truth."""
    file_classes, keras_classes = file_scores.argmax(1), keras_scores.argmax(1)
    file_right, keras_right = file_classes == labels, keras_classes == labels
    only_keras = int((keras_right & ~file_right).sum())
    only_file = int((file_right & ~keras_right).sum())
    right, images = int(file_right.sum()), len(labels)
    return Comparison(
        images=images,
        accuracy=right / images,
        interval=wilson_interval(right, images),
        keras_accuracy=int(keras_right.sum()) / images,
        agreement=float((file_classes == keras_classes).mean()),
        # NaN, which an argmax hides, stays visible here
        largest_difference=float(np.abs(file_scores - keras_scores).max()),
        only_keras_right=only_keras,
        only_file_right=only_file,
        p_value=mcnemar_exact(only_keras, only_file),
    )


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """The score interval of a proportion; `z` = 1.959964 for 95 %.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22 (1927), 209–212.
    """
    rate, spread = successes / trials, z * z / trials
    center = (rate + spread / 2) / (1 + spread)
    half = z * math.sqrt(rate * (1 - rate) / trials + spread / (4 * trials)) / (1 + spread)
    # the rate lies within by definition; rounding must not put it outside
    return max(0.0, min(rate, center - half)), min(1.0, max(rate, center + half))


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p-value that two classifiers err equally often, from their discordant pairs.

    The exact binomial form: under equality each discordant pair is a fair coin. Source:
    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12 (1947), 153–157.
    """
    pairs = only_first + only_second
    tail, ways = 0, 1
    for chosen in range(min(only_first, only_second) + 1):
        tail += ways
        ways = ways * (pairs - chosen) // (chosen + 1)
    return min(1.0, tail / 2 ** (pairs - 1)) if pairs else 1.0
