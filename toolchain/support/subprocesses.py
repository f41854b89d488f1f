"""A fresh Python process of our own, which can fail without harm to the one that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import toolchain
from toolchain.support.errors import ToolchainError


def run(
    code: str, *arguments: str, given: bytes | None = None, seconds: float | None = None
) -> str:
    """What `code` printed, run by this Python with this package in reach, which may be a bundle.

    `given` is its standard input; it has `seconds` to end.

    Raises:
        ToolchainError: it could not be started, did not end in time, crashed, or failed.
    """
    home = str(Path(toolchain.__file__).parent.parent)
    path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            [sys.executable or "python3", "-P", "-c", code, *arguments],
            input=given,
            stdin=None if given is not None else subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for the one that started it
        )
    except subprocess.TimeoutExpired as error:
        raise ToolchainError(f"A fresh process did not end within {seconds:g} s.") from error
    except OSError as error:
        raise ToolchainError(f"No fresh process can be started here: {error}.") from error
    if done.returncode:
        raise ToolchainError(f"A fresh process {_end(done.returncode)}: {_last(done.stderr)}")
    return done.stdout.decode("utf-8", "replace")


def _end(code: int) -> str:
    if code > 0:
        return f"ended with code {code}"
    try:
        return f"crashed with {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _last(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "no word"
