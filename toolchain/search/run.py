"""The stage `search`: trials until there are enough, then the best of them in full."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import profiling
from toolchain.export import ExportOutcome
from toolchain.model.folder import ModelFolder
from toolchain.profiling.latency import Latency
from toolchain.search import finalists, picture, storage
from toolchain.search.plan import RANDOM, Pictures, SearchPlan
from toolchain.search.storage import Storage
from toolchain.search.trial import FACTOR, FORMAT, Task, accuracy
from toolchain.search.trials import (
    FAILURE,
    KNOWN,
    TRY,
    Outcome,
    TrialRecord,
    excess,
    ranked,
    to_csv,
    trials_of,
)
from toolchain.support import files
from toolchain.support.errors import BenchFailedError, ToolchainError, require
from toolchain.support.progress import SILENT, Progress
from toolchain.training import TrainingResult

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

AGREED = "agreed"
TRIES = 3  # of a trial whose process ends before it does
POLL = 2.0  # seconds between two looks at the trials of others


@dataclass(frozen=True)
class SearchResult:
    """What a search came to.

    `winner` is the finalist that was best on the validation images, `trained` how its training in
    full ended, and `outcomes` its files; None and empty where there is none, or where another
    worker trains it.
    """

    trials: tuple[TrialRecord, ...]
    winner: TrialRecord | None = None
    trained: TrainingResult | None = None
    outcomes: tuple[ExportOutcome, ...] = ()


def search(
    plan: SearchPlan,
    pictures: Pictures,
    folder: Path,
    address: str | None = None,
    progress: Progress = SILENT,
) -> SearchResult:
    """Search, together with all others that were given the same plan, pictures and storage; then
    train the best in full and export it to `folder`.

    `address` is that of a shared storage; without it, the trials are in a file in `folder`. The
    same call goes on where an earlier one was interrupted; a trial that was under way is tried
    again.

    Raises:
        UsageError: the address is none, or the folder's name is no text.
        BenchFailedError: nothing fits the budget.
        ToolchainError: others search with another plan, other pictures or
            another toolchain; or the storage or the device cannot be reached.
        KeyboardInterrupt: interrupted.
    """
    ModelFolder(folder).demand_name()
    kept = Storage(storage.address(address, folder), progress, try_again)
    with _latency(plan, progress) as latency:
        task = Task(plan, pictures, ModelFolder(folder).features, latency, progress)
        _demand_feasible(task)
        study = _study(kept, plan, pictures)
        _run_trials(study, kept, task)
        trials = trials_of(study)
        write(trials, plan, folder)
        if _others_run(trials):
            progress.say("Others are still at work; the last of them trains the best in full.")
            return SearchResult(tuple(trials))
        best = ranked(trials)[: plan.finalists]
        found = finalists.trained_once(kept, best, task, folder) if best else None
    return SearchResult(tuple(trials), *found) if found else SearchResult(tuple(trials))


def write(trials: list[TrialRecord], plan: SearchPlan, folder: Path) -> None:
    """The trials as a table and as a picture in `folder`."""
    files.replace(folder / "search.csv", to_csv(trials).encode())
    files.replace(folder / "search.png", picture.to_png(trials, plan.budget, plan.name))


def load(
    name: str, folder: Path, address: str | None, progress: Progress = SILENT
) -> list[TrialRecord]:
    """The trials of the search called `name`, as they are now.

    Raises:
        ToolchainError: there is no such search.
    """
    optuna = require("optuna", "search")
    missing = ToolchainError(
        f"There is no search called '{name}'. Begin one with: toolchain search --name {name}."
    )
    if address is None and not (folder / storage.FILE).exists():
        raise missing
    kept = Storage(storage.address(address, folder), progress, try_again)
    try:
        return trials_of(optuna.load_study(study_name=name, storage=kept.optuna))
    except KeyError:
        raise missing from None


@contextlib.contextmanager
def _latency(plan: SearchPlan, progress: Progress) -> Iterator[Latency]:
    if plan.device is None:
        yield profiling.latency
        return
    with profiling.on_device(plan.device) as device:
        progress.say(f"Latency is that on {plan.device}.")
        yield device.latency


def _study(kept: Storage, plan: SearchPlan, pictures: Pictures) -> Study:
    """The study of the plan, made by whoever comes first.

    Raises:
        ToolchainError: those who made it agreed on something else.
    """
    optuna = require("optuna", "search")
    samplers = optuna.samplers
    how = {
        "storage": kept.optuna,
        "study_name": plan.name,
        "sampler": samplers.RandomSampler() if plan.sampler == RANDOM else samplers.TPESampler(),
        "pruner": optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=FACTOR),
    }
    ours = plan.agreed(pictures.sha256(min(plan.space.sizes)))
    try:
        study: Study = optuna.create_study(direction="maximize", **how)
    except optuna.exceptions.DuplicatedStudyError:
        study = optuna.load_study(**how)
        _await(lambda: AGREED in study.user_attrs)
    if (theirs := study.user_attrs.get(AGREED)) is None:
        for parameters in plan.space.known():
            study.enqueue_trial(dict(parameters), user_attrs={KNOWN: True}, skip_if_exists=True)
        study.set_user_attr(AGREED, ours)
    elif theirs != ours:
        other = [name for name in ours if theirs.get(name) != ours[name]]
        raise ToolchainError(
            f"The search '{plan.name}' in {kept} was begun with another {' and '.join(other)}: "
            f"{', '.join(f'{name} {theirs.get(name)}' for name in other)}, here "
            f"{', '.join(f'{ours[name]}' for name in other)}. Use the same, or begin another "
            "search with another --name."
        )
    return study


def _await(holds: Callable[[], bool]) -> None:
    """Wait for whoever makes the study at this moment; not for long, for it may have died."""
    end = time.monotonic() + storage.GRACE
    while not holds() and time.monotonic() < end:
        time.sleep(POLL)


def _demand_feasible(task: Task) -> None:
    """
    Raises:
        BenchFailedError: not even the smallest candidate is within the budget.
    """
    plan = task.plan
    candidate = plan.space.smallest()
    assert candidate.design
    dataset = task.pictures.at(candidate.size)
    model = candidate.design.build(dataset.contract, len(dataset.labels))
    cost = profiling.cost(model, FORMAT, plan.precision, latency=task.latency)
    over = {name: share for name, share in excess(cost, plan.budget).items() if share > 0}
    if over:
        said = ", ".join(f"{name} is {share:.0%} over" for name, share in over.items())
        raise BenchFailedError(
            f"Nothing fits this budget. The smallest network, {cost.size:,} bytes and "
            f"{cost.latency * 1e6:,.0f} µs, comes nearest: {said}. Allow more."
        )


def _run_trials(study: Study, kept: Storage, task: Task) -> None:
    """Trials, until there are as many as asked for, or no time is left to begin one."""
    plan = task.plan
    end = None if plan.hours is None else time.monotonic() + plan.hours * 3600
    while end is None or time.monotonic() < end:
        kept.settle()
        kept.replace_dead(study)
        found = [each.outcome for each in trials_of(study)]
        missing = plan.trials - sum(each.is_result for each in found)
        if missing <= 0:
            return
        if missing <= found.count(Outcome.RUNNING) and Outcome.WAITING not in found:
            time.sleep(POLL)  # one of them may be found dead
            continue
        task.progress.say(f"{plan.trials - missing} of {plan.trials} trials are done.")
        _run_trial(study, task)


def _run_trial(study: Study, task: Task) -> None:
    """One trial; what fails costs that trial alone."""
    optuna = require("optuna", "search")
    under_way: list[Trial] = []

    def objective(trial: Trial) -> float:
        under_way.append(trial)
        try:
            return accuracy(trial, task)
        except ToolchainError as error:
            trial.set_user_attr(FAILURE, str(error))
            task.progress.say(f"Trial {trial.number} failed: {error}")
            raise

    try:
        study.optimize(objective, n_trials=1, catch=(ToolchainError,))
    except optuna.exceptions.UpdateFinishedTrialError:
        task.progress.say("This trial was given to another worker meanwhile; its result counts.")
    except (KeyboardInterrupt, optuna.exceptions.StorageInternalError) as error:
        for trial in under_way:
            ended = study.get_trials(deepcopy=False)[trial.number]
            if ended.state is optuna.trial.TrialState.FAIL:  # any other will be found dead
                try_again(study, ended)
        if isinstance(error, KeyboardInterrupt):
            raise
        task.progress.say("The storage broke off; the trial is tried again.")


def try_again(study: Study, trial: FrozenTrial) -> None:
    """Put a trial that ended before its time back into the queue."""
    tries = trial.user_attrs.get(TRY, 1)
    if tries < TRIES:
        known = {KNOWN: True} if trial.user_attrs.get(KNOWN) else {}
        parameters = trial.system_attrs.get("fixed_params", trial.params)
        study.enqueue_trial(parameters, user_attrs={TRY: tries + 1, **known})


def _others_run(trials: list[TrialRecord]) -> bool:
    return any(each.outcome is Outcome.RUNNING for each in trials)
