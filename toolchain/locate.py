"""From what a person types for a model to the file or folder it means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from toolchain.errors import ToolchainError

OWN = Path("models")  # what the user trains and exports, below the current folder
RELEASED = Path(__file__).resolve().parent.parent / "models" / "released"
DEFAULT_FILE = "int8.tflite"


def model_path(folder: Path, ending: str) -> Path:
    """The file of a model folder that ends in `ending`, such as `int8.tflite`."""
    return folder / f"{folder.resolve().name}.{ending}"


def own_folder(model: str, dataset: str | None) -> Path:
    """Where a model goes that the user trains: `models/MODEL`, or `models/MODEL-DATASET` where a
    data set was named."""
    return OWN / (model if dataset is None else f"{model}-{dataset}")


def trained_folder(name: str) -> Path:
    """The folder of a model that the user trained; released models cannot be exported again."""
    return Path(name) if Path(name).is_dir() else OWN / name


def model_folder(name: str, suffixes: Sequence[str]) -> Path:
    """The folder that `name` means and that holds a file whose name ends in one of `suffixes`.

    A path to a folder is that folder. A bare name is the user's own export, else the released
    model of that name.

    Raises:
        ToolchainError: there is no such folder, or it lacks the files.
    """
    if "\0" in name:
        raise ToolchainError(f"There is no model {name!r}: no file has such a name.")
    if Path(name).is_dir():
        places = [Path(name)]
    elif Path(name).name == name:
        places = [OWN / name, RELEASED / name]
    else:
        raise ToolchainError(f"There is no file or folder {name}.")
    for folder in places:
        if any(model_path(folder, suffix).is_file() for suffix in suffixes):
            return folder
    released = ", ".join(sorted(path.name for path in RELEASED.glob("*/")))
    raise ToolchainError(
        f"There is no model '{name}' with a file {' or '.join(f'….{each}' for each in suffixes)}; "
        f"looked in {' and '.join(str(place) for place in places)}. Expected a model file, a model "
        f"folder, or one of the released models: {released or 'none here'}. "
        "Train and export one with: toolchain train fashion-cnn && toolchain export fashion-cnn"
    )


def model_files(name: str, suffixes: Sequence[str]) -> list[Path]:
    """The file that `name` means, or all files of its folder whose names end in a suffix.

    Raises:
        ToolchainError: there is none.
    """
    if Path(name).is_file():
        return [Path(name)]
    folder = model_folder(name, suffixes)
    found = [model_path(folder, suffix) for suffix in suffixes]
    return [path for path in found if path.is_file()]


def model_file(name: str) -> Path:
    """The file that `name` means; for a folder or a bare name its int8 TFLite file.

    Raises:
        ToolchainError: there is none.
    """
    return model_files(name, [DEFAULT_FILE])[0]
