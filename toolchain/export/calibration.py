"""The training images that int8's ranges are measured on, and what depends on which they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from toolchain import conversion, formats
from toolchain.evaluation.proof import Proof, prove
from toolchain.export import reference as references
from toolchain.export.reference import Reference
from toolchain.model.artifact import Calibration, Gate, Precision, Verdict
from toolchain.support import files
from toolchain.support.errors import UsageError
from toolchain.support.progress import SILENT, Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolchain.model.dataset import Dataset


@dataclass(frozen=True)
class DrawProof:
    """The proof of the int8 file of one draw."""

    calibration_sha256: str
    proof: Proof


@dataclass(frozen=True)
class Spread:
    """Of some rates, each between 0 and 1."""

    minimum: float
    median: float
    maximum: float


@dataclass(frozen=True)
class Study:
    """The int8 files of one format, alike but for the `samples` images each was calibrated on.

    `passed` of the `trials` are proved.
    """

    format: str
    samples: int
    keras_accuracy: float
    trials: tuple[DrawProof, ...]
    accuracy: Spread
    agreement: Spread
    passed: int


USUAL = 500  # images; docs/export.md has what fewer and more do


def usual(dataset: Dataset, times: int = 1) -> int:
    """How many images each of `times` draws takes unless somebody says otherwise: 500, one a class
    where there are more classes, and no more than there are."""
    return min(max(USUAL, len(dataset.labels)), len(dataset.train_labels) // times)


def draw(dataset: Dataset, count: int, seed: int) -> Calibration:
    """`count` training images, the same number of each class as far as it goes, drawn by `seed`.

    Raises:
        UsageError: fewer than one image a class is asked for, or more than there are.
    """
    (only,) = disjoint(dataset, count, 1, seed)
    return only


def disjoint(dataset: Dataset, count: int, times: int, seed: int) -> tuple[Calibration, ...]:
    """`times` draws of `count` training images, none of which is in two of them.

    Each draws from its own share of every class, as `draw` does from all of it.

    Raises:
        UsageError: fewer than one image a class is asked for, or there are too few for all draws.
    """
    labels = dataset.train_labels
    _check_enough(dataset, count, times)
    order = np.random.default_rng(seed).permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    share = np.empty(len(order), np.int64)  # whose each image is
    share[by_class] = np.arange(len(order)) % times
    drawn = (_balanced(order[share[order] == i], labels)[:count] for i in range(times))
    return tuple(
        Calibration(
            seed,
            tuple(int(index) for index in indices),
            files.sha256(dataset.train_images[indices].tobytes()),
        )
        for indices in drawn
    )


def _check_enough(dataset: Dataset, count: int, times: int) -> None:
    classes, images = len(dataset.labels), len(dataset.train_labels)
    if not classes <= count <= images:
        raise UsageError(
            f"Calibration needs at least one image a class and at most all training images: "
            f"between {classes} and {images}, not {count}."
        )
    if count * times > images:
        raise UsageError(
            f"{times} disjoint draws of {count} images need {count * times} training images, and "
            f"'{dataset.name}' has {images}. Ask for at most {images // count} draws, "
            f"or for at most {images // times} samples each."
        )
    rarest = np.unique(dataset.train_labels, return_counts=True)[1].min()
    if rarest < times:
        raise UsageError(
            f"The rarest class of '{dataset.name}' has {rarest} training images, too few for each "
            f"of {times} disjoint draws to have one. Ask for at most {rarest} draws."
        )


def _balanced(indices: NDArray[np.int64], labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """The images in an order that takes one of each class in turn, as long as there are any."""
    rank = np.empty(len(indices), np.int64)  # an image's place among those of its class
    for label in np.unique(labels):
        members = np.flatnonzero(labels[indices] == label)
        rank[members] = np.arange(len(members))
    return indices[np.argsort(rank, kind="stable")]


def study(
    folder: Path,
    format_names: tuple[str, ...],
    dataset: Dataset,
    gate: Gate,
    draws: tuple[Calibration, ...],
    progress: Progress = SILENT,
) -> tuple[Study, ...]:
    """For each format, an int8 file of each of the `draws`, proved on all test images.

    No file is kept: that one draw has more luck with the test images than another is no reason
    to prefer it.

    Raises:
        ToolchainError: the Keras file in `folder` is missing, or a converter failed.
    """
    reference = references.load(folder, dataset, progress)
    return tuple(_study_format(name, reference, gate, draws, progress) for name in format_names)


def _study_format(
    name: str,
    reference: Reference,
    gate: Gate,
    draws: tuple[Calibration, ...],
    progress: Progress,
) -> Study:
    trials = []
    for number, calibration in enumerate(draws, 1):
        progress.say(f"{name} int8: converting and proving draw {number} of {len(draws)}")
        pixels = reference.pictures.dataset.train_images[list(calibration.indices)]
        data = conversion.get(name).convert(reference.model, Precision.INT8, pixels)
        proof, _ = prove(formats.get(name), data, reference, gate)
        trials.append(DrawProof(calibration.sha256, proof))
    compared = [trial.proof.comparison for trial in trials]
    return Study(
        format=name,
        samples=len(draws[0].indices),
        keras_accuracy=compared[0].keras_accuracy,
        trials=tuple(trials),
        accuracy=_spread([each.accuracy for each in compared]),
        agreement=_spread([each.agreement for each in compared]),
        passed=sum(trial.proof.verdict is Verdict.PROVED for trial in trials),
    )


def _spread(rates: list[float]) -> Spread:
    return Spread(min(rates), median(rates), max(rates))
