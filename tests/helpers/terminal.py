"""Commands on a terminal of their own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest


def run(
    command: Sequence[object], columns: int, cwd: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """What a command shows on a terminal that is so wide; all of it is standard output."""
    words = list(map(str, command))
    try:
        ours, theirs = os.openpty()
    except OSError as error:
        pytest.skip(f"this system opens no pseudo-terminal: {error}")
    termios.tcsetwinsize(theirs, (24, columns))
    process = subprocess.Popen(
        words,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        env={**env, "TERM": "xterm"},  # a dumb one is taken for 80 columns, however wide it is
    )
    os.close(theirs)
    shown = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal, contextlib.suppress(OSError):
        while piece := terminal.read(65536):  # until nobody has it open any more: EIO on Linux
            shown += piece
    return subprocess.CompletedProcess(words, process.wait(), shown.decode())
