"""The trials of a search, as records: what was tried, what it costs, how far it came."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from toolchain.benchmark.budget import Budget
from toolchain.profiling import Cost
from toolchain.search.space import Candidate
from toolchain.support.records import parse, plain

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

# what a trial keeps in Optuna's storage beside its parameters
CANDIDATE, COST, KNOWN, WORKER = "candidate", "cost", "known", "worker"
SECONDS, FAILURE, TRY, BEAT = "seconds", "failure", "try", "beat"


class Outcome(StrEnum):
    """How a trial ended, or how far it is."""

    TRAINED = "trained"
    BEHIND = "behind"  # stopped, because others were better after as many epochs
    OVER = "over budget"
    FAILED = "failed"
    DEAD = "dead"  # its process ended; another trial takes its place
    RUNNING = "running"
    WAITING = "waiting"

    @property
    def is_result(self) -> bool:
        """Whether it counts as one of the trials that were asked for."""
        return self in (Outcome.TRAINED, Outcome.BEHIND, Outcome.OVER, Outcome.FAILED)


@dataclass(frozen=True)
class TrialRecord:
    """One trial, numbered from 0.

    `accuracy` (0–1) is that of its file on the validation images, after the training it got; None
    where it got none. `over` says for each part of the budget by which share the candidate is over
    it; 0 or less is within. `failure` says why it failed, `worker` on which machine it ran, and
    `seconds` for how long.
    """

    number: int
    outcome: Outcome
    known: bool
    candidate: Candidate | None
    cost: Cost | None
    over: dict[str, float]
    accuracy: float | None
    seconds: float | None
    worker: str
    failure: str


def excess(cost: Cost, budget: Budget) -> dict[str, float]:
    """For each part of the budget that is asked for, by which share `cost` is over it."""
    found = {
        "latency": (cost.latency, budget.max_latency),
        "size": (cost.size, budget.max_size),
        "memory": (cost.activation_bytes or 0, budget.max_memory),
    }
    return {name: value / most - 1 for name, (value, most) in found.items() if most is not None}


def trials_of(study: Study) -> list[TrialRecord]:
    """All trials of a study, by number."""
    return [_record(each) for each in study.get_trials(deepcopy=False)]


def ranked(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Those that were trained to their end, the best first."""
    ended = [each for each in trials if each.outcome is Outcome.TRAINED]
    return sorted(ended, key=lambda each: each.accuracy or 0, reverse=True)


def nearest(trials: Sequence[TrialRecord]) -> TrialRecord | None:
    """Of those that break the budget, the one that is least over it."""
    over = [each for each in trials if each.outcome is Outcome.OVER]
    return min(over, key=lambda each: max(each.over.values()), default=None)


def to_csv(trials: Sequence[TrialRecord]) -> str:
    """A row a trial: outcome, accuracy, cost, and the candidate as JSON."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    costs = ("size", "latency", "macs", "activation_bytes", "parameters")
    head = ("trial", "outcome", "known", "accuracy", *costs)
    writer.writerow((*head, "seconds", "worker", "failure", "candidate"))
    for each in trials:
        cost = [getattr(each.cost, name) if each.cost else "" for name in costs]
        row = [each.number, each.outcome, each.known, _number(each.accuracy), *cost]
        candidate = json.dumps(plain(each.candidate)) if each.candidate else ""
        writer.writerow([*row, _number(each.seconds), each.worker, each.failure, candidate])
    return file.getvalue()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _record(trial: FrozenTrial) -> TrialRecord:
    kept = trial.user_attrs
    reported = trial.intermediate_values
    last = reported[max(reported)] if reported else None
    return TrialRecord(
        number=trial.number,
        outcome=_outcome(trial),
        known=bool(kept.get(KNOWN)),
        candidate=parse(Candidate, kept[CANDIDATE]) if CANDIDATE in kept else None,
        cost=parse(Cost, kept[COST]) if COST in kept else None,
        over=dict(trial.constraints),
        accuracy=last if trial.values is None else trial.value,
        seconds=kept.get(SECONDS),
        worker=kept.get(WORKER, ""),
        failure=kept.get(FAILURE, ""),
    )


def _outcome(trial: FrozenTrial) -> Outcome:
    over = any(share > 0 for share in trial.constraints.values())
    failed = FAILURE in trial.user_attrs
    states: dict[str, Any] = {
        "COMPLETE": Outcome.TRAINED,
        "PRUNED": Outcome.OVER if over else Outcome.BEHIND,
        "FAIL": Outcome.FAILED if failed else Outcome.DEAD,
        "RUNNING": Outcome.RUNNING,
        "WAITING": Outcome.WAITING,
    }
    found: Outcome = states[trial.state.name]
    return found
