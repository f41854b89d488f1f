"""The one contract of every exported file, checked where a runtime has loaded it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain.support.errors import ToolchainError

PIXELS = np.dtype(np.uint8)  # numpy compares it with a dtype at once; a type it looks up first


def only_ends(inputs: Sequence[Any], outputs: Sequence[Any]) -> tuple[Any, Any]:
    """The one input and the one output of a loaded file.

    Raises:
        ToolchainError: it has more, or none.
    """
    if len(inputs) != 1 or len(outputs) != 1:
        raise ToolchainError(
            f"Expected one input and one output, found {len(inputs)} and {len(outputs)}."
        )
    return inputs[0], outputs[0]


def check_contract(
    input_shape: Sequence[Any], input_type: str, output_shape: Sequence[Any], output_type: str
) -> tuple[tuple[int, int, int], int]:
    """One input uint8 `[batch, height, width, channels]`, one output float32 `[batch, classes]`.

    Returns the shape of one image and the number of classes. Both ends are plain numbers: a file
    with a quantised output, which a caller would have to scale, is none of ours.

    Raises:
        ToolchainError: the file has another contract.
    """
    takes = (len(input_shape), input_type)
    gives = (len(output_shape), output_type)
    fixed = [*input_shape[1:], *output_shape[1:]]
    whole = all(isinstance(size, int | np.integer) and size > 0 for size in fixed)
    if takes != (4, "uint8") or gives != (2, "float32") or not whole:
        raise ToolchainError(
            "This file does not take raw pixels: expected uint8 [batch, height, width, channels] "
            f"in and float32 [batch, classes] out, found {input_type} {list(input_shape)} in and "
            f"{output_type} {list(output_shape)} out. Export the model with this toolchain."
        )
    height, width, channels, classes = map(int, fixed)
    return (height, width, channels), classes


def check_images(
    images: NDArray[np.uint8], shape: tuple[int, int, int], batch: int | None = None
) -> None:
    """Refuse arrays that a runtime would take and answer wrongly.

    Raises:
        ToolchainError: `images` is not uint8 `[N, *shape]`, or N is not the `batch` that is asked
            for.
    """
    size = "N" if batch is None else batch
    if images.dtype != PIXELS or images.shape[1:] != shape or len(images) != (batch or len(images)):
        raise ToolchainError(
            f"The model takes raw pixels, uint8 {[size, *shape]}; "
            f"these are {images.dtype} {list(images.shape)}."
        )
