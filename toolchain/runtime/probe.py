"""A file of unknown origin is tried in a process of its own before this one loads it.

The runtimes have no verifier: some damaged files crash them, some make them ask for all memory,
and some answer with values that are no probabilities. The process that tries them has limits.
"""

from __future__ import annotations

import sys

from toolchain import child
from toolchain.errors import ToolchainError

SECONDS = 30.0  # for a small model it takes 0.2 s, on a slow board some seconds
MEMORY = 2**29  # bytes it may allocate, and so many times the file's size on top
TIMES = 16
FINE = "fine"
CODE = "from toolchain.runtime.probe import main; main()"


def probe(data: bytes, suffix: str, engine: str) -> None:
    """Load `data`, a file of the format `suffix`, and answer two images with it elsewhere.

    Raises:
        ToolchainError: it crashed the runtime, took too long or too much memory, was refused, or
            did not answer with probabilities; or no process can be started to try it.
    """
    try:
        said = child.run(CODE, suffix, engine, given=data, seconds=SECONDS)
    except ToolchainError as error:
        raise ToolchainError(
            "No manifest and no seal vouches for this file, so it was tried in a process of its "
            f"own first, and failed: {error} Expected a file exported with this toolchain; fetch a "
            "fresh copy, with the manifest.json beside it."
        ) from error
    if said != FINE:
        raise ToolchainError(said)


def main() -> None:
    """The process that tries: takes the file on standard input, prints `fine` or the reason."""
    data = sys.stdin.buffer.read()
    _limit(MEMORY + TIMES * len(data))
    try:
        _try(data, *sys.argv[1:])
    except ToolchainError as error:
        print(error, end="")
    else:
        print(FINE, end="")


def _try(data: bytes, suffix: str, engine: str) -> None:
    import numpy as np

    from toolchain.runtime.classifier import Classifier

    classifier = Classifier.of_bytes(data, suffix, 1, engine)
    classifier.scores(np.zeros((1, *classifier.session.shape), np.uint8))
    classifier.scores(np.full((1, *classifier.session.shape), 255, np.uint8))


def _limit(memory: int) -> None:
    """At most so many bytes of memory that this process writes to itself (setrlimit(2))."""
    try:
        import resource
    except ImportError:  # Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
