"""Which images a run learns from and which it only looks at, and what each of them counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from toolchain.batches import Part
from toolchain.training.plan import Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolchain.datasets import Dataset

VALIDATION_SHARE = 0.1  # of each class' training images, held out when they choose anything
SPLIT_SEED = 0  # not the run's: runs with other seeds are compared, and teachers never saw them


def split(plan: Plan, dataset: Dataset) -> tuple[Part, Part]:
    """The images to train on and those to look at after each epoch."""
    images, labels = dataset.train_images, dataset.train_labels
    if plan.watched == "test":
        tested = dataset.test_labels
        return (
            Part(images, labels, np.arange(len(labels))),
            Part(dataset.test_images, tested, np.arange(len(tested))),
        )
    held_out = np.zeros(len(labels), bool)
    generator = np.random.default_rng(SPLIT_SEED)
    for label in range(len(dataset.labels)):
        members = generator.permutation(np.flatnonzero(labels == label))
        held_out[members[: round(len(members) * VALIDATION_SHARE)]] = True
    return (
        Part(images, labels, np.flatnonzero(~held_out)),
        Part(images, labels, np.flatnonzero(held_out)),
    )


def class_weights(labels: NDArray[np.integer]) -> dict[int, float]:
    """What an image of each class counts, so that all classes count alike and the mean is 1."""
    classes, counts = np.unique(labels, return_counts=True)
    return {
        int(label): len(labels) / (len(classes) * int(count))
        for label, count in zip(classes, counts, strict=True)
    }
