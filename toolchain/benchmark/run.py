"""Model files side by side: what they score and how fast they answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import evaluation
from toolchain.benchmark.latency import Latency, measure
from toolchain.runtime import Classifier

if TYPE_CHECKING:
    from toolchain.datasets import Dataset


@dataclass(frozen=True)
class Row:
    """One file's line: `accuracy` (0–1) with its 95 % interval on `images` test images."""

    file: str
    engine: str
    threads: int
    size: int
    accuracy: float
    interval: tuple[float, float]
    images: int
    latency: Latency


def compare_files(paths: Sequence[Path], dataset: Dataset, threads: int) -> list[Row]:
    """Accuracy on the whole test set, and latency with the files taking turns.

    Raises:
        ToolchainError: a file cannot be loaded, or is not what its manifest says.
        UsageError: a file was made for other classes or another shape.
    """
    classifiers = [Classifier.load(path, threads) for path in paths]
    for classifier in classifiers:
        evaluation.check_fits(classifier.info, dataset)
    rights = [_right(classifier, dataset) for classifier in classifiers]
    latencies = measure([classifier.session for classifier in classifiers], dataset.test_images)
    images = len(dataset.test_labels)
    return [
        Row(
            file=str(path),
            engine=classifier.engine,
            threads=classifier.threads,
            size=path.stat().st_size,
            accuracy=right / images,
            interval=evaluation.wilson_interval(right, images),
            images=images,
            latency=latency,
        )
        for path, classifier, right, latency in zip(
            paths, classifiers, rights, latencies, strict=True
        )
    ]


def _right(classifier: Classifier, dataset: Dataset) -> int:
    answers = evaluation.scores(classifier.session, dataset.test_images)
    return int((answers.argmax(1) == dataset.test_labels).sum())
