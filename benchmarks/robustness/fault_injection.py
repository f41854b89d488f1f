"""`toolchain …`, to which something happens just before its N-th step: it is killed with its
process group, or the folder GONE is removed.

A step is a change of a file in the current folder, or the start of another program, as Python's
audit events tell of them (docs.python.org, "Audit events table"). With N = 0 nothing happens and
the number of steps is written to standard error.

    python -m benchmarks.robustness.fault_injection --step N [--gone GONE] -- ARGUMENT…
"""

from __future__ import annotations

import argparse
import atexit
import itertools
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
STEPS = "steps: "  # before their number


def doom(number: int, strike: Callable[[], None]) -> None:
    """From now on `strike` is called before this process' `number`-th step; 0 counts them."""
    steps = itertools.count(1)
    here = os.path.join(os.getcwd(), "")
    if not number:
        atexit.register(lambda: print(f"{STEPS}{next(steps) - 1}", file=sys.stderr))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if _is_step(event, arguments, here) and next(steps) == number:
            strike()

    sys.addaudithook(hook)


def _is_step(event: str, arguments: tuple[Any, ...], here: str) -> bool:
    if event == "subprocess.Popen":
        return True
    if event == "open":
        path, _, flags = arguments
        if not flags & WRITING:
            return False
    elif event in CHANGES:
        path = arguments[0]
    else:
        return False
    return isinstance(path, str | os.PathLike) and os.path.abspath(path).startswith(here)


def main(run: Callable[[], None]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--step", type=int, required=True)
    parser.add_argument("--gone", type=Path)
    parser.add_argument("arguments", nargs="*")
    given = parser.parse_args()
    if given.gone:
        doom(given.step, lambda: shutil.rmtree(given.gone))
    else:
        doom(given.step, lambda: os.killpg(0, signal.SIGKILL))
    sys.argv[:] = ["toolchain", *given.arguments]
    run()


if __name__ == "__main__":
    from benchmarks.robustness.uninstalled import main as toolchain

    main(toolchain)
