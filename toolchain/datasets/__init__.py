"""The data sets: one module each, and its file name is its name on the command line.

Adding one is adding one file here (`fashion_mnist.py` is called `fashion-mnist`) with two
functions, each taking the user's data directory or None:

- `load(data_dir) -> Dataset` finds the data, fetching it if need be;
- `status(data_dir) -> Status` says where the data is; it neither fetches nor writes.

Modules whose names start with an underscore are helpers. Listing the names imports none of the
modules and no numpy.
"""

from __future__ import annotations

import importlib
import io
import pkgutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from toolchain import files
from toolchain.artifact import Fit, InputContract
from toolchain.errors import ToolchainError
from toolchain.spelling import unknown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and what they show, in a part to train on and a part to test on.

    Images are uint8 `[N, H, W, C]`, C-contiguous, 0–255, and may be read-only or a file that is
    mapped into memory. Label numbers are unsigned `[N]` and count from 0 in `labels`. Of pictures
    that a user brings, `train_files` and `test_files` say where each comes from, below the folder,
    and `fit` how they were brought to one size. `validation_rows` are the training images that the
    user set aside to validate on; where there are none, training chooses some.
    """

    name: str
    labels: tuple[str, ...]
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.unsignedinteger]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.unsignedinteger]
    train_files: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()
    fit: Fit = Fit.PAD
    validation_rows: tuple[int, ...] = ()

    @property
    def contract(self) -> InputContract:
        """What a model of these images takes."""
        height, width, channels = self.train_images.shape[1:]
        return InputContract(height, width, channels, self.fit)

    def in_order(self, labels: tuple[str, ...]) -> Dataset:
        """The same images, their classes counted in the order of `labels`; as it is where these are
        not the same classes."""
        if labels == self.labels or sorted(labels) != sorted(self.labels):
            return self
        import numpy as np

        numbers = np.array([labels.index(label) for label in self.labels])
        return replace(
            self,
            labels=labels,
            train_labels=numbers[self.train_labels].astype(self.train_labels.dtype),
            test_labels=numbers[self.test_labels].astype(self.test_labels.dtype),
        )


@dataclass(frozen=True)
class Status:
    """What is known of a data set without fetching it.

    `where` is the folder with its files, checked by hash, or "embedded"; None when it is not
    here. `sources` are tried from first to last. `problem` tells of a wrong file found on the way.
    """

    name: str
    title: str
    where: str | None
    sources: tuple[str, ...]
    problem: str = ""

    @property
    def here(self) -> bool:
        """Whether the data can be loaded without a network."""
        return self.where is not None


def names() -> tuple[str, ...]:
    """The names of all data sets, sorted."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name.replace("_", "-") for name in modules if not name.startswith("_")))


def load(name: str, data_dir: Path | None = None) -> Dataset:
    """The data set `name`, from `data_dir`/NAME or the next source that has it.

    Each attempt is said on standard error.

    Raises:
        UsageError: there is no data set of that name.
        ToolchainError: no source has it, or the user's data directory has a wrong file.
    """
    dataset: Dataset = _module(name).load(data_dir)
    return dataset


def fetch(name: str, data_dir: Path | None = None) -> Status:
    """Make sure that the data set is here, and say where.

    Raises:
        UsageError, ToolchainError: as `load`; or it is not here, because it could not be kept.
    """
    load(name, data_dir)
    found = status(name, data_dir)
    if not found.here:
        raise ToolchainError(
            f"The data set '{name}' was fetched and is right, but could not be kept; why is said "
            "above. Free some space, or set XDG_CACHE_HOME to a folder that can be written to."
        )
    return found


def status(name: str, data_dir: Path | None = None) -> Status:
    """Where the data set is and where it would be looked for.

    Raises:
        UsageError: there is no data set of that name.
    """
    found: Status = _module(name).status(data_dir)
    return found


def write_samples(dataset: Dataset, folder: Path) -> list[Path]:
    """The first test image of each class as PNG, named after its class.

    Raises:
        ToolchainError: the folder cannot be written.
    """
    from PIL import Image

    written = []
    for number, label in enumerate(dataset.labels):
        pixels = dataset.test_images[dataset.test_labels == number][0]
        file = io.BytesIO()
        Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(file, "PNG")
        written.append(folder / f"{label.replace('/', '-')}.png")
        files.replace(written[-1], file.getvalue())
    return written


def _module(name: str) -> ModuleType:
    """The module of the data set `name`.

    Raises:
        UsageError: there is no such data set.
    """
    if name not in names():
        raise unknown("data set", name, names())
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
