"""From what a person types for a model to the file or folder it means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from toolchain import formats
from toolchain.model.folder import DEFAULT_FILES, ModelFolder
from toolchain.support.errors import ToolchainError, UsageError
from toolchain.support.suggestions import nearest, nearest_path

OWN = Path("models")  # what the user trains and exports, below the current folder
RELEASED = Path(__file__).resolve().parents[2] / "models" / "released"
MODEL_SUFFIXES = (".keras", ".h5", ".hdf5", ".pb", ".onnx", ".tflite", ".pt", ".pth", ".zip")


def own_folder(model: str, dataset: str | None) -> Path:
    """Where a model goes that the user trains: `models/MODEL`, or `models/MODEL-DATASET` where a
    data set was named."""
    return OWN / (model if dataset is None else f"{model}-{dataset}")


def own_names() -> list[str]:
    """The models that the user trained or exported below the current folder, sorted."""
    return sorted(path.name for path in OWN.glob("*/") if path != OWN / RELEASED.name)


def released_names() -> list[str]:
    """The models that come with the toolchain, sorted."""
    return sorted(path.name for path in RELEASED.glob("*/"))


def trained_folder(name: str) -> Path:
    """The folder of a model that the user trained; released models cannot be exported again.

    Raises:
        UsageError: there is none.
    """
    if Path(name).is_dir():
        return Path(name)
    folder = Path(name).parent if Path(name).is_file() else OWN / name
    if not folder.is_dir() and _is_path(name):
        raise UsageError(
            f"There is no file or folder {name}. {nearest_path(Path(name))}Expected a model file, "
            "a model folder, or the name of a model that you trained."
        )
    if not folder.is_dir():
        raise UsageError(
            f"There is no trained model '{name}': no folder {folder}. "
            f"{nearest(name, own_names())}"
            "Train it first, for example with: toolchain train fashion-cnn."
        )
    return folder


def _is_path(name: str) -> bool:
    """Whether a person means a path by it, not a model's name."""
    return Path(name).name != name or Path(name).suffix in MODEL_SUFFIXES


def model_folder(name: str, suffixes: Sequence[str]) -> Path:
    """The folder that `name` means and that holds a file whose name ends in one of `suffixes`.

    A path to a folder is that folder. A bare name is the user's own export, else the released
    model of that name.

    Raises:
        UsageError: there is no model of that name.
        ToolchainError: there is no such folder, or it lacks the files.
    """
    if "\0" in name:
        raise ToolchainError(f"There is no model {name!r}: no file has such a name.")
    if Path(name).is_dir():
        places = [Path(name)]
    elif Path(name).name == name and Path(name).suffix[1:] not in formats.names():
        places = [OWN / name, OWN / RELEASED.name / name, RELEASED / name]
    else:
        raise ToolchainError(
            f"There is no file or folder {name}. {nearest_path(Path(name))}Expected a model file, "
            "a model folder, or a model's name."
        )
    for folder in places:
        if any(ModelFolder(folder).find(suffix) for suffix in suffixes):
            return folder
    others = {*own_names(), *released_names()} - {name}
    message = (
        f"There is no model '{name}' with {_wanted(suffixes)}; "
        f"looked in {' and '.join(str(place) for place in dict.fromkeys(places))}. "
        f"{nearest(name, others)}Expected a model file, a model folder, "
        f"or one of the released models: {', '.join(released_names()) or 'none here'}. "
        "Train and export one with: toolchain train fashion-cnn && toolchain export fashion-cnn"
    )
    if any(place.is_dir() for place in places):
        raise ToolchainError(message)
    raise UsageError(message)


def _wanted(suffixes: Sequence[str]) -> str:
    named = " or ".join(f"….{suffix}" for suffix in suffixes)
    return f"a file {named}" if len(suffixes) <= len(DEFAULT_FILES) else "any of its files"


def model_files(name: str, suffixes: Sequence[str]) -> list[Path]:
    """The file that `name` means, or all files of its folder whose names end in a suffix.

    Raises:
        ToolchainError: there is none.
    """
    if Path(name).is_file():
        return [Path(name)]
    folder = model_folder(name, suffixes)
    return [path for suffix in suffixes if (path := ModelFolder(folder).find(suffix))]


def model_file(name: str) -> Path:
    """The file that `name` means; for a folder or a bare name its int8 TFLite file, or the mixed
    one that takes its place.

    Raises:
        ToolchainError: there is none.
    """
    return model_files(name, DEFAULT_FILES)[0]
