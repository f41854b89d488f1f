"""How far long work is: told to whoever waits, in whatever way suits them."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Whoever waits for long work."""

    def say(self, message: str) -> None:
        """Something to know about the work."""

    def at(self, what: str, done: float, beside: str = "") -> None:
        """The share `done` (0 to 1) of `what` is done; `beside` says it in other words, such as how
        long the rest takes. This is told often: it need not be shown each time."""


class Silent:
    """Nobody waits."""

    def say(self, message: str) -> None: ...

    def at(self, what: str, done: float, beside: str = "") -> None: ...


SILENT = Silent()


def clock(seconds: float) -> str:
    """A duration as minutes and seconds, such as `1:05`."""
    whole = round(max(0.0, seconds))
    return f"{whole // 60}:{whole % 60:02}"
