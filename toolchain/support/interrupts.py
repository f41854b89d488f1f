"""Ctrl-C ends a command cleanly, also where Python would answer it with a traceback.

A command imports this first, so it imports hardly anything itself: `signal` is a shell around
`_signal` that takes some milliseconds to import, in which Ctrl-C would not be clean.
"""

from __future__ import annotations

import os
from _signal import (  # type: ignore[import-not-found]
    SIG_IGN,
    SIGINT,
    default_int_handler,
    getsignal,
    signal,
)

CODE = 130  # what shells give a command that Ctrl-C ended: 128 + SIGINT


class _OtherHandler:
    """Inside, another answer to Ctrl-C than an exception; where it is not answered with one, as in
    a shell's background job, or where this is not the main thread, nothing changes."""

    def __init__(self, handler: object) -> None:
        self._handler = handler
        self._set = False

    def __enter__(self) -> _OtherHandler:
        self._set = getsignal(SIGINT) is default_int_handler and _handle(self._handler)
        return self

    def __exit__(self, *_: object) -> None:
        if self._set:
            _handle(default_int_handler)


class InterruptHeld(_OtherHandler):
    """Inside, Ctrl-C waits for a safe place, at the latest the end. Pressed twice, it does not."""

    def __init__(self) -> None:
        super().__init__(self._press)
        self._pressed = False

    def __enter__(self) -> InterruptHeld:
        super().__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.release()

    def release(self) -> None:
        """A safe place.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        if self._pressed:
            raise KeyboardInterrupt

    def _press(self, _number: int, _frame: object) -> None:
        self.release()
        self._pressed = True


def exit_on_interrupt() -> _OtherHandler:
    """Inside, Ctrl-C ends the process on the spot.

    For where nothing is under way yet and an exception would be garbled, as while modules are
    imported: what is raised there gets lost between C++ and Python.
    """
    return _OtherHandler(lambda _number, _frame: os._exit(CODE))


def children_ignore_interrupts() -> _OtherHandler:
    """Processes that are started inside do not hear Ctrl-C, from their first instruction on.

    A terminal sends it to all, but only the one that started them knows what is to be done. This
    process does not hear it either meanwhile, which should be short.
    """
    return _OtherHandler(SIG_IGN)  # which children inherit


def ignore_interrupts() -> None:
    """From now on Ctrl-C does nothing: the command is over, and Python clears up."""
    _handle(SIG_IGN)


def _handle(handler: object) -> bool:
    """Answer Ctrl-C with this; False where that cannot be said, in other threads than the first."""
    try:
        signal(SIGINT, handler)
    except ValueError:
        return False
    return True
