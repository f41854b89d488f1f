"""One trial: what a candidate costs is measured first; what is within the budget is trained for as
long as it keeps up with the others.
"""

from __future__ import annotations

import dataclasses
import math
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain import conversion, formats, profiling
from toolchain.evaluation import metrics
from toolchain.export import calibration
from toolchain.profiling.latency import Latency
from toolchain.search.plan import Pictures, SearchPlan
from toolchain.search.space import Candidate
from toolchain.search.trials import CANDIDATE, COST, KNOWN, WORKER, excess
from toolchain.support.errors import require
from toolchain.support.progress import Progress
from toolchain.support.records import plain
from toolchain.training import TrainingPlan, split
from toolchain.training.in_memory import train_in_memory

if TYPE_CHECKING:
    import optuna

    from toolchain.model.dataset import Dataset

FORMAT = "tflite"
SHORTER = 4  # times fewer epochs than in full
RUNGS = (1, 3, 9)  # ninths of these epochs, after which a trial is compared with the others
FACTOR = 3  # of so many trials one goes on (L. Li et al., "A system for massively parallel
# hyperparameter tuning", MLSys 2020)


@dataclass(frozen=True, eq=False)
class Task:
    """What all trials of a worker share. The folder `features` keeps what pretrained networks make
    of the images; `latency` takes the time of a file."""

    plan: SearchPlan
    pictures: Pictures
    features: Path
    latency: Latency
    progress: Progress


def training_plan(candidate: Candidate, dataset: Dataset, plan: SearchPlan) -> TrainingPlan:
    """A candidate trained in full."""
    return TrainingPlan(
        architecture=plan.name if candidate.design else candidate.architecture,
        dataset=dataset.name,
        recipe=candidate.recipe,
        seed=plan.seed,
        depth=candidate.depth,
        design=candidate.design,
    )


def accuracy(trial: optuna.Trial, task: Task) -> float:
    """The share (0–1) of validation images that the candidate's file names right, after a short
    training.

    Raises:
        optuna.TrialPruned: it breaks the budget, or falls behind.
        ToolchainError: it cannot be built, converted or trained.
        KeyboardInterrupt: interrupted.
    """
    trial.set_user_attr(WORKER, f"{socket.gethostname()}, process {os.getpid()}")
    candidate = task.plan.space.suggest(trial)
    trial.set_user_attr(CANDIDATE, plain(candidate))
    dataset = task.pictures.at(candidate.size)
    plan = _shorter(training_plan(candidate, dataset, task.plan))
    keras = require("keras", "export")
    keras.utils.clear_session()
    keras.utils.set_random_seed(plan.seed)
    model = plan.build(dataset.contract, len(dataset.labels))
    cost = profiling.cost(model, FORMAT, task.plan.precision, latency=task.latency)
    trial.set_user_attr(COST, plain(cost))
    over = excess(cost, task.plan.budget)
    for name, share in over.items():
        trial.set_constraint(name, share)
    too_much = [f"{name} {share:.0%} over" for name, share in over.items() if share > 0]
    words = ", ".join([f"{cost.size:,} bytes", f"{cost.latency * 1e6:,.1f} µs", *too_much])
    task.progress.say(f"Trial {trial.number}: {words}.")
    if too_much:
        raise require("optuna", "search").TrialPruned
    return _trained(trial, model, plan, dataset, task)


def _trained(
    trial: optuna.Trial, model: Any, plan: TrainingPlan, dataset: Dataset, task: Task
) -> float:
    epochs, judge = plan.recipe.epochs, _judge(model, plan, dataset, task.plan)
    rungs = {math.ceil(epochs * rung / RUNGS[-1]): rung for rung in RUNGS}
    found = 0.0
    behind = False

    def goes_on(epoch: int) -> bool:
        nonlocal found, behind
        if rung := rungs.get(epoch):
            found = judge()
            trial.report(found, rung)
            last = rung == RUNGS[-1]
            behind = not last and not trial.user_attrs.get(KNOWN) and trial.should_prune()
        return not behind

    train_in_memory(model, plan, dataset, task.features, task.progress, goes_on)
    ended = ", behind others" if behind else ""
    task.progress.say(f"Trial {trial.number}: {found:.2%} of the validation images{ended}.")
    if behind:
        raise require("optuna", "search").TrialPruned
    return found


def _judge(
    model: Any, plan: TrainingPlan, dataset: Dataset, asked: SearchPlan
) -> Callable[[], float]:
    """What share of the validation images the file of `model`, as it is now, names right."""
    watched = split(plan, dataset)[1]
    images, labels = watched.images[watched.rows], watched.labels[watched.rows]
    drawn = calibration.draw(dataset, calibration.usual(dataset), plan.seed)
    pixels = dataset.train_images[list(drawn.indices)]
    converter, reader = conversion.get(FORMAT), formats.get(FORMAT)

    def judge() -> float:
        data = converter.convert(model, asked.precision, pixels)
        scores = metrics.scores(reader.open_session(data, threads=1), np.asarray(images, np.uint8))
        return metrics.accuracy(scores, labels)

    return judge


def _shorter(plan: TrainingPlan) -> TrainingPlan:
    """The same training in fewer epochs, and without a teacher, who would have to be trained."""
    epochs = max(1, round(plan.recipe.epochs / SHORTER))
    recipe = dataclasses.replace(plan.recipe, epochs=epochs, teacher=None)
    return dataclasses.replace(plan, recipe=recipe)
