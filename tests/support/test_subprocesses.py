"""A fresh process may fail in every way; the one that started it goes on."""

from __future__ import annotations

import pytest

from toolchain.support import subprocesses
from toolchain.support.errors import ToolchainError


def test_it_says_what_was_printed() -> None:
    code = "import sys, toolchain; print(sys.argv[1:], sys.stdin.read(), toolchain.__name__)"
    assert subprocesses.run(code, "a", "é", given=b"given") == "['a', 'é'] given toolchain\n"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            "crashed with SIGSEGV: no word",
        ),
        ("import sys; sys.exit('the reason')", "ended with code 1: the reason"),
        ("import time; time.sleep(60)", r"did not end within 0\.5 s"),
    ],
)
def test_what_became_of_it_is_said(code: str, said: str) -> None:
    with pytest.raises(ToolchainError, match=said):
        subprocesses.run(code, seconds=0.5 if "sleep" in code else None)


def test_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(ToolchainError, match="No fresh process can be started"):
        subprocesses.run("")
