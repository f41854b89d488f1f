"""What a probability may differ by: read off the file itself."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tests import ROOT
from toolchain.model.artifact import Precision
from toolchain.runtime.selftest import STEPS, tolerance

# one step of the logits, as the converters report it
RELEASED = {"fashion-fast": 0.0482, "mnist-small": 0.2200, "mnist-cnn": 0.4051}


@pytest.mark.parametrize(("name", "step"), RELEASED.items())
def test_it_comes_from_the_scale_of_the_logits(name: str, step: float) -> None:
    data = (ROOT / "models" / "released" / name / f"{name}.int8.tflite").read_bytes()
    assert tolerance(data, "tflite", Precision.INT8) == pytest.approx(
        math.tanh(STEPS * step / 2), rel=1e-3
    )


def test_no_softmax_moves_farther() -> None:
    """Whatever the logits are, and however each is up to `STEPS` steps off."""
    random, step = np.random.default_rng(0), 0.22
    logits = random.normal(0, 3, (20_000, 10))
    moved = logits + random.choice([-1, 1], logits.shape) * STEPS * step
    before, after = (np.exp(v) / np.exp(v).sum(1, keepdims=True) for v in (logits, moved))
    largest = np.abs(after - before).max()
    assert 0.8 * math.tanh(STEPS * step / 2) < largest <= math.tanh(STEPS * step / 2)


@pytest.mark.parametrize(
    ("precision", "ending", "allowed"),
    [
        (Precision.FLOAT32, "float32.tflite", 0.0001),
        (Precision.FLOAT16, "float16.tflite", 0.01),
        (Precision.DYNAMIC, "dynamic.tflite", 0.1),
        (Precision.INT8, "int8.onnx", 0.1),
    ],
)
def test_other_files_have_that_of_their_precision(
    precision: Precision, ending: str, allowed: float, exported: Path
) -> None:
    data = (exported / f"{exported.name}.{ending}").read_bytes()
    assert tolerance(data, ending.rpartition(".")[2], precision) == allowed
