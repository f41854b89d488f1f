"""How long files take for an image here, in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

from toolchain.benchmark import timing
from toolchain.profiling.untrained import noise
from toolchain.runtime import Classifier

Latency = Callable[[bytes, str], float]
"""From the bytes of a file and its format to the seconds that one image takes."""

TURNS, TURN, WARM_UP = 3, 0.1, 0.02  # each of so many seconds, after some that do not count


def latency(data: bytes, file_format: str) -> float:
    """The median of single images in the file `data`, in seconds: one thread, from raw pixels to
    checked probabilities, as `toolchain bench` takes it, but in this process and for a third of a
    second.

    Raises:
        ToolchainError: no runtime is installed, or it does not take the file, or its answers are no
            probabilities.
    """
    return latencies([Classifier.of_bytes(data, file_format)])[0]


def latencies(classifiers: Sequence[Classifier]) -> list[float]:
    """The same of several files, which take turns.

    Raises:
        ToolchainError: the answers of one are no probabilities.
    """
    taken: list[list[int]] = [[] for _ in classifiers]
    for _ in range(TURNS):
        for mine, classifier in zip(taken, classifiers, strict=True):
            answer = partial(classifier.scores, noise(classifier.info.input, 1))
            timing.durations(answer, WARM_UP)
            mine += timing.durations(answer, TURN)
    return [median(mine) / 1e9 for mine in taken]
