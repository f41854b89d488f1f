"""The data sets: one module each, and its file name is its name on the command line.

Adding one is adding one file here (`fashion_mnist.py` is called `fashion-mnist`) with two
functions, each taking the user's data directory or None:

- `load(data_dir, progress) -> Dataset` finds the data, fetching it if need be;
- `status(data_dir) -> Status` says where the data is; it neither fetches nor writes.

Modules whose names start with an underscore are helpers. Listing the names imports none of the
modules and no numpy.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from toolchain.model.dataset import Dataset
from toolchain.support import files
from toolchain.support.errors import ToolchainError
from toolchain.support.progress import SILENT, Progress
from toolchain.support.suggestions import unknown


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


def load(name: str, data_dir: Path | None = None, progress: Progress = SILENT) -> Dataset:
    """The data set `name`, from `data_dir`/NAME or the next source that has it.

    `progress` hears of each attempt.

    Raises:
        UsageError: there is no data set of that name.
        ToolchainError: no source has it, or the user's data directory has a wrong file.
    """
    dataset: Dataset = _module(name).load(data_dir, progress)
    return dataset


def fetch(name: str, data_dir: Path | None = None, progress: Progress = SILENT) -> Status:
    """Make sure that the data set is here, and say where.

    Raises:
        UsageError, ToolchainError: as `load`; or it is not here, because it could not be kept.
    """
    load(name, data_dir, progress)
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
    from toolchain.model.images import as_picture, as_png

    written = []
    for number, label in enumerate(dataset.labels):
        pixels = dataset.test_images[dataset.test_labels == number][0]
        written.append(folder / f"{label.replace('/', '-')}.png")
        files.replace(written[-1], as_png(as_picture(pixels)))
    return written


def _module(name: str) -> ModuleType:
    """The module of the data set `name`.

    Raises:
        UsageError: there is no such data set.
    """
    if name not in names():
        raise unknown("data set", name, names())
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
