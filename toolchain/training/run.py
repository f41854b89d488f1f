"""The stage `train`: what a recipe or several seeds need beside one run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.formats import keras as keras_format
from toolchain.model.folder import ModelFolder
from toolchain.support.errors import require
from toolchain.support.progress import SILENT, Progress
from toolchain.training.fitting import fit
from toolchain.training.layers import layer_table
from toolchain.training.own_teacher import with_own_teacher
from toolchain.training.plan import TrainingPlan
from toolchain.training.publishing import TrainingResult
from toolchain.training.seeds import fit_seeds

if TYPE_CHECKING:
    from toolchain.model.dataset import Dataset


def train(
    plan: TrainingPlan, dataset: Dataset, folder: Path, progress: Progress = SILENT, seeds: int = 1
) -> TrainingResult:
    """Train `plan.architecture` on `dataset` and write the model into `folder`.

    Where the recipe names a teacher, that is trained first. With several `seeds`, the plan's and
    those after it, the model that is best on the validation images is published. Ctrl-C ends a run
    after its last whole epoch, and the same call goes on from there.

    Raises:
        UsageError: the folder's name is no text, the network does not fit the images, or several
            seeds are asked for without validation images.
        ToolchainError: TensorFlow is missing, the folder cannot be written, or another process is
            at work there.
        KeyboardInterrupt: interrupted and nothing was published.
    """
    ModelFolder(folder).demand_name()
    _tell_layers(plan, dataset, progress)  # which fails before a teacher takes hours, not after
    plan = with_own_teacher(plan, dataset, folder, progress)
    if seeds > 1:
        return fit_seeds(plan, seeds, dataset, folder, progress)
    return fit(plan, dataset, folder, progress)


def _tell_layers(plan: TrainingPlan, dataset: Dataset, progress: Progress) -> None:
    require("keras", "export").utils.clear_session()  # layers are numbered from 1
    network = plan.build(dataset.contract, len(dataset.labels))
    progress.say(layer_table(keras_format.layers(network)))
