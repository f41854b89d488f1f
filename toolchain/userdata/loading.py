"""From the user's pictures to a data set."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolchain.model.artifact import Fit, InputContract
from toolchain.model.dataset import Dataset
from toolchain.model.images import to_pixels
from toolchain.support.errors import ToolchainError
from toolchain.support.progress import SILENT, Progress
from toolchain.userdata import cache, split
from toolchain.userdata.cache import Decoded
from toolchain.userdata.source import Fault, Source, printable

NAMED = 5  # files that a message names


def load(
    source: Source,
    contract: InputContract,
    known: Path | None = None,
    progress: Progress = SILENT,
) -> Dataset:
    """The pictures of `source` as `toolchain.model.images` brings them to `contract`.

    Where the user did not split them, `toolchain.userdata.split` decides; `known` is the
    `split.csv` of an earlier training, whose pictures keep their part. Decoded pictures come from
    the cache and are mapped into memory. What cannot be read is left out, and said.

    Raises:
        ToolchainError: a class has no pictures to train or to test with, there are fewer than two
            classes, or the cache cannot be written.
    """
    _tell_faults(source, progress)
    parts = split.read(known) if known and not source.given else {}
    if parts and parts.keys().isdisjoint(picture.file for picture in source.pictures):
        progress.say(f"{known} names none of the pictures in {source.path}: they are split anew.")
    if (frames := _as_they_are(source, contract)) is not None:
        labels = _labels(source)
        test = np.array([each.part is split.Part.TEST for each in source.pictures], np.bool_)
        _demand_both_parts(source, labels, test)
        return _dataset(source, contract, frames, (labels[~test], labels[test]))
    with cache.opened(source, contract, progress) as store:
        decoded = store.decode(progress)
        _tell_unreadable(source, decoded, progress)
        labels = _labels(source)[decoded.pictures]
        test = test_pictures(source, decoded, parts)
        _demand_both_parts(source, labels, test)
        order = np.concatenate([np.flatnonzero(~test), np.flatnonzero(test)])
        pixels = store.arrange(decoded.pictures[order])
    count = int((~test).sum())
    ordered = labels[order]
    return _dataset(
        source,
        contract,
        (pixels[:count], pixels[count:]),
        (ordered[:count], ordered[count:]),
        decoded.pictures[order],
    )


def fitted_anew(
    source: Source, dataset: Dataset, rows: NDArray[np.intp]
) -> dict[Fit, NDArray[np.uint8]]:
    """Some pictures of a data set that `load` made of `source`, fitted in every way; uint8
    `[N, H, W, C]`. `rows` count the training pictures first.

    Raises:
        ToolchainError: one cannot be read any more.
    """
    names = (*dataset.train_files, *dataset.test_files)
    places = {picture.file: number for number, picture in enumerate(source.pictures)}
    # the pictures of arrays have no files, and are all there in the source's order
    chosen = [source.image(places[names[row]] if names else int(row)) for row in rows]
    contracts = {fit: replace(dataset.contract, fit=fit) for fit in Fit}
    return {
        fit: np.stack([to_pixels(image, contract) for image in chosen])
        for fit, contract in contracts.items()
    }


def test_pictures(
    source: Source, decoded: Decoded, parts: dict[str, split.Part]
) -> NDArray[np.bool_]:
    """For each decoded picture whether it is for the test, as the user or the split has it."""
    pictures = [source.pictures[number] for number in decoded.pictures]
    if source.given:
        return np.array([picture.part is split.Part.TEST for picture in pictures], np.bool_)
    names = [picture.file for picture in pictures]
    return split.split(names, _labels(source)[decoded.pictures], decoded.sha256, parts)


def _labels(source: Source) -> NDArray[np.unsignedinteger]:
    kind = np.min_scalar_type(len(source.labels) - 1)
    return np.array([picture.label for picture in source.pictures], kind)


def _as_they_are(
    source: Source, contract: InputContract
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
    """The arrays of an `.npz` or IDX files where they need no decoding."""
    shape = (contract.height, contract.width, contract.channels)
    if source.frames and all(part.shape[1:] == shape for part in source.frames):
        *others, test = source.frames
        return others[0] if len(others) == 1 else np.concatenate(others), test
    return None


def _dataset(
    source: Source,
    contract: InputContract,
    images: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    labels: tuple[NDArray[np.unsignedinteger], NDArray[np.unsignedinteger]],
    pictures: NDArray[np.intp] | None = None,
) -> Dataset:
    """`pictures` are the numbers of the images where some may be missing; those of a folder are
    named after their files."""
    numbers = range(len(source.pictures)) if pictures is None else pictures
    read = [source.pictures[number] for number in numbers]
    names = tuple(each.file for each in read) if source.frames is None else ()
    parts = enumerate(each.part for each in read)
    count = len(labels[0])
    return Dataset(
        name=printable(os.path.basename(os.path.abspath(source.path))),
        labels=source.labels,
        train_images=images[0],
        train_labels=labels[0],
        test_images=images[1],
        test_labels=labels[1],
        train_files=names[:count],
        test_files=names[count:],
        fit=contract.fit,
        validation_rows=tuple(row for row, part in parts if part is split.Part.VALIDATION),
    )


def _demand_both_parts(
    source: Source, labels: NDArray[np.unsignedinteger], test: NDArray[np.bool_]
) -> None:
    """Raises:
    ToolchainError: fewer than two classes, or one that lacks pictures.
    """
    if len(source.labels) < 2:
        raise ToolchainError(
            f"{source.path} has one class only, {source.labels[0]!r}. Expected at least two."
        )
    if lacking := split.too_few(labels, test, len(source.labels)):
        told = "; ".join(_what_lacks(source, labels, test, number) for number in lacking)
        raise ToolchainError(
            f"Each class needs pictures to train and others to test with. {told}. Add pictures "
            "to these classes, or take them out."
        )


def _what_lacks(
    source: Source, labels: NDArray[np.unsignedinteger], test: NDArray[np.bool_], number: int
) -> str:
    here = labels == number
    counts = f"{int((here & ~test).sum())} to train and {int((here & test).sum())} to test with"
    return f"{source.labels[number]!r} has {counts}"


def _tell_faults(source: Source, progress: Progress) -> None:
    """Raises:
    ToolchainError: a folder cannot be looked into, so that a class would be lost in silence.
    """
    if locked := source.faults.get(Fault.LOCKED):
        raise ToolchainError(
            f"Not allowed to look into {_some(locked)} in {source.path}. Give yourself the right "
            "to read all of it."
        )
    told = [
        f"{len(files):,} {fault.what} ({_some(files)})" for fault, files in source.faults.items()
    ]
    if told:
        progress.say(f"In {source.path}: {'; '.join(told)}. `toolchain data check` tells more.")


def _tell_unreadable(source: Source, decoded: Decoded, progress: Progress) -> None:
    if decoded.unreadable:
        told = [f"{source.pictures[n].file}: {why}" for n, why in decoded.unreadable.items()]
        progress.say(f"{len(told):,} pictures cannot be read and are left out. {_some(told)}")


def _some(names: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(printable(name) for name in names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED:,} more"
