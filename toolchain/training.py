"""Data set and architecture in, trained model and its history out.

While it trains, a run keeps its state in `FOLDER/.training/`: the plan, the history, and the
weights after the last and the best epoch. A later run with the same plan goes on from there.
Keras' BackupAndRestore writes weights and epoch number one after the other, so a kill between
them trains an epoch twice; here the epoch is in the name of the weights' file. That is numpy's
`.npz` rather than Keras' `.h5`: HDF5 writes to the disk itself, and where that is full it was seen
to crash the process.

When a run ends it writes `NAME.keras`, `training.csv`, `training.png` and `mistakes.png`; and last,
if it did what was asked of it, `training.json`.
"""

from __future__ import annotations

import dataclasses
import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from toolchain import (
    architectures,
    augmentation,
    evaluation,
    files,
    formats,
    locate,
    manifest,
    mistakes,
)
from toolchain.artifact import ModelInfo, Precision
from toolchain.batches import Part, batches
from toolchain.errors import UsageError, require
from toolchain.formats import keras as keras_format
from toolchain.history import Epoch, History
from toolchain.interrupts import Held
from toolchain.records import as_json
from toolchain.spelling import unknown
from toolchain.userdata import split as userdata_split
from toolchain.versions import versions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolchain.datasets import Dataset

BATCH = 32
GOES_ON = "Interrupted. The same command goes on after the last whole epoch."
STEPS_PER_CALL = 32  # less of Python between the steps; Ctrl-C still answers within 0.1 s
VALIDATION_SHARE = 0.1  # of each class' training images, held out when they choose anything
STATE = ".training"
BALANCED = "balanced"
MONITORS = ("training", "validation")


@dataclass(frozen=True)
class Plan:
    """What is asked of a run.

    `target_accuracy` (0–1) stops it after the first epoch that reaches it, measured on the
    `monitor` images: `training` or `validation`. `patience` stops it after that many epochs
    without a lower validation loss.

    A run with patience, one that monitors validation images, and one told to `hold_out`, holds a
    part of the training images out for that. Unless it reached its target, it keeps the weights of
    the epoch with the lowest validation loss.

    `width` is the architecture's, its own unless given. `augment` names what is varied in
    training images, see augmentation.py. `class_weight` may be `balanced`: a rare class' images
    count for more, so that all classes count alike.
    """

    architecture: str
    dataset: str
    epochs: int
    target_accuracy: float | None = None
    monitor: str = "training"
    patience: int | None = None
    seed: int = 0
    deterministic: bool = False
    hold_out: bool = False
    width: int | None = None
    augment: tuple[str, ...] = ()
    class_weight: str | None = None

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise UsageError(f"A run needs at least 1 epoch, not {self.epochs}.")
        if self.target_accuracy is not None and not 0 < self.target_accuracy <= 1:
            raise UsageError(
                f"The target accuracy lies between 0 and 1 (0.998 for 99.8 %), "
                f"not {self.target_accuracy:g}."
            )
        if self.monitor not in MONITORS:
            raise unknown("kind of images to monitor called", self.monitor, MONITORS)
        if self.patience is not None and self.patience < 1:
            raise UsageError(f"Patience is at least 1 epoch, not {self.patience}.")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"The seed lies between 0 and 2**32 - 1, not {self.seed}.")
        if self.class_weight not in (None, BALANCED):
            raise unknown("class weight", str(self.class_weight), [BALANCED], "There is only")
        augmentation.chosen(self.augment)

    @property
    def watched(self) -> str:
        """The images looked at after each epoch. Test images are never let to choose anything."""
        chooses = self.patience is not None or self.monitor == "validation"
        return "validation" if chooses or self.hold_out else "test"

    def stop(self, history: History) -> str | None:
        """Why the run ends after the last epoch of `history`; None where it goes on."""
        last = history.epochs[-1]
        monitored = last.accuracy if self.monitor == "training" else last.watched_accuracy
        if self.target_accuracy is not None and monitored >= self.target_accuracy:
            return "target"
        if self.patience is not None and last.number - history.best.number >= self.patience:
            return "patience"
        return "epochs" if last.number >= self.epochs else None


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


