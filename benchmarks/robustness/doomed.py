"""`toolchain …`, killed with its process group just before its N-th step.

A step is a change of a file in the current folder, or the start of another program, as Python's
audit events tell of them (docs.python.org, "Audit events table"). With N = 0 nothing is killed and
the number of steps is written to standard error.

    python -m benchmarks.robustness.doomed N ARGUMENT…
"""

from __future__ import annotations

import atexit
import itertools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
STEPS = "steps: "  # before their number


def doom(number: int) -> None:
    """From now on this process dies before its `number`-th step, or counts them if that is 0."""
    steps = itertools.count(1)
    here = os.path.join(os.getcwd(), "")
    if not number:
        atexit.register(lambda: print(f"{STEPS}{next(steps) - 1}", file=sys.stderr))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if _is_step(event, arguments, here) and next(steps) == number:
            os.killpg(0, signal.SIGKILL)

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
    number = int(sys.argv[1])
    sys.argv[:] = ["toolchain", *sys.argv[2:]]
    doom(number)
    run()


if __name__ == "__main__":
    from toolchain.cli import main as toolchain

    main(toolchain)
