"""scikit-learn's 1,797 handwritten digits: they come with the package and need no network.

Small enough to try everything out in seconds; far too small to judge a model by.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from toolchain.datasets import Status
from toolchain.model.dataset import Dataset
from toolchain.support.errors import require
from toolchain.support.progress import SILENT, Progress

NAME = "digits"
TEST_IMAGES = 360
SEED = 0


def load(data_dir: Path | None, progress: Progress = SILENT) -> Dataset:
    """1,437 training and 360 test images, uint8 `[N, 28, 28, 1]`, white on black.

    Both parts hold the digits in equal proportions, and the split is always the same. It is
    random over images: the same hands wrote both parts. `data_dir` and `progress` are not needed.

    Raises:
        ToolchainError: scikit-learn is not installed.
    """
    digits = require("sklearn.datasets", "data").load_digits()
    labels = digits.target.astype(np.uint8)
    images = np.stack([_like_mnist(image) for image in digits.images])
    split = require("sklearn.model_selection", "data").train_test_split
    train, test = split(
        np.arange(len(labels)), test_size=TEST_IMAGES, stratify=labels, random_state=SEED
    )
    return Dataset(
        name=NAME,
        labels=tuple(str(digit) for digit in range(10)),
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
    )


def status(data_dir: Path | None) -> Status:
    """Embedded wherever scikit-learn is installed."""
    return Status(
        name=NAME,
        title="1,797 handwritten digits of scikit-learn",
        where="embedded" if importlib.util.find_spec("sklearn") else None,
        sources=("inside the Python package scikit-learn",),
    )


def _like_mnist(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    """8×8 values 0–16 as uint8 `[28, 28, 1]`, 0–255.

    MNIST's digits fill 20×20 pixels within a margin of 4, so these do too: a linear model of
    them then reads 41 % of MNIST's test images; spread over all 28×28 it reads 14 %.
    """
    small = Image.fromarray(np.rint(image * (255 / 16)).astype(np.uint8))
    return np.pad(np.asarray(small.resize((20, 20), Image.Resampling.BILINEAR)), 4)[..., np.newaxis]
