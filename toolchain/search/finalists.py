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
from toolchain.search.storage import Storage
from toolchain.search.trial import FORMAT, Task, training_plan
from toolchain.search.trials import TrialRecord
from toolchain.support.errors import require
from toolchain.training import TrainingResult
from toolchain.training.own_teacher import with_own_teacher
from toolchain.training.seeds import fit_seeds

if TYPE_CHECKING:
    from optuna import Trial

    from toolchain.model.dataset import Dataset

Found = tuple[TrialRecord, TrainingResult, tuple[ExportOutcome, ...]]
JOB = "job"  # the mark of the one trial that is this work


def trained_once(
    kept: Storage, best: Sequence[TrialRecord], task: Task, folder: Path
) -> Found | None:
    """The work of `trained`, done by one of those who take part; None for all others.

    It is a study of its own with one trial, so that it is taken by one, and by another one if that
    dies.
    """
    optuna = require("optuna", "search")
    study = optuna.create_study(
        storage=kept.optuna, study_name=f"{task.plan.name}, finalists", load_if_exists=True
    )
    found: list[Found] = []
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial({}, user_attrs={JOB: True})

    def work(trial: Trial) -> float:
        if JOB not in trial.user_attrs:
            raise optuna.TrialPruned  # another one took the work at the same moment
        found.append(trained(best, task, folder))
        return 0.0

    kept.settle()
    kept.replace_dead(study)
    states = [each.state.name for each in study.get_trials(deepcopy=False)]
    if "RUNNING" in states:
        task.progress.say("Another worker trains the best in full.")
        return None
    if "WAITING" not in states:
        study.enqueue_trial({}, user_attrs={JOB: True})  # once more: what is done is not repeated
    study.optimize(work, n_trials=1)
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
