"""Where the files of a data set may be.

Each kind of source has `read(files)`, which gives the uncompressed content of all the files or
raises: `NotThereError` when the source lacks them, any other `ToolchainError` when it has a wrong
one or cannot be used. Whatever the source, a file's SHA-256 decides. `str(source)` names it.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from toolchain.datasets._download import TIMEOUT, download
from toolchain.support.errors import ToolchainError
from toolchain.support.files import read_bytes, sha256
from toolchain.support.progress import SILENT, Progress


class NotThereError(ToolchainError):
    """A source does not have the files."""


def gunzipped(data: bytes, most: int) -> bytes:
    """The content of `data`, plain or gzipped; of what is gzipped at most so many bytes, since a
    small file could fill the memory.

    Raises:
        ValueError: it is damaged.
    """
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        with gzip.open(io.BytesIO(data)) as stream:
            return stream.read(most)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(str(error)) from error


@dataclass(frozen=True)
class File:
    """One file: its `name`, and `size` in bytes and `sha256` of its uncompressed content."""

    name: str
    size: int
    sha256: str

    @property
    def most_bytes(self) -> int:
        """No original is larger, gzipped or not: gzip adds far less than 1 % at worst."""
        return self.size + self.size // 100 + 1024

    def check(self, data: bytes, found_as: str) -> bytes:
        """The uncompressed content of `data`, plain or gzipped, which was `found_as` that name.

        Raises:
            ToolchainError: it is not the content of this file.
        """
        content, damage = data, ""
        try:
            content = gunzipped(data, self.size + 1)  # one byte too many is enough to refuse it
        except ValueError as error:
            damage = f" ({error})"
        actual = sha256(content)
        if actual != self.sha256:
            raise ToolchainError(
                f"{found_as} is damaged or another file{damage}: {len(content)} bytes with SHA-256 "
                f"{actual}, expected {self.size} bytes with SHA-256 {self.sha256}."
            )
        return content


@dataclass(frozen=True)
class Folder:
    """A folder on this machine with the files, plain or gzipped."""

    title: str
    path: Path

    def __str__(self) -> str:
        return f"{self.title} {self.path}"

    def read(self, files: tuple[File, ...], progress: Progress = SILENT) -> tuple[bytes, ...]:
        """The files' uncompressed content; see the module."""
        paths = [self._path(file) for file in files]
        return tuple(
            file.check(read_bytes(path, file.most_bytes), path.name)
            for file, path in zip(files, paths, strict=True)
        )

    def _path(self, file: File) -> Path:
        # the cache is written plain, so a plain file is the newer one
        for path in (self.path / file.name, self.path / f"{file.name}.gz"):
            if os.path.isfile(path):
                return path
        raise NotThereError(f"no {file.name}(.gz)" if self.path.is_dir() else "no such folder")


@dataclass(frozen=True)
class Address:
    """A web address, ending in a slash, below which the files lie gzipped."""

    url: str

    def __str__(self) -> str:
        return self.url

    def read(self, files: tuple[File, ...], progress: Progress = SILENT) -> tuple[bytes, ...]:
        """The files' uncompressed content; see the module."""
        return tuple(
            file.check(download(f"{self.url}{name}", file.most_bytes, progress), name)
            for file, name in ((file, f"{file.name}.gz") for file in files)
        )


@dataclass(frozen=True)
class DebianPackage:
    """A package of Debian and its descendants that would install the files in `folder`."""

    package: str
    folder: Path

    def __str__(self) -> str:
        return f"Debian's package {self.package} (apt-get download)"

    def read(self, files: tuple[File, ...], progress: Progress = SILENT) -> tuple[bytes, ...]:
        """The files' uncompressed content; see the module. Installs nothing, needs no root."""
        if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
            raise NotThereError("no apt on this machine")
        try:
            with tempfile.TemporaryDirectory(prefix="toolchain-") as name:
                self._download(Path(name))
                for package in Path(name).glob("*.deb"):
                    _run(Path(name), "dpkg-deb", "-x", package.name, "unpacked")
                unpacked = Path(name, "unpacked", self.folder.relative_to(self.folder.anchor))
                return Folder("unpacked", unpacked).read(files)
        except OSError as error:
            raise ToolchainError(f"cannot unpack it: {error}") from error

    def _download(self, folder: Path) -> None:
        """The package into `folder`, by the machine's own apt, which checks its signature.

        Raises:
            ToolchainError: apt cannot download it.
        """
        apt = (
            "apt-get",
            f"-oAcquire::http::Timeout={TIMEOUT}",
            f"-oAcquire::https::Timeout={TIMEOUT}",
            "-oAcquire::Retries=0",
            "-oAPT::Sandbox::User=root",  # apt's own user cannot enter our temporary folder
        )
        try:
            _run(folder, *apt, "download", self.package)
        except ToolchainError:
            if os.geteuid() != 0:
                raise
            _run(folder, *apt, "update")  # a fresh container comes without package lists
            _run(folder, *apt, "download", self.package)


def _run(folder: Path, *command: str) -> None:
    """Run `command` in `folder`; what it prints goes to standard error.

    Raises:
        ToolchainError: it fails.
        OSError: it cannot be started.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=2,  # standard output belongs to the result of our own command
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise ToolchainError(f"{command[0]}: {reason}")
