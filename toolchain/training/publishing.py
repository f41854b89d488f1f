"""How a run ended, and the files it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.formats import keras as keras_format
from toolchain.model import manifest
from toolchain.model.artifact import ModelInfo, Precision
from toolchain.model.folder import ModelFolder
from toolchain.networks import augmentation
from toolchain.support import files
from toolchain.training import mistakes
from toolchain.training.history import Epoch, History
from toolchain.training.plan import TrainingPlan
from toolchain.training.record import SeedResult, TrainingRecord
from toolchain.training.splits import split, watched_part
from toolchain.userdata import split as userdata_split
from toolchain.workstation.versions import versions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from toolchain.model.dataset import Dataset


INTERRUPTED = "interrupted"  # why a run stopped that did not stop by its plan


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended.

    `stopped` is `epochs`, `target`, `patience` or `interrupted`; `epoch` the one whose weights
    the file holds; `test_accuracy` (0–1) is that of the file on all test images, and
    `training_accuracy` that on the images it was trained on: Keras' running mean during the epoch,
    or the file's where the target is judged at the end. `seeds` are the runs of which this one was
    the best, itself among them; empty where it was the only one.
    """

    path: Path
    plan: TrainingPlan
    history: History
    stopped: str
    epoch: int
    training_accuracy: float
    test_accuracy: float
    seeds: tuple[SeedResult, ...] = ()

    @property
    def reached(self) -> bool:
        """Whether the run did what was asked: reached its target if it had one."""
        if self.stopped == INTERRUPTED:
            return False
        return self.plan.target_accuracy is None or self.stopped == "target"

    @property
    def at(self) -> Epoch:
        """The epoch that is kept."""
        return self.history.epochs[self.epoch - 1]

    @property
    def seconds(self) -> float:
        """The time that all epochs took."""
        return sum(epoch.seconds for epoch in self.history.epochs)

    @property
    def as_seed(self) -> SeedResult:
        """This run as one of several."""
        return SeedResult(
            self.plan.seed,
            self.epoch,
            self.training_accuracy,
            self.at.watched_accuracy,
            self.test_accuracy,
            self.seconds,
        )

    @property
    def record(self) -> TrainingRecord:
        """What is kept of this run."""
        validated = self.history.watched == "validation"
        return TrainingRecord(
            plan=self.plan,
            stopped=self.stopped,
            epoch=self.epoch,
            training_accuracy=self.training_accuracy,
            validation_accuracy=self.at.watched_accuracy if validated else None,
            test_accuracy=self.test_accuracy,
            overfits_since=self.history.overfits_since,
            seconds=self.seconds,
            seeds=self.seeds,
        )


def publish(
    model: Any, result: TrainingResult, scores: NDArray[np.float32], dataset: Dataset
) -> None:
    """Write `model`, which ended with `result`, and the course of its run into its folder.

    `scores` float32 `[N, classes]` are its answers to all test images.
    """
    plan, folder = result.plan, ModelFolder(result.path.parent)
    info = ModelInfo(
        name=folder.name,
        architecture=plan.architecture,
        dataset=plan.dataset,
        labels=dataset.labels,
        input=dataset.contract,
        precision=Precision.FLOAT32,
        accuracy=result.test_accuracy,
        test_images=len(dataset.test_labels),
        versions=versions(keras_format.PACKAGES),
    )
    title = f"{plan.architecture} · {plan.dataset}"
    for record in (folder.training_record, folder.external_record):
        files.remove(record)
    manifest.forget(result.path)
    data = keras_format.convert(model, Precision.FLOAT32, None)
    files.replace(result.path, keras_format.embed(data, info))
    files.replace(folder.history, result.history.to_csv().encode())
    files.replace(folder.history_picture, result.history.to_png(title))
    files.replace(folder.mistakes_picture, mistakes.picture(title, scores, dataset))
    _show_variation(plan, dataset, folder.augmentation_picture)
    if dataset.train_files:
        userdata_split.write(folder.split, dataset, picture_parts(plan, dataset))
    if result.reached:
        files.replace(folder.training_record, result.record.to_json().encode())


def _show_variation(plan: TrainingPlan, dataset: Dataset, path: Path) -> None:
    """What was done to the images, if anything, shown on some of them."""
    variation = augmentation.chosen(plan.recipe.augment)
    if variation == augmentation.Variation():
        files.remove(path)
    else:
        files.replace(path, augmentation.examples(variation, dataset.train_images))


def picture_parts(plan: TrainingPlan, dataset: Dataset) -> list[userdata_split.Part]:
    """What each of the user's pictures was for: those for training, then those for the test."""
    parts = [userdata_split.Part.TRAINING] * len(dataset.train_labels)
    if watched_part(plan, dataset) == "validation":
        for row in split(plan, dataset)[1].rows:
            parts[row] = userdata_split.Part.VALIDATION
    return parts + [userdata_split.Part.TEST] * len(dataset.test_labels)
