"""What does it bring a search to have more workers, and how many can one storage serve?

Two questions. How long do 40 short trials take with 1, 2 and 4 workers, each a process, that meet
in a PostgreSQL on this machine: real trainings, of a few seconds each, on the embedded digits. And
how many trials a second does a storage take, with trials that ask it for as much as a real one and
train nothing, from 1 to 8 workers: a PostgreSQL, and one file.

From the second follows how many machines one PostgreSQL can serve: trials a second over trials that
a machine makes in a second. It needs PostgreSQL's server (Debian: postgresql).

    PYTHONPATH=. .venv/bin/python benchmarks/search.py [--trials 40] [--simulated 200]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psycopg  # noqa: F401  before TensorFlow, see toolchain/search/storage.py

from benchmarks import side_by_side
from tests.helpers import postgresql
from toolchain import datasets, profiling, search
from toolchain.benchmark.budget import Budget
from toolchain.model.dataset import Dataset
from toolchain.profiling import Cost
from toolchain.search import Pictures, SearchPlan, Space, queue, run, space, storage
from toolchain.search.plan import RANDOM, TPE
from toolchain.search.storage import Storage
from toolchain.search.trial import Task, accuracy
from toolchain.search.trials import CANDIDATE, COST, WORKER
from toolchain.support.progress import SILENT
from toolchain.support.records import plain
from toolchain.support.streams import silence

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

    from optuna import Trial

WORKERS = (1, 2, 4, 8)
MOST_TRAINING = 4  # workers, on two cores
EPOCHS = 24  # of a training in full; a trial has a quarter of them
LENGTHS = (10, 60, 600)  # seconds of a trial, for which machines are counted
SIDE = 28
LOST = 3600  # seconds after which a worker that is waited for counts as lost
POLL = 0.1  # seconds; a search looks less often at what others do, for its trials take longer

Work = Callable[["Trial"], float]
Make = Callable[[], tuple[Pictures, Work]]


def simulated() -> tuple[Pictures, Work]:
    """A trial that asks the storage for as much as a real one does, and does nothing else."""
    candidates = Space(((SIDE, SIDE),))
    cost = Cost(1_000, 1_000, 1_000, 1_000, (), 1e-3)

    def work(trial: Trial) -> float:
        trial.set_user_attr(WORKER, f"process {os.getpid()}")
        candidate = candidates.suggest(trial)
        trial.set_user_attr(CANDIDATE, plain(candidate))
        trial.set_user_attr(COST, plain(cost))
        trial.set_constraint("size", -0.5)
        for rung in (1, 3, 9):
            trial.report(1 - candidate.recipe.learning_rate, rung)
            trial.should_prune()
        return 1 - candidate.recipe.learning_rate

    image, label = np.zeros((1, SIDE, SIDE, 1), np.uint8), np.zeros(1, np.uint8)
    black = Dataset("black", ("black",), image, label, image, label)
    return Pictures(lambda _: black), work


def trained() -> tuple[Pictures, Work]:
    """A real trial, of few epochs."""
    import keras  # noqa: F401  that it is imported is not a part of the first trial

    dataset = datasets.load("digits")
    pictures = Pictures(lambda _: dataset)
    task = Task(plan(1), pictures, Path(tempfile.gettempdir()), profiling.latency, SILENT)
    space.EPOCHS = EPOCHS
    return pictures, lambda trial: accuracy(trial, task)


def plan(trials: int, sampler: str = TPE) -> SearchPlan:
    """A search that all candidates are within the budget of, or nearly all."""
    budget = Budget(max_size=64_000)
    return SearchPlan("benchmark", Space(((SIDE, SIDE),)), budget, trials=trials, sampler=sampler)


def worker(url: str, trials: int, make: Make, together: Barrier) -> None:
    """Trials, from the moment when all workers are ready until all have ended."""
    silence()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    queue.POLL = POLL
    asked = plan(trials, RANDOM if make is simulated else TPE)  # what TPE computes is its own
    with Storage(storage.address(url, Path()), SILENT) as kept:
        pictures, work = make()
        shared = run.agreed(kept, asked, pictures, SILENT)
        together.wait()
        run.try_all(shared, asked, work, SILENT)
        together.wait()


def seconds(url: str, workers: int, trials: int, make: Make) -> float:
    """How long so many workers take."""
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(workers + 1, timeout=LOST)
    started = [
        context.Process(target=worker, args=(url, trials, make, together)) for _ in range(workers)
    ]
    for each in started:
        each.start()
    together.wait()
    began = time.perf_counter()
    together.wait()
    took = time.perf_counter() - began
    for each in started:
        each.join()
        assert each.exitcode == 0
    done = search.load("benchmark", Path(), url)
    assert sum(each.outcome.is_result for each in done) == trials
    return took


def rates(server: postgresql.Server, trials: int) -> tuple[dict[int, float], str]:
    """Simulated trials a second of a PostgreSQL, by the number of workers; and a table of both."""
    found, rows = {}, []
    for count in WORKERS:
        found[count] = trials / seconds(server.database(f"w{count}"), count, trials, simulated)
        with tempfile.TemporaryDirectory() as folder:
            file = trials / seconds(f"sqlite:///{folder}/search.db", count, trials, simulated)
        rows.append((count, f"{found[count]:.1f}", f"{file:.1f}"))
        print("simulated:", *rows[-1], file=sys.stderr)
    head = ("workers", "PostgreSQL, trials/s", "a file, trials/s")
    return found, side_by_side.table(head, rows)


def machines(rate: float) -> str:
    """How many machines a storage can serve that takes `rate` trials a second."""
    rows = [(f"{each} s", 3600 // each, f"{rate * each:,.0f}") for each in LENGTHS]
    return side_by_side.table(("a trial takes", "trials a machine and hour", "machines"), rows)


def trainings(server: postgresql.Server, trials: int, alone: float) -> str:
    """A table of wall times; `alone` is how long the storage takes for a trial of one worker."""
    rows, first = [], 0.0
    for count in (each for each in WORKERS if each <= MOST_TRAINING):
        took = seconds(server.database(f"t{count}"), count, trials, trained)
        first = first or took
        share = alone * trials / took / count
        rows.append((count, f"{took:.0f}", f"{first / took:.2f}", f"{share:.1%}"))
        print("trained:", *rows[-1], file=sys.stderr)
    return side_by_side.table(("workers", "seconds", "× one", "storage"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40, help="real ones; 0 leaves them out")
    parser.add_argument("--simulated", type=int, default=200, help="trials that train nothing")
    options = parser.parse_args()
    programs = postgresql.programs()
    if programs is None:
        parser.error("PostgreSQL's server is not installed (Debian: postgresql)")
    with postgresql.running(programs, durable=True) as server:
        found, table = rates(server, options.simulated)
        text = (
            f"Simulated trials, {options.simulated} a row:\n\n{table}\n"
            "Machines that one PostgreSQL can serve: its highest rate, in trials a second, × "
            "seconds of a trial. It would do nothing else then. Workers and server shared this "
            "machine's cores, so a server of its own takes more.\n\n"
            f"{machines(max(found.values()))}\n"
        )
        if options.trials:
            text += f"{options.trials} short trainings on the digits, in PostgreSQL:\n\n"
            text += trainings(server, options.trials, 1 / found[1]) + "\n"
    how = (
        "Candidates of the simulated trials are drawn at random. Each worker is a process; all "
        "and the server are on this machine, and the clock starts "
        "when all are ready. Storage: seconds of a simulated trial of one worker, of what a worker "
        "has for a real one."
    )
    packages = ("optuna", "sqlalchemy", "psycopg", "tensorflow-cpu", "keras")
    side_by_side.publish(__file__, text, packages, how)


if __name__ == "__main__":
    main()
