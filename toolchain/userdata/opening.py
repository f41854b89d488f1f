"""Finds the pictures at a path: its content tells what it is."""

from __future__ import annotations

import errno
from pathlib import Path

from toolchain.support.errors import ToolchainError
from toolchain.support.file_kinds import SEVEN_ZIP, START, TAR, ZIP, read_picture, recognize
from toolchain.support.suggestions import nearest_path
from toolchain.userdata import folder, idx, npz, table
from toolchain.userdata.source import Source

EXPECTED = (
    "Expected one of: a folder with one subfolder a class, train/ and test/ above them where the "
    "split is yours; an .npz with x_train, y_train, x_test and y_test; a folder with the four IDX "
    "files of MNIST's form; a folder of pictures, and --labels for their table of files and labels."
)


def open_pictures(path: Path, labels: Path | None = None) -> Source:
    """The pictures at `path`; none is decoded yet.

    `path` is a folder with one subfolder a class, `train/` and `test/` above them where given; an
    `.npz` with x_train, y_train, x_test and y_test, and x_val and y_val to validate on; or a folder
    with the four IDX files of MNIST's form. With `labels`, a table that names each picture's file
    and class, it is a folder of pictures at any depth.

    Raises:
        ToolchainError: nothing is there, it is none of the three kinds, or it is a bad one.
    """
    if labels is not None and path.exists():
        return table.read(path, labels)
    try:
        if path.is_dir():
            files = idx.paths(path)
            # one such file beside class folders is a stray one
            is_idx = all(files) or (any(files) and not folder.has_class_folders(path))
            return idx.read(path) if is_idx else folder.scan(path)
        if path.exists() and not path.is_file():
            raise ToolchainError(f"{path} is neither a file nor a folder. {EXPECTED}")
        with path.open("rb") as file:
            start = file.read(START)
    except (OSError, ValueError) as error:
        missing = isinstance(error, OSError) and error.errno == errno.ENOENT
        what = "There is no file or folder" if missing else "Cannot read"
        why = "" if missing else f": {getattr(error, 'strerror', None) or error}"
        near = nearest_path(path) if missing else ""
        raise ToolchainError(f"{what} {path}{why}. {near}{EXPECTED}") from error
    if start.startswith(b"PK\x03\x04"):
        return npz.read(path)
    raise ToolchainError(f"{path} is {_file(start)} {EXPECTED}")


def _file(start: bytes) -> str:
    """What a file is that begins with `start`, and what to do with it."""
    if kind := recognize(start):
        return f"{kind.name}. {kind.remedy}" if kind in (ZIP, TAR, SEVEN_ZIP) else f"{kind.name}."
    if picture := read_picture(start):
        return f"{picture[0]}; `toolchain classify` answers single pictures."
    return f"a file that starts with {start[:4].hex(' ')!r}, which no .npz does."
