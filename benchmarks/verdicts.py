"""What does the proof call a harmless and a harmful file, and how many test images tell which loss?

By simulation, with the gate's defaults. A file loses `loss` points of accuracy for good; beside
these images it names another class than Keras for `noise` more, half of them to its harm and half
to its gain, on training images as on test images. A data set has four training images for each
test image, as `toolchain` splits pictures, and agreement is counted on all, up to 10,000.

    python benchmarks/verdicts.py
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks import side_by_side
from toolchain.evaluation.proof import judge
from toolchain.export.reference import ENOUGH
from toolchain.model.artifact import DEFAULT_GATE, Comparison, Verdict

SETS = 4000  # simulated test sets for each cell
IMAGES = (20, 100, 360, 1000, 10_000)
LOSSES = (1.0, 2.0, 3.0, 5.0, 10.0)
SURE = 0.8  # of all test sets should tell


@dataclass(frozen=True)
class File:
    """A file as it is; `loss` and `noise` in percentage points."""

    name: str
    loss: float
    noise: float


FILES = (
    File("harmless: loses nothing, names another class for 0.5 %", 0, 0.5),
    File("at the limit: loses 0.5 points", 0.5, 0.25),
    File("harmful: loses 1 point", 1, 0.5),
    File("harmful: loses 2 points", 2, 0.5),
    File("harmful: loses 5 points", 5, 1),
    File("broken: loses 20 points", 20, 2),
)


def simulated(file: File, images: int, rng: np.random.Generator) -> Iterator[Comparison]:
    """What the proof sees of the file in `SETS` data sets with so many test images."""
    harm, gain = (file.loss + file.noise / 2) / 100, file.noise / 200
    others = min(4 * images, max(0, ENOUGH - images))
    counts = rng.multinomial(images, [harm, gain, 1 - harm - gain], SETS)
    beside = rng.binomial(others, harm + gain, SETS)
    for (lost, won, _), unlike in zip(counts.tolist(), beside.tolist(), strict=True):
        agreement = 1 - (lost + won + unlike) / (images + others)
        right = images - lost
        yield Comparison(
            images=images,
            accuracy=right / images,
            interval=(0, 1),
            keras_accuracy=1 - won / images,
            agreement=agreement,
            largest_difference=1.0,
            only_keras_right=lost,
            only_file_right=won,
            p_value=1.0,
            compared_images=images + others,
        )


def shares(file: File, images: int, rng: np.random.Generator) -> dict[Verdict, float]:
    """How often the proof says what (0–1)."""
    counts = Counter(judge(each, DEFAULT_GATE).verdict for each in simulated(file, images, rng))
    return {verdict: counts[verdict] / SETS for verdict in Verdict}


def telling(loss: float, rng: np.random.Generator) -> int:
    """The least number of test images, in steps of a tenth, at which `SURE` of all data sets
    reject a file with this loss."""
    file, images = File("", loss, 0.5), 10
    while shares(file, images, rng)[Verdict.REJECTED] < SURE:
        images = max(images + 1, round(images * 1.1))
    return images


def main() -> None:
    rng = np.random.default_rng(0)
    called = side_by_side.table(
        ("file", *(f"{count:,} test images" for count in IMAGES)),
        [(file.name, *(_cell(file, images, rng) for images in IMAGES)) for file in FILES],
    )
    told = side_by_side.table(
        ("loss, points", "test images"),
        [(f"{loss:g}", f"{telling(loss, rng):,}") for loss in LOSSES],
    )
    text = (
        f"Proved / undecided / rejected, in % of {SETS} simulated data sets:\n\n{called}\n"
        f"Test images at which {SURE:.0%} of the data sets reject a file that loses so much:\n\n"
        f"{told}"
    )
    side_by_side.publish(__file__, text, ("numpy",), f"{SETS} data sets a cell, seed 0.")


def _cell(file: File, images: int, rng: np.random.Generator) -> str:
    return " / ".join(f"{100 * share:.1f}" for share in shares(file, images, rng).values())


if __name__ == "__main__":
    main()
