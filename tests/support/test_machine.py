"""What is read of machines that are not here, and when a run on one is not valid."""

from __future__ import annotations

import dataclasses
import platform
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.helpers.benchmark_results import QUIET
from toolchain.support import machine
from toolchain.support.errors import UsageError

FREQUENCY = "sys/devices/system/cpu/cpu0/cpufreq"
THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
RASPBERRY_PI_4 = {
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/cpuinfo": (
        "processor\t: 0\nBogoMIPS\t: 108.00\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\n"
        "processor\t: 1\nCPU part\t: 0xd03\n\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n"
    ),
    "proc/meminfo": "MemTotal:        3884360 kB\nMemFree:         3049848 kB\n",
    "proc/self/status": "Name:\tpython3\nVmPeak:\t  20000 kB\nVmHWM:\t   9512 kB\n",
    f"{FREQUENCY}/scaling_governor": "ondemand\n",
    f"{FREQUENCY}/scaling_max_freq": "1800000\n",
    f"{FREQUENCY}/scaling_cur_freq": "600000\n",
    "sys/class/thermal/thermal_zone0/temp": "48686\n",
    THROTTLED: "50005\n",
}
X86 = {
    "proc/cpuinfo": (
        "processor\t: 0\nvendor_id\t: GenuineIntel\n"
        "model name\t: Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz\n"
    ),
    "proc/meminfo": "MemTotal:       16000000 kB\n",
    f"{FREQUENCY}/scaling_governor": "powersave\n",
    "sys/class/thermal/thermal_zone0/temp": "27800\n",
    "sys/class/thermal/thermal_zone1/temp": "61000\n",
    "sys/class/thermal/thermal_zone2/temp": "not ready\n",
    "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "3\n",
    "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count": "2\n",
    "sys/devices/system/cpu/cpu10/thermal_throttle/core_throttle_count": "1\n",
}


def tree(root: Path, contents: dict[str, Any]) -> Path:
    """A system's files below `root`."""
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def test_a_raspberry_pi(tmp_path: Path) -> None:
    root = tree(tmp_path, RASPBERRY_PI_4)
    found = machine.describe(root)
    assert found.board == "Raspberry Pi 4 Model B Rev 1.4"
    assert found.processor == "Cortex-A72"
    assert found.memory == 3_884_360 * 1024
    state = machine.state(root)
    assert (state.governor, state.limit_khz) == ("ondemand", 1_800_000)
    assert (state.temperature, state.firmware) == (48.686, 0x50005)
    assert machine.kilohertz(root) == 600_000
    assert machine.peak_bytes(root) == 9512 * 1024


def test_a_notebook(tmp_path: Path) -> None:
    root = tree(tmp_path, X86)
    found = machine.describe(root)
    assert (found.board, found.processor) == ("", "Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz")
    state = machine.state(root)
    assert (state.governor, state.limit_khz) == ("powersave", None)
    assert (state.temperature, state.throttled) == (61.0, 6)


def test_an_arm_processor_nobody_here_knows_keeps_its_number(tmp_path: Path) -> None:
    assert (
        machine.describe(tree(tmp_path, {"proc/cpuinfo": "CPU part : 0xd4f"})).processor == "0xd4f"
    )


def test_a_system_that_tells_nothing(tmp_path: Path) -> None:
    found = machine.describe(tmp_path)
    assert (found.board, found.processor, found.memory) == ("", platform.processor(), 0)
    state = machine.state(tmp_path)
    assert (state.governor, state.limit_khz) == ("", None)
    assert (state.temperature, state.throttled) == (None, None)
    assert machine.kilohertz(tmp_path) == machine.peak_bytes(tmp_path) == 0


def test_what_python_knows_is_there_on_any_system(tmp_path: Path) -> None:
    found = machine.describe(tmp_path)
    assert found.python == platform.python_version()
    assert platform.machine() in found.system
    assert found.cores >= 1


