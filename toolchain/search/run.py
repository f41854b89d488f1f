"""The stage `search`: trials until there are enough, then the best of them in full."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain import profiling
from toolchain.export import ExportOutcome
from toolchain.model.folder import ModelFolder
from toolchain.profiling.latency import Latency
from toolchain.search import finalists, picture, storage
from toolchain.search.plan import RANDOM, Pictures, SearchPlan
from toolchain.search.queue import Queue, Work
from toolchain.search.storage import Storage
from toolchain.search.trial import FACTOR, FORMAT, Task, accuracy
from toolchain.search.trials import KNOWN, Outcome, TrialRecord, excess, ranked, to_csv, trials_of
from toolchain.support import files
from toolchain.support.errors import BenchFailedError, ToolchainError, require
from toolchain.support.progress import SILENT, Progress
from toolchain.training import TrainingResult

if TYPE_CHECKING:
    from optuna import Study

AGREED = "agreed"
ELSEWHERE = "Others work on the last trials. This worker waits, for one of them may die."


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
    with (
        Storage(storage.address(address, folder), progress) as kept,
        _latency(plan, progress) as latency,
    ):
        task = Task(plan, pictures, ModelFolder(folder).features, latency, progress)
        _demand_feasible(task)
        queue, finals = agreed(kept, plan, pictures, progress), finalists.Finals(kept, task)
        try_all(queue, plan, lambda trial: accuracy(trial, task), progress)
        trials = queue.alone(trials_of)
        write(trials, plan, folder)
        if any(each.outcome is Outcome.RUNNING for each in trials):
            progress.say("Others are still at work; the last of them trains the best in full.")
            return SearchResult(tuple(trials))
        best = ranked(trials)[: plan.finalists]
        found = finals.trained_once(best, folder) if best else None
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
    with Storage(storage.address(address, folder), progress) as kept:
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


def agreed(kept: Storage, plan: SearchPlan, pictures: Pictures, progress: Progress) -> Queue:
    """The trials of the plan; the known networks are the first.

    Raises:
        ToolchainError: those who began it agreed on something else.
    """
    optuna = require("optuna", "search")
    samplers = optuna.samplers
    queue = Queue(
        kept,
        plan.name,
        progress,
        samplers.RandomSampler() if plan.sampler == RANDOM else samplers.TPESampler(),
        optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=FACTOR),
    )
    ours = plan.agreed(pictures.sha256(min(plan.space.sizes)))

    def agree(study: Study) -> dict[str, Any]:
        if AGREED not in study.user_attrs:
            for parameters in plan.space.known():
                study.enqueue_trial(dict(parameters), user_attrs={KNOWN: True})
            study.set_user_attr(AGREED, ours)
        theirs: dict[str, Any] = study.user_attrs[AGREED]
        return theirs

    theirs = queue.alone(agree)
    if other := [name for name in ours if theirs.get(name) != ours[name]]:
        raise ToolchainError(
            f"The search '{plan.name}' in {kept} was begun with another {' and '.join(other)}: "
            f"{', '.join(f'{name} {theirs.get(name)}' for name in other)}, here "
            f"{', '.join(f'{ours[name]}' for name in other)}. Use the same, or begin another "
            "search with another --name."
        )
    return queue


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


def try_all(queue: Queue, plan: SearchPlan, work: Work, progress: Progress) -> None:
    """Trials, until there are as many as asked for, or no time is left to begin one; `work` gives
    the accuracy of each."""
    end = None if plan.hours is None else time.monotonic() + plan.hours * 3600
    while trial := queue.next(plan.trials, ELSEWHERE, end):
        progress.say(f"{plan.trials - queue.missing} of {plan.trials} trials are done.")
        try:
            queue.attempt(trial, work)
        except ToolchainError as error:  # what fails costs that trial alone
            progress.say(f"Trial {trial.number} failed: {error}")
