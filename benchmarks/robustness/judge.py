"""What may be wrong with the files that a command left."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from PIL import Image

from toolchain import datasets
from toolchain.model.dataset import Dataset
from toolchain.runtime import Classifier
from toolchain.support import files
from toolchain.training.history import History

SET_ASIDE = (".outdated", ".rejected")  # endings of names that are not final
LEAST_ACCURACY = 0.5  # of a model trained for two epochs on ten digits


def visible(folder: Path) -> list[Path]:
    """The files of a folder that a person sees and that have their final names."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and not path.name.startswith(".") and path.suffix not in SET_ASIDE
    )


def leftovers(folder: Path) -> list[str]:
    """Unfinished files that nobody removed."""
    return [f"left behind: {path.name}" for path in sorted(folder.glob(f"{files.TEMPORARY}*"))]


def model_leftovers(folder: Path) -> list[str]:
    state = ["left behind: .training"] if (folder / ".training").exists() else []
    return leftovers(folder) + state


def missing(folder: Path, names: tuple[str, ...]) -> list[str]:
    return [f"{name} is missing" for name in names if not (folder / name).is_file()]


def model_faults(folder: Path) -> list[str]:
    """Every file of a model folder can be read, and model files are those that the manifest names
    and answer rightly."""
    return [fault for path in visible(folder) if (fault := _fault(path))]


def _fault(path: Path) -> str:
    try:
        _read(path)
    except Exception as error:  # whatever a damaged file brings about
        return f"{path.name}: {type(error).__name__}: {error}"
    return ""


def _read(path: Path) -> None:
    """Read one file of a model folder as what it says it is.

    Raises:
        Exception: it is not that.
    """
    match path.suffix:
        case ".keras" | ".tflite":
            _ask(path)
        case ".png":
            with Image.open(path) as image:
                image.load()
        case ".json":
            json.loads(path.read_bytes())
        case ".csv":
            assert History.from_csv(path.read_text("utf-8")).epochs
        case ".md":
            text = path.read_text("utf-8")
            assert text.startswith("# ") and text.endswith(" int8.\n")  # noqa: PT018
        case _:
            raise ValueError("nobody expects this file")


def _ask(path: Path) -> None:
    """Load a model file as a user does, and let it answer the test images.

    Raises:
        ToolchainError, ValueError: it is damaged, or answers wrongly.
    """
    digits = _digits()
    answers = Classifier.load(path).scores(digits.test_images).argmax(1)
    accuracy = float((answers == digits.test_labels).mean())
    if accuracy < LEAST_ACCURACY:
        raise ValueError(f"only {accuracy:.0%} of the test images are answered rightly")


@functools.cache
def _digits() -> Dataset:
    return datasets.load("digits")
