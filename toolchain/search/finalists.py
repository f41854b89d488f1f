"""The best trials in full: each trained with several seeds, the best published and proved."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from toolchain import export
from toolchain.export import ExportOutcome
from toolchain.model.folder import ModelFolder
from toolchain.search.queue import Queue
from toolchain.search.storage import Storage
from toolchain.search.trial import FORMAT, Task, training_plan
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
    validation images, on average, in `folder`, and export the file that was searched for.

    Raises:
        ToolchainError: as training and export.
        KeyboardInterrupt: interrupted; what was trained is kept.
    """
    plan, model = task.plan, ModelFolder(folder)
    means = {}
    for trial in best:
        task.progress.say(f"Trial {trial.number} is trained in full, with {plan.seeds} seeds.")
        result = _with_seeds(trial, task, folder, model.finalist(trial.number).path)
        means[trial.number] = fmean(each.validation_accuracy for each in result.seeds)
    winner = max(best, key=lambda trial: means[trial.number])
    for seed in range(plan.seed, plan.seed + plan.seeds):
        made = model.finalist(winner.number).seed(seed).path
        shutil.rmtree(model.seed(seed).path, ignore_errors=True)
        shutil.copytree(made, model.seed(seed).path)
    result = _with_seeds(winner, task, folder, folder)  # nothing but to publish the best of them
    shutil.rmtree(task.features, ignore_errors=True)
    chosen = export.targets((FORMAT,), (plan.precision,))
    dataset = _pictures(winner, task)
    return winner, result, export.export(folder, dataset, chosen, progress=task.progress)


def _with_seeds(trial: TrialRecord, task: Task, folder: Path, place: Path) -> TrainingResult:
    """The best of all seeds of a trial, published in `place`; its teacher, if any, is in
    `folder`."""
    assert trial.candidate
    dataset = _pictures(trial, task)
    run = training_plan(trial.candidate, dataset, task.plan)
    taught = with_own_teacher(run, dataset, folder, task.progress)
    return fit_seeds(taught, task.plan.seeds, dataset, place, task.progress)


def _pictures(trial: TrialRecord, task: Task) -> Dataset:
    assert trial.candidate
    return task.pictures.at(trial.candidate.size)
