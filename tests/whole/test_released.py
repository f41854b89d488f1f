"""The released models are what their manifests say, on the real test images."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.present import present
from toolchain import datasets
from toolchain.cli import locate
from toolchain.conversion import tflite
from toolchain.evaluation import metrics
from toolchain.model import manifest
from toolchain.runtime import Classifier

FILES = sorted(
    path for path in locate.RELEASED.glob("*/*.*") if path.suffix in (".onnx", ".tflite")
)


def test_all_models_are_released() -> None:
    assert [path.name for path in FILES] == [
        "fashion-cnn.int8.onnx",
        "fashion-cnn.int8.tflite",
        "fashion-fast.int8.onnx",
        "fashion-fast.int8.tflite",
        "fashion-small.float32.onnx",  # that in int8 failed its proof, see the card
        "fashion-small.int8.tflite",
        "mnist-cnn.int8.onnx",
        "mnist-cnn.int8.tflite",
        "mnist-one-conv.int8.onnx",
        "mnist-one-conv.int8.tflite",
        "mnist-small.int8.onnx",
        "mnist-small.int8.tflite",
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
    answers = metrics.scores(classifier.session, dataset.test_images)
    accuracy = float((answers.argmax(1) == dataset.test_labels).mean())
    # other processors may round a few borderline images differently
    assert accuracy == pytest.approx(classifier.info.accuracy, abs=0.001)


@pytest.mark.parametrize(
    ("name", "kib", "macs", "mean"),
    [
        ("fashion-fast", 32, 1_300_000, 0.925),
        ("fashion-small", 32, 1_300_000, 0.933),
        ("mnist-one-conv", 1_000, 3_300_000, 0.996),
        ("mnist-small", 16, 1_420_000, 0.9955),
    ],
)
def test_the_frontier_is_within_its_rules(name: str, kib: int, macs: int, mean: float) -> None:
    data = (locate.RELEASED / name / f"{name}.int8.tflite").read_bytes()
    assert len(data) <= kib * 1024
    assert tflite.summarize(data).macs <= macs
    # what its seeds reached, as the card has it: all in int8 on the whole test set
    card = (locate.RELEASED / name / "card.md").read_text()
    (line,) = (line for line in card.splitlines() if line.startswith("| mean |"))
    assert float(line.split("|")[-2].strip(" %")) / 100 >= mean


@pytest.mark.parametrize(
    ("name", "training", "test"),
    [("fashion-cnn", 0.93, 0.90), ("mnist-cnn", 0.998, 0.98), ("mnist-one-conv", 0.998, 0.996)],
)
def test_the_documented_results_were_reached(name: str, training: float, test: float) -> None:
    import json

    folder = locate.RELEASED / name
    summary = json.loads((folder / "training.json").read_text())
    assert summary["training_accuracy"] >= training
    assert summary["test_accuracy"] >= test
    for entry in present(manifest.read(folder)).files.values():
        assert entry.proof.images == 10_000
        assert entry.proof.agreement >= 0.99
