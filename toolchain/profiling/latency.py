"""How long a file takes for an image here, in this process."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from toolchain.benchmark import timing
from toolchain.profiling.untrained import noise
from toolchain.runtime import Classifier

Latency = Callable[[bytes, str], float]
"""From the bytes of a file and its format to the seconds that one image takes."""

WARM_UP = 0.05  # seconds that do not count
SECONDS = 0.3


def latency(data: bytes, file_format: str) -> float:
    """The median of single images in the file `data`, in seconds: one thread, from raw pixels to
    checked probabilities, as `toolchain bench` takes it, but in this process and for a third of a
    second.

    Raises:
        ToolchainError: no runtime is installed, or it does not take the file, or its answers are no
            probabilities.
    """
    classifier = Classifier.of_bytes(data, file_format)
    image = noise(classifier.info.input, 1)
    timing.durations(lambda: classifier.scores(image), WARM_UP)
    return median(timing.durations(lambda: classifier.scores(image), SECONDS)) / 1e9
