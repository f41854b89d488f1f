"""The Keras model that all files are converted from and compared with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain import formats
from toolchain.evaluation import metrics
from toolchain.formats import keras as keras_format
from toolchain.model.artifact import ModelInfo
from toolchain.model.folder import SOURCE, ModelFolder
from toolchain.support import files
from toolchain.support.errors import ToolchainError
from toolchain.support.progress import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolchain.model.dataset import Dataset

ENOUGH = 10_000  # images to compare answers on; the common data sets test on so many
STEP = (
    250  # training images read at once: they may be mapped from a file that is larger than memory
)


@dataclass(frozen=True, eq=False)
class Reference:
    """A loaded Keras file; `scores` float32 `[N, classes]` are its answers to all `pictures`."""

    path: Path
    model: Any
    info: ModelInfo
    size: int
    sha256: str
    pictures: Pictures
    scores: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Pictures:
    """The images on which files are compared with Keras: all test images and, where these are
    fewer than `ENOUGH`, training images as well, drawn by a fixed seed, as far as there are any.

    `labels` `[M]` are those of the test images, which come first.
    """

    dataset: Dataset

    @property
    def labels(self) -> NDArray[np.unsignedinteger]:
        return self.dataset.test_labels

    def answers(self, session: formats.Session) -> NDArray[np.float32]:
        """What a session answers to each of them, float32 `[N, classes]`."""
        tested = metrics.scores(session, self.dataset.test_images)
        others = self._training_images()
        steps = range(0, len(others), STEP)
        drawn = (self.dataset.train_images[others[i : i + STEP]] for i in steps)
        return np.concatenate([tested, *(session.run(images) for images in drawn)])

    def _training_images(self) -> NDArray[np.int64]:
        here = len(self.dataset.train_labels)
        wanted = min(max(0, ENOUGH - len(self.labels)), here)
        return np.sort(np.random.default_rng(0).choice(here, wanted, replace=False))


def load(folder: Path, dataset: Dataset, progress: Progress) -> Reference:
    """The Keras model of a model folder, and its answers to the images of its data set.

    Raises:
        ToolchainError: there is none, or it was not trained with this toolchain.
        UsageError: it was trained on other classes or images of another shape.
    """
    data, info = read_source(folder)
    metrics.check_fits(info, dataset)
    progress.say("keras: answering all test images, for comparison")
    session, pictures = keras_format.open_session(data, threads=1), Pictures(dataset)
    return Reference(
        path=source_path(folder),
        model=session.model,
        info=info,
        size=len(data),
        sha256=files.sha256(data),
        pictures=pictures,
        scores=pictures.answers(session),
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
    model = ModelFolder(folder)
    path = model.find(SOURCE)
    if path is None:
        raise ToolchainError(
            f"There is no {model.source}. "
            "Train it first, for example with: toolchain train fashion-cnn."
        )
    return path
