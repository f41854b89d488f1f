"""The Keras model that all files are converted from and compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain import evaluation, files, formats, locate
from toolchain.artifact import ModelInfo
from toolchain.errors import ToolchainError
from toolchain.formats import keras as keras_format

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from toolchain.datasets import Dataset

Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Reference:
    """A loaded Keras file; `scores` float32 `[N, classes]` are its answers to all test images."""

    path: Path
    model: Any
    info: ModelInfo
    size: int
    sha256: str
    scores: NDArray[np.float32]


def load(folder: Path, dataset: Dataset, progress: Progress) -> Reference:
    """The Keras model of a model folder, and its answers to the test images of its data set.

    Raises:
        ToolchainError: there is none, or it was not trained with this toolchain.
        UsageError: it was trained on other classes or images of another shape.
    """
    data, info = read_source(folder)
    evaluation.check_fits(info, dataset)
    progress("keras: answering all test images, for comparison")
    session = keras_format.open_session(data, threads=1)
    return Reference(
        path=source_path(folder),
        model=keras_format.load(data),
        info=info,
        size=len(data),
        sha256=files.sha256(data),
        scores=evaluation.scores(session, dataset.test_images),
    )


def read_source(folder: Path) -> tuple[bytes, ModelInfo]:
    """The Keras file of a model folder and what it says of itself.

    Raises:
        ToolchainError: there is none, or it was not trained with this toolchain.
    """
    path = source_path(folder)
    data = files.read_bytes(path)
    info = keras_format.read_info(data)
    if info is None:
        raise ToolchainError(
            f"{path} does not say what it is. Expected a file that `toolchain train` wrote."
        )
    return data, info


def source_path(folder: Path) -> Path:
    """The Keras file of a model folder.

    Raises:
        ToolchainError: there is none.
    """
    path = locate.find(folder, formats.SOURCE)
    if path is None:
        raise ToolchainError(
            f"There is no {locate.model_path(folder, formats.SOURCE)}. "
            "Train it first, for example with: toolchain train fashion-cnn."
        )
    return path
