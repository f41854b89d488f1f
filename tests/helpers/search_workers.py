"""Workers of a search in processes of their own: everything but the training is real."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.helpers import forked
from toolchain import profiling, search
from toolchain.benchmark.budget import Budget
from toolchain.model.dataset import Dataset
from toolchain.search import (
    Pictures,
    SearchPlan,
    Space,
    TrialRecord,
    finalists,
    queue,
    run,
    storage,
)
from toolchain.search.trial import Task
from toolchain.search.trials import CANDIDATE, KNOWN, WORKER, ranked, trials_of
from toolchain.support.records import plain

if TYPE_CHECKING:
    from optuna import Trial

SECONDS = 120  # after which a test has waited for long enough
SPACE = Space(((28, 28),))
ANY = ""  # of the trials
IN_FULL = "final"  # what the training in full is called where trials have numbers


def plan(trials: int, budget: Budget | None = None) -> SearchPlan:
    return SearchPlan("found", SPACE, budget or Budget(max_size=9_000), trials=trials)


def pictures(shade: int = 0) -> Pictures:
    images = np.full((4, 28, 28, 1), shade, np.uint8)
    labels = np.zeros(4, np.uint8)
    dataset = Dataset("shades", ("a", "b"), images, labels, images, labels)
    return Pictures(lambda _: dataset)


class Worker:
    """One that works on `trials` in the storage at an address.

    While a file `hold` lies in its folder, it stays in the middle of the trial that the file names,
    or of any if it names none.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        trials: int,
        grace: float = 60.0,
        held: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir()
        if held is not None:
            self.hold(held)
        self._process = forked.start(
            _work,
            folder,
            url,
            trials,
            grace,
            out=folder / "out",
            err=folder / "err",
            env={**os.environ, **(env or {})},
        )

    def hold(self, trial: str = ANY) -> None:
        (self.folder / "hold").write_text(trial)

    def go_on(self) -> None:
        (self.folder / "hold").unlink()

    def await_held(self) -> str:
        """The trial that it is in the middle of."""
        self.await_said("held in")
        return self.said("held in")[-1].rpartition(" ")[2]

    def said(self, words: str) -> list[str]:
        """The lines with these words."""
        return [line for line in self.output.splitlines() if words in line]

    def await_said(self, words: str, times: int = 1) -> None:
        """Wait for that many lines with these words."""
        wait_for(lambda: len(self.said(words)) >= times or not self._process.is_alive())
        assert len(self.said(words)) >= times, self.output

    @property
    def output(self) -> str:
        """All that it has printed so far."""
        files = (self.folder / "out", self.folder / "err")
        return "".join(each.read_text("utf-8") for each in files if each.exists())

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid or 0, number)

    def await_end(self) -> None:
        self._process.join(SECONDS)
        assert self._process.exitcode == 0, self.output

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self._process.join(SECONDS)


def records(url: str) -> list[TrialRecord]:
    """The trials, as they are in the storage now."""
    return search.load("found", Path(), url)


def wait_for(holds: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


class Printed:
    def say(self, message: str) -> None:
        print(message, flush=True)

    def at(self, what: str, done: float, beside: str = "") -> None: ...


def _work(folder: Path, url: str, trials: int, grace: float) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    queue.HEARTBEAT, queue.POLL, queue.GRACE, storage.RETRY = 0.2, 0.2, grace, 0.1
    asked, shown = plan(trials), Printed()
    finalists.trained = lambda *_: _in_full(folder)
    with storage.Storage(storage.address(url, folder), shown) as kept:
        task = Task(asked, pictures(), folder, profiling.latency, shown)
        together, finals = run.agreed(kept, asked, pictures(), shown), finalists.Finals(kept, task)
        run.try_all(together, asked, lambda trial: _simulated(trial, folder), shown)
        finals.trained_once(ranked(together.alone(trials_of)), folder)


def _simulated(trial: Trial, folder: Path) -> float:
    """A trial that learns nothing, and asks the storage for as much as a real one."""
    import optuna

    trial.set_user_attr(WORKER, folder.name)
    candidate = SPACE.suggest(trial)
    trial.set_user_attr(CANDIDATE, plain(candidate))
    trial.set_constraint("size", -0.5)
    accuracy = 1 - candidate.recipe.learning_rate
    _hold(folder, str(trial.number))
    for rung in (1, 3, 9):
        trial.report(accuracy, rung)
        if trial.should_prune() and not trial.user_attrs.get(KNOWN):
            raise optuna.TrialPruned
        time.sleep(0.01)
    print(f"made {trial.number}", flush=True)
    return accuracy


def _in_full(folder: Path) -> Any:
    _hold(folder, IN_FULL)
    print(f"made {IN_FULL}", flush=True)
    return None


def _hold(folder: Path, trial: str) -> None:
    hold = folder / "hold"
    if hold.exists() and hold.read_text() in (ANY, trial):
        print(f"held in {trial}", flush=True)
        wait_for(lambda: not hold.exists())
