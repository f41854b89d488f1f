"""Pictures and labels that come as whole arrays: what is demanded of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolchain.support.errors import ToolchainError
from toolchain.userdata.source import Picture, Source, SourceKind, check_label
from toolchain.userdata.split import Part


def images(array: NDArray[np.generic], name: str) -> NDArray[np.uint8]:
    """`array` as uint8 `[N, H, W, C]`.

    Raises:
        ToolchainError: it is anything else.
    """
    if array.dtype.kind == "f":
        scale = "255 * " if array.size and np.nanmax(np.abs(array)) <= 1 else ""
        raise ToolchainError(
            f"{name} holds {array.dtype} values; expected raw pixels, uint8 0–255, for the model "
            f"scales them itself. Save it as ({scale}{name}).round().clip(0, 255).astype('uint8')."
        )
    if array.ndim == 3:
        array = array[..., np.newaxis]
    right = array.dtype == np.uint8 and array.ndim == 4 and array.shape[-1] in (1, 3, 4)
    if not right or array.size == 0:
        raise ToolchainError(
            f"{name} is {array.dtype} of shape {list(array.shape)}. Expected uint8 [N, H, W] or "
            "[N, H, W, C] with 1, 3 or 4 channels, and at least one picture."
        )
    return np.ascontiguousarray(array, np.uint8)


def labels(array: NDArray[np.generic], name: str) -> NDArray[np.generic]:
    """`array` as `[N]` of whole numbers or text.

    Raises:
        ToolchainError: it is anything else.
    """
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind == "S":
        array = np.char.decode(array.astype(np.bytes_), "utf-8", "replace")
    if array.ndim != 1 or array.dtype.kind not in "iuU":
        hint = "one-hot rows become numbers by .argmax(1)" if array.ndim == 2 else "use .astype"
        raise ToolchainError(
            f"{name} is {array.dtype} of shape {list(array.shape)}. Expected one whole number or "
            f"one text a picture, [N]; {hint}."
        )
    return array if array.dtype.kind == "U" else array.astype(np.int64)


@dataclass(frozen=True, eq=False)
class PartArrays:
    """The pictures of one part, uint8 `[N, H, W, C]`, and their labels `[N]`, whole numbers or
    text; and what both arrays are called."""

    part: Part
    pixels: NDArray[np.uint8]
    labels: NDArray[np.generic]
    names: tuple[str, str]


def part_arrays(
    part: Part, pixels: NDArray[np.generic], numbers: NDArray[np.generic], names: tuple[str, str]
) -> PartArrays:
    """Two arrays as one part.

    Raises:
        ToolchainError: they are none, or not as many pictures as labels.
    """
    found = PartArrays(part, images(pixels, names[0]), labels(numbers, names[1]), names)
    if len(found.pixels) != len(found.labels):
        raise ToolchainError(
            f"{names[0]} has {len(found.pixels)} pictures and {names[1]} {len(found.labels)} "
            "labels. Expected as many of the one as of the other."
        )
    return found


def source(path: Path, kind: SourceKind, parts: Sequence[PartArrays], files: list[Path]) -> Source:
    """All parts together, that of the test last; a change of any of `files` is a change of all
    pictures.

    Raises:
        ToolchainError: they do not belong together.
    """
    if len({each.labels.dtype.kind == "U" for each in parts}) > 1:
        told = ", ".join(each.names[1] for each in parts)
        raise ToolchainError(f"Of {told} only some hold text. Save all alike.")
    found, classes = np.unique(np.concatenate([each.labels for each in parts]), return_inverse=True)
    names_of_classes = tuple(str(label) for label in found.tolist())
    for label in names_of_classes:
        check_label(label)
    states = [file.stat() for file in files]
    size = sum(state.st_size for state in states)
    changed = sum(state.st_mtime_ns for state in states)
    places = [
        (f"{each.names[0]}[{number}]", each.part)
        for each in parts
        for number in range(len(each.pixels))
    ]
    pictures = tuple(
        Picture(place, label, part, size, changed)
        for (place, part), label in zip(places, classes.tolist(), strict=True)
    )
    return Source(path, kind, names_of_classes, pictures, tuple(each.pixels for each in parts))
