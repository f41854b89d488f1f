"""Takes the time of calls."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns


def durations(call: Callable[[], object], seconds: float) -> list[int]:
    """How long each of as many calls as begin within `seconds` took, in nanoseconds; at least one.

    A clock is read before and after each.
    """
    found: list[int] = []
    end = perf_counter_ns() + int(seconds * 1e9)
    now = 0
    while now < end:
        started = perf_counter_ns()
        call()
        now = perf_counter_ns()
        found.append(now - started)
    return found
