"""In which order a model counts its classes: said by the user, or by a file beside the model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.support import files
from toolchain.support.errors import UsageError
from toolchain.support.progress import Progress

if TYPE_CHECKING:
    from toolchain.model.dataset import Dataset

# Teachable Machine and Edge Impulse write the first; the others are what tutorials save
NAMES = ("labels.txt", "class_names.txt", "classes.txt", "class_indices.json", "labels.json")
NUMBERED = re.compile(r"(\d+)[\s:,]+(\S.*)")  # "0 cat", "0: cat"


def ordered(
    dataset: Dataset, model: Path, asked: str | None, outputs: int, progress: Progress
) -> Dataset:
    """The data set with its classes counted as the model counts them: as `asked`, names with commas
    between or a file of them; else as a file beside the model says; else as they are.

    A file beside the model is passed over where it names another number of classes than the model
    has `outputs`: it belongs to something else.

    Raises:
        ToolchainError: a file cannot be read, or names other classes than the data.
    """
    if asked is not None:
        return dataset.in_order(_matched(_asked_for(asked), dataset.labels, "--classes"))
    path = _beside(model)
    if path is None:
        return dataset
    names = _read(path)
    if len(names) != len(dataset.labels):
        progress.say(f"{path} names {len(names)} classes, the model has {outputs}: not used.")
        return dataset
    progress.say(f"Classes count in the order of {path}.")
    return dataset.in_order(_matched(names, dataset.labels, str(path)))


def _asked_for(text: str) -> tuple[str, ...]:
    path = Path(text)
    if path.suffix in (".txt", ".json") or path.is_file():
        return _read(path)
    return tuple(word.strip() for word in text.split(","))


def _beside(model: Path) -> Path | None:
    """The first such file inside a SavedModel's folder, or beside the model."""
    folders = [model, model / "assets"] if model.is_dir() else []
    paths = (folder / name for folder in (*folders, model.parent) for name in NAMES)
    return next((path for path in paths if path.is_file()), None)


def _read(path: Path) -> tuple[str, ...]:
    """One name a line, `0 name` or `0: name` as well; or as JSON a list, or names with numbers.

    Raises:
        ToolchainError: it cannot be read.
        UsageError: it is something else.
    """
    data = files.read_bytes(path)
    try:
        text = data.decode("utf-8-sig")
        found = _of_json(json.loads(text)) if path.suffix == ".json" else _of_lines(text)
        if not found:
            raise ValueError("it names no class")
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} does not say in which order classes count: {error}. Expected one name a line, "
            'with its number before it or not; or JSON such as {"cat": 0, "dog": 1}.'
        ) from error
    return found


def _of_lines(text: str) -> tuple[str, ...]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    numbered = [NUMBERED.fullmatch(line) for line in lines]
    numbers = [int(each[1]) for each in numbered if each]
    if numbers in ([*range(len(lines))], [*range(1, len(lines) + 1)]):
        return tuple(each[2] for each in numbered if each)
    return tuple(lines)


def _of_json(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(map(str, value))
    pairs = dict(value.items())  # type: ignore[attr-defined]
    by_name = all(isinstance(number, int) for number in pairs.values())
    by_number = (
        {int(n): str(name) for name, n in pairs.items()}
        if by_name
        else {int(number): str(name) for number, name in pairs.items()}
    )
    if sorted(by_number) != [*range(len(pairs))]:
        raise ValueError("its numbers do not count from 0")
    return tuple(by_number[number] for number in sorted(by_number))


def _matched(names: tuple[str, ...], labels: tuple[str, ...], where: str) -> tuple[str, ...]:
    """The data's `labels` in the order of `names`; upper case, spaces, - and _ make no difference.

    Raises:
        UsageError: they are not the same names.
    """
    same = {_plain(label): label for label in labels}
    found = tuple(same.get(_plain(name), "") for name in names)
    if sorted(found) == sorted(labels):
        return found
    unknown = [name for name, label in zip(names, found, strict=True) if not label]
    lacking = [label for label in labels if label not in found]
    raise UsageError(
        f"The classes in {where} are not those of the data. "
        f"{'Only there: ' + ', '.join(unknown) + '. ' if unknown else ''}"
        f"{'Only in the data: ' + ', '.join(lacking) + '. ' if lacking else ''}"
        f"{'' if unknown or lacking else 'One of them is named twice. '}"
        "Rename the folders, or say the model's order with --classes, each name once: "
        f"--classes {','.join(labels)} is that of the data."
    )


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()
