"""A small part of the campaign of load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.robustness.load import Asked, Memory, crowd, memory
from toolchain.model.dataset import Dataset
from toolchain.runtime import Classifier


@pytest.mark.parametrize("ending", ["int8.tflite", "int8.onnx"])
def test_sixteen_threads_are_answered_as_one(exported: Path, digits: Dataset, ending: str) -> None:
    classifier = Classifier.load(exported / f"{exported.name}.{ending}")
    found = crowd(Asked(classifier, digits.test_images), 1600, pairs=2)
    assert found.images == 1600
    assert found.wrong == 0
    assert len(found.ratios) == 2


@pytest.mark.parametrize("ending", ["int8.tflite", "int8.onnx"])
def test_memory_does_not_grow(exported: Path, digits: Dataset, ending: str) -> None:
    classifier = Classifier.load(exported / f"{exported.name}.{ending}")
    found = memory(Asked(classifier, digits.test_images), 20_000, samples=100)
    assert found.wrong == 0
    assert found.settled[-1] - found.settled[0] < 2**22  # one answer kept a call would be 3 * 2**22


class Confused:
    """Answers every image as if it had been another one."""

    def __init__(self) -> None:
        self.calls = 0

    def scores(self, image: Any) -> Any:
        self.calls += 1
        return np.full((len(image), 10), self.calls, np.float32)


def test_wrong_answers_are_counted() -> None:
    classifier: Any = Confused()
    asked = Asked(classifier, np.zeros((10, 28, 28, 1), np.uint8))
    assert crowd(asked, 320, pairs=2).wrong == 640  # those of one thread alone, too
    assert memory(asked, 50, samples=5).wrong == 50


def test_growth_is_told_in_bytes_a_call() -> None:
    settled = [10**6 + 100 * 1000 * part for part in range(1, 11)]  # 100 bytes each of 1,000 calls
    assert Memory(10_000, 0, settled, 1.0).slope == pytest.approx(100, rel=0.1)
    assert Memory(10_000, 0, [10**6] * 10, 1.0).slope == pytest.approx(0, abs=1e-6)
