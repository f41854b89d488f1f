"""What a person who waits is told, on a terminal and in a log."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.helpers import terminal
from toolchain.cli import progress
from toolchain.cli.progress import ProgressBar


def test_a_log_hears_of_long_work_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ProgressBar().shown() as bar:
        bar.at("a window", 0.1, "0:54 left")  # not ten seconds later
        monkeypatch.setattr(progress, "SILENCE", 0)
        bar.at("epoch 2", 0.2, "64 of 1,875 batches, 0:48 left")
    said = capsys.readouterr()
    assert said.err.split("\n")[0] == "epoch 2: 64 of 1,875 batches, 0:48 left"
    assert not said.out


def test_what_is_said_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar().shown() as bar:
        bar.say("[bold]epoch[/] 1 of at most 5: training 50.00%, " + 100 * "x")
    (line, *_) = capsys.readouterr().err.split("\n")
    assert line == "[bold]epoch[/] 1 of at most 5: training 50.00%, " + 100 * "x"


SHOW = """
from toolchain.cli import progress
progress.SILENCE = 0
with progress.ProgressBar().shown() as bar:
    bar.at("epoch 1", 0.5, "32 of 1,875 batches")
    bar._bar.refresh()
"""


def test_a_terminal_has_a_bar_instead(tmp_path: Path) -> None:
    (tmp_path / "show.py").write_text(SHOW)
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = terminal.run([sys.executable, tmp_path / "show.py"], 80, ROOT, env)
    assert "━" in done.stdout
    assert "32 of 1,875 batches" in done.stdout
    assert "epoch 1: 32" not in done.stdout
