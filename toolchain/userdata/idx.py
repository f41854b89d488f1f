"""A folder with the four IDX files of MNIST's form, plain or gzipped."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from toolchain.datasets import _idx
from toolchain.datasets._sources import gunzipped
from toolchain.support.errors import ToolchainError
from toolchain.support.files import read_bytes
from toolchain.userdata import arrays
from toolchain.userdata.source import Source, SourceKind
from toolchain.userdata.split import Part

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
MOST_BYTES = 2**31  # of one file, uncompressed


def paths(folder: Path) -> list[Path | None]:
    """Where the four IDX files lie, plain or gzipped; None for each that is not there."""
    return [
        next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)
        for name in NAMES
    ]


def read(path: Path) -> Source:
    """Four IDX files of MNIST's form in the folder `path`.

    Line k of `labels.txt`, counted from 0, names the class of number k; without that file the
    numbers are the names.

    Raises:
        ToolchainError: a file is missing or damaged, or the files do not belong together.
    """
    found = paths(path)
    missing = [name for name, file in zip(NAMES, found, strict=True) if file is None]
    if missing:
        raise ToolchainError(f"{path} lacks {', '.join(missing)} of the four IDX files of a set.")
    files = [file for file in found if file is not None]
    parsed = [_idx.parse(_plain(file), file.name) for file in files]
    given = [
        arrays.part_arrays(part, parsed[at], parsed[at + 1], (NAMES[at], NAMES[at + 1]))
        for part, at in ((Part.TRAINING, 0), (Part.TEST, 2))
    ]
    source = arrays.source(path, SourceKind.IDX, given, files)
    return _named(source) if (path / "labels.txt").is_file() else source


def _plain(path: Path) -> bytes:
    try:
        return gunzipped(read_bytes(path), MOST_BYTES)
    except ValueError as error:
        raise ToolchainError(f"{path} is damaged: {error}. Fetch the original again.") from error


def _named(source: Source) -> Source:
    file = source.path / "labels.txt"
    names = read_bytes(file).decode("utf-8-sig", "replace").splitlines()
    numbers = [int(label) for label in source.labels]
    if numbers[-1] >= len(names):
        raise ToolchainError(
            f"{file} has {len(names)} lines, but the labels go up to {numbers[-1]}. Expected one "
            "name a line, the first for number 0."
        )
    labels = tuple(names[number].strip() for number in numbers)
    if len(set(labels)) < len(labels) or not all(labels):
        raise ToolchainError(f"{file} names two classes alike, or leaves one without a name.")
    return dataclasses.replace(source, labels=labels)
