"""The proof: a file answers the test images, and the gate judges its answers against Keras'.

A gate asks for two things: accuracy may fall by so much, and the top class must be that of Keras on
so many images. A file that keeps to both is proved. One that does not is rejected only where there
is evidence: where a file at the gate's limit would lose so much in fewer than 5 % of all such test
sets. Between the two the images are too few, and the file is undecided. So it is where the images
are too few to show even a file that is far beyond the limit.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolchain.evaluation import metrics
from toolchain.formats import Format
from toolchain.model.artifact import Comparison, Gate, Verdict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from toolchain.export.reference import Reference  # which a device has not

CHANCE = 0.05  # what happens more often at the gate's limit is no evidence
FAR = 0.04  # beyond the gate's limit: 5 % of the images for the default gate
MOST_TIMES = 10**5  # the images at hand, up to which is told how many would be evidence


@dataclass(frozen=True)
class Proof:
    """A file against Keras, and the verdict.

    `doubts` say in words where it does not keep to the gate. Where the verdict is undecided,
    `more_images` test images beside those at hand would show whether it does, if they turn out
    like these.
    """

    comparison: Comparison
    verdict: Verdict
    doubts: tuple[str, ...] = ()
    more_images: int = 0


def prove(
    maker: Format, data: bytes, reference: Reference, gate: Gate
) -> tuple[Proof, NDArray[np.float32]]:
    """Let the file `data` answer every image as deployed, and judge its answers.

    Returns the proof and the answers, float32 `[N, classes]`, to all images of the reference.

    Raises:
        ToolchainError: the file's runtime does not take it, or cannot compute.
    """
    answers = reference.pictures.answers(maker.open_session(data, threads=1))
    comparison = metrics.compare(answers, reference.scores, reference.pictures.labels)
    return judge(comparison, gate), answers


def judge(comparison: Comparison, gate: Gate) -> Proof:
    """What a comparison says about a file.

    A loss of accuracy is judged by the score test of paired proportions, a lack of agreement by the
    exact binomial test (`evaluation.paired_score`, `evaluation.binomial_tail`), each one-sided at
    5 %: the reverse of a test for non-inferiority, which would leave any file undecided on fewer
    than 600 images, even one that answers all of them alike.
    """
    if not math.isfinite(comparison.largest_difference):
        doubt = "it gives values that are not numbers"
        return Proof(comparison, Verdict.REJECTED, (doubt,))
    lost = [each for each in (_accuracy(comparison, gate), _agreement(comparison, gate)) if each]
    unseen = _too_few(comparison, gate)
    found = lost or ([unseen] if unseen else [])
    doubts = tuple(words for words, _ in found)
    if any(more == 0 for _, more in found):
        return Proof(comparison, Verdict.REJECTED, doubts)
    verdict = Verdict.UNDECIDED if found else Verdict.PROVED
    return Proof(comparison, verdict, doubts, max((more for _, more in found), default=0))


def _accuracy(comparison: Comparison, gate: Gate) -> tuple[str, int] | None:
    """None where accuracy falls by no more than is allowed; else that in words, and how many more
    images would be evidence: 0 where these are."""
    if -comparison.change <= gate.largest_drop:
        return None
    limit = gate.largest_drop / 100

    def is_evidence(times: int) -> bool:
        score = metrics.paired_score(
            times * comparison.only_keras_right,
            times * comparison.only_file_right,
            times * comparison.images,
            limit,
        )
        return score > metrics.ONE_SIDED

    words = (
        f"accuracy fell by {-comparison.change:.2f} points on {comparison.images} test images, "
        f"at most {gate.largest_drop:g} are allowed"
    )
    return words, _more(comparison.images, is_evidence)


def _agreement(comparison: Comparison, gate: Gate) -> tuple[str, int] | None:
    """As `_accuracy`, of the images on which the file names the class that Keras names."""
    if comparison.agreement >= gate.least_agreement:
        return None
    images, others = _others(comparison)
    allowed = max(0.0, 1 - gate.least_agreement)

    def is_evidence(times: int) -> bool:
        return metrics.binomial_tail(times * others, times * images, allowed) < CHANCE

    words = (
        f"it agrees with Keras on {comparison.agreement:.2%} of {images} images, "
        f"at least {gate.least_agreement:.2%} are asked for"
    )
    return words, _more(images, is_evidence)


def _too_few(comparison: Comparison, gate: Gate) -> tuple[str, int] | None:
    """None where the images would show a file that names another class for `FAR` more of them than
    the gate allows; else that they would not, and how many more would."""
    images, others = _others(comparison)
    far = min(1.0, max(0.0, 1 - gate.least_agreement) + FAR)

    def would_show(times: int) -> bool:
        alike = times * (images - others)
        return metrics.binomial_tail(alike, times * images, 1 - far) < CHANCE

    if far == 1 or would_show(1):
        return None
    words = (
        f"only {images} images could be compared, too few to show a file that agrees with Keras "
        f"on {1 - far:.0%} of all"
    )
    return words, _more(images, would_show)


def _others(comparison: Comparison) -> tuple[int, int]:
    """How many images were compared, and how many of them are in another class than Keras'."""
    images = comparison.compared_images or comparison.images
    return images, round((1 - comparison.agreement) * images)


def _more(images: int, is_evidence: Callable[[int], bool]) -> int:
    """How many images beside these `images` would make the same shares evidence; 0 where they are.

    `is_evidence` tells it of so many times the images with as many times each answer.
    """
    return images * bisect.bisect_left(range(1, MOST_TIMES), True, key=is_evidence)
