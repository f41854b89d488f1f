"""An `.npz` with the arrays `x_train`, `y_train`, `x_test` and `y_test`, and `x_val`, `y_val`."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolchain.support.errors import ToolchainError
from toolchain.support.file_kinds import ZIP
from toolchain.userdata import arrays
from toolchain.userdata.source import Source, SourceKind
from toolchain.userdata.split import Part

PARTS = {
    Part.TRAINING: ("x_train", "y_train"),
    Part.VALIDATION: ("x_val", "y_val"),
    Part.TEST: ("x_test", "y_test"),
}
UNREADABLE = (  # what zipfile and numpy raise on damaged, encrypted and oversized archives
    OSError,
    ValueError,
    RuntimeError,
    EOFError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)
MOST_BYTES = 2**34  # of an array; more is damage, or something for a folder


def read(path: Path) -> Source:
    """The arrays of the `.npz` at `path`: `x_train`, `y_train`, `x_test` and `y_test`, and where
    pictures were set aside to validate on, `x_val` and `y_val`.

    Pictures are uint8 `[N, H, W]` or `[N, H, W, C]`, C of 1, 3 or 4; labels whole numbers or text,
    `[N]` or `[N, 1]`. Classes are named after them, in their order.

    Raises:
        ToolchainError: anything else; the message says what was found, and how to save it right.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {each.filename: each.file_size for each in archive.infolist()}
            if not any(name.endswith(".npy") for name in sizes):
                raise ToolchainError(
                    f"{path} is {ZIP.name} of {len(sizes):,} files and no .npz. Unpack it and "
                    f"name the folder: python3 -m zipfile -e {path} {path.stem}."
                )
            parts = _parts(path, [name.removesuffix(".npy") for name in sizes])
            members = {
                name: _member(archive, path, name, sizes)
                for names in parts.values()
                for name in names
            }
    except UNREADABLE as error:
        raise ToolchainError(
            f"Cannot read {path}: {error}. Expected an .npz that np.savez_compressed wrote."
        ) from error
    given = [
        arrays.part_arrays(part, members[pixels], members[labels], (pixels, labels))
        for part, (pixels, labels) in parts.items()
    ]
    return arrays.source(path, SourceKind.NPZ, given, [path])


def _parts(path: Path, held: list[str]) -> dict[Part, tuple[str, str]]:
    """The parts of an `.npz` that holds arrays of the names `held`, and their arrays' names.

    Raises:
        ToolchainError: one that is needed is missing.
    """
    validates = any(name in held for name in PARTS[Part.VALIDATION])
    parts = {
        part: names for part, names in PARTS.items() if part is not Part.VALIDATION or validates
    }
    wanted = [name for names in parts.values() for name in names]
    missing = [name for name in wanted if name not in held]
    if missing:
        raise ToolchainError(
            f"{path} lacks {', '.join(missing)}; it holds {', '.join(held) or 'nothing'}. Save it "
            f"with np.savez_compressed(path, {', '.join(f'{n}={n}' for n in wanted)})."
        )
    return parts


def _member(
    archive: zipfile.ZipFile, path: Path, name: str, sizes: dict[str, int]
) -> NDArray[np.generic]:
    if sizes[f"{name}.npy"] > MOST_BYTES:
        raise ToolchainError(
            f"{name} in {path} has {sizes[f'{name}.npy']} bytes, more than the {MOST_BYTES} that "
            "are read at once. Hand the pictures over as a folder instead."
        )
    try:
        with archive.open(f"{name}.npy") as file:
            array: NDArray[np.generic] = np.lib.format.read_array(file, allow_pickle=False)
            return array
    except ValueError as error:
        if "bject arrays" not in str(error):
            raise
        raise ToolchainError(
            f"{name} in {path} holds Python objects, which are never loaded. Save pictures as one "
            f"uint8 array, and labels with np.asarray({name}).astype(int), or .astype(str)."
        ) from error
