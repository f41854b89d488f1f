"""Which pictures are for the test: decided by their content, and kept in `split.csv`.

The rules:

1.  Every picture has a number that looks random and never changes: the SHA-256 of `SEED` and of
    the SHA-256 of its decoded pixels. A fifth of each class, those with the lowest numbers, are
    its test pictures; at least one, and at least one is left for training.
2.  Identical pictures have the same number and stay together. Where they lie in several classes,
    they go where the first of these classes, by name, puts them.
3.  A picture that an earlier `split.csv` names keeps its part, its identical twins with it. In a
    class that has such pictures, a new one is for the test where its number is in the lowest
    fifth of all numbers there could be, whatever else was added. Other classes follow rule 1.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolchain.model.dataset import Dataset
from toolchain.support import files
from toolchain.support.errors import ToolchainError

SEED = b"toolchain split 1"
TEST_SHARE = 0.2
LEAST_TO_VALIDATE = 3  # training pictures of a class of which training holds one out
COLUMNS = ["file", "class", "part"]


class Part(StrEnum):
    """What a picture is for; validation pictures are held out of those for training."""

    TRAINING = "training"
    VALIDATION = "validation"
    TEST = "test"


def split(
    names: Sequence[str],
    labels: NDArray[np.integer],
    sha256: NDArray[np.uint8],
    known: Mapping[str, Part] | None = None,
) -> NDArray[np.bool_]:
    """For each picture whether it is for the test.

    `names` are the pictures' files, `labels` `[N]` their classes, `sha256` `[N, 32]` over their
    decoded pixels; `known` is what an earlier split says of files. A class whose pictures are all
    the same is left whole to training: see `too_few`.
    """
    digests = [row.tobytes() for row in sha256]
    own = {name: part is Part.TEST for name, part in (known or {}).items()}
    decided: dict[bytes, bool] = {}  # by digest
    home: dict[bytes, int] = {}  # of each digest, the first class it lies in
    for name, label, digest in zip(names, labels.tolist(), digests, strict=True):
        if name in own:
            decided.setdefault(digest, own[name])
        home[digest] = min(label, home.get(digest, label))
    count: dict[int, dict[bytes, int]] = {}  # by class, how often each of its pictures is there
    for digest in digests:
        each = count.setdefault(home[digest], {})
        each[digest] = each.get(digest, 0) + 1
    for members in count.values():
        if decided.keys().isdisjoint(members):
            decided |= _by_rank(members)
        else:
            decided |= {d: _number(d) < TEST_SHARE for d in members if d not in decided}
    chosen = (own.get(name, decided[d]) for name, d in zip(names, digests, strict=True))
    return np.fromiter(chosen, np.bool_, len(names))


def too_few(labels: NDArray[np.integer], test: NDArray[np.bool_], classes: int) -> list[int]:
    """The classes that lack pictures in training or in the test."""
    counts = [np.bincount(labels[part], minlength=classes) for part in (~test, test)]
    return np.flatnonzero((counts[0] == 0) | (counts[1] == 0)).tolist()


def _by_rank(members: Mapping[bytes, int]) -> dict[bytes, bool]:
    """Rule 1, given how often each picture of a class is there."""
    ranked = sorted(members, key=_number)
    so_far = np.cumsum([members[digest] for digest in ranked])
    cuts = np.abs(so_far[:-1] - TEST_SHARE * so_far[-1])
    tests = int(cuts.argmin()) + 1 if len(cuts) else 0
    return {digest: rank < tests for rank, digest in enumerate(ranked)}


def _number(digest: bytes) -> float:
    """From 0 to 1."""
    return int.from_bytes(hashlib.sha256(SEED + digest).digest()[:8]) / 2**64


def write(path: Path, dataset: Dataset, parts: Sequence[Part]) -> None:
    """`split.csv` at `path`: file, class and part of every picture, by file.

    `parts` are those of `dataset.train_files` and then of `dataset.test_files`. File names that
    are no text are written in UTF-8 with their surrogates, so that `read` gives the same names.

    Raises:
        ToolchainError: `path` cannot be written.
        ValueError: `parts` has another length, or the data set names no files.
    """
    labels = np.concatenate([dataset.train_labels, dataset.test_labels]).tolist()
    names = (*dataset.train_files, *dataset.test_files)
    rows = sorted(
        (name, dataset.labels[label], str(part))
        for name, label, part in zip(names, labels, parts, strict=True)
    )
    text = io.StringIO(newline="")
    csv.writer(text).writerows([COLUMNS, *rows])
    files.replace(path, text.getvalue().encode("utf-8", "surrogatepass"))


def read(path: Path) -> dict[str, Part]:
    """The part of each file that `split.csv` at `path` names.

    Raises:
        ToolchainError: it cannot be read, or is no such table.
    """
    data = files.read_bytes(path)
    try:
        text = data.decode("utf-8", "surrogatepass").removeprefix("\ufeff")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        if rows[:1] != [COLUMNS]:
            raise ValueError(f"it does not begin with the columns {','.join(COLUMNS)}")
        if any(len(row) != len(COLUMNS) for row in rows):
            raise ValueError("a row has other than three columns")
        parts = {name: Part(part) for name, _, part in rows[1:]}
        if len(parts) < len(rows) - 1:
            raise ValueError("it names a file twice")
    except (ValueError, csv.Error) as error:
        raise ToolchainError(
            f"{path} is not a split that training wrote: {error}. Take the original, or remove it "
            "to have the pictures split anew."
        ) from error
    return parts
