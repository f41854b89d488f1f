"""The time from one image's pixels to its probabilities, file against file in one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter_ns
from typing import TYPE_CHECKING

from toolchain.formats import Session

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ROUNDS, CALLS, WARM_UP = 10, 100, 20


@dataclass(frozen=True)
class Latency:
    """Median seconds for one image and the number of calls it was taken over."""

    median: float
    calls: int


def measure(sessions: Sequence[Session], images: NDArray[np.uint8]) -> list[Latency]:
    """Each session's latency for single images, uint8 `[1, H, W, C]`, in this process.

    The sessions take turns, `CALLS` calls at a time, so that a machine that slows down slows all
    of them alike. What is timed is `Session.run`: Python's share is in it.
    """
    times: list[list[int]] = [[] for _ in sessions]
    for session in sessions:
        _time(session, images, WARM_UP)
    for _ in range(ROUNDS):
        for samples, session in zip(times, sessions, strict=True):
            samples += _time(session, images, CALLS)
    return [Latency(median(samples) / 1e9, len(samples)) for samples in times]


def _time(session: Session, images: NDArray[np.uint8], calls: int) -> list[int]:
    samples = []
    for call in range(calls):
        image = images[call % len(images)][None]
        started = perf_counter_ns()
        session.run(image)
        samples.append(perf_counter_ns() - started)
    return samples
