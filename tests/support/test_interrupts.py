"""Ctrl-C: what each way of meeting it does, and a small part of the campaign of
benchmarks/robustness/interrupts.py."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.robustness import interrupts as campaign
from tests import ROOT
from toolchain.support.interrupts import (
    InterruptHeld,
    children_ignore_interrupts,
    exit_on_interrupt,
)


@pytest.fixture(autouse=True)
def as_in_a_terminal() -> Iterator[None]:
    """In a shell's background job, as CI may be one, Ctrl-C is ignored, here and in children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press() -> None:
    """What a terminal does on Ctrl-C."""
    os.kill(os.getpid(), signal.SIGINT)


def steps_before(released: bool, presses: int) -> list[str]:
    """What is reached inside `InterruptHeld` before Ctrl-C takes effect."""
    reached = []

    def work() -> None:
        with InterruptHeld() as held:
            for number in range(presses):
                press()
                reached.append(f"pressed {number + 1}")
            if released:
                held.release()
            reached.append("end")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return reached


def test_held_waits_for_a_safe_place_at_the_latest_the_end() -> None:
    assert steps_before(released=True, presses=1) == ["pressed 1"]
    assert steps_before(released=False, presses=1) == ["pressed 1", "end"]


def test_pressed_twice_it_does_not_wait() -> None:
    assert steps_before(released=False, presses=2) == ["pressed 1"]


def test_who_answers_ctrl_c_otherwise_goes_on_doing_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with InterruptHeld() as held, exit_on_interrupt(), children_ignore_interrupts():
            press()
            held.release()
    finally:
        signal.signal(signal.SIGINT, before)


def run(code: str) -> int:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert not done.stderr
    return done.returncode


def test_exit_on_interrupt_ends_the_process() -> None:
    begin = "import os, signal; from toolchain.support.interrupts import exit_on_interrupt\n"
    pressed = "os.kill(os.getpid(), signal.SIGINT)\n"
    assert run(f"{begin}with exit_on_interrupt():\n  {pressed}  print('never')") == 130


def test_children_ignore_interrupts_from_the_first_instruction() -> None:
    code = (
        "import os, signal, subprocess, sys\n"
        "from toolchain.support.interrupts import children_ignore_interrupts\n"
        "with children_ignore_interrupts():\n"
        "    p = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=-1)\n"
        "p.send_signal(signal.SIGINT)\n"
        "p.communicate(b'go on')\n"
        "sys.exit(p.returncode)\n"
    )
    assert run(code) == 0


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What those commands of the campaign need that take no model of their own."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "models").mkdir()
    return folder


def pressed_in_time(prepared: Path, command: str) -> list[campaign.Trial]:
    """Trials of which Ctrl-C met at least one before its end."""
    known = campaign.usual(prepared, command)
    seconds = min(known.seconds, campaign.START)
    for halvings in range(6):  # the machine may have been busier then than it is now
        usual = dataclasses.replace(known, seconds=seconds / 2**halvings)
        found = [campaign.trial(prepared, command, number, usual) for number in range(1, 6, 2)]
        if any(each.took is not None for each in found):
            return found
    raise AssertionError(f"{command} ended before Ctrl-C, however early that came")


@pytest.mark.parametrize("command", ["help", "data sample"])
def test_ctrl_c_while_a_command_starts_is_clean(prepared: Path, command: str) -> None:
    found = pressed_in_time(prepared, command)
    assert [each for each in found if each.fault and not each.early] == []
    assert {each.code for each in found if not each.early} <= {0, 130}


TELLING = """
import sys
class Told:
    def find_spec(self, name, *_):
        if name == "tensorflow.python":  # a part of TensorFlow, of which more is to come
            print(name, file=sys.stderr)
sys.meta_path.insert(0, Told())
from toolchain.__main__ import main
main()
"""


def test_ctrl_c_in_the_midst_of_importing_a_library_is_clean(tmp_path: Path) -> None:
    words = ["train", "fashion-cnn", "--dataset", "digits", "--out", str(tmp_path / "m")]
    process = subprocess.Popen(
        [sys.executable, "-c", TELLING, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "Importing TensorFlow.\n"
    assert process.stderr.readline() == "tensorflow.python\n"
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=300)
    assert (process.returncode, said, errors) == (130, "", "")
    assert not (tmp_path / "m").exists()
