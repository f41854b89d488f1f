"""How far long work is, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from toolchain.support.errors import require, require_installed
from toolchain.support.interrupts import at_once

if TYPE_CHECKING:
    from toolchain.model.artifact import Layer
    from toolchain.training.history import Epoch


SILENCE = 10.0  # seconds after which a log, where no bar can be drawn, gets a line


def say(message: str) -> None:
    """One line for the person who waits."""
    print(message, file=sys.stderr, flush=True)


def import_keras() -> None:
    """Import Keras and with it TensorFlow, which takes seconds; that is said before.

    Where this is called nothing is under way yet, so Ctrl-C ends the process at once.

    Raises:
        ToolchainError: it is not installed.
    """
    require_installed("keras", "export")
    if "keras" in sys.modules:
        return
    say("Importing TensorFlow.")
    with at_once():
        require("keras", "export")


class _Pulse:
    """Lets through what is said at most once in `SILENCE`."""

    def __init__(self) -> None:
        self._last = monotonic()

    def beat(self) -> None:
        """Something was said."""
        self._last = monotonic()

    def due(self) -> bool:
        """Whether it is time to say something."""
        return monotonic() - self._last >= SILENCE


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

    pulse = _Pulse()

    def show(what: str, done: float, left: str) -> None:
        bar.update(task, description=what, completed=done, left=f"{left} left")
        if not bar.console.is_terminal and (done == 0 or pulse.due()):
            say(f"{what} ({left} left)")
            pulse.beat()

    with bar:
        yield show


class TrainingProgress:
    """A bar for the batches of an epoch and a line for each epoch that is done."""

    def __init__(self) -> None:
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
        self._pulse = _Pulse()
        self._layers: set[tuple[Layer, ...]] = set()  # that were shown

    @contextmanager
    def shown(self) -> Iterator[TrainingProgress]:
        """The bar is on the screen inside this block."""
        with self._bar:
            yield self

    def say(self, message: str) -> None:
        self._bar.console.print(message, highlight=False, markup=False, soft_wrap=True)
        self._pulse.beat()

    def layers(self, layers: tuple[Layer, ...]) -> None:
        """A table, once for all seeds of a model."""
        if layers in self._layers:
            return
        self._layers.add(layers)
        table = Table(box=SIMPLE_HEAD, show_footer=True)
        table.add_column("layer", "total")
        table.add_column("output")
        totals = sum(each.parameters for each in layers), sum(each.macs for each in layers)
        for name, total in zip(("parameters", "multiply-accumulates"), totals, strict=True):
            table.add_column(name, f"{total:,}", justify="right")
        for layer in layers:
            shape = " × ".join(map(str, layer.output))
            table.add_row(layer.kind, shape, f"{layer.parameters:,}", f"{layer.macs:,}")
        self._bar.console.print(table, highlight=False, markup=False)
        self._pulse.beat()

    def batches(self, epoch: int, done: int, total: int) -> None:
        # Keras counts the last, shorter round of batches as a full one
        self._bar.update(self._task, completed=min(done, total), total=total, number=epoch)
        if not self._bar.console.is_terminal and self._pulse.due():
            self.say(f"epoch {epoch}: {min(done, total):,} of {total:,} batches")

    def epoch(self, epoch: Epoch, most: int, watched: str) -> None:
        beside = f" {watched} {epoch.watched_accuracy:.2%}," if watched != "training" else ""
        self.say(
            f"epoch {epoch.number} of at most {most}: training {epoch.accuracy:.2%},"
            f"{beside} {epoch.seconds:.0f} s"
        )
