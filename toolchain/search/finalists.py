"""The best trials in full: each trained with several seeds, the best published and proved."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from toolchain import export, training
from toolchain.export import ExportOutcome
from toolchain.model.folder import ModelFolder
from toolchain.search.queue import Queue
from toolchain.search.storage import Storage
from toolchain.search.trial import Task, training_plan
from toolchain.search.trials import TrialRecord, trials_of
from toolchain.training import TrainingResult
from toolchain.training.own_teacher import with_own_teacher
from toolchain.training.seeds import fit_seeds

if TYPE_CHECKING:
    from optuna import Trial

    from toolchain.model.dataset import Dataset

Found = tuple[TrialRecord, TrainingResult, tuple[ExportOutcome, ...]]
ELSEWHERE = "Another worker trains the best in full. This one waits, for that one may die."


class Finals:
    """The training in full, by one of those who take part, and by another one if that dies.

    It is a trial of a study of its own. What was done before this call is looked at again: that
    takes no time where it was done, and makes the network where it was not.
    """

    def __init__(self, kept: Storage, task: Task) -> None:
        self._task = task
        self._queue = Queue(kept, f"{task.plan.name}, finalists", task.progress)
        self._wanted = 1 + self._queue.alone(
            lambda study: sum(each.outcome.is_result for each in trials_of(study))
        )

    def trained_once(self, best: Sequence[TrialRecord], folder: Path) -> Found | None:
        """The work of `trained`; None where another worker has done it.

        Raises:
            ToolchainError: as `trained`.
            KeyboardInterrupt: interrupted; what was trained is kept.
        """
        found: list[Found] = []

        def work(_: Trial) -> float:
            found.append(trained(best, self._task, folder))
            return 0.0

        while trial := self._queue.next(self._wanted, ELSEWHERE):
            self._queue.attempt(trial, work)
        return found[0] if found else None


def trained(best: Sequence[TrialRecord], task: Task, folder: Path) -> Found:
    """Train the `best` trials in full with all seeds; publish the one that is best on the
    validation images, on average, in `folder`, and export it.

    Raises:
        ToolchainError: as training and export.
        KeyboardInterrupt: interrupted; what was trained is kept.
    """
    plan, model = task.plan, ModelFolder(folder)
    means = {}
    for trial in best:
        task.progress.say(f"Trial {trial.number} is trained in full, with {plan.seeds} seeds.")
        run, dataset = _in_full(trial, task)
        taught = with_own_teacher(run, dataset, folder, task.progress)
        place = model.finalist(trial.number).path
        result = fit_seeds(taught, plan.seeds, dataset, place, task.progress)
        means[trial.number] = fmean(each.validation_accuracy for each in result.seeds)
    winner = max(best, key=lambda trial: means[trial.number])
    run, dataset = _in_full(winner, task)
    for seed in range(plan.seed, plan.seed + plan.seeds):
        _move(model.finalist(winner.number).seed(seed).path, model.seed(seed).path)
    result = training.train(run, dataset, folder, task.progress, plan.seeds)
    return winner, result, export.export(folder, dataset, progress=task.progress)


def _in_full(trial: TrialRecord, task: Task) -> tuple[training.TrainingPlan, Dataset]:
    assert trial.candidate
    dataset = task.pictures.at(trial.candidate.size)
    run = training_plan(trial.candidate, dataset, task.plan)
    return dataclasses.replace(run, seed=task.plan.seed), dataset


def _move(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        source.rename(target)
