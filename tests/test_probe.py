"""A file that nobody vouches for is tried elsewhere first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toolchain import child, seal
from toolchain.datasets import Dataset
from toolchain.errors import ToolchainError
from toolchain.runtime import Classifier
from toolchain.runtime.probe import probe

SUFFIXES = ("int8.tflite", "int8.onnx")


@pytest.fixture(params=SUFFIXES)
def unsealed(request: pytest.FixtureRequest, exported: Path, tmp_path: Path) -> Path:
    """A good file without its seal, as an earlier toolchain made it, in a folder of its own."""
    data = (exported / f"{exported.name}.{request.param}").read_bytes()
    assert data.count(seal.MARK) == 1
    path = tmp_path / f"alone.{request.param}"
    path.write_bytes(data.replace(seal.MARK, seal.MARK[::-1]))
    return path


def test_a_good_file_answers_but_is_not_verified(unsealed: Path, digits: Dataset) -> None:
    classifier = Classifier.load(unsealed)
    assert not classifier.verified
    scores = classifier.scores(digits.test_images)
    assert (scores.argmax(1) == digits.test_labels).mean() > 0.9


def test_whole_windows_of_nothing_are_refused_or_probabilities(unsealed: Path) -> None:
    """The process of the tests is still there afterwards, whatever the runtime made of them."""
    good = unsealed.read_bytes()
    refused = 0
    generator = np.random.default_rng(0)
    for _ in range(12):
        data = bytearray(good)
        # the structure of both formats is densest at the end
        start = int(generator.integers(len(data) * 3 // 4, len(data) - 4096))
        data[start : start + 4096] = bytes(4096)
        unsealed.write_bytes(data)
        try:
            Classifier.load(unsealed)
        except ToolchainError:
            refused += 1
    assert refused


def test_a_crash_is_told_and_does_not_spread(
    unsealed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "toolchain.runtime.probe.CODE", "import os, signal; os.kill(os.getpid(), signal.SIGBUS)"
    )
    with pytest.raises(ToolchainError, match=r"No manifest and no seal.*SIGBUS.*fresh copy"):
        Classifier.load(unsealed)


def test_a_sealed_file_is_not_tried_elsewhere(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = tmp_path / "alone.tflite"
    alone.write_bytes((exported / f"{exported.name}.int8.tflite").read_bytes())
    monkeypatch.setattr("toolchain.runtime.probe.CODE", "import sys; sys.exit('tried')")
    assert Classifier.load(alone).verified


def test_memory_is_limited() -> None:
    limited = "from toolchain.runtime.probe import _limit; _limit(2**28); print(len(bytearray({})))"
    assert child.run(limited.format(2**20)) == f"{2**20}\n"
    with pytest.raises(ToolchainError, match="MemoryError"):
        child.run(limited.format(2**29))


def test_what_is_no_model_is_refused_in_our_words() -> None:
    with pytest.raises(ToolchainError, match="This is not a TFLite file"):
        probe(b"no model", "tflite", "ai-edge-litert")
