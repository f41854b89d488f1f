"""Which images a run learns from and which it only looks at, and what each of them counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from toolchain.support.errors import UsageError
from toolchain.training.batches import Subset
from toolchain.training.plan import TrainingPlan
from toolchain.userdata.split import LEAST_TO_VALIDATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolchain.model.dataset import Dataset

VALIDATION_SHARE = 0.1  # of each class' training images, held out when they choose anything
SPLIT_SEED = 0  # not the run's: runs with other seeds are compared, and teachers never saw them


def watched_part(plan: TrainingPlan, dataset: Dataset) -> str:
    """The images looked at after each epoch: `test`, `validation`, or `training` where validation
    images are asked for and every class has too few to spare one.

    Raises:
        UsageError: a target is to be judged by validation images, and there are none.
    """
    if plan.watched != "validation" or _held_out(dataset).any():
        return plan.watched
    if plan.monitor == "validation":
        raise UsageError(
            f"No class has {LEAST_TO_VALIDATE} training images, so none is held out to validate "
            "on. Bring more, or use --monitor training."
        )
    return "training"


def split(plan: TrainingPlan, dataset: Dataset) -> tuple[Subset, Subset]:
    """The images to train on and those to look at after each epoch: the `watched_part`."""
    images, labels = dataset.train_images, dataset.train_labels
    if plan.watched == "test":
        tested = dataset.test_labels
        return (
            Subset(images, labels, np.arange(len(labels))),
            Subset(dataset.test_images, tested, np.arange(len(tested))),
        )
    held_out = _held_out(dataset)
    trained = Subset(images, labels, np.flatnonzero(~held_out))
    return trained, Subset(images, labels, np.flatnonzero(held_out)) if held_out.any() else trained


def not_validated(plan: TrainingPlan, dataset: Dataset) -> list[str]:
    """The classes of which no image is held out although the plan asks for it."""
    if plan.watched != "validation":
        return []
    held_out = np.bincount(dataset.train_labels[_held_out(dataset)], minlength=len(dataset.labels))
    return [dataset.labels[number] for number in np.flatnonzero(held_out == 0)]


def _held_out(dataset: Dataset) -> NDArray[np.bool_]:
    """For each training image whether it is for validation: those that the user set aside, else a
    tenth of each class, and at least one of `LEAST_TO_VALIDATE`."""
    labels = dataset.train_labels
    held_out = np.zeros(len(labels), bool)
    if len(dataset.validation_rows):
        held_out[list(dataset.validation_rows)] = True
        return held_out
    generator = np.random.default_rng(SPLIT_SEED)
    for label in range(len(dataset.labels)):
        members = generator.permutation(np.flatnonzero(labels == label))
        least = 1 if len(members) >= LEAST_TO_VALIDATE else 0
        held_out[members[: max(least, round(len(members) * VALIDATION_SHARE))]] = True
    return held_out


def class_weights(labels: NDArray[np.integer]) -> dict[int, float]:
    """What an image of each class counts, so that all classes count alike and the mean is 1."""
    classes, counts = np.unique(labels, return_counts=True)
    return {
        int(label): len(labels) / (len(classes) * int(count))
        for label, count in zip(classes, counts, strict=True)
    }
