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


def named(dataset: str | None, usual: str | None, data_dir: Path | None) -> Dataset:
    """The data set called `dataset`, or else the model's `usual` one.

    Raises:
        UsageError: none is named and the model has none of its own.
        ToolchainError: it cannot be had.
    """
    from toolchain import datasets

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
