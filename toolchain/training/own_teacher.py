"""The teacher that a recipe names: it is trained first, beside the model that it teaches."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.model.folder import ModelFolder
from toolchain.networks import architectures
from toolchain.support import files
from toolchain.support.progress import Progress
from toolchain.training.distillation import teacher_file
from toolchain.training.plan import TrainingPlan
from toolchain.training.resume import fit_unless_done

if TYPE_CHECKING:
    from toolchain.model.dataset import Dataset


def with_own_teacher(
    plan: TrainingPlan, dataset: Dataset, folder: Path, progress: Progress
) -> TrainingPlan:
    """`plan` with the teacher that its recipe names, if any; it is trained in `FOLDER/teacher`
    where it is not there yet.

    All students in a folder have the same teacher, whatever their seed. It holds out the images
    that they hold out.

    Raises:
        ToolchainError: as `fit`.
        KeyboardInterrupt: interrupted; what was trained is kept.
    """
    if not plan.recipe.teacher:
        return plan
    known = architectures.get(plan.recipe.teacher)
    # smoothed labels would let it tell less of what an image resembles, see architectures.large
    recipe = known.recipe.with_({"hold_out": True, "label_smoothing": 0.0})
    first = TrainingPlan(known.name, plan.dataset, recipe, deterministic=plan.deterministic)
    progress.say(f"Its teacher is {known.name}.")
    with files.exclusive(folder):
        result = fit_unless_done(first, dataset, ModelFolder(folder).teacher.path, progress)
    return dataclasses.replace(plan, teacher=teacher_file(result.path))
