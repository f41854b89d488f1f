"""`manifest.json` beside the exported files: size, SHA-256, content and proof of each.

A device checks a file against it before loading, so it is read with the standard library alone.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolchain import files
from toolchain.artifact import Calibration, Comparison, ModelInfo, as_json
from toolchain.errors import ToolchainError

NAME = "manifest.json"
SCHEMA = 1
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
    if not path.exists():
        return None
    try:
        record = json.loads(files.read_bytes(path, LIMIT))
        if record["schema"] > SCHEMA:
            raise ToolchainError(f"{path} was made by a newer toolchain. Update the toolchain.")
        return Manifest({name: _entry(entry) for name, entry in record["files"].items()})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ToolchainError(
            f"{path} is damaged ({type(error).__name__}: {error}). Export the model again, "
            "or fetch a fresh copy of the folder."
        ) from error


def _entry(record: dict[str, Any]) -> Entry:
    size, digest, proof = record["size"], record["sha256"], record["proof"]
    calibration = record["calibration"]
    if not isinstance(size, int) or not isinstance(digest, str):
        raise ValueError("an entry's size or hash has the wrong type")
    if calibration is not None:
        calibration = Calibration(**calibration | {"indices": tuple(calibration["indices"])})
    return Entry(
        size=size,
        sha256=digest,
        info=ModelInfo.from_json(json.dumps(record["info"])),
        proof=Comparison(**proof | {"interval": tuple(proof["interval"])}),
        calibration=calibration,
    )


def write(folder: Path, manifest: Manifest) -> None:
    """Replace the folder's manifest.

    Raises:
        ToolchainError: the folder cannot be written.
    """
    record = {
        "schema": SCHEMA,
        "files": {
            name: dataclasses.asdict(entry) | {"info": json.loads(entry.info.to_json())}
            for name, entry in sorted(manifest.files.items())
        },
    }
    files.replace(folder / NAME, as_json(record).encode())


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
    found = files.sha256(data)
    if (len(data), found) != (entry.size, entry.sha256):
        raise ToolchainError(
            f"{path} is not the file that was proved: its manifest expects {entry.size} bytes with "
            f"SHA-256 {entry.sha256}, found {len(data)} bytes with {found}. "
            "Export the model again, or fetch a fresh copy of the folder."
        )
    return True
