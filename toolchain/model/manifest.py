"""`manifest.json` beside the exported files: size, SHA-256, content and proof of each.

A device checks a file against it before loading, so it is read with the standard library alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toolchain.model.artifact import Calibration, Comparison, ModelInfo
from toolchain.support import files
from toolchain.support.errors import ToolchainError
from toolchain.support.records import as_json, plain, read_versioned

NAME = "manifest.json"
SCHEMA = 3
LIMIT = 2**24  # bytes; a longer manifest is not one of ours


@dataclass(frozen=True)
class Entry:
    """One published file."""

    size: int
    sha256: str
    info: ModelInfo
    proof: Comparison
    calibration: Calibration | None
    """The training images an int8 file's ranges were measured on."""

    def vouches_for(self, data: bytes) -> bool:
        """Whether `data` is the content that was proved."""
        return (len(data), files.sha256(data)) == (self.size, self.sha256)


@dataclass(frozen=True)
class Manifest:
    """All published files of a folder, by file name."""

    files: dict[str, Entry]


def read(folder: Path) -> Manifest | None:
    """The manifest of a folder; None where there is none.

    Raises:
        ToolchainError: it is damaged, or of a newer toolchain.
    """
    path = folder / NAME
    return parse(path, files.read_bytes(path, LIMIT)) if path.exists() else None


def parse(path: Path, data: bytes) -> Manifest:
    """The manifest at `path`, whose content is `data`.

    Raises:
        ToolchainError: as `read`.
    """
    try:
        return read_versioned(Manifest, data, SCHEMA)
    except ValueError as error:
        raise ToolchainError(
            f"{path} is damaged ({error}). Export the model again, "
            "or fetch a fresh copy of the folder."
        ) from error


def write(folder: Path, manifest: Manifest) -> None:
    """Replace the folder's manifest.

    Raises:
        ToolchainError: the folder cannot be written.
    """
    ordered = Manifest(dict(sorted(manifest.files.items())))
    files.replace(folder / NAME, as_json({"schema": SCHEMA} | plain(ordered)).encode())


def enter(path: Path, entry: Entry) -> None:
    """Vouch for the published file `path`, and keep vouching for the others of its folder."""
    known = read(path.parent) or Manifest({})
    write(path.parent, Manifest(known.files | {path.name: entry}))


def forget(path: Path) -> None:
    """No longer vouch for `path`: it is about to be replaced.

    A manifest that cannot be read vouches for nothing and is removed.
    """
    try:
        known = read(path.parent)
    except ToolchainError:
        files.remove(path.parent / NAME)
        return
    if known is not None and path.name in known.files:
        rest = {name: entry for name, entry in known.files.items() if name != path.name}
        write(path.parent, Manifest(rest))


def vouched(folder: Path) -> bool:
    """Whether a manifest in `folder` vouches for any file."""
    known = read(folder)
    return known is not None and bool(known.files)


def verify(path: Path, data: bytes) -> bool:
    """Whether the manifest beside `path` vouches for its content `data`.

    False where there is no manifest or it does not name the file.

    Raises:
        ToolchainError: the manifest names the file and the content is another.
    """
    manifest = read(path.parent)
    entry = manifest.files.get(path.name) if manifest else None
    if entry is None:
        return False
    if not entry.vouches_for(data):
        raise ToolchainError(
            f"{path} is not the file that was proved: its manifest expects {entry.size} bytes with "
            f"SHA-256 {entry.sha256}, found {len(data)} bytes with {files.sha256(data)}. "
            "Export the model again, or fetch a fresh copy of the folder."
        )
    return True
