"""The runtimes that answer exported files: which are here, which would fit, how to install one.

Standard library only: a device may have nothing else yet.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import re
import shlex
import struct
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolchain.support.errors import ToolchainError
from toolchain.support.suggestions import unknown

HOME = "~/toolchain/env"  # where the environment goes that an install line makes
SIGNATURES = "cryptography"  # the package that checks them, for who trusts a key
SYSTEM_SIGNATURES = "python3-cryptography"  # Debian's


@dataclass(frozen=True)
class Engine:
    """A runtime, and the Linux machines that its wheels are made for.

    `requirements` is what pip is given, the engine first; `python` the oldest and the newest
    version, `glibc` the oldest.
    """

    name: str
    format: str
    requirements: tuple[str, ...]
    machines: tuple[str, ...]
    python: tuple[tuple[int, int], tuple[int, int]]
    glibc: tuple[int, int]

    @property
    def module(self) -> str:
        """The name that Python imports it by."""
        return self.name.replace("-", "_")


# Of one format, the preferred one first. Read off the wheels that the package index has.
ENGINES = (
    Engine(
        "ai-edge-litert",
        "tflite",
        ("ai-edge-litert>=2.0",),
        ("aarch64", "x86_64"),
        ((3, 11), (3, 14)),
        (2, 27),
    ),
    Engine(
        "tflite-runtime",
        "tflite",
        ("tflite-runtime==2.14.0", "numpy<2"),
        ("aarch64", "armv7l", "x86_64"),
        ((3, 11), (3, 11)),
        (2, 34),
    ),
    Engine(
        "onnxruntime",
        "onnx",
        ("onnxruntime>=1.18",),
        ("aarch64", "x86_64"),
        ((3, 11), (3, 14)),
        (2, 28),
    ),
)


@dataclass(frozen=True)
class Here:
    """What decides which wheels fit and how pip is called.

    `machine` is that of the programs, which may be 32-bit under a 64-bit kernel. `glibc` is None
    where the C library is another. `shared`: this Python belongs to the system, which does not
    let pip in (PEP 668). `executable` is this Python.
    """

    system: str
    machine: str
    python: tuple[int, int]
    glibc: tuple[int, int] | None
    shared: bool
    executable: str


def here() -> Here:
    """The Python that runs this, and its machine."""
    name, _, number = "-".join(platform.libc_ver()).partition("-")
    marker = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    return Here(
        system=platform.system(),
        machine=of_programs(platform.machine(), struct.calcsize("P") * 8),
        python=sys.version_info[:2],
        glibc=_numbers(number) if name == "glibc" else None,
        shared=sys.prefix == sys.base_prefix and marker.exists(),
        executable=sys.executable or "python3",
    )


def of_programs(machine: str, bits: int) -> str:
    """What programs of so many bits call the kernel's `machine`."""
    if bits == 64:
        return machine
    return {"aarch64": "armv7l", "armv8l": "armv7l", "x86_64": "i686"}.get(machine, machine)


def installed(file_format: str) -> tuple[str, ...]:
    """The engines for files of a format that are installed here, the preferred one first.

    Raises:
        ToolchainError: there is none; the message has the line that installs one here.
    """
    found = tuple(
        each.name
        for each in ENGINES
        if each.format == file_format and importlib.util.find_spec(each.module)
    )
    if not found:
        raise ToolchainError(
            f"No runtime for .{file_format} files is installed here. {advice(file_format, here())}"
        )
    return found


def choose(engine: str | None, found: Sequence[str]) -> str:
    """The engine that is asked for, or the preferred one where none is.

    Raises:
        UsageError: it is not installed here, or does not take this format.
    """
    if engine is not None and engine not in found:
        raise unknown("engine", engine, found, "What is installed is")
    return engine or found[0]


def version(name: str) -> str:
    """The version of an installed engine."""
    return importlib.metadata.version(name)


