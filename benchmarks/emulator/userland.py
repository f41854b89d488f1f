"""A Raspberry Pi's Debian, Python and inference engine, built in seconds and run under QEMU.

    environment = build(USERLANDS["bookworm-arm64"], ENGINES["bookworm-arm64"][0], Path("cache"))
    print(environment.run(BOARDS["Pi 4"], ["-c", "import ai_edge_litert"]).stdout)

The guest sees its own files where it has them and this machine's everywhere else, so whatever would
mislead it has a file of its own here. Time and memory are this machine's, never a Pi's.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.emulator import debian
from benchmarks.emulator.debian import PiError
from toolchain.model import engines
from toolchain.support.files import sha256

CORES = 4  # of every board below
EMULATOR_RELEASE = "bookworm"  # one emulator everywhere, or instruction counts would differ


@dataclass(frozen=True)
class Userland:
    """A release of Debian for an architecture, with the version of its Python.

    `packages` are Debian's Python packages for which no wheel exists, `numpy` where its numpy lies.
    """

    name: str
    release: str
    architecture: str
    python: str
    packages: tuple[str, ...] = ()
    numpy: tuple[str, ...] = ()


@dataclass(frozen=True)
class Board:
    """A Raspberry Pi: QEMU's name for its processor, and what Linux says of it on the board.

    `part` is Arm's number of the core, `features` what an application finds out about it.
    """

    name: str
    model: str
    cpu: str
    part: str
    architecture: str
    features: str

    @property
    def folder(self) -> str:
        return self.name.replace(" ", "-").lower()


@dataclass(frozen=True)
class Engine:
    """An inference engine, by its package, and all that pip is given to install it.

    `says` is what it must print on standard error, or it dropped its fast kernels without a word.
    """

    name: str
    requirements: tuple[str, ...]
    says: str = ""

    @property
    def format(self) -> str:
        """That of the model files which it answers."""
        return next(each.format for each in engines.ENGINES if each.name == self.name)


USERLANDS = {
    each.name: each
    for each in (
        Userland("bookworm-arm64", "bookworm", "arm64", "3.11"),
        Userland("trixie-arm64", "trixie", "arm64", "3.13"),
        Userland(
            "bookworm-armhf",
            "bookworm",
            "armhf",
            "3.11",
            ("python3-numpy", "python3-pil"),
            (
                "usr/lib/python3/dist-packages/numpy",
                "usr/lib/arm-linux-gnueabihf/blas",
                "usr/lib/arm-linux-gnueabihf/lapack",
            ),
        ),
    )
}

_ARMV8 = "fp asimd evtstrm crc32 cpuid"
_ARMV8_2 = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
    "asimddp"
)
_ARMV7 = "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm"

# QEMU's 32-bit emulator has no processor younger than the Pi 2's.
BOARDS = {
    each.name: each
    for each in (
        Board("Pi 2", "Raspberry Pi 2 Model B Rev 1.1", "cortex-a7", "0xc07", "armhf", _ARMV7),
        Board("Pi 3", "Raspberry Pi 3 Model B Rev 1.2", "cortex-a53", "0xd03", "arm64", _ARMV8),
        Board("Pi 4", "Raspberry Pi 4 Model B Rev 1.4", "cortex-a72", "0xd08", "arm64", _ARMV8),
        Board("Pi 5", "Raspberry Pi 5 Model B Rev 1.0", "cortex-a76", "0xd0b", "arm64", _ARMV8_2),
    )
}

_XNNPACK = "Created TensorFlow Lite XNNPACK delegate for CPU."

# By userland: the engines that have wheels for it, the preferred one first.
ENGINES = {
    "bookworm-arm64": (
        Engine("ai-edge-litert", ("ai-edge-litert==2.3.0", "numpy==2.4.6"), _XNNPACK),
        Engine("tflite-runtime", ("tflite-runtime==2.14.0", "numpy==1.26.4"), _XNNPACK),
        Engine("onnxruntime", ("onnxruntime==1.32.0", "numpy==2.4.6")),
    ),
    "trixie-arm64": (
        Engine("ai-edge-litert", ("ai-edge-litert==2.3.0", "numpy==2.5.5"), _XNNPACK),
        Engine("onnxruntime", ("onnxruntime==1.32.0", "numpy==2.5.5")),
    ),
    # this wheel was built without XNNPACK
    "bookworm-armhf": (Engine("tflite-runtime", ("tflite-runtime==2.14.0",)),),
}

# What the toolchain needs beside an engine, as a person's `pip install .` brings it.
BESIDE = Engine("beside", ("rich==15.0.0", "typer==0.29.2"))
PILLOW = "pillow==13.0.0"


@dataclass(frozen=True)
class Environment:
    """A userland with an engine, ready to run; `home` and `emulator` are folders."""

    userland: Userland
    engine: Engine
    home: Path
    emulator: Path

    def command(
        self, board: Board, arguments: Sequence[str], plugin: str | None = None
    ) -> tuple[list[str], dict[str, str]]:
        """How to call the guest's Python with `arguments`, and the only environment it gets.

        `plugin` is QEMU's option of that name. Processes that the guest starts with its
        `sys.executable` are emulated too, without the plugin.

        Raises:
            PiError: the board is made for another architecture.
        """
        if board.architecture != self.userland.architecture:
            fitting = ", ".join(each.name for each in boards(self.userland))
            raise PiError(
                f"{self.userland.name} cannot run on {board.name}'s {board.cpu} here. "
                f"Expected one of: {fitting}."
            )
        options = [] if plugin is None else ["-seed", "1", "-plugin", plugin]
        variables = {
            "HOME": "/nonexistent",
            "LANG": "C.UTF-8",
            "PATH": "/usr/bin:/bin",
            "PYTHONHASHSEED": "0",  # the same instructions every time
            "PYTHONNOUSERSITE": "1",
            "PYTHONPATH": f"{self.home / self.engine.name}:{self.home / BESIDE.name}",
        }
        if plugin is None:
            variables["PYTHONPYCACHEPREFIX"] = str(self.home / "bytecode")
        else:  # bytecode of an earlier run would change the course of this one
            variables |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "/nonexistent"}
        start = _python(self.emulator, self.home, self.userland, board, options)
        return [*start, *arguments], variables

    def run(
        self,
        board: Board,
        arguments: Sequence[str],
        input: str | None = None,  # noqa: A002  # subprocess calls it so
        timeout: float = 300,
        plugin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run the guest's Python to its end, whatever that is; see `command`.

        Raises:
            PiError: it took longer than `timeout` seconds.
        """
        command, variables = self.command(board, arguments, plugin)
        try:
            return subprocess.run(
                command,
                env=variables,
                input=input or "",
                capture_output=True,
                text=True,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired as error:
            raise PiError(
                f"{self.userland.name} on {board.name} did not end within {timeout:g} s. "
                "Give it less to do, or more time."
            ) from error

    def disk_bytes(self) -> int:
        """The bytes of all files of the engine and what it needs, numpy included, Python not."""
        numpy = [self.home / "root" / path for path in self.userland.numpy]
        return sum(
            file.stat().st_size
            for place in (self.home / self.engine.name, *numpy)
            for file in place.rglob("*")
            if file.is_file() and not file.is_symlink()
        )


def boards(userland: Userland) -> tuple[Board, ...]:
    """The boards that a userland runs on here."""
    return tuple(each for each in BOARDS.values() if each.architecture == userland.architecture)


def places(folder: Path, file_format: str) -> Iterator[tuple[Environment, Board]]:
    """Every environment under `folder` that answers files of a format, on every board; see `build`.

    Raises:
        PiError: as `build`.
    """
    for name, userland in USERLANDS.items():
        for engine in ENGINES[name]:
            if engine.format == file_format:
                environment = build(userland, engine, folder)
                yield from ((environment, board) for board in boards(userland))


def build(userland: Userland, engine: Engine, folder: Path) -> Environment:
    """The environment under `folder`: downloaded where it is not there yet, in seconds.

    Several may build at once. A part made by another recipe or code, or since moved, is made anew.

    Raises:
        PiError: a program is missing, or a download failed; what was complete stays.
    """
    folder = folder.resolve()
    home, emulator = folder / userland.name, folder / "qemu"
    home.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        _make(emulator, EMULATOR_RELEASE, _unpack_emulator)
        _make(home / "root", repr(userland), partial(_unpack_root, userland))
        _make(
            home / "boards",
            repr((home, userland, boards(userland))),
            partial(_lay_out_boards, userland, home, emulator),
        )
        pillow = () if userland.packages else (PILLOW,)
        beside = replace(BESIDE, requirements=(*BESIDE.requirements, *pillow))
        for each in (beside, engine):
            _make(home / each.name, repr(each), partial(_install, userland, each))
    return Environment(userland, engine, home, emulator)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else builds in `folder` meanwhile; what a killed build left there is removed."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in [*folder.glob(".new.*/"), *folder.glob("*/.new.*/")]:
            shutil.rmtree(leftover)
        yield


def _make(place: Path, recipe: str, fill: Callable[[Path], None]) -> None:
    """Let `fill` make the folder `place`, unless this recipe and code made it before."""
    recipe += "".join(sha256(Path(code).read_bytes()) for code in (__file__, debian.__file__))
    stamp = place / ".recipe"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == recipe:
        return
    new = Path(tempfile.mkdtemp(prefix=".new.", dir=place.parent))
    try:
        new.chmod(0o755)
        fill(new)
        (new / stamp.name).write_text(recipe, encoding="utf-8")
        if place.exists():
            shutil.rmtree(place)
        new.rename(place)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _unpack_emulator(place: Path) -> None:
    debian.unpack(EMULATOR_RELEASE, debian.own_architecture(), ["qemu-user"], place)
    for program in place.glob("usr/bin/*"):
        if program.name not in ("qemu-aarch64", "qemu-arm"):
            program.unlink()
    for waste in ("usr/share", "usr/libexec"):
        shutil.rmtree(place / waste, ignore_errors=True)


def _unpack_root(userland: Userland, root: Path) -> None:
    # libc-bin has the locale that the guest would take from this machine
    packages = [f"python{userland.python}", "libc-bin", "libstdc++6", *userland.packages]
    debian.unpack(userland.release, userland.architecture, packages, root)
    if not (root / "lib").exists():  # base-files would have made it
        (root / "lib").symlink_to("usr/lib")
    for name in ("blas", "lapack"):  # update-alternatives would have linked them
        for library in root.glob(f"usr/lib/*/{name}/lib{name}.so.3"):
            (library.parent.parent / library.name).symlink_to(f"{name}/{library.name}")
    for file in ("ld.so.cache", "ld.so.preload"):  # this machine's would be taken
        (root / "etc" / file).touch()


def _lay_out_boards(userland: Userland, home: Path, emulator: Path, place: Path) -> None:
    """For each board a root that shares all but what Linux says of the board.

    Each has a program `python3`, which the guest takes for its `sys.executable`.
    """
    for board in boards(userland):
        root = place / board.folder
        for file, content in _kernel_files(board).items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_text(content, encoding="ascii")
        for entry in (home / "root").iterdir():
            if entry.name not in (".recipe", "proc", "sys"):
                (root / entry.name).symlink_to(f"../../root/{entry.name}")
        start = shlex.join(_python(emulator, home, userland, board, []))
        (root / "python3").write_text(f'#!/bin/sh\nexec {start} "$@"\n', encoding="utf-8")
        (root / "python3").chmod(0o755)


def _kernel_files(board: Board) -> dict[str, str]:
    """What the engines read to choose their kernels; this machine's own makes them crash."""
    core = (
        "processor\t: {}\n"
        "BogoMIPS\t: 108.00\n"
        f"Features\t: {board.features}\n"
        "CPU implementer\t: 0x41\n"
        f"CPU architecture: {8 if board.architecture == 'arm64' else 7}\n"
        "CPU variant\t: 0x0\n"
        f"CPU part\t: {board.part}\n"
        "CPU revision\t: 3\n\n"
    )
    everything = "".join(core.format(number) for number in range(CORES))
    model = f"{board.model} (emulated)"  # or a benchmark would pass for one of a Pi
    files = {
        "proc/cpuinfo": f"{everything}Model\t\t: {model}\n",
        "proc/device-tree/model": f"{model}\0",
    }
    for which in ("online", "possible", "present"):
        files[f"sys/devices/system/cpu/{which}"] = f"0-{CORES - 1}\n"
    return files


def _python(
    emulator: Path, home: Path, userland: Userland, board: Board, options: Sequence[str]
) -> list[str]:
    """The command that starts the guest's Python, with further `options` for QEMU.

    QEMU runs with the loader and libraries it was made for, whatever this machine has, and so
    without a variable that the guest would inherit.
    """
    root = home / "boards" / board.folder
    (loader,) = emulator.glob("lib/*/ld-linux*.so.*")
    libraries = f"{loader.parent}:{emulator / 'usr/lib' / loader.parent.name}"
    program = {"arm64": "qemu-aarch64", "armhf": "qemu-arm"}[userland.architecture]
    return [
        *(str(loader), "--library-path", libraries, str(emulator / "usr/bin" / program)),
        # a full path, because QEMU 7.2 looks up 32-bit guests' stat(2) on this machine only
        *("-cpu", board.cpu, "-L", str(root), "-E", f"PYTHONHOME={root / 'usr'}", *options),
        *("-0", str(root / "python3"), str(root / f"usr/bin/python{userland.python}")),
    ]


def _install(userland: Userland, engine: Engine, place: Path) -> None:
    """The wheels of an engine's requirements, and of what these require.

    The 32-bit engine's numpy is Debian's, so it comes alone. pip, because uv knows no 32-bit Arm.
    """
    if userland.architecture == "armhf":
        tool = [
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "--no-compile",
        ]
        if engine.name != BESIDE.name:
            tool.append("--no-deps")
        tags = ("manylinux_2_34", "manylinux_2_31", "manylinux_2_17", "manylinux2014", "linux")
        platforms = [word for tag in tags for word in ("--platform", f"{tag}_armv7l")]
    else:
        tool = [_uv(), "pip", "install", "--python", sys.executable]
        platforms = ["--python-platform", "aarch64-manylinux_2_34"]
    version = ["--python-version", userland.python]
    target = ["--only-binary", ":all:", "--target", str(place)]
    debian.run([*tool, *platforms, *version, *target, *engine.requirements])


def _uv() -> str:
    beside = os.path.dirname(sys.executable)
    found = shutil.which("uv", path=f"{beside}:{os.environ.get('PATH', '')}")
    if found is None:
        raise PiError(
            "The program uv is not here; it fetches wheels for other machines. Expected it beside "
            f"{sys.executable}: install it with `{sys.executable} -m pip install uv`."
        )
    return found
