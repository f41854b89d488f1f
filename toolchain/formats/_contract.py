"""The one contract of every exported file, checked where a runtime has loaded it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain.errors import ToolchainError, UsageError

PIXELS = np.dtype(np.uint8)  # numpy compares it with a dtype at once; a type it looks up first


def check_contract(
    input_shape: Sequence[Any], input_type: str, output_shape: Sequence[Any], output_type: str
) -> None:
    """One input uint8 `[batch, height, width, channels]`, one output float32 `[batch, classes]`.

    Raises:
        ToolchainError: the file has another contract.
    """
    takes = (len(input_shape), input_type)
    gives = (len(output_shape), output_type)
    if takes != (4, "uint8") or gives != (2, "float32"):
        raise ToolchainError(
            "This file does not take raw pixels: expected uint8 [batch, height, width, channels] "
            f"in and float32 [batch, classes] out, found {input_type} {list(input_shape)} in and "
            f"{output_type} {list(output_shape)} out. Export the model with this toolchain."
        )


def check_images(images: NDArray[np.uint8], shape: Sequence[int]) -> None:
    """Refuse arrays that a runtime would take and answer wrongly.

    Raises:
        ToolchainError: `images` is not uint8 `[N, *shape]`.
    """
    if images.dtype != PIXELS or images.shape[1:] != tuple(shape):
        raise ToolchainError(
            f"The model takes raw pixels, uint8 {['N', *shape]}; "
            f"these are {images.dtype} {list(images.shape)}."
        )


def choose(engine: str | None, installed: Sequence[str]) -> str:
    """The engine that is asked for, or the preferred one where none is.

    Raises:
        UsageError: it is not installed here, or does not take this format.
    """
    if engine is not None and engine not in installed:
        raise UsageError(
            f"There is no engine '{engine}' for this file here. "
            f"What is installed is: {', '.join(installed)}."
        )
    return engine or installed[0]
