"""How a run ended, and the files it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain import evaluation, files, formats, locate, manifest, mistakes
from toolchain.artifact import ModelInfo, Precision
from toolchain.formats import keras as keras_format
from toolchain.history import History
from toolchain.records import as_json
from toolchain.training.parts import split
from toolchain.training.plan import Plan
from toolchain.userdata import split as userdata_split
from toolchain.versions import versions

if TYPE_CHECKING:
    from toolchain.datasets import Dataset


@dataclass(frozen=True)
class Result:
    """How a run ended.

    `stopped` is `epochs`, `target`, `patience` or `interrupted`; `epoch` the one whose weights
    the file holds; `test_accuracy` (0–1) is that of the file on all test images.
    """

    path: Path
    plan: Plan
    history: History
    stopped: str
    epoch: int
    test_accuracy: float

    @property
    def reached(self) -> bool:
        """Whether the run did what was asked: reached its target if it had one."""
        if self.stopped == "interrupted":
            return False
        return self.plan.target_accuracy is None or self.stopped == "target"


def publish(
    model: Any,
    plan: Plan,
    dataset: Dataset,
    folder: Path,
    history: History,
    stopped: str,
    epoch: int,
) -> Result:
    """Write `model`, with the weights after `epoch`, and the course of its run into `folder`."""
    scores = evaluation.scores(keras_format.open_model(model), dataset.test_images)
    accuracy = int((scores.argmax(1) == dataset.test_labels).sum()) / len(scores)
    info = ModelInfo(
        name=folder.resolve().name,
        architecture=plan.architecture,
        dataset=plan.dataset,
        labels=dataset.labels,
        input=dataset.contract,
        precision=Precision.FLOAT32,
        accuracy=accuracy,
        test_images=len(dataset.test_labels),
        versions=versions(keras_format.PACKAGES),
    )
    path = locate.model_path(folder, formats.SOURCE)
    result = Result(path, plan, history, stopped, epoch, accuracy)
    title = f"{plan.architecture} · {plan.dataset}"
    for record in (manifest.TRAINED, manifest.ADOPTED):
        (folder / record).unlink(missing_ok=True)
    manifest.forget(path)
    data = keras_format.convert(model, Precision.FLOAT32, None)
    files.replace(path, keras_format.embed(data, info))
    files.replace(folder / "training.csv", history.to_csv().encode())
    files.replace(folder / "training.png", history.to_png(title))
    files.replace(folder / "mistakes.png", mistakes.picture(title, scores, dataset))
    if dataset.train_files:
        userdata_split.write(folder / userdata_split.NAME, dataset, _parts(plan, dataset))
    if result.reached:
        files.replace(folder / manifest.TRAINED, summary(result).encode())
    return result


def _parts(plan: Plan, dataset: Dataset) -> list[userdata_split.Part]:
    """What each of the user's pictures was for: those for training, then those for the test."""
    parts = [userdata_split.Part.TRAINING] * len(dataset.train_labels)
    if plan.watched == "validation":
        for row in split(plan, dataset)[1].rows:
            parts[row] = userdata_split.Part.VALIDATION
    return parts + [userdata_split.Part.TEST] * len(dataset.test_labels)


def summary(result: Result) -> str:
    """The run as JSON."""
    at = result.history.epochs[result.epoch - 1]
    return as_json(
        {
            "plan": result.plan,
            "stopped": result.stopped,
            "epoch": result.epoch,
            "training_accuracy": at.accuracy,
            f"{result.history.watched}_accuracy": at.watched_accuracy,
            "test_accuracy": result.test_accuracy,
            "overfits_since": result.history.overfits_since,
            "seconds": sum(epoch.seconds for epoch in result.history.epochs),
        }
    )
