"""Small real pictures in folders, for the tests of `toolchain.userdata`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolchain.model.artifact import InputContract
from toolchain.model.dataset import Dataset
from toolchain.model.images import as_picture
from toolchain.support.progress import Silent
from toolchain.userdata.contracts import AskedInput

CONTRACT = InputContract(28, 28, 1)
ASKED = AskedInput((28, 28))


silent = Silent()


def save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """Pixels `[H, W, C]` as the kind of picture that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    as_picture(pixels).save(path)
    return path


def class_folders(
    root: Path, digits: Dataset, counts: dict[str, int], start: int = 0, suffix: str = "png"
) -> Path:
    """`root` with so many pictures a class; class k gets digits k, from its `start`-th on."""
    for number, (label, count) in enumerate(counts.items()):
        pictures = digits.train_images[digits.train_labels == number][start : start + count]
        assert len(pictures) == count
        for at, pixels in enumerate(pictures, start):
            save(root / label / f"图 {at:03d}.{suffix}", pixels)
    return root
