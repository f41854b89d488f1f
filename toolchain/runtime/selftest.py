"""Does the model still answer here as it did on the workstation?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolchain import formats
from toolchain.model import engines
from toolchain.model.artifact import Precision
from toolchain.model.bundle import Bundle
from toolchain.runtime.classifier import Classifier
from toolchain.support.errors import ToolchainError

# Processors round differently, and int8 kernels by a whole step of a tensor's scale. What a
# probability may differ by, several times what was seen between x86 and ARM (docs/device.md).
TOLERANCES = {
    Precision.FLOAT32: 0.0001,
    Precision.FLOAT16: 0.01,
    Precision.DYNAMIC: 0.1,
    Precision.INT8: 0.1,
    Precision.MIXED: 0.1,
}


@dataclass(frozen=True)
class Outcome:
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


def self_test(bundle: Bundle, engine: str | None = None) -> list[Outcome]:
    """The golden vectors in each engine that is installed for the model, or in the one named.

    An engine passes where no probability differs by more than the precision's tolerance, and
    where a top class differs only if the two classes were closer than that on the workstation.

    Raises:
        UsageError: there is no such engine here.
        ToolchainError: no engine is installed.
    """
    found = formats.get(bundle.suffix).engines()
    chosen = (engines.choose(engine, found),) if engine else found
    return [_tried(bundle, each) for each in chosen]


def _tried(bundle: Bundle, engine: str) -> Outcome:
    golden = bundle.golden()
    try:
        classifier = Classifier.of_bytes(bundle.data, bundle.suffix, 1, engine)
        scores = classifier.scores(golden.images)
    except ToolchainError as error:
        return Outcome(engine, len(golden.truth), 1.0, 0.0, False, str(error))
    tolerance = TOLERANCES[bundle.entry.info.precision]
    expected, rows = golden.probabilities, np.arange(len(golden.truth))
    largest = float(np.abs(scores - expected).max())
    classes, wanted = scores.argmax(1), expected.argmax(1)
    close = expected[rows, wanted] - expected[rows, classes] <= tolerance
    return Outcome(
        engine=classifier.engine,
        images=len(rows),
        largest_difference=largest,
        same_class=float((classes == wanted).mean()),
        passed=largest <= tolerance and bool(close.all()),
    )
