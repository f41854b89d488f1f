"""Fresh processes: how long from nothing to the first answer, and how much memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

import toolchain
from toolchain.benchmark.results import ColdStart
from toolchain.errors import ToolchainError

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
    said = _run(
        CHILD,
        str(configuration.path),
        configuration.engine,
        str(configuration.threads),
        str(image),
    )
    child: dict[str, Any] = json.loads(said)
    times = {key: child[key] / 1e9 for key in ("imports", "load", "first")}
    python = (child["begun"] - begun) / 1e9
    return ColdStart(python=python, **times, peak_bytes=child["peak"]), child["installed"]


def bare_peak_bytes() -> int:
    """The resident memory of an interpreter that does nothing; 0 where the system does not tell."""
    if not Path("/proc/self/status").exists():
        return 0
    return int(_run(BARE)) * 1024


def _run(code: str, *arguments: str) -> str:
    # where this package lies, which may be a bundle
    home = str(Path(toolchain.__file__).parent.parent)
    path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C is for the one that measures
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise ToolchainError(f"A fresh process ended with code {done.returncode}: {last}")
    return done.stdout.splitlines()[-1]
