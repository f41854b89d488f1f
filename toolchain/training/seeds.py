"""Several runs that differ in nothing but their seed; the best on the validation images is kept."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.evaluation import metrics
from toolchain.formats import keras as keras_format
from toolchain.model.folder import ModelFolder
from toolchain.support import files
from toolchain.support.errors import UsageError
from toolchain.support.progress import Progress
from toolchain.training.plan import TrainingPlan
from toolchain.training.publishing import TrainingResult, publish
from toolchain.training.resume import fit_unless_done
from toolchain.training.splits import watched_part
from toolchain.userdata.split import LEAST_TO_VALIDATE

if TYPE_CHECKING:
    from toolchain.model.dataset import Dataset


def fit_seeds(
    plan: TrainingPlan, count: int, dataset: Dataset, folder: Path, progress: Progress
) -> TrainingResult:
    """Fit `count` models, with the plan's seed and those after it, and publish the best one.

    Each model stays in `FOLDER/seed-N`; a later call with the same plan makes only those that are
    not there yet. Which is best the validation images say, which are the same for all.

    Raises:
        UsageError: no images are held out, so nothing but the test could choose.
        KeyboardInterrupt: interrupted; what was trained is kept.
    """
    if watched_part(plan, dataset) != "validation":
        raise UsageError(
            "Seeds are compared on validation images, and there are none. Leave out --seeds, or "
            f"bring at least {LEAST_TO_VALIDATE} training pictures a class."
        )
    model_folder = ModelFolder(folder)
    with files.exclusive(folder):
        results = []
        for number in range(count):
            seed = plan.seed + number
            progress.say(f"Seed {seed}, {number + 1} of {count}.")
            place = model_folder.seed(seed).path
            run = replace(plan, seed=seed)
            results.append(fit_unless_done(run, dataset, place, progress, model_folder.features))
        best = max(results, key=lambda result: result.at.watched_accuracy)
        model = keras_format.load(files.read_bytes(best.path))
        kept = replace(
            best,
            path=model_folder.source,
            seeds=tuple(result.as_seed for result in results),
        )
        scores = metrics.scores(keras_format.open_model(model), dataset.test_images)
        publish(model, kept, scores, dataset)
        shutil.rmtree(model_folder.features, ignore_errors=True)
        return kept
