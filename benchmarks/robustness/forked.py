"""A trial in a forked process: what becomes of it is known even where it crashes or hangs."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from toolchain.support.errors import ToolchainError

SECONDS = 60  # after which a trial hangs: no good one takes so long on a busy machine
MEMORY = 2**31  # bytes a trial may write to, so that the machine survives it


@dataclass(frozen=True)
class End:
    """How a trial ended.

    `how` is `answered`, `refused` (one of our errors), `exception` (any other), `crash`, `hang` or
    `memory`; `said` what it answered or raised, `peak` the most memory it held, in bytes.
    """

    how: str
    said: str
    peak: int


def run(trial: Callable[[], str], seconds: float = SECONDS) -> End:
    """Let a fork of this process do `trial`, which gives its answer as text."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_the_child(trial, writing, seconds)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        how, _, said = pipe.read().decode("utf-8", "replace").partition("\n")
    _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGALRM:
        how, said = "hang", f"longer than {seconds:g} s"
    elif code:
        how, said = "crash", signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return End(how, said, used.ru_maxrss * 1024)


def _be_the_child(trial: Callable[[], str], writing: int, seconds: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, seconds)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(silence, stream)
    try:
        how, said = "answered", trial()
    except ToolchainError as error:
        how, said = "refused", str(error)
    except MemoryError:
        how, said = "memory", f"more than {MEMORY} bytes"
    except BaseException as error:
        how = "exception"
        said = "".join(traceback.format_exception_only(error)).strip()
    with contextlib.suppress(OSError), os.fdopen(writing, "wb") as pipe:
        pipe.write(f"{how}\n{said}".encode("utf-8", "replace"))
    sys.stdout.flush()
    os._exit(0)
