"""A run that is not repeated where it has already ended."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.formats import keras as keras_format
from toolchain.model.folder import SOURCE, ModelFolder
from toolchain.support import files
from toolchain.support.errors import ToolchainError
from toolchain.support.progress import Progress
from toolchain.training import record
from toolchain.training.fitting import fit
from toolchain.training.history import History
from toolchain.training.plan import TrainingPlan
from toolchain.training.publishing import INTERRUPTED, TrainingResult, picture_parts
from toolchain.userdata import split

if TYPE_CHECKING:
    from toolchain.model.dataset import Dataset


def fit_unless_done(
    plan: TrainingPlan,
    dataset: Dataset,
    folder: Path,
    progress: Progress,
    features: Path | None = None,
) -> TrainingResult:
    """The run with this plan, on these images, that ended in `folder`, or a new one, whose
    `features` are those of `fit`.

    Raises:
        ToolchainError: as `fit`.
        KeyboardInterrupt: interrupted; what was trained is kept.
    """
    if found := _finished(plan, dataset, folder):
        progress.say(f"{folder} holds it already.")
        return found
    result = fit(plan, dataset, folder, progress, features)
    if result.stopped == INTERRUPTED:
        raise KeyboardInterrupt
    return result


def _finished(plan: TrainingPlan, dataset: Dataset, folder: Path) -> TrainingResult | None:
    """The run with this plan, on these images, that ended in `folder`, if there was one."""
    model = ModelFolder(folder)
    try:
        kept, path = record.read(folder), model.find(SOURCE)
        if kept is None or path is None or kept.plan.record() != plan.record():
            return None
        history = History.from_csv(model.history.read_text("utf-8"))
        result = TrainingResult(
            path,
            plan,
            history,
            stopped=kept.stopped,
            epoch=kept.epoch,
            training_accuracy=kept.training_accuracy,
            test_accuracy=kept.test_accuracy,
        )
        return result if _same_images(result, dataset) else None
    except (ValueError, OSError, ToolchainError):
        return None  # it is trained again


def _same_images(result: TrainingResult, dataset: Dataset) -> bool:
    """Whether a finished run had these classes, this shape, and these pictures for the same."""
    info = keras_format.read_info(files.read_bytes(result.path))
    if info is None or (info.labels, info.input) != (dataset.labels, dataset.contract):
        return False
    if not dataset.train_files:
        return True
    names = (*dataset.train_files, *dataset.test_files)
    used = dict(zip(names, picture_parts(result.plan, dataset), strict=True))
    return split.read(ModelFolder(result.path.parent).split) == used
