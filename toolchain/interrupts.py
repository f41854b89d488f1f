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


class _Meanwhile:
    """Inside, another answer to Ctrl-C than an exception; where it is not answered with one, as in
    a shell's background job, or where this is not the main thread, nothing changes."""

    def __init__(self, handler: object) -> None:
        self._handler = handler
        self._set = False

    def __enter__(self) -> None:
        self._set = getsignal(SIGINT) is default_int_handler and _handle(self._handler)

    def __exit__(self, *_: object) -> None:
        if self._set:
            _handle(default_int_handler)


def at_once() -> _Meanwhile:
    """Inside, Ctrl-C ends the process on the spot.

    For where nothing is half done and an exception would be lost or garbled: while modules are
    imported. Libraries catch what is raised there, or lose it between C++ and Python.
    """
    return _Meanwhile(lambda _number, _frame: os._exit(CODE))


def deaf_children() -> _Meanwhile:
    """Processes that are started inside do not hear Ctrl-C, from their first instruction on.

    A terminal sends it to all, but only the one that started them knows what is to be done. This
    process does not hear it either meanwhile, which should be short.
    """
    return _Meanwhile(SIG_IGN)  # which children inherit


def no_more() -> None:
    """From now on Ctrl-C does nothing: the command is over, and Python clears up."""
    _handle(SIG_IGN)


def _handle(handler: object) -> bool:
    """Answer Ctrl-C with this; False where that cannot be said, in other threads than the first."""
    try:
        signal(SIGINT, handler)
    except ValueError:
        return False
    return True
