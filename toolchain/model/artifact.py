"""What a model file is and what it answers: the small frozen records that pass between rooms.

Standard library only, because a device imports this before it has anything else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from toolchain.support.errors import ToolchainError
from toolchain.support.records import plain, read_versioned

SCHEMA = 3  # of ModelInfo as JSON; a reader refuses a larger number
MOST_LAYERS = 5  # that a sentence names


class Precision(StrEnum):
    """How a file keeps its weights and computes.

    `float32`: as trained, the reference. `float16`: half the size, same answers.
    `dynamic`: int8 weights, needs no calibration images. `int8`: weights and activations in
    8 bits, the smallest and fastest on most devices; needs calibration images. `mixed`: int8 but
    for the layers it harms, which stay in float; made where int8 fails its proof.
    """

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    DYNAMIC = "dynamic"
    INT8 = "int8"
    MIXED = "mixed"

    @property
    def is_calibrated(self) -> bool:
        """Whether images tell the ranges of its tensors."""
        return self in (Precision.INT8, Precision.MIXED)

    @property
    def tolerance(self) -> float:
        """What a probability (0–1) may differ by from one processor or runtime to another, which
        round differently: several times what was seen between x86 and ARM (docs/device.md)."""
        return {Precision.FLOAT32: 0.0001, Precision.FLOAT16: 0.01}.get(self, 0.1)


class Fit(StrEnum):
    """How a picture of another aspect becomes one of the model's.

    `pad`: all of it, with black beside it. `crop`: the largest part in its middle. `stretch`: all
    of it, distorted, as `keras.utils.image_dataset_from_directory` does unless told otherwise.
    """

    PAD = "pad"
    CROP = "crop"
    STRETCH = "stretch"


@dataclass(frozen=True)
class InputContract:
    """What every file takes: uint8 `[batch, height, width, channels]`, raw pixels 0–255. How many
    images a batch may have is up to the file (`GraphSummary.batch`); one image every file takes.

    Sides are 1 to 65,536 pixels; `channels` is 1 (grayscale) or 3 (RGB). `fit` is how pictures
    were brought to that size in training, and are on the device. No caller ever normalises.
    """

    height: int
    width: int
    channels: int
    fit: Fit = Fit.PAD

    def __post_init__(self) -> None:
        if not (0 < self.height <= 65536 and 0 < self.width <= 65536):
            raise ValueError("the input's height and width lie between 1 and 65536")
        if self.channels not in (1, 3):
            raise ValueError("the input has 1 or 3 channels")


@dataclass(frozen=True)
class Calibration:
    """The training images an int8 file's ranges were measured on.

    `indices` count from 0 in the training split, in the order they were used; `sha256` is over
    the images' bytes in that order.
    """

    seed: int
    indices: tuple[int, ...]
    sha256: str


class Verdict(StrEnum):
    """What the proof says of a file.

    `proved`: it keeps to its gate. `rejected`: there is evidence that it does not. `undecided`: it
    does not keep to its gate on these images, which are too few to tell that from chance.
    """

    PROVED = "proved"
    UNDECIDED = "undecided"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Gate:
    """What a file is allowed to lose against the Keras model that it was made from."""

    largest_drop: float
    """Percentage points by which accuracy may fall below that of Keras."""
    least_agreement: float
    """Share of images (0–1) on which the top class must be that of Keras."""

    def __str__(self) -> str:
        return (
            f"at most {self.largest_drop:g} points of accuracy lost, "
            f"the same class as Keras for at least {self.least_agreement:.4g} of the images"
        )


def some_layers(names: Sequence[str]) -> str:
    """Layers for a sentence: of many the first ones, and how many more there are."""
    shown = ", ".join(names[:MOST_LAYERS])
    more = len(names) - MOST_LAYERS
    return f"{shown} and {more} more" if more > 0 else shown


DEFAULT_GATE = Gate(largest_drop=0.5, least_agreement=0.99)


@dataclass(frozen=True)
class ModelInfo:
    """What a file says of itself.

    `accuracy` (0–1) was measured on all `test_images` of the data set's test split, in the
    file's own runtime; `verdict` is that of its proof, by the criteria of `gate`. `source_sha256`
    is the Keras file it was converted from, empty for the Keras file itself. `float_layers` are
    what a `mixed` file keeps in float, in the order in which they run. `min_runtime` names the
    oldest runtime that loads it. `versions` are the packages it was made with.
    """

    name: str
    architecture: str
    dataset: str
    labels: tuple[str, ...]
    input: InputContract
    precision: Precision
    accuracy: float | None = None
    test_images: int = 0
    verdict: Verdict = Verdict.PROVED
    gate: Gate = DEFAULT_GATE
    source_sha256: str = ""
    calibration_sha256: str = ""
    float_layers: tuple[str, ...] = ()
    min_runtime: str = ""
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.labels:
            raise ValueError("a classifier has at least one label")
        if self.accuracy is not None and not 0 <= self.accuracy <= 1:
            raise ValueError("the accuracy lies between 0 and 1")

    def to_json(self) -> str:
        """One line of JSON, the same for the same content."""
        record = plain(self) | {"schema": SCHEMA}
        return json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> ModelInfo:
        """The record that `to_json` wrote.

        Raises:
            ToolchainError: the text is not such a record, or of a newer schema.
        """
        try:
            return read_versioned(cls, text, SCHEMA)
        except ValueError as error:
            raise ToolchainError(
                f"The description inside the file is damaged ({error}). "
                "Export the model again, or fetch a fresh copy of the file."
            ) from error


@dataclass(frozen=True)
class Artifact:
    """A model file on disk and what it is. The suffix is the name of its format."""

    path: Path
    info: ModelInfo


@dataclass(frozen=True)
class Operator:
    """One step of a graph, in the order in which it runs; `macs` are multiply-accumulates for one
    image, `output` is the shape of what it gives for one, empty where that is not known, and
    `parameters` counts the weights and biases that it is the first to use."""

    name: str
    macs: int = 0
    output: tuple[int, ...] = ()
    parameters: int = 0


@dataclass(frozen=True)
class Layer:
    """A layer of a Keras model: its kind, the shape of its output for one image, its parameters,
    its multiply-accumulates for one image, and its name."""

    kind: str
    output: tuple[int | None, ...]
    parameters: int
    macs: int
    name: str = ""


@dataclass(frozen=True)
class GraphSummary:
    """What is inside a file, read from its graph and not from its description.

    `batch` is how many images the file takes in one call; None where that is free.
    `parameters` counts the values of all constant tensors; `activation_bytes` adds up all
    tensors that are computed for one image, and `peak_bytes` is the most of them, with the image,
    that are needed at once where the operators run in the file's order and none in place; None
    where that is not known. A runtime that plans its memory needs about the peak.
    `accelerated_by` names what the installed runtime hands operators to, such as `XNNPACK`, and
    `left_out` the operators that it does not take; they run one by one, more slowly. Of a graph
    that is `opaque`, because it is frozen or has loops, multiply-accumulates and activations are
    not known.
    """

    operators: tuple[Operator, ...]
    parameters: int
    activation_bytes: int
    min_runtime: str
    accelerated_by: str = ""
    left_out: tuple[str, ...] = ()
    opaque: bool = False
    batch: int | None = None
    peak_bytes: int | None = None

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return sum(operator.macs for operator in self.operators)


@dataclass(frozen=True)
class Comparison:
    """A file against Keras on the same images; every rate is between 0 and 1.

    `accuracy`, with its 95 % Wilson `interval`, is that on all `images` of the test set.
    `only_keras_right` and `only_file_right` count the test images that just one of them gets
    right; `p_value` is McNemar's exact test on these two counts: small means that the difference
    is not chance. `agreement` is the share of images with the same top class, and
    `largest_difference` that of any probability. Both need no labels: they were measured on
    `compared_images`, the test images and, where these are few, training images as well. Older
    records leave that out and mean the test images.
    """

    images: int
    accuracy: float
    interval: tuple[float, float]
    keras_accuracy: float
    agreement: float
    largest_difference: float
    only_keras_right: int
    only_file_right: int
    p_value: float
    compared_images: int | None = None

    def __post_init__(self) -> None:
        if self.images < 1:
            raise ValueError("a comparison needs at least one image")

    @property
    def change(self) -> float:
        """Accuracy against Keras, in percentage points; negative where the file is worse."""
        return 100 * (self.only_file_right - self.only_keras_right) / self.images


@dataclass(frozen=True)
class Prediction:
    """One class and its probability (0–1); `index` counts from 0 in the model's labels."""

    label: str
    index: int
    probability: float
