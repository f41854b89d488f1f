"""The five commands that write, each on small real material, with a judge of what it leaves.

A command works in a folder of its own, its `place`: a model in `m/`, the cache in `cache/`. The
device is this machine, behind a real SSH server. What is downloaded comes from a server on the
loopback interface, which stands in as a proxy for every address.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol
from urllib.parse import urlsplit

from benchmarks.robustness.judge import leftovers, missing, model_faults, model_leftovers, visible
from benchmarks.robustness.ssh_network import NAME as BUNDLE
from benchmarks.robustness.ssh_network import Device, Network
from benchmarks.robustness.trials import ROOT, WORK
from toolchain import datasets
from toolchain.model import bundle, manifest
from toolchain.support import files
from toolchain.support.errors import ToolchainError

PROGRAM = "benchmarks.robustness.uninstalled"  # the module that runs the commands
DATA = "fashion-mnist"  # what is fetched
MODEL = "m"
EPOCHS = 2
DAMAGED = 5000  # bytes of a file in the cache that was cut off
HOST = "device"


class Command(Protocol):
    """One command as a trial runs it."""

    @property
    def name(self) -> str: ...

    @property
    def arguments(self) -> tuple[str, ...]:
        """What PROGRAM is given."""

    def target(self, place: Path) -> Path:
        """The folder it writes to."""

    def prepare(self, place: Path, again: bool) -> None:
        """What the command finds: nothing of its own, or what it wrote earlier if `again`."""

    def faults(self, place: Path) -> list[str]:
        """What is wrong with the files that have their final names, at any moment."""

    def missing(self, place: Path) -> list[str]:
        """What is not there although the command has ended well."""


@dataclass(frozen=True)
class Material:
    """Models, bundles and data made once, in `folder`, and copied for each trial."""

    folder: Path

    @classmethod
    def made(cls, folder: Path = WORK / "material") -> Material:
        """The material, which takes a minute unless this state of the toolchain made it already."""
        found, ready, code = cls(folder), folder / "ready", _code()
        if not ready.exists() or ready.read_text() != code:
            shutil.rmtree(folder, ignore_errors=True)
            found._make()
            ready.write_text(code)
        return found

    def _make(self) -> None:
        trained, exported, retrained = (self.models(each) for each in Train.STATES)
        toolchain(*TRAIN, "--out", trained)
        shutil.copytree(trained, exported)
        toolchain(*EXPORT, "--precision", "dynamic", exported)
        shutil.copytree(exported, retrained)
        toolchain(*TRAIN, "--seed", "1", "--out", retrained)
        for state, precision in (("old", "dynamic"), ("new", "int8")):
            model = exported / f"{MODEL}.{precision}.tflite"
            toolchain("bundle", model, "--out", self.bundle(state))
        where = datasets.fetch(DATA).where
        assert where is not None
        self.take(Path(where))

    def take(self, where: Path) -> None:
        """Copy the data set's files, which are plain or compressed there, to `idx` and `served`."""
        self.idx.mkdir()
        self.served.mkdir()
        for original in where.glob("*-ubyte*"):
            data = original.read_bytes()
            data = gzip.decompress(data) if original.suffix == ".gz" else data
            (self.idx / original.stem).write_bytes(data)
            (self.served / f"{original.stem}.gz").write_bytes(gzip.compress(data, 1))

    def models(self, state: str) -> Path:
        """A model's folder: `trained`, `exported`, or `retrained` after that."""
        return self.folder / state / MODEL

    def bundle(self, state: str) -> Path:
        """A bundle: `old` or `new`."""
        return self.folder / state / BUNDLE

    @property
    def idx(self) -> Path:
        """The right files of the data set."""
        return self.folder / "idx"

    @property
    def served(self) -> Path:
        """The same, compressed, as they are downloaded."""
        return self.folder / "served"


TRAIN = ("train", "fashion-cnn", "--dataset", "digits", "--epochs", str(EPOCHS))
EXPORT = ("export", "--format", "tflite", "--precision", "int8")


@dataclass(frozen=True)
class Train:
    material: Material
    name = "train"
    arguments = (*TRAIN, "--out", MODEL)
    STATES = ("trained", "exported", "retrained")

    def target(self, place: Path) -> Path:
        return place / MODEL

    def prepare(self, place: Path, again: bool) -> None:
        if again:
            shutil.copytree(self.material.models("exported"), place / MODEL)

    def faults(self, place: Path) -> list[str]:
        return model_faults(place / MODEL)

    def missing(self, place: Path) -> list[str]:
        names = (f"{MODEL}.keras", "training.json", "training.csv", "training.png")
        return missing(place / MODEL, names) + model_leftovers(place / MODEL)


@dataclass(frozen=True)
class Export:
    """The second time it finds a newly trained model, and beside it two files of the earlier one,
    of which it makes one anew."""

    material: Material
    name = "export"
    arguments = (*EXPORT, MODEL)

    def target(self, place: Path) -> Path:
        return place / MODEL

    def prepare(self, place: Path, again: bool) -> None:
        shutil.copytree(self.material.models("retrained" if again else "trained"), place / MODEL)

    def faults(self, place: Path) -> list[str]:
        return model_faults(place / MODEL)

    def missing(self, place: Path) -> list[str]:
        folder = place / MODEL
        known = manifest.read(folder) or manifest.Manifest({})
        models = [path.name for path in visible(folder) if path.suffix in (".keras", ".tflite")]
        return [
            *missing(folder, (f"{MODEL}.int8.tflite", "card.md")),
            *(f"nobody vouches for {name}" for name in models if name not in known.files),
            *model_leftovers(folder),
        ]


