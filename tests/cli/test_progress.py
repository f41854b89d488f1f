"""What a person who waits is told, on a terminal and in a log."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.helpers import terminal
from toolchain.cli import progress
from toolchain.cli.progress import TrainingProgress, bench_bar
from toolchain.model.artifact import Layer
from toolchain.training.history import Epoch

EPOCH = Epoch(1, 0.5, 0.1, 0.5, 0.1, 3.0)


def test_a_log_hears_of_each_long_step_of_a_benchmark(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with bench_bar() as show:
        show("answer all images", 0.0, "1:00")
        show("a window", 0.1, "0:54")  # not ten seconds later
        monkeypatch.setattr(progress, "SILENCE", 0)
        show("another window", 0.2, "0:48")
    said = capsys.readouterr()
    assert said.err.split("\n")[:2] == [
        "answer all images (1:00 left)",
        "another window (0:48 left)",
    ]
    assert not said.out


def test_a_log_hears_of_long_epochs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with TrainingProgress().shown() as shown:
        shown.batches(1, 32, 1875)
        monkeypatch.setattr(progress, "SILENCE", 0)
        shown.batches(1, 64, 1875)
        shown.epoch(EPOCH, 5, "test")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "epoch 1: 64 of 1,875 batches"
    assert lines[1].startswith("epoch 1 of at most 5: training 50.00%")


SHOW = """
from toolchain import progress
progress.SILENCE = 0
with progress.TrainingProgress().shown() as shown:
    shown.batches(1, 32, 1875)
"""


def test_a_terminal_has_a_bar_instead(tmp_path: Path) -> None:
    (tmp_path / "show.py").write_text(SHOW)
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = terminal.run([sys.executable, tmp_path / "show.py"], 80, ROOT, env)
    assert "32/1875" in done.stdout
    assert "32 of 1,875" not in done.stdout


def test_the_layers_of_a_model_are_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    model = (
        Layer("Conv2D", (26, 26, 64), 640, 389_376),
        Layer("Dense", (10,), 1_290, 1_280),
    )
    with TrainingProgress().shown() as shown:
        for layers in (model, model, model[1:]):  # two seeds of one model, and another
            shown.layers(layers)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("Conv2D") == 1
    assert said.err.count("Dense") == 2
    for words in ("26 × 26 × 64", "389,376", "1,930", "390,656"):
        assert words in said.err
    assert max(map(len, said.err.splitlines())) <= 80
