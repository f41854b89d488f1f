"""How far long work is, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from toolchain.history import Epoch


def say(message: str) -> None:
    """One line for the person who waits."""
    print(message, file=sys.stderr, flush=True)


@contextmanager
def bench_bar() -> Iterator[Callable[[str, float, str], None]]:
    """A bar for a whole benchmark: takes what is being done, the share done, and the time left."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[left]}"),
        console=Console(file=sys.stderr, emoji=False),
        transient=True,
        refresh_per_second=1,  # drawing takes time from what is measured
    )
    task = bar.add_task("starting", total=1.0, left="")

    def show(what: str, done: float, left: str) -> None:
        bar.update(task, description=what, completed=done, left=f"{left} left")

    with bar:
        yield show


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
