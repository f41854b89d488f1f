"""Sessions of one model for all threads that ask it at once.

An interpreter that two threads use at once answers wrongly, so each has it for itself for one
answer. Were there just one, its threads would spend more time handing it over than it computes (16
of them were seen to answer 0.76 times as many small images as one alone); with one for each
processor they answer more. benchmarks/robustness/load.py measures it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from toolchain.formats import Session


class Sessions:
    """`first`, and up to `most` in all; another is opened where a thread would have to wait."""

    def __init__(self, first: Session, open_another: Callable[[], Session], most: int) -> None:
        self._open_another = open_another
        self._unopened = most - 1
        self._lock = threading.Lock()
        self._idle: queue.SimpleQueue[Session] = queue.SimpleQueue()
        self._idle.put(first)

    def give(self, session: Session) -> None:
        """Others may have it from now on."""
        self._idle.put(session)

    def take(self) -> Session:
        """A session that nobody else has until it is given back.

        Raises:
            ToolchainError: another one cannot be opened.
        """
        if self._unopened:
            try:
                return self._idle.get_nowait()
            except queue.Empty:
                with self._lock:
                    opens, self._unopened = self._unopened > 0, max(0, self._unopened - 1)
                if opens:
                    return self._open_another()
        return self._idle.get()
