"""How far long work is, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, TextColumn

from toolchain.support.errors import require, require_installed
from toolchain.support.interrupts import exit_on_interrupt

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
    with exit_on_interrupt():
        require("keras", "export")


class Lines:
    """Progress as lines: how far the work is, now and then."""

    def __init__(self) -> None:
        self._told = monotonic()

    def say(self, message: str) -> None:
        say(message)
        self._told = monotonic()

    def at(self, what: str, done: float, beside: str = "") -> None:
        if monotonic() - self._told >= SILENCE:
            self.say(f"{what}: {beside}")


LINES = Lines()


class ProgressBar(Lines):
    """Progress as a bar, with what is said above it; as lines where no bar can be drawn."""

    def __init__(self) -> None:
        super().__init__()
        self._bar = rich.progress.Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[beside]}"),
            console=Console(file=sys.stderr, emoji=False),
            transient=True,
            refresh_per_second=1,  # drawing takes time from what is measured
        )
        self._task = self._bar.add_task("starting", total=1.0, beside="")

    @contextmanager
    def shown(self) -> Iterator[ProgressBar]:
        """The bar is on the screen inside this block."""
        with self._bar:
            yield self

    def say(self, message: str) -> None:
        self._bar.console.print(message, highlight=False, markup=False, soft_wrap=True)
        self._told = monotonic()

    def at(self, what: str, done: float, beside: str = "") -> None:
        self._bar.update(self._task, description=what, completed=done, beside=beside)
        if not self._bar.console.is_terminal:
            super().at(what, done, beside)