@given(st.binary(max_size=30) | st.text("-0123456789²x :\n", max_size=8).map(str.encode))
@example(b"")
@example(b"\xff\0")
@example("²".encode())
@example(b"--5")
@example(b"MemTotal:")
@example(b"VmHWM: many kB")
@example(b"9" * 5000)
def test_garbage_is_no_error(garbage: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = tree(Path(folder), dict.fromkeys(RASPBERRY_PI_4 | X86, garbage))
        assert isinstance(machine.describe(root), machine.Machine)
        assert isinstance(machine.state(root), machine.MachineState)
        assert machine.kilohertz(root) is not None
        assert machine.peak_bytes(root) is not None


# what makes a run not valid


def test_nothing_changed() -> None:
    assert machine.changes(QUIET, QUIET, ()) == []
    assert machine.changes(QUIET, QUIET, (0, 0)) == []
    warmer = dataclasses.replace(QUIET, temperature=80.0, load=3.0)
    assert machine.changes(QUIET, warmer, (1_800_000, 0, 1_620_000)) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"governor": "powersave"}, "governor changed from performance to powersave"),
        ({"limit_khz": 1_200_000}, "frequency limit changed: 1800000 to 1200000 kHz"),
        ({"limit_khz": None}, "frequency limit changed: 1800000 to None"),
        ({"throttled": 1 << 30}, "throttled during the run"),
    ],
)
def test_what_changed_is_said(changed: dict[str, Any], words: str) -> None:
    (reason,) = machine.changes(QUIET, dataclasses.replace(QUIET, **changed), ())
    assert words in reason


def test_a_frequency_that_moved_is_said() -> None:
    (reason,) = machine.changes(QUIET, QUIET, (1_800_000, 0, 1_619_999))
    assert "between 1619999 and 1800000 kHz" in reason


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        ("1", "under-voltage"),
        ("50005", "under-voltage, throttled"),
        ("a000a", "frequency capped, soft temperature limit"),
    ],
)
def test_what_a_raspberry_pi_complains_of_now_is_said(
    tmp_path: Path, bits: str, words: str
) -> None:
    state = machine.state(tree(tmp_path, {THROTTLED: bits}))
    (reason,) = machine.changes(state, state, ())
    assert reason == f"the board reports {words}"


def test_what_a_raspberry_pi_complained_of_before_is_past(tmp_path: Path) -> None:
    state = machine.state(tree(tmp_path, {THROTTLED: "50000"}))
    assert machine.changes(state, state, ()) == []


def test_what_throttled_a_notebook_before_is_past(tmp_path: Path) -> None:
    state = machine.state(tree(tmp_path, X86))
    assert machine.changes(state, state, ()) == []


def test_every_reason_is_said() -> None:
    after = dataclasses.replace(QUIET, governor="", limit_khz=None, firmware=0x50005)
    assert len(machine.changes(QUIET, after, (1, 2))) == 5


# threads


@pytest.mark.parametrize(
    ("cores", "expected"),
    [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (4, [1, 2, 4]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])],
)
def test_a_sweep_doubles_up_to_all_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, expected: list[int]
) -> None:
    monkeypatch.setattr(machine, "cores", lambda: cores)
    assert machine.parse_threads("sweep") == expected


@pytest.mark.parametrize(("text", "expected"), [("1", [1]), ("4,1", [4, 1]), (" 1, 2 ", [1, 2])])
def test_numbers_of_threads(text: str, expected: list[int]) -> None:
    assert machine.parse_threads(text) == expected


@pytest.mark.parametrize(
    "text", ["", "0", "1,0", "1,", ",", "-1", "+1", "1.5", "1e2", "²", "٣", "two", "Sweep", "1 2"]
)
def test_nonsense_is_no_number_of_threads(text: str) -> None:
    with pytest.raises(UsageError, match="no numbers of threads"):
        machine.parse_threads(text)


@given(st.text(max_size=20) | st.text("0123456789,", max_size=20))
def test_any_text_is_threads_or_refused(text: str) -> None:
    try:
        found = machine.parse_threads(text)
    except UsageError:
        return
    assert found
    assert min(found) >= 1