@dataclass(frozen=True)
class Fetch:
    """The second time it finds a damaged file in the cache."""

    material: Material
    name = "data fetch"
    arguments = ("data", "fetch", DATA)

    def target(self, place: Path) -> Path:
        return place / "cache" / "toolchain" / DATA

    def prepare(self, place: Path, again: bool) -> None:
        if again:
            shutil.copytree(self.material.idx, self.target(place))
            with (self.target(place) / "t10k-images-idx3-ubyte").open("r+b") as file:
                file.truncate(DAMAGED)

    def faults(self, place: Path) -> list[str]:
        """A file that was damaged before is no fault of the command."""
        return [
            f"{path.name} is not the original"
            for path in visible(self.target(place))
            if path.stat().st_size != DAMAGED
            and path.read_bytes() != (self.material.idx / path.name).read_bytes()
        ]

    def missing(self, place: Path) -> list[str]:
        cache = self.target(place)
        damaged = [path.name for path in visible(cache) if path.stat().st_size == DAMAGED]
        names = tuple(path.name for path in self.material.idx.iterdir())
        return [
            *(f"{name} is still damaged" for name in damaged),
            *missing(cache, names),
            *leftovers(cache),
        ]


@dataclass(frozen=True)
class Bundle:
    """The second time it replaces another bundle."""

    material: Material
    name = "bundle"
    arguments = ("bundle", MODEL, "--out", BUNDLE)

    def target(self, place: Path) -> Path:
        return place

    def prepare(self, place: Path, again: bool) -> None:
        shutil.copytree(self.material.models("exported"), place / MODEL)
        if again:
            shutil.copy(self.material.bundle("old"), place / BUNDLE)

    def faults(self, place: Path) -> list[str]:
        return bundle_faults(place / BUNDLE, self.material)

    def missing(self, place: Path) -> list[str]:
        return newest(place / BUNDLE, self.material)


@dataclass(frozen=True)
class Deploy:
    """The second time there is another bundle on the device."""

    material: Material
    device: Device
    name = "deploy"
    arguments = ("deploy", BUNDLE, HOST)

    def target(self, place: Path) -> Path:
        return self.device.home

    def prepare(self, place: Path, again: bool) -> None:
        shutil.copy(self.material.bundle("new"), place / BUNDLE)
        shutil.rmtree(self.device.home, ignore_errors=True)
        self.device.home.mkdir()
        if again:
            self.device.folder.mkdir()
            shutil.copy(self.material.bundle("old"), self.device.folder / BUNDLE)

    def faults(self, place: Path) -> list[str]:
        return bundle_faults(self.device.folder / BUNDLE, self.material)

    def missing(self, place: Path) -> list[str]:
        there = self.device.folder
        return newest(there / BUNDLE, self.material) + leftovers(there)


def _code() -> str:
    """The SHA-256 of the toolchain's own code, of which a bundle holds a part."""
    modules = sorted((ROOT / "toolchain").rglob("*.py"))
    return files.sha256(b"".join(path.read_bytes() for path in modules))


@contextlib.contextmanager
def commands(material: Material) -> Iterator[tuple[Command, ...]]:
    """The five of them, while a device can be reached and downloads are answered."""
    with TemporaryDirectory(prefix="network-") as name, serving(material) as address:
        network = Network(Path(name))
        device = network.device(HOST)
        os.environ["PATH"] = f"{network.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        os.environ |= {"http_proxy": address, "no_proxy": ""}
        try:
            yield (
                Fetch(material),
                Bundle(material),
                Deploy(material, device),
                Export(material),
                Train(material),
            )
        finally:
            network.stop()


class _Server(SimpleHTTPRequestHandler):
    """Answers as a proxy: whatever the host, the last part of the path names the file."""

    def translate_path(self, path: str) -> str:
        return str(Path(self.directory, Path(urlsplit(path).path).name))

    def log_message(self, *_: object) -> None: ...


class _Proxy(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client was killed."""


@contextlib.contextmanager
def serving(material: Material) -> Iterator[str]:
    """The address of a proxy that has the data set's files at every address."""
    handler = partial(_Server, directory=str(material.served))
    with _Proxy(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def environment(place: Path) -> dict[str, str]:
    """A command's environment: its cache lies in `place`, and no data set is elsewhere."""
    kept = {name: value for name, value in os.environ.items() if name != "TOOLCHAIN_DATA"}
    return kept | {"XDG_CACHE_HOME": str(place / "cache"), "PYTHONPATH": str(ROOT)}


def toolchain(*arguments: object) -> None:
    """Run a command to its end, in silence.

    Raises:
        RuntimeError: it failed.
    """
    command = [sys.executable, "-m", "toolchain", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr}")


def bundle_faults(path: Path, material: Material) -> list[str]:
    """A bundle is whole, and one of the two there are."""
    if not path.exists():
        return []
    try:
        bundle.read(path)
    except ToolchainError as error:
        return [str(error)]
    known = {material.bundle(state).read_bytes() for state in ("old", "new")}
    return [] if path.read_bytes() in known else [f"{path.name} is another bundle"]


def newest(path: Path, material: Material) -> list[str]:
    """The new bundle took its place, and passes its own self-test."""
    if not path.exists() or path.read_bytes() != material.bundle("new").read_bytes():
        return [f"{path.name} is not the new one"]
    tested = subprocess.run([sys.executable, "-I", str(path), "--self-test"], capture_output=True)
    return [f"{path.name} fails its self-test"] if tested.returncode else []
