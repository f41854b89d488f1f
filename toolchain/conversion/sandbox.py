"""What a file of unknown origin holds, found out in a process of its own.

The runtimes have no verifier: some damaged files crash them, and some make them ask for all
memory. The process that looks has limits.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from toolchain import conversion, formats
from toolchain.model.artifact import GraphSummary, ModelInfo
from toolchain.support import subprocesses
from toolchain.support.errors import ToolchainError
from toolchain.support.records import as_json, from_json

SECONDS = 30.0  # for a small model it takes 0.2 s, on a slow board some seconds
MEMORY = 2**29  # bytes it may allocate, and so many times the file's size on top
TIMES = 16
CODE = "from toolchain.conversion.sandbox import main; main()"


@dataclass(frozen=True)
class Found:
    """What the file says of itself and what its graph holds; or why that cannot be told."""

    info: ModelInfo | None = None
    graph: GraphSummary | None = None
    refusal: str = ""


def probe(data: bytes, suffix: str) -> tuple[ModelInfo | None, GraphSummary]:
    """What `data`, a file of the format `suffix`, says of itself and what its graph holds.

    Raises:
        ToolchainError: it crashed the runtime, took too long or too much memory, or was refused;
            or no process can be started to look at it.
    """
    try:
        said = subprocesses.run(CODE, suffix, given=data, seconds=SECONDS)
        found = from_json(Found, said)
    except (ToolchainError, ValueError) as error:
        raise ToolchainError(
            "Neither a manifest nor a seal vouches for this file, so it was looked at in a process "
            f"of its own, and that failed: {error} The file is damaged, or made to do harm; fetch "
            "a fresh copy."
        ) from error
    if found.graph is None:
        raise ToolchainError(found.refusal)
    return found.info, found.graph


def main() -> None:
    """The process that looks: takes the file on standard input, prints what it found."""
    data = sys.stdin.buffer.read()
    _limit(MEMORY + TIMES * len(data))
    print(as_json(_look(data, sys.argv[1])))


def _look(data: bytes, suffix: str) -> Found:
    reader = formats.get(suffix)
    try:
        return Found(reader.read_info(data), conversion.get(suffix).summarize(data))
    except ToolchainError as error:
        return Found(refusal=str(error))


def _limit(memory: int) -> None:
    """At most so many bytes of memory that this process writes to itself (setrlimit(2))."""
    try:
        import resource
    except ImportError:  # Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
