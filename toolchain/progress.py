"""How far long work is, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from toolchain.history import Epoch


def say(message: str) -> None:
    """One line for the person who waits."""
    print(message, file=sys.stderr, flush=True)


class BenchProgress:
    """A bar for a whole benchmark, with what is being done and the time left."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[left]}"),
            console=Console(file=sys.stderr, emoji=False),
            transient=True,
            refresh_per_second=1,  # drawing takes time from what is measured
        )
        self._task = self._bar.add_task("starting", left="")
        self._done = self._current = self._total = 0.0

    @contextmanager
    def shown(self) -> Iterator[BenchProgress]:
        """The bar is on the screen inside this block."""
        with self._bar:
            yield self

    def expect(self, seconds: float) -> None:
        self._total = seconds

    def step(self, what: str, seconds: float) -> None:
        self._done, self._current = self._done + self._current, seconds
        left = max(0.0, self._total - self._done)
        self._bar.update(
            self._task,
            description=what,
            completed=self._done,
            total=self._total,
            left=f"{left // 60:.0f}:{left % 60:02.0f} left",
        )


class TrainingProgress:
    """A bar for the batches of an epoch and a line for each epoch that is done."""

    def __init__(self, epochs: int, watched: str) -> None:
        self._epochs, self._watched = epochs, watched
        self._bar = Progress(
            TextColumn("epoch {task.fields[number]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("batches"),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr, emoji=False),
            transient=True,
        )
        self._task = self._bar.add_task("", number=1, total=None)

    @contextmanager
    def shown(self) -> Iterator[TrainingProgress]:
        """The bar is on the screen inside this block."""
        with self._bar:
            yield self

    def say(self, message: str) -> None:
        self._bar.console.print(message, highlight=False, markup=False, soft_wrap=True)

    def batches(self, epoch: int, done: int, total: int) -> None:
        # Keras counts the last, shorter round of batches as a full one
        self._bar.update(self._task, completed=min(done, total), total=total, number=epoch)

    def epoch(self, epoch: Epoch) -> None:
        self.say(
            f"epoch {epoch.number} of at most {self._epochs}: training {epoch.accuracy:.2%}, "
            f"{self._watched} {epoch.watched_accuracy:.2%}, {epoch.seconds:.0f} s"
        )
