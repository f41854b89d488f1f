"""Does the model still answer here as it did on the workstation?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from toolchain import formats
from toolchain.model import engines
from toolchain.model.artifact import Precision
from toolchain.model.bundle import Bundle
from toolchain.runtime.classifier import Classifier
from toolchain.support.errors import ToolchainError

# By which logits in 8 bits may differ, for kernels round differently: of 60,000 answers of the
# released models, tflite-runtime 2.14 gave one that is 2.3 steps from ai-edge-litert's.
STEPS = 3


@dataclass(frozen=True)
class SelfTestOutcome:
    """One engine on the golden vectors.

    `largest_difference` is that of any probability (0–1), `same_class` the share of images (0–1)
    with the same top class. `problem` says why it could not answer; empty where it did.
    """

    engine: str
    images: int
    largest_difference: float
    same_class: float
    passed: bool
    problem: str = ""

    def __str__(self) -> str:
        verdict = "pass" if self.passed else "FAIL"
        if self.problem:
            return f"{self.engine}: {self.problem}: {verdict}"
        if self.largest_difference == 0:
            return f"{self.engine}: bit-exact on {self.images} images: {verdict}"
        return (
            f"{self.engine}: largest difference {self.largest_difference:.2g}, same class for "
            f"{self.same_class:.1%} of {self.images} images: {verdict}"
        )


def self_test(bundle: Bundle, engine: str | None = None) -> list[SelfTestOutcome]:
    """The golden vectors in each engine that is installed for the model, or in the one named.

    An engine passes where no probability differs by more than the file's tolerance, and where a top
    class differs only if the two classes were closer than that on the workstation.

    Raises:
        UsageError: there is no such engine here.
        ToolchainError: no engine is installed.
    """
    found = formats.get(bundle.suffix).engines()
    chosen = (engines.choose(engine, found),) if engine else found
    return [_tried(bundle, each) for each in chosen]


def tolerance(data: bytes, suffix: str, precision: Precision) -> float:
    """What a probability (0–1) of the file `data` may differ by from one runtime to another.

    Where the logits are in 8 bits, each may be `STEPS` of their steps off. Softmax turns that into
    at most tanh(STEPS * step / 2) of a probability: the odds of a class against all others change
    by a factor of exp(2 * STEPS * step) at most, which matters most where they are about even.

    Raises:
        ToolchainError: no engine is installed, or it does not take the file.
    """
    step = formats.get(suffix).step(data)
    return precision.tolerance if step is None else math.tanh(STEPS * step / 2)


def _tried(bundle: Bundle, engine: str) -> SelfTestOutcome:
    golden = bundle.golden()
    try:
        classifier = Classifier.of_bytes(bundle.data, bundle.suffix, 1, engine)
        scores = classifier.scores(golden.images)
    except ToolchainError as error:
        return SelfTestOutcome(engine, len(golden.truth), 1.0, 0.0, False, str(error))
    allowed = tolerance(bundle.data, bundle.suffix, bundle.entry.info.precision)
    expected, rows = golden.probabilities, np.arange(len(golden.truth))
    largest = float(np.abs(scores - expected).max())
    classes, wanted = scores.argmax(1), expected.argmax(1)
    close = expected[rows, wanted] - expected[rows, classes] <= allowed
    return SelfTestOutcome(
        engine=classifier.engine,
        images=len(rows),
        largest_difference=largest,
        same_class=float((classes == wanted).mean()),
        passed=largest <= allowed and bool(close.all()),
    )
