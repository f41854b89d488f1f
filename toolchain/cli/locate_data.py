"""From what a person types for data to the data set it means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import formats
from toolchain.cli.progress import LINES
from toolchain.model.folder import ModelFolder
from toolchain.runtime import integrity
from toolchain.support import files
from toolchain.support.errors import UsageError, about

if TYPE_CHECKING:
    from toolchain.model.artifact import InputContract, ModelInfo
    from toolchain.model.dataset import Dataset
    from toolchain.userdata.place import Place


def one_of(pictures: Place | None, dataset: str | None) -> None:
    """
    Raises:
        UsageError: both are named.
    """
    if pictures is not None and dataset is not None:
        raise UsageError("--data and --dataset are two ways to say the same. Choose one of them.")


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
    return datasets.load(name, data_dir, LINES)


def demand_one_of(path: Path, pictures: Place | None, dataset: str | None) -> None:
    """
    Raises:
        UsageError: not just one is named for the user's own model at `path`.
    """
    one_of(pictures, dataset)
    if pictures is None and dataset is None:
        raise UsageError(
            f"{path} is a model of your own. Give the pictures that it shall be proved on, "
            "--data FOLDER, or a data set that toolchain knows, --dataset NAME."
        )


def of_file(
    path: Path, pictures: Place | None, dataset: str | None, data_dir: Path | None
) -> Dataset:
    """What a model file is judged on: the pictures or data set named, else the pictures that its
    folder remembers, else the data set that it names. Its classes count in the order in which the
    file gives them.

    Raises:
        UsageError: two are named, or none and the file's own cannot be had without.
        ToolchainError: the file is damaged, or the data cannot be had.
    """
    content = files.read_bytes(path)
    integrity.demand(path, content)
    with about(path):
        described = formats.of(path).read_info(content)
    one_of(pictures, dataset)
    found = _of_file(path, described, pictures, dataset, data_dir)
    return found.in_order(described.labels) if described else found


def _of_file(
    path: Path,
    described: ModelInfo | None,
    pictures: Place | None,
    dataset: str | None,
    data_dir: Path | None,
) -> Dataset:
    from toolchain import datasets

    if dataset is not None:
        return datasets.load(dataset, data_dir, LINES)
    if described is None:
        raise UsageError(f"{path} does not say what it was trained on, nor what it takes.")
    if place := pictures or _remembered(path):
        return _load(place, described.input, path.parent)
    if described.dataset not in datasets.names():
        raise UsageError(
            f"{path} belongs to pictures of your own, '{described.dataset}'. "
            "Name their folder with --data."
        )
    return datasets.load(described.dataset, data_dir, LINES)


def _remembered(path: Path) -> Place | None:
    """Where the pictures lie that the model file was trained on; None where that is not known.

    Raises:
        UsageError: they are not there any more.
        ToolchainError: the file that remembers them is damaged.
    """
    from toolchain.userdata.place import remembered

    model = ModelFolder(path.parent)
    place = remembered(model.pictures) or remembered(model.whole.pictures)
    if place is None:
        return None
    missing = [str(each) for each in place.paths if not each.exists()]
    if missing:
        raise UsageError(
            f"{path} belongs to pictures that were in {' with '.join(map(str, place.paths))} when "
            f"they were last used; {' and '.join(missing)} cannot be found on this machine. Name "
            f"where they are now: --data PATH{' --labels FILE' if place.labels else ''}."
        )
    LINES.say(f"Using the pictures in {' with '.join(map(str, place.paths))}.")
    return place


def _load(pictures: Place, contract: InputContract, model: Path) -> Dataset:
    """The user's pictures, split as they were when what is in the folder `model` was trained."""
    from toolchain import userdata

    known = ModelFolder(model).split
    return userdata.load(pictures.open(), contract, known if known.is_file() else None, LINES)
