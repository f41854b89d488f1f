"""How model files are made of Keras models, and looked into: one module a format.

Every module that has the name of a format has the face `Converter`. Importing one imports no
converter, which happens inside its functions.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from toolchain import formats
from toolchain.model.artifact import GraphSummary, ModelInfo, Precision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Converter(Protocol):
    """What makes the files of a format."""

    PACKAGES: tuple[str, ...]
    """The Python packages whose versions decide what `convert` writes."""

    def convert(
        self, model: Any, precision: Precision, calibration: NDArray[np.uint8] | None
    ) -> bytes:
        """The Keras `model` as a file of this format.

        `calibration`, uint8 `[N, height, width, channels]`, is needed for int8 and ignored
        otherwise.

        Raises:
            ToolchainError: the converter failed.
        """

    def embed(self, data: bytes, info: ModelInfo) -> bytes:
        """The same model, now saying what it is."""

    def min_runtime(self, data: bytes) -> str:
        """The oldest runtime that loads the file, such as `onnxruntime 1.12`; empty where that is
        not known.

        Raises:
            ToolchainError: the file is damaged.
        """

    def summarize(self, data: bytes) -> GraphSummary:
        """What the file's graph holds.

        Raises:
            ToolchainError: the file cannot be loaded.
        """


class Inspector(Protocol):
    """A loaded file that shows what each of its operators computes, by the name of its output."""

    operators: dict[str, str]
    """The kind of the operator behind each output, such as `CONV_2D`, in the order they run."""

    quantized: frozenset[str]
    """The outputs that are held in 8 bits."""

    def outputs(self, image: NDArray[np.uint8], names: Iterable[str]) -> list[NDArray[np.float32]]:
        """What these outputs are for one image uint8 `[height, width, channels]`, dequantised."""


class Selective(Converter, Protocol):
    """What a converter offers besides that can keep some layers in float."""

    def calibrate(self, model: Any, images: NDArray[np.uint8]) -> bytes:
        """The Keras `model` in float, with the ranges seen on `images` uint8 `[N, height, width,
        channels]`.

        Raises:
            ToolchainError: the converter failed.
        """

    def quantize(self, calibrated: bytes, in_float: Collection[str] = ()) -> bytes:
        """A calibrated file in int8, but for the operators with the outputs `in_float`.

        Raises:
            ToolchainError: the converter failed.
        """

    def inspect(self, data: bytes) -> Inspector:
        """Open a file to look inside. Its outputs have the names of those of the calibrated file
        it was made from."""

    def layers_of(self, output: str, model: Any) -> tuple[str, ...]:
        """The layers of the Keras `model` that an operator with this output computes."""


def get(name: str) -> Converter:
    """What makes files of the format called `name`.

    Raises:
        UsageError: there is no such format.
    """
    formats.get(name)
    return cast(Converter, importlib.import_module(f"{__name__}.{name}"))


def of(path: Path) -> Converter:
    """What makes files such as `path`, told by its suffix.

    Raises:
        UsageError: the suffix names no format.
    """
    formats.of(path)
    return get(path.suffix[1:])


def selective(name: str) -> Selective | None:
    """What makes files of the format called `name`, if it can keep some layers in float."""
    mixed = Precision.MIXED in formats.get(name).PRECISIONS
    return cast(Selective, get(name)) if mixed else None