def unfit(engine: Engine, place: Here) -> str:
    """Why an engine's wheels do not fit here; empty where they do."""
    if place.system != "Linux":
        return ""  # what the package index has for other systems is not known here
    oldest, newest = engine.python
    if not oldest <= place.python <= newest:
        return f"it is made for Python {_dotted(oldest)} to {_dotted(newest)}"
    if place.machine not in engine.machines:
        return f"it is not made for {place.machine} machines"
    if place.glibc is None or place.glibc < engine.glibc:
        return f"it needs glibc {_dotted(engine.glibc)} or newer"
    return ""


def best(file_format: str, place: Here) -> Engine | None:
    """The preferred engine of a format whose wheels fit here."""
    fitting = (e for e in ENGINES if e.format == file_format and not unfit(e, place))
    return next(fitting, None)


def advice(file_format: str, place: Here) -> str:
    """A sentence with the line that installs the best engine here, or why none fits."""
    engine = best(file_format, place)
    if engine is not None:
        return f"Install a runtime with: {install_line(engine, place)}"
    reasons = (f"{e.name}: {unfit(e, place)}" for e in ENGINES if e.format == file_format)
    return (
        f"None fits this machine ({'; '.join(reasons)}). Expected Linux with a 64-bit Python 3.11 "
        "to 3.14, or a 32-bit Python 3.11, as Raspberry Pi OS has them."
    )


def requirements(engine: Engine, machine: str, signed: bool = False) -> list[str]:
    """What pip is given to install an engine, and Pillow for picture files, on such a machine; and,
    for `signed` files, what checks signatures."""
    if system_only(machine):
        return [engine.requirements[0]]
    return [*engine.requirements, "pillow", *([SIGNATURES] if signed else [])]


def system_only(machine: str) -> bool:
    """Whether numpy, Pillow and cffi, which cryptography needs, come from the system alone, by
    `from_system`: there are no wheels."""
    return machine == "armv7l"


def from_system(signed: bool = False) -> str:
    """Debian's packages of what an engine needs, and for `signed` files what checks signatures."""
    return "python3-numpy python3-pil python3-venv" + f" {SYSTEM_SIGNATURES}" * signed


def install_line(engine: Engine, place: Here) -> str:
    """What to type to install an engine, and Pillow for picture files, in a shell.

    The system's own Python gets the system's numpy and Pillow: they are half the size of the
    wheels, and for 32-bit machines there are none. Answering needs nothing else of what an engine
    asks for, and pip would bring a newer numpy with it.
    """
    if place.shared or system_only(place.machine):
        return (
            f"sudo apt install {from_system()} && "
            f"python3 -m venv --system-site-packages {HOME} && "
            f"{HOME}/bin/python -m pip install --no-deps {shlex.quote(engine.requirements[0])}"
        )
    packages = map(shlex.quote, requirements(engine, place.machine))
    return f"{shlex.quote(place.executable)} -m pip install {' '.join(packages)}"


def signatures_advice(place: Here) -> str:
    """A sentence with the line that installs what checks signatures."""
    if place.shared or system_only(place.machine):
        line = f"sudo apt install {SYSTEM_SIGNATURES}"
    else:
        line = f"{shlex.quote(place.executable)} -m pip install {SIGNATURES}"
    return f"Install {SIGNATURES} with: {line}"


def too_old(needed: str, engine: str) -> bool:
    """Whether an engine such as `onnxruntime 1.10.0` is older than what a file says it needs, such
    as `onnxruntime 1.12`; False where that cannot be told.

    LiteRT counts its versions anew and has all that TensorFlow 2.16 had, so it is never too old.
    """
    kind, _, least = needed.partition(" ")
    name, _, found = engine.partition(" ")
    if (kind, name) not in {("tflite", "tflite-runtime"), ("onnxruntime", "onnxruntime")}:
        return False
    return bool(least) and _numbers(found) < _numbers(least)


def _numbers(version: str) -> tuple[int, int]:
    """The first two numbers of a version; zeros where there are none."""
    major, minor, *_ = *map(int, re.findall(r"(?:^|\.)(\d{1,9})", version)), 0, 0
    return major, minor


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
