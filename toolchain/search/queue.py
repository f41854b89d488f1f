"""The trials of a study, which several workers share: each is claimed by one, and ends once."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from toolchain.search.storage import ConnectionLostError, Storage
from toolchain.search.trials import BEAT, FAILURE, KNOWN, SECONDS, TRY, Outcome, trials_of
from toolchain.support.errors import ToolchainError, require
from toolchain.support.progress import Progress

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, TrialState

HEARTBEAT = 10.0  # seconds between two signs of life of a trial
GRACE = 60.0  # seconds without one after which it counts as dead
POLL = 2.0  # seconds between two looks at the trials of others
TRIES = 3  # of a trial whose process ends before it does

Got = TypeVar("Got")
Work = Callable[["Trial"], float]


class Queue:
    """The trials of the study called `name`, which is made by whoever comes first.

    A worker counts as dead for whoever has watched one of its trials for `GRACE` seconds without a
    sign of life. So no clock is compared with another, and a database that was away for all kills
    nobody.
    """

    def __init__(
        self,
        kept: Storage,
        name: str,
        progress: Progress,
        sampler: BaseSampler | None = None,
        pruner: BasePruner | None = None,
    ) -> None:
        self.missing = 0  # trials without a result, at the last look
        self._kept = kept
        self._how = {"study_name": name, "sampler": sampler, "pruner": pruner}
        self._progress = progress
        self._study: Study | None = None
        self._seen: dict[int, tuple[Any, float]] = {}  # the last sign of life, and since when

    def alone(self, step: Callable[[Study], Got]) -> Got:
        """What `step` makes of the study, in a transaction that one worker at a time makes; `step`
        is called again if the connection breaks.

        Raises:
            ToolchainError: the storage cannot do what was asked.
        """
        optuna = require("optuna", "search")
        while True:
            try:
                with self._kept.transaction():
                    if self._study is None:
                        self._study = optuna.create_study(
                            storage=self._kept.optuna,
                            direction="maximize",
                            load_if_exists=True,
                            **self._how,
                        )
                    return step(self._study)
            except ConnectionLostError:
                self._study = None  # it remembers what has not happened

    def next(self, wanted: int, waiting: str, end: float | None = None) -> Trial | None:
        """A trial that nobody else works on; None if `wanted` have a result, or at `end`, a time of
        `time.monotonic`.

        As long as others work on the last ones, it waits, for one of them may die; `waiting` is
        said then.
        """
        said = False
        while end is None or time.monotonic() < end:
            trial = self.alone(lambda study: self._claimed(study, wanted))
            if trial is not None or self.missing <= 0:
                return trial
            if not said:
                said = True
                self._progress.say(waiting)
            time.sleep(POLL)
        return None

    def attempt(self, trial: Trial, work: Work) -> None:
        """Do the `work` of a trial that was claimed, and keep what comes of it.

        What is interrupted, by Ctrl-C or because the storage broke off, is put back into the queue.

        Raises:
            ToolchainError: from `work`; it is kept as the trial's failure.
            KeyboardInterrupt: interrupted.
        """
        optuna = require("optuna", "search")
        states, began = optuna.trial.TrialState, time.monotonic()
        with _beating(trial):
            try:
                value = work(trial)
            except optuna.TrialPruned:
                self._finish(trial, states.PRUNED, began)
            except ToolchainError as error:
                self._finish(trial, states.FAIL, began, failure=str(error))
                raise
            except optuna.exceptions.UpdateFinishedTrialError:
                self._tell_late()
            except optuna.exceptions.StorageInternalError:
                self.alone(lambda study: _try_again(study, trial.number))
                self._progress.say("The storage broke off; the trial is tried again.")
            except BaseException:
                self.alone(lambda study: _try_again(study, trial.number))
                raise
            else:
                self._finish(trial, states.COMPLETE, began, value)

    def _claimed(self, study: Study, wanted: int) -> Trial | None:
        for each in self._dead(study):
            _try_again(study, each)
        found = [each.outcome for each in trials_of(study)]
        self.missing = wanted - sum(each.is_result for each in found)
        return study.ask() if self.missing > found.count(Outcome.RUNNING) else None

    def _dead(self, study: Study) -> list[int]:
        """The numbers of trials without a sign of life for long enough."""
        now, before = time.monotonic(), self._seen
        self._seen = {}
        for each in study.get_trials(deepcopy=False):
            if each.state.name == "RUNNING":
                beat, since = before.get(each.number, (None, now))
                latest = each.user_attrs.get(BEAT)
                self._seen[each.number] = latest, since if latest == beat else now
        return [
            number
            for number, (_, since) in self._seen.items()
            if now - max(since, self._kept.since) > GRACE
        ]

    def _finish(
        self,
        trial: Trial,
        state: TrialState,
        began: float,
        value: float | None = None,
        failure: str | None = None,
    ) -> None:
        """End a trial, if it is still ours."""

        def finish(study: Study) -> FrozenTrial:
            if _is_running(study, trial.number):
                trial.set_user_attr(SECONDS, time.monotonic() - began)
                if failure is not None:
                    trial.set_user_attr(FAILURE, failure)
            return study.tell(trial.number, value, state, skip_if_finished=True)

        if self.alone(finish).state is not state:
            self._tell_late()

    def _tell_late(self) -> None:
        self._progress.say("This trial was given to another worker meanwhile; its result counts.")


def _try_again(study: Study, number: int) -> None:
    """Put a trial that ended before its time back into the queue."""
    if not _is_running(study, number):
        return
    trial = study.tell(number, state=require("optuna", "search").trial.TrialState.FAIL)
    tries = trial.user_attrs.get(TRY, 1)
    if tries < TRIES:
        known = {KNOWN: True} if trial.user_attrs.get(KNOWN) else {}
        parameters = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        study.enqueue_trial(parameters, user_attrs={TRY: tries + 1, **known})


def _is_running(study: Study, number: int) -> bool:
    return study.get_trials(deepcopy=False)[number].state.name == "RUNNING"


@contextlib.contextmanager
def _beating(trial: Trial) -> Iterator[None]:
    """Signs of life of a trial, from a thread of their own."""
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(trial, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(HEARTBEAT)  # no longer: it may wait for a database that is away


def _beat(trial: Trial, over: threading.Event) -> None:
    errors = require("optuna", "search").exceptions
    with contextlib.suppress(errors.UpdateFinishedTrialError, ToolchainError):
        for number in itertools.count():
            # a connection may break in this very moment; there will be another beat
            with contextlib.suppress(errors.StorageInternalError):
                trial.set_user_attr(BEAT, number)
            if over.wait(HEARTBEAT):
                break
