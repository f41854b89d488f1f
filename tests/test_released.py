"""The released models are what their manifests say, on the real test images."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolchain import datasets, evaluation, locate, manifest
from toolchain.runtime import Classifier

FILES = sorted(path for path in locate.RELEASED.glob("*/*.int8.*"))


def test_all_models_are_released_in_both_formats() -> None:
    assert [path.name for path in FILES] == [
        "fashion-cnn.int8.onnx",
        "fashion-cnn.int8.tflite",
        "fashion-fast.int8.onnx",
        "fashion-fast.int8.tflite",
        "mnist-cnn.int8.onnx",
        "mnist-cnn.int8.tflite",
    ]
    for path in FILES:
        assert (path.parent / "card.md").is_file()
        assert (path.parent / "training.png").is_file()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_released_file_scores_what_it_says(path: Path) -> None:
    classifier = Classifier.load(path)
    if not datasets.status(classifier.info.dataset).here:
        pytest.skip(f"{classifier.info.dataset} is not on this machine")
    dataset = datasets.load(classifier.info.dataset)
    answers = evaluation.scores(classifier.session, dataset.test_images)
    accuracy = float((answers.argmax(1) == dataset.test_labels).mean())
    # other processors may round a few borderline images differently
    assert accuracy == pytest.approx(classifier.info.accuracy, abs=0.001)


@pytest.mark.parametrize(
    ("name", "training", "test"), [("fashion-cnn", 0.93, 0.90), ("mnist-cnn", 0.998, 0.98)]
)
def test_the_documented_results_were_reached(name: str, training: float, test: float) -> None:
    import json

    folder = locate.RELEASED / name
    summary = json.loads((folder / "training.json").read_text())
    assert summary["training_accuracy"] >= training
    assert summary["test_accuracy"] >= test
    for entry in manifest.read(folder).files.values():
        assert entry.proof.images == 10_000
        assert entry.proof.agreement >= 0.99
