"""Ctrl-C ends a command cleanly, also where Python would answer it with a traceback."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

CODE = 130  # what shells give a command that Ctrl-C ended: 128 + SIGINT


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Inside, Ctrl-C ends the process on the spot.

    For where nothing is half done and an exception would be lost or garbled: while modules are
    imported. Libraries catch what is raised there, or lose it between C++ and Python.
    """
    if not _ours():
        yield
        return
    signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(CODE))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def deaf_children() -> Iterator[None]:
    """Processes that are started inside do not hear Ctrl-C, from their first instruction on.

    A terminal sends it to all, but only the one that started them knows what is to be done. This
    process does not hear it either meanwhile, which should be short.
    """
    if not _ours():
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which children inherit
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def no_more() -> None:
    """From now on Ctrl-C does nothing: the command is over, and Python clears up."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _ours() -> bool:
    """Whether Ctrl-C would be raised here, as usual; a shell's background job ignores it."""
    here = threading.current_thread() is threading.main_thread()
    return here and signal.getsignal(signal.SIGINT) is signal.default_int_handler