class Progress(Protocol):
    """Who is told how far a run is."""

    def say(self, message: str) -> None:
        """Something to know about the run."""

    def batches(self, epoch: int, done: int, total: int) -> None:
        """So many batches of the epoch are done."""

    def epoch(self, epoch: Epoch) -> None:
        """An epoch is done."""


def train(plan: Plan, dataset: Dataset, folder: Path, progress: Progress) -> Result:
    """Train `plan.architecture` on `dataset` and write the model into `folder`.

    Ctrl-C ends the run after its last whole epoch. That is kept, and published too unless the
    folder holds a finished model already.

    Raises:
        UsageError: the folder's name is no text.
        ToolchainError: TensorFlow is missing, the folder cannot be written, or another process is
            at work there.
        KeyboardInterrupt: interrupted and nothing was published.
    """
    locate.demand_name(folder)
    with files.exclusive(folder):
        if locate.find(folder, formats.SOURCE):
            progress.say(f"{folder} holds a model already; it is replaced when this run ends.")
        return _train(plan, dataset, folder, progress)


def _train(plan: Plan, dataset: Dataset, folder: Path, progress: Progress) -> Result:
    keras = require("keras", "export")
    tf = require("tensorflow", "export")
    keras.utils.set_random_seed(plan.seed)
    if plan.deterministic:
        tf.config.experimental.enable_op_determinism()
    model = _compiled(plan, dataset)
    state = _State(folder / STATE, plan)
    history = state.resume(model, progress)
    trained, watched = split(plan, dataset)
    stopped = plan.stop(history) if history.epochs else None
    try:
        if stopped is None:
            progress.say(
                f"Training on {len(trained.rows):,} images; epochs: at most {plan.epochs}."
            )
            with Held() as held:  # raised inside TensorFlow, Ctrl-C was seen to crash the process
                keeper = _keeper(state, plan, history, progress, held)
                _fit(model, plan, trained, watched, keeper)
            history = state.history()
            stopped = plan.stop(history)
    except KeyboardInterrupt:
        # it may have come while an epoch was being kept: what counts is what is on disk
        history = state.history()
        if unpublished := _why_unpublished(history, folder):
            progress.say(unpublished)
            raise
    result = _publish(model, plan, dataset, folder, state, history, stopped or "interrupted")
    if result.stopped == "interrupted":
        progress.say(GOES_ON)
    if manifest.vouched(folder):
        progress.say("The exported files there are of an earlier training: export again.")
    return result


def _why_unpublished(history: History, folder: Path) -> str:
    """What to say of an interrupted run that is not to be published; empty where it is."""
    if not history.epochs:
        return "Interrupted before an epoch was done: nothing was kept."
    if (folder / manifest.TRAINED).exists():
        return f"{GOES_ON} Until it ends, the finished model stays in place."
    return ""


def _compiled(plan: Plan, dataset: Dataset) -> Any:
    architecture = architectures.get(plan.architecture)
    model = architecture.build(dataset.contract, len(dataset.labels), plan.width)
    compile_model(model)
    return model


def compile_model(model: Any) -> None:
    """Adam and cross-entropy, as documented."""
    model.compile(
        optimizer="adam",
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_CALL,
    )


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
    generator = np.random.default_rng(plan.seed)
    for label in range(len(dataset.labels)):
        members = generator.permutation(np.flatnonzero(labels == label))
        held_out[members[: round(len(members) * VALIDATION_SHARE)]] = True
    return (
        Part(images, labels, np.flatnonzero(~held_out)),
        Part(images, labels, np.flatnonzero(held_out)),
    )


def _fit(model: Any, plan: Plan, trained: Part, watched: Part, keeper: Any) -> None:
    done = len(keeper.history.epochs)
    vary = augmentation.augment(augmentation.chosen(plan.augment))
    model.fit(
        batches(trained, BATCH, seed=plan.seed + done, augment=vary),
        shuffle=False,  # that is done
        initial_epoch=done,
        epochs=plan.epochs,
        validation_data=batches(watched, keras_format.batch_size(watched.images.shape[1:])),
        class_weight=class_weights(trained.labels[trained.rows]) if plan.class_weight else None,
        callbacks=[keeper],
        verbose=0,
    )


def class_weights(labels: NDArray[np.integer]) -> dict[int, float]:
    """What an image of each class counts, so that all classes count alike and the mean is 1."""
    classes, counts = np.unique(labels, return_counts=True)
    return {
        int(label): len(labels) / (len(classes) * int(count))
        for label, count in zip(classes, counts, strict=True)
    }


