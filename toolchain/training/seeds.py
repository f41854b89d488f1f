"""Several runs that differ in nothing but their seed; the best on the validation images is kept."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import evaluation, files, formats, locate, manifest
from toolchain.errors import ToolchainError, UsageError, require
from toolchain.formats import keras as keras_format
from toolchain.history import History
from toolchain.records import plain
from toolchain.training.plan import Plan
from toolchain.training.publishing import INTERRUPTED, Result, publish
from toolchain.training.run import Progress, train

if TYPE_CHECKING:
    from toolchain.datasets import Dataset


def train_seeds(
    plan: Plan, count: int, dataset: Dataset, folder: Path, progress: Progress
) -> Result:
    """Train `count` models, with the plan's seed and those after it, and publish the best one.

    Each model stays in `FOLDER/seed-N`; a later call with the same plan makes only those that are
    not there yet. Which is best the validation images say, which are the same for all.

    Raises:
        UsageError: the plan holds no images out, so nothing but the test could choose.
        KeyboardInterrupt: interrupted; what was trained is kept.
    """
    if plan.watched != "validation":
        raise UsageError("Seeds are compared on validation images, and this plan has none.")
    locate.demand_name(folder)
    with files.exclusive(folder):
        results = []
        for number in range(count):
            seed = plan.seed + number
            progress.say(f"Seed {seed}, {number + 1} of {count}.")
            results.append(_one(dataclasses.replace(plan, seed=seed), dataset, folder, progress))
        best = max(results, key=lambda result: result.at.watched_accuracy)
        model = keras_format.load(files.read_bytes(best.path))
        kept = dataclasses.replace(
            best,
            path=locate.model_path(folder, formats.SOURCE),
            seeds=tuple(result.trial for result in results),
        )
        scores = evaluation.scores(keras_format.open_model(model), dataset.test_images)
        publish(model, kept, scores, dataset)
        return kept


def _one(plan: Plan, dataset: Dataset, folder: Path, progress: Progress) -> Result:
    place = folder / f"seed-{plan.seed}"
    if found := _finished(plan, place):
        progress.say(f"{place} holds it already.")
        return found
    require("keras", "export").utils.clear_session()  # layers are numbered from 1 again
    result = train(plan, dataset, place, progress)
    if result.stopped == INTERRUPTED:
        raise KeyboardInterrupt
    return result


def _finished(plan: Plan, folder: Path) -> Result | None:
    """The run with this plan that ended in `folder`, if there was one."""
    record, path = folder / manifest.TRAINED, locate.find(folder, formats.SOURCE)
    if path is None or not record.is_file():
        return None
    try:
        summary = json.loads(record.read_text("utf-8"))
        if summary["plan"] != plain(plan):
            return None
        history = History.from_csv((folder / "training.csv").read_text("utf-8"))
        return Result(
            path,
            plan,
            history,
            stopped=str(summary["stopped"]),
            epoch=int(summary["epoch"]),
            training_accuracy=float(summary["training_accuracy"]),
            test_accuracy=float(summary["test_accuracy"]),
        )
    except (ValueError, KeyError, TypeError, OSError, ToolchainError):
        return None  # it is trained again
