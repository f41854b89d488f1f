"""From what a person types for data to the data set it means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.errors import UsageError
from toolchain.progress import say

if TYPE_CHECKING:
    from toolchain.artifact import InputContract
    from toolchain.datasets import Dataset

SPLIT = "split.csv"  # beside a model: which of the user's pictures it was trained on


def to_train_on(
    data: Path | None,
    dataset: str | None,
    usual: str | None,
    data_dir: Path | None,
    size: str | None,
    color: bool,
    crop: bool,
) -> Dataset:
    """The user's pictures at `data`, the data set named, or else the model's `usual` one.

    Raises:
        UsageError: both or none are named, or it is said how to bring a data set to a size that has
            one.
        ToolchainError: it cannot be had.
    """
    from toolchain import datasets, userdata

    if data is not None and dataset is not None:
        raise UsageError("--data and --dataset are two ways to say the same. Choose one of them.")
    if data is not None:
        return pictures(data, userdata.contract(size, color, crop, data), None)
    if size or color or crop:
        raise UsageError("--size, --color and --crop are for pictures of your own: --data FOLDER.")
    name = dataset or usual
    if name is None:
        raise UsageError(
            "This model has no data set of its own. Name your pictures with --data FOLDER, or a "
            f"data set with --dataset: {', '.join(datasets.names())}."
        )
    return datasets.load(name, data_dir)


def pictures(data: Path, contract: InputContract, model: Path | None) -> Dataset:
    """The user's pictures, split as they were when what is in the folder `model` was trained.

    Raises:
        ToolchainError: as `toolchain.userdata.load`.
    """
    from toolchain import userdata

    known = model / SPLIT if model else None
    return userdata.load(data, contract, known if known and known.is_file() else None, say)