class _State:
    """What an interrupted run leaves behind: plan, history, and weights by their epoch."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder = folder
        self._plan = as_json(plan).encode()
        self._empty = History(plan.watched)

    def resume(self, model: Any, progress: Progress) -> History:
        """Bring `model` to the end of the last epoch of an earlier run with the same plan."""
        try:
            history = self.history()
            if history.epochs:
                self.load(model, len(history.epochs))
                progress.say(
                    f"Going on after epoch {len(history.epochs)} of an interrupted run with the "
                    "same settings."
                )
                return history
        except Exception as error:  # h5py and Keras raise whatever a damaged file brings about
            progress.say(f"The interrupted run in {self._folder} is damaged ({error}).")
        if list(self._folder.glob("[0-9]*.npz")):
            progress.say(
                "An interrupted run that was damaged or had other settings is dropped; "
                "starting anew."
            )
        self.remove()
        files.replace(self._folder / "plan.json", self._plan)
        return self._empty

    def history(self) -> History:
        """The epochs of a run with this plan, as far as their weights are here."""
        plan, table = self._folder / "plan.json", self._folder / "training.csv"
        if not (plan.is_file() and table.is_file() and plan.read_bytes() == self._plan):
            return self._empty
        saved = [int(path.name.split(".")[0]) for path in self._folder.glob("[0-9]*.npz")]
        history = History.from_csv(table.read_text("utf-8", "replace"))
        return dataclasses.replace(history, epochs=history.epochs[: max(saved, default=0)])

    def save(self, model: Any, history: History) -> None:
        """Keep the history, and the weights of the last epoch and of the best one."""
        last = history.epochs[-1].number
        files.replace(self._folder / "training.csv", history.to_csv().encode())
        files.replace(self._weights(last), _weights_of(model))
        kept = {self._weights(last), self._weights(history.best.number)}
        for path in set(self._folder.glob("*.npz")) - kept:
            files.remove(path)

    def load(self, model: Any, epoch: int) -> None:
        """Give `model` and its optimizer the weights they had after `epoch`."""
        model.optimizer.build(model.trainable_variables)
        _give_weights(model, files.read_bytes(self._weights(epoch)))

    def remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _weights(self, epoch: int) -> Path:
        return self._folder / f"{epoch}.npz"


def _weights_of(model: Any) -> bytes:
    """The weights of `model` and of its optimizer as `.npz` (numpy.org, "numpy.savez")."""
    file = io.BytesIO()
    np.savez(file, *(variable.numpy() for variable in _variables(model)))
    return file.getvalue()


def _give_weights(model: Any, data: bytes) -> None:
    """Raises:
    Exception: `data` is damaged, or of another model.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as saved:
        for variable, value in zip(_variables(model), saved.values(), strict=True):
            variable.assign(value)


def _variables(model: Any) -> list[Any]:
    return [*model.weights, *model.optimizer.variables]


def _keeper(state: _State, plan: Plan, history: History, progress: Progress, held: Held) -> Any:
    """The Keras callback that keeps the history and ends the run; Keras is imported by now."""
    keras = require("keras", "export")

    class Keeper(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.history = history
            self._started = 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self._started = monotonic()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            held.release()
            progress.batches(len(self.history.epochs) + 1, batch + 1, self.params["steps"])

        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            held.release()

        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            done = Epoch(
                number=epoch + 1,
                accuracy=logs["accuracy"],
                loss=logs["loss"],
                watched_accuracy=logs["val_accuracy"],
                watched_loss=logs["val_loss"],
                seconds=monotonic() - self._started,
            )
            self.history = dataclasses.replace(self.history, epochs=(*self.history.epochs, done))
            state.save(self.model, self.history)
            progress.epoch(done)
            self.model.stop_training = plan.stop(self.history) is not None

    return Keeper()


def _publish(
    model: Any,
    plan: Plan,
    dataset: Dataset,
    folder: Path,
    state: _State,
    history: History,
    stopped: str,
) -> Result:
    best = plan.watched == "validation" and stopped != "target"
    epoch = history.best.number if best else history.epochs[-1].number
    state.load(model, epoch)
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
        files.remove(folder / record)
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
    if stopped != "interrupted":
        state.remove()
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
