"""How well a session answers, and whether it answers as Keras does."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import numpy as np

from toolchain.formats import Session
from toolchain.model.artifact import Comparison, ModelInfo
from toolchain.support.errors import ToolchainError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolchain.model.dataset import Dataset

ONE_SIDED = 1.644854  # standard errors; beyond them lie 5 % of a normal distribution
TOGETHER = 16  # images in one call, to try a file that takes several


def scores(session: Session, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities float32 `[N, classes]` for uint8 `[N, H, W, C]`, N at least 1."""
    if len(images) == 0:
        raise ToolchainError("There are no images to evaluate.")
    return session.run(images)


def differs_together(
    session: Session,
    images: NDArray[np.uint8],
    scores: NDArray[np.float32],
    tolerance: float,
) -> bool:
    """Whether a file that takes several images in one call answers them otherwise than one by one:
    whether some probability differs by more than `tolerance` from its `scores` `[N, classes]` of
    single images, of which the first are those of `images`.

    Raises:
        ToolchainError: the runtime cannot compute.
    """
    if session.batch is not None:
        return False
    chosen = np.arange(TOGETHER) % len(images)  # several, however few there are
    together = session.run_together(images[chosen])
    return not np.allclose(together, scores[chosen], rtol=0, atol=tolerance, equal_nan=True)


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
    """A file's probabilities against Keras', float32 `[N, classes]`.

    `labels` `[M]` are the truth of the first M of the N images; only these tell the accuracy.
    """
    file_classes, keras_classes = file_scores.argmax(1), keras_scores.argmax(1)
    tested = slice(len(labels))
    file_right, keras_right = file_classes[tested] == labels, keras_classes[tested] == labels
    only_keras, only_file = discordant_pairs(keras_right, file_right)
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
        compared_images=len(file_scores),
    )


def confusion_matrix(
    truth: NDArray[np.integer], named: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """How many images of each class (row) were named as each class (column), `[classes, classes]`.

    `truth` and `named` are the numbers of the classes of the same images, `[N]`.
    """
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, named), 1)
    return counts


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


def discordant_pairs(
    first_right: NDArray[np.bool_], second_right: NDArray[np.bool_]
) -> tuple[int, int]:
    """How many of the same images only the first classifier names right, and only the second.

    Both say of each image whether it is right, bool `[N]`.
    """
    return int((first_right & ~second_right).sum()), int((second_right & ~first_right).sum())


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


def paired_score(only_first: int, only_second: int, trials: int, difference: float) -> float:
    """How many standard errors the loss from first to second lies above `difference` (0–1).

    The score test of paired proportions, in which `only_first` and `only_second` are the
    discordant pairs of `trials`. With `difference` 0 it is McNemar's without continuity correction.
    Source: T. Tango, "Equivalence test and confidence interval for the difference in proportions
    for the paired-sample design", Statistics in Medicine 17 (1998), 891–908.
    """
    excess = only_first - only_second
    # the likeliest rate of `only_second` if the loss were `difference`: the root of a q² + b q + c
    a, c = 2 * trials, -only_second * difference * (1 - difference)
    b = (2 * trials - excess) * difference - only_first - only_second
    rate = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = trials * (2 * rate + difference * (1 - difference))
    above = excess - trials * difference
    if variance <= 0:  # every pair is alike, and so would all others be
        return math.copysign(math.inf, above) if above else 0.0
    return above / math.sqrt(variance)


def binomial_tail(successes: int, trials: int, rate: float) -> float:
    """How likely at least so many successes are (0–1), each trial having the chance `rate` (0–1).

    The upper tail of the binomial distribution, summed from its largest term; `successes` lie
    above `trials` times `rate`.
    """
    if successes == 0:
        return 1.0
    if rate <= 0:
        return 0.0
    failures = trials - successes
    term = math.exp(
        math.lgamma(trials + 1)
        - math.lgamma(successes + 1)
        - math.lgamma(failures + 1)
        + successes * math.log(rate)
        + (failures * math.log1p(-rate) if failures else 0.0)
    )
    total, count = term, successes
    while count < trials and term > total * sys.float_info.epsilon:
        term *= (trials - count) / (count + 1) * rate / (1 - rate)
        count += 1
        total += term
    return min(1.0, total)


def worst_change(comparison: Comparison) -> float:
    """The change of accuracy, in percentage points, that a file's true one is not below.

    The lower end of Tango's score interval (see `paired_score`), one-sided at 95 %.
    """
    pairs = comparison.only_keras_right, comparison.only_file_right, comparison.images
    low, high = -comparison.change / 100, 1.0
    for _ in range(60):  # halves the loss' range until nothing is left of it
        middle = (low + high) / 2
        if paired_score(*pairs, middle) > -ONE_SIDED:
            low = middle
        else:
            high = middle
    return -100 * high
