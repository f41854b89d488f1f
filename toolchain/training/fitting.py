"""One run: epoch after epoch, kept as it goes, published at its end."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.evaluation import metrics
from toolchain.formats import keras as keras_format
from toolchain.model import manifest
from toolchain.model.folder import SOURCE, ModelFolder
from toolchain.networks.recipe import Stage
from toolchain.support import files
from toolchain.support.errors import require
from toolchain.support.interrupts import InterruptHeld
from toolchain.support.progress import Progress
from toolchain.training import epochs, optimization, stages
from toolchain.training.batches import batches
from toolchain.training.history import Epoch, History
from toolchain.training.plan import TrainingPlan
from toolchain.training.publishing import INTERRUPTED, TrainingResult, publish
from toolchain.training.splits import not_validated, split, watched_part
from toolchain.training.state import TrainingState
from toolchain.userdata.split import LEAST_TO_VALIDATE

if TYPE_CHECKING:
    from toolchain.model.dataset import Dataset

GOES_ON = "Interrupted. The same command goes on after the last whole epoch."


def fit(
    plan: TrainingPlan,
    dataset: Dataset,
    folder: Path,
    progress: Progress,
    features: Path | None = None,
) -> TrainingResult:
    """Train `plan.architecture` on `dataset` and write the model into `folder`.

    A folder `features`, which outlasts the run, has what a pretrained network makes of the images.

    Ctrl-C ends the run after its last whole epoch. That is kept, and published too unless the
    folder holds a finished model already.

    Raises:
        ToolchainError: TensorFlow is missing, the folder cannot be written, or another process is
            at work there.
        KeyboardInterrupt: interrupted and nothing was published.
    """
    with files.exclusive(folder):
        if ModelFolder(folder).find(SOURCE):
            progress.say(f"{folder} holds a model already; it is replaced when this run ends.")
        state = TrainingState(
            ModelFolder(folder).state, plan, watched_part(plan, dataset), features
        )
        return _fit(plan, dataset, folder, progress, state)


def _fit(
    plan: TrainingPlan, dataset: Dataset, folder: Path, progress: Progress, state: TrainingState
) -> TrainingResult:
    keras = require("keras", "export")
    tf = require("tensorflow", "export")
    keras.utils.clear_session()  # layers are numbered from 1, whatever was trained before
    keras.utils.set_random_seed(plan.seed)
    if plan.deterministic:
        tf.config.experimental.enable_op_determinism()
    model = plan.build(dataset.contract, len(dataset.labels))
    try:
        history = _learn(model, state, plan, dataset, progress)
        stopped = plan.stop(history) or INTERRUPTED
    except KeyboardInterrupt:
        # it may have come while an epoch was being kept: what counts is what is on disk
        history, stopped = state.history(), INTERRUPTED
        if unpublished := _why_unpublished(history, folder):
            progress.say(unpublished)
            raise
    epoch = plan.kept(history, stopped)
    state.load(model, epoch, model.optimizer if plan.recipe.ema else None)
    model.optimizer.finalize_variable_values(model.trainable_variables)  # their average, with ema
    at = history.epochs[epoch - 1]
    learnt = at.accuracy
    if plan.judged_at_end and stopped != INTERRUPTED:
        progress.say("Answering the training images as they are.")
        learnt = _training_accuracy(model, plan, dataset)
        stopped = "target" if plan.reached(learnt, at.watched_accuracy) else stopped
    scores = metrics.scores(keras_format.open_model(model), dataset.test_images)
    accuracy = metrics.accuracy(scores, dataset.test_labels)
    path = ModelFolder(folder).source
    result = TrainingResult(path, plan, history, stopped, epoch, learnt, accuracy)
    publish(model, result, scores, dataset)
    if stopped == INTERRUPTED:
        progress.say(GOES_ON)
    else:
        state.remove()
    if manifest.vouched(folder):
        progress.say("The exported files there are of an earlier training: export again.")
    return result


def _training_accuracy(model: Any, plan: TrainingPlan, dataset: Dataset) -> float:
    """The share (0–1) that `model` answers right of what it was trained on, not varied."""
    trained, _ = split(plan, dataset)
    images = batches(trained, keras_format.batch_size(trained.images.shape[1:]))
    with InterruptHeld():
        return float(model.evaluate(images, verbose=0, return_dict=True)["accuracy"])


def _learn(
    model: Any, state: TrainingState, plan: TrainingPlan, dataset: Dataset, progress: Progress
) -> History:
    """Train until the plan says stop, from where an interrupted run ended."""
    optimization.compile_model(model, plan.recipe, len(split(plan, dataset)[0].rows))
    model.optimizer.build(model.trainable_variables)
    # each phase of a fine-tuning has an optimizer of its own
    optimizer = None if plan.recipe.phases else model.optimizer
    history = state.resume(model, optimizer, progress)
    if not (history.epochs and plan.stop(history)):
        _tell_parts(plan, dataset, progress)
    for stage in plan.recipe.stages:
        if not (history.epochs and plan.stop(history)) and len(history.epochs) < stage.end:
            history = _learn_stage(model, stage, state, plan, dataset, progress)
    return history


def _learn_stage(
    model: Any,
    stage: Stage,
    state: TrainingState,
    plan: TrainingPlan,
    dataset: Dataset,
    progress: Progress,
) -> History:
    history = state.history()
    done = len(history.epochs)

    def keep(epoch: Epoch, optimizer: Any) -> bool:
        nonlocal history
        history = dataclasses.replace(history, epochs=(*history.epochs, epoch))
        state.save(model, optimizer, history)
        progress.say(_told(epoch, plan, history.watched))
        return plan.stop(history) is None

    with InterruptHeld() as held:  # raised inside TensorFlow, Ctrl-C was seen to crash the process
        waiting = epochs.waiting(progress, held)
        prepared = stages.prepare(model, stage, plan, dataset, state.features, waiting)
        prepared.learner.optimizer.build(model.trainable_variables)
        if done > stage.begin:
            state.load(model, done, prepared.learner.optimizer)
        epochs.run(prepared, plan, done, stage.end, keep, progress, held)
    return state.history()


def _tell_parts(plan: TrainingPlan, dataset: Dataset, progress: Progress) -> None:
    """Say how many images are for what, and which classes have none to validate on."""
    trained, held_out = (len(part.rows) for part in split(plan, dataset))
    kind = watched_part(plan, dataset)
    beside = f", validating on {held_out:,}" if kind == "validation" else ""
    progress.say(f"Training on {trained:,} images{beside}; epochs: at most {plan.recipe.epochs}.")
    lacking = not_validated(plan, dataset)
    if kind == "training":
        progress.say(
            f"No class has the {LEAST_TO_VALIDATE} training images of which one is held out: the "
            "training images are looked at instead, which cannot show overfitting."
        )
    elif lacking:
        progress.say(f"Classes without a validation image: {', '.join(lacking)}.")


def _why_unpublished(history: History, folder: Path) -> str:
    """What to say of an interrupted run that is not to be published; empty where it is."""
    if not history.epochs:
        return "Interrupted before an epoch was done: nothing was kept."
    if ModelFolder(folder).training_record.exists():
        return f"{GOES_ON} Until it ends, the finished model stays in place."
    return ""


def _told(epoch: Epoch, plan: TrainingPlan, watched: str) -> str:
    beside = f" {watched} {epoch.watched_accuracy:.2%}," if watched != "training" else ""
    return (
        f"epoch {epoch.number} of at most {plan.recipe.epochs}: training {epoch.accuracy:.2%},"
        f"{beside} {epoch.seconds:.0f} s"
    )
