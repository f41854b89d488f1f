"""IDX, the file format of MNIST, and the data sets that are made of four such files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolchain.datasets import Status
from toolchain.datasets._search import Origin
from toolchain.datasets._sources import File
from toolchain.model.dataset import Dataset
from toolchain.support.errors import ToolchainError
from toolchain.support.progress import SILENT, Progress

UNSIGNED_BYTE = 0x08  # the only element type that data sets of this kind use
MOST_DIMENSIONS = 4


def parse(data: bytes, name: str) -> NDArray[np.uint8]:
    """The read-only array in `data`; `name` is the file's, for the message.

    The format, after http://yann.lecun.com/exdb/mnist/ ("The IDX file format"): two zero bytes,
    the element type, the number of dimensions, each dimension as a big-endian 32-bit number,
    then the elements, last dimension fastest.

    Raises:
        ToolchainError: `data` is anything but 1 to 4 non-empty dimensions of unsigned bytes.
    """
    if len(data) < 4 or data[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise ToolchainError(
            f"{name} is not an IDX file of unsigned bytes: it starts with {data[:4].hex(' ')!r}, "
            "expected '00 00 08' and the number of dimensions. Fetch the original file again."
        )
    header = 4 + 4 * data[3]
    if not 1 <= data[3] <= MOST_DIMENSIONS or len(data) < header:
        raise ToolchainError(
            f"{name} has a damaged IDX header: {data[3]} dimensions in {len(data)} bytes, "
            f"expected 1 to {MOST_DIMENSIONS}. Fetch the original file again."
        )
    shape = tuple(int(size) for size in np.frombuffer(data[4:header], ">u4"))
    expected = header + math.prod(shape)
    if 0 in shape or len(data) != expected:
        raise ToolchainError(
            f"{name} has {len(data)} bytes, but its IDX header announces {expected} for the shape "
            f"{shape}, which must not be empty. Fetch the original file again."
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def four_files(
    train_images: str, train_labels: str, test_images: str, test_labels: str
) -> tuple[File, ...]:
    """The canonical files of 60,000 + 10,000 images of 28×28, given each one's SHA-256."""
    return (
        File("train-images-idx3-ubyte", 16 + 60_000 * 28 * 28, train_images),
        File("train-labels-idx1-ubyte", 8 + 60_000, train_labels),
        File("t10k-images-idx3-ubyte", 16 + 10_000 * 28 * 28, test_images),
        File("t10k-labels-idx1-ubyte", 8 + 10_000, test_labels),
    )


@dataclass(frozen=True)
class IdxDataset:
    """A data set whose `origin` has four files: train images and labels, test images and labels."""

    labels: tuple[str, ...]
    origin: Origin

    def load(self, data_dir: Path | None, progress: Progress = SILENT) -> Dataset:
        """The data set, fetched if need be; images are `[N, H, W, 1]`.

        Raises:
            ToolchainError: no source has it, or the user's data directory has a wrong file.
        """
        contents = self.origin.search(data_dir, progress)
        train_images, train_labels, test_images, test_labels = (
            parse(content, file.name)
            for content, file in zip(contents, self.origin.files, strict=True)
        )
        return Dataset(
            name=self.origin.name,
            labels=self.labels,
            train_images=train_images[..., np.newaxis],
            train_labels=train_labels,
            test_images=test_images[..., np.newaxis],
            test_labels=test_labels,
        )

    def status(self, data_dir: Path | None) -> Status:
        """Where the files are; they are read and hashed, which takes about half a second."""
        return self.origin.status(data_dir)
