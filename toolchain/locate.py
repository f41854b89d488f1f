"""From what a person types for a model to the file or folder it means."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from toolchain.errors import ToolchainError

OWN = Path("models")  # what the user trains and exports, below the current folder
RELEASED = Path(__file__).resolve().parent.parent / "models" / "released"
DEFAULT_FILE = "int8.tflite"


def own_folder(model: str, dataset: str, usual_dataset: str) -> Path:
    """Where a model that the user trains goes: `models/MODEL`, or `models/MODEL-DATASET`."""
    return OWN / (model if dataset == usual_dataset else f"{model}-{dataset}")


def model_folder(name: str, wanted: str) -> Path:
    """The folder that `name` means and that holds a file whose name ends in `wanted`.

    A path to a folder is that folder. A bare name is the user's own export, else the released
    model of that name.

    Raises:
        ToolchainError: there is no such folder, or it lacks the file.
    """
    if Path(name).is_dir():
        places = [Path(name)]
    elif Path(name).name == name:
        places = [OWN / name, RELEASED / name]
    else:
        raise ToolchainError(f"There is no file or folder {name}.")
    for folder in places:
        if (folder / f"{folder.resolve().name}.{wanted}").is_file():
            return folder
    released = sorted(path.name for path in RELEASED.glob("*/")) if RELEASED.is_dir() else []
    raise ToolchainError(
        f"There is no model '{name}' with a file '….{wanted}'; looked in "
        f"{' and '.join(str(place) for place in places)}. Expected a model file, a model folder, "
        f"or one of the released models: {', '.join(released) or 'none here'}. "
        f"Make one with: make export MODEL={Path(name).name}"
    )


def model_files(name: str, suffixes: Sequence[str]) -> list[Path]:
    """The file that `name` means, or all files of the folder whose names end in a suffix.

    Raises:
        ToolchainError: there is none.
    """
    if Path(name).is_file():
        return [Path(name)]
    for suffix in suffixes:
        with contextlib.suppress(ToolchainError):
            folder = model_folder(name, suffix)
            stem = folder.resolve().name
            files = [folder / f"{stem}.{suffix}" for suffix in suffixes]
            return [path for path in files if path.is_file()]
    raise ToolchainError(
        f"There is no model '{name}' with a file {' or '.join(f'….{each}' for each in suffixes)}. "
        f"Make one with: make export MODEL={Path(name).name}"
    )


def model_file(name: str) -> Path:
    """The model file that `name` means; for a folder or a bare name its int8 TFLite file.

    Raises:
        ToolchainError: there is none.
    """
    if Path(name).is_file():
        return Path(name)
    folder = model_folder(name, DEFAULT_FILE)
    return folder / f"{folder.resolve().name}.{DEFAULT_FILE}"
