"""Fresh processes: how long from nothing to the first answer, and how much memory."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from toolchain.benchmark.results import ColdStart
from toolchain.support import subprocesses

if TYPE_CHECKING:
    from toolchain.benchmark.worker import Configuration

# The clock is read before anything of ours is imported: until then it is Python's own start.
CHILD = (
    "import time; begun = time.monotonic_ns(); "
    "from toolchain.benchmark.fresh import main; main(begun)"
)
BARE = (
    "for line in open('/proc/self/status'):\n if line.startswith('VmHWM:'): print(line.split()[1])"
)


def start(configuration: Configuration, image: Path) -> tuple[ColdStart, int | None]:
    """One fresh process that answers one image, `.npy` uint8 `[1, H, W, C]`; and the installed
    bytes of the packages that it imported, None where their files are not listed.

    Raises:
        ToolchainError: the process failed.
    """
    begun = monotonic_ns()
    said = subprocesses.run(
        CHILD,
        str(configuration.path),
        configuration.engine,
        str(configuration.threads),
        str(image),
    )
    answered: dict[str, Any] = json.loads(said.splitlines()[-1])
    times = {key: answered[key] / 1e9 for key in ("imports", "load", "first")}
    python = (answered["begun"] - begun) / 1e9
    return ColdStart(python=python, **times, peak_bytes=answered["peak"]), answered["installed"]


def bare_peak_bytes() -> int:
    """The resident memory of an interpreter that does nothing; 0 where the system does not tell."""
    if not Path("/proc/self/status").exists():
        return 0
    return int(subprocesses.run(BARE)) * 1024
