"""What lies at a path that the user named, before any picture is decoded."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolchain.model.images import AnyImage
from toolchain.support.errors import ToolchainError
from toolchain.userdata.split import Part


class SourceKind(StrEnum):
    """The forms in which pictures are handed over."""

    FOLDER = "folder"
    TABLE = "table"
    NPZ = "npz"
    IDX = "idx"


class Fault(StrEnum):
    """Why something in a folder is not read."""

    LOCKED = "locked"
    LINK = "link"
    MISPLACED = "misplaced"
    UNLABELLED = "unlabelled"
    EMPTY = "empty"
    UNREAD = "unread"
    NO_PICTURE = "no picture"
    HIDDEN = "hidden"

    @property
    def what(self) -> str:
        """What such files and folders are, for people."""
        return _TOLD[self]


_TOLD = {
    Fault.LOCKED: "files and folders that may not be looked into",
    Fault.LINK: "links that lead nowhere or out of the folder: not followed",
    Fault.MISPLACED: "pictures that lie in no class folder: not read",
    Fault.UNLABELLED: "pictures that the table of --labels does not name: not read",
    Fault.EMPTY: "class folders without a picture: no classes",
    Fault.UNREAD: "pictures of a kind that is not read, or without a picture's ending: left out",
    Fault.NO_PICTURE: "files without a picture's ending: not read",
    Fault.HIDDEN: "hidden files and folders, and those of the system: not read",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture, not yet decoded.

    `file` is its path below the folder, with slashes, or its place in an array: `x_train[7]`.
    `label` counts from 0 in the source's labels. `part` is None where a split has yet to say.
    `size` in bytes and `mtime_ns` are those of the file it lies in.
    """

    file: str
    label: int
    part: Part | None
    size: int
    mtime_ns: int


@dataclass(frozen=True, eq=False)
class Source:
    """All pictures at `path`, those for the test last; those that are files by class and file then.

    `frames` are the pictures of each part of an `.npz` or of IDX files, uint8 `[N, H, W, C]`, those
    for the test last; None for a folder. `faults` names what is not read, below the folder.
    """

    path: Path
    kind: SourceKind
    labels: tuple[str, ...]
    pictures: tuple[Picture, ...]
    frames: tuple[NDArray[np.uint8], ...] | None = None
    faults: Mapping[Fault, tuple[str, ...]] = field(default_factory=dict)

    @property
    def given(self) -> bool:
        """Whether the user says which pictures are for the test."""
        return self.pictures[0].part is not None

    def image(self, number: int) -> AnyImage:
        """Picture `number` as `toolchain.model.images.to_pixels` takes it."""
        if self.frames is None:
            return self.path / self.pictures[number].file
        part, place = 0, number
        while place >= len(self.frames[part]):
            place -= len(self.frames[part])
            part += 1
        frame: NDArray[np.uint8] = self.frames[part][place]
        return frame


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture's file below the folder, its class, and the part that the user gives it, if any."""

    file: str
    label: str
    part: Part | None
    status: os.stat_result


def of_files(
    path: Path, kind: SourceKind, found: Iterable[Labelled], faults: Mapping[Fault, list[str]]
) -> Source:
    """The pictures `found` in the folder `path`, in order.

    Raises:
        ToolchainError: a class has a name that no model file could carry.
    """
    found = list(found)
    labels = sorted({each.label for each in found})
    _check_labels(labels)
    numbers = {label: number for number, label in enumerate(labels)}
    pictures = [
        Picture(
            each.file, numbers[each.label], each.part, each.status.st_size, each.status.st_mtime_ns
        )
        for each in found
    ]
    pictures.sort(key=lambda each: (each.part is Part.TEST, each.label, each.file))
    return Source(
        path=path,
        kind=kind,
        labels=tuple(labels),
        pictures=tuple(pictures),
        faults={fault: tuple(files) for fault, files in faults.items()},
    )


def _check_labels(labels: list[str]) -> None:
    """
    Raises:
        ToolchainError: a name cannot be one, or two look the same and are written in other bytes.
    """
    seen: dict[str, str] = {}
    for label in labels:
        check_label(label)
        same = seen.setdefault(unicodedata.normalize("NFC", label), label)
        if same != label:
            raise ToolchainError(
                f"Two classes are called {label!r}, once with letters and accents apart (Unicode "
                "NFD, as macOS writes them). Give both the same name."
            )


def check_label(label: str) -> None:
    """A class's name goes into model files, where lists of names have one a line.

    Raises:
        ToolchainError: it is empty, not text, of several lines, or begins or ends with a space.
    """
    if label.strip() and label != label.strip():
        raise ToolchainError(
            f"The name of the class {label!r} begins or ends with a space, which nobody sees. "
            "Rename it."
        )
    text = printable(label) == label and all(ord(letter) >= 32 for letter in label)
    if not text or not label.strip():
        raise ToolchainError(
            f"The class {label!r} has a name that is no plain line of text, so a model file could "
            "not carry it. Rename it."
        )


def printable(name: str) -> str:
    """A file's name with what is not text in it written as an escape."""
    return name.encode("utf-8", "backslashreplace").decode()
