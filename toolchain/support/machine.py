"""What machine this is and what state it is in, as far as the system tells; Linux tells most.

Standard library only. `root` is where the system's files are looked for, so that tests can show
machines that are not here.
"""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from toolchain.support.errors import UsageError
from toolchain.support.suggestions import nearest

ROOT = Path("/")
# Arm's part numbers (the "CPU part" of /proc/cpuinfo) on the boards people have
ARM_PARTS = {
    "0xb76": "ARM1176",
    "0xc07": "Cortex-A7",
    "0xd03": "Cortex-A53",
    "0xd08": "Cortex-A72",
    "0xd0b": "Cortex-A76",
}
# names of the kernel's (docs.kernel.org, "ARM64 ELF hwcaps"; x86 cpufeatures.h)
FEATURES = {
    "neon": "NEON",
    "asimd": "NEON",
    "asimdhp": "half precision",
    "asimddp": "int8 dot product",
    "i8mm": "int8 matrix product",
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx_vnni": "int8 dot product",
    "avx512_vnni": "int8 dot product",
}
DRIFT = 0.1  # share by which the processor's frequency may change during a run
# bits of the Raspberry Pi firmware's get_throttled that mean "now" (raspberrypi.com, vcgencmd)
PI_NOW = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}


@dataclass(frozen=True)
class Machine:
    """What does not change during a run. `memory` is in bytes; an empty word means unknown."""

    system: str
    board: str
    processor: str
    cores: int
    memory: int
    python: str
    libc: str


@dataclass(frozen=True)
class MachineState:
    """What may change during a run; None or an empty word where the system does not tell.

    `load` is the mean number of running processes over a minute, `limit_khz` the frequency the
    processor may reach, `temperature` in °C, `throttled` counts the processor's throttle events
    since it started, `firmware` holds the bits of the Raspberry Pi's get_throttled.
    """

    load: float | None
    governor: str
    limit_khz: int | None
    temperature: float | None
    throttled: int | None
    firmware: int | None = None


def describe(root: Path = ROOT) -> Machine:
    """The machine at hand."""
    return Machine(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        board=_read(root / "proc/device-tree/model").rstrip("\0"),
        processor=_processor(root) or platform.processor(),
        cores=cores(),
        memory=_kibibytes(root / "proc/meminfo", "MemTotal"),
        python=platform.python_version(),
        libc=" ".join(platform.libc_ver()).strip(),
    )


def features(root: Path = ROOT) -> tuple[str, ...]:
    """What the processor can do that matters to a classifier, in words."""
    text = _read(root / "proc/cpuinfo")
    lines = re.findall(r"^(?:Features|flags)\s*:(.*)$", text, re.MULTILINE)
    has = set(" ".join(lines).split())
    return tuple(dict.fromkeys(word for flag, word in FEATURES.items() if flag in has))


def cores() -> int:
    """The processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parse_threads(text: str) -> list[int]:
    """`1,2,4` as numbers; `sweep` as 1, 2, 4 and so on up to the number of processors.

    Raises:
        UsageError: it is neither.
    """
    if text == "sweep":
        powers = [2**n for n in range(cores().bit_length()) if 2**n < cores()]
        return [*powers, cores()]
    if not re.fullmatch(r"\s*[1-9][0-9]{0,3}\s*(,\s*[1-9][0-9]{0,3}\s*)*", text):
        raise UsageError(
            f"'{text}' are no numbers of threads. {nearest(text, ['sweep'])}"
            "Expected such as 1,2,4; or sweep."
        )
    return [int(part) for part in text.split(",")]


def state(root: Path = ROOT) -> MachineState:
    """How the machine is now."""
    frequency = root / "sys/devices/system/cpu/cpu0/cpufreq"
    return MachineState(
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        governor=_read(frequency / "scaling_governor"),
        limit_khz=_number(frequency / "scaling_max_freq"),
        temperature=_temperature(root),
        throttled=_throttled(root),
        firmware=_number(root / "sys/devices/platform/soc/soc:firmware/get_throttled", 16),
    )


def kilohertz(root: Path = ROOT) -> int:
    """The frequency that the first processor runs at now; 0 where the system does not tell."""
    return _number(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq") or 0


def peak_bytes(root: Path = ROOT) -> int:
    """The most memory this process has held, in bytes."""
    # not getrusage: its figure is inherited from the parent process
    return _kibibytes(root / "proc/self/status", "VmHWM")


def changes(before: MachineState, after: MachineState, frequencies: tuple[int, ...]) -> list[str]:
    """Why what was measured between the two states is not valid; empty where it is.

    `frequencies` were read during the run, in kHz; zeros mean unknown.
    """
    found = []
    if before.governor != after.governor:
        found.append(f"the governor changed from {before.governor} to {after.governor}")
    if before.limit_khz != after.limit_khz:
        found.append(f"the frequency limit changed: {before.limit_khz} to {after.limit_khz} kHz")
    known = [each for each in frequencies if each]
    if known and max(known) - min(known) > DRIFT * max(known):
        found.append(f"the frequency changed: between {min(known)} and {max(known)} kHz")
    if (before.throttled, before.firmware) != (after.throttled, after.firmware):
        found.append("the processor was throttled during the run")
    if now := troubles(after):
        found.append(f"the board reports {', '.join(now)}")
    return found


def troubles(state: MachineState) -> list[str]:
    """What the Raspberry Pi's firmware reports now; empty where it reports nothing."""
    return [word for bit, word in PI_NOW.items() if (state.firmware or 0) >> bit & 1]


def _processor(root: Path) -> str:
    fields: dict[str, str] = {}
    for line in _read(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    part = fields.get("CPU part", "")
    return fields.get("model name") or ARM_PARTS.get(part, part)


def _kibibytes(path: Path, name: str) -> int:
    """The bytes of the line `name: 123 kB`; 0 where there is none."""
    found = re.search(rf"^{name}:\s*([0-9]{{1,15}}) kB$", _read(path), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _temperature(root: Path) -> float | None:
    zones = [_number(path) for path in root.glob("sys/class/thermal/thermal_zone*/temp")]
    known = [zone / 1000 for zone in zones if zone is not None]
    return max(known, default=None)


def _throttled(root: Path) -> int | None:
    pattern = "sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/*_throttle_count"
    counts = [_number(path) for path in root.glob(pattern)]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _number(path: Path, base: int = 10) -> int | None:
    try:
        return int(_read(path), base)
    except ValueError:
        return None
