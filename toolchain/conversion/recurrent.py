"""Recurrent layers without a loop: one step behind the other, as the sequence of an image is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from toolchain.formats.keras import private


@contextlib.contextmanager
def unrolled(model: Any) -> Iterator[None]:
    """While this lasts, the recurrent layers of the Keras `model` compute without a loop.

    TensorFlow's calibrator ends the process when it meets a loop, and onnxruntime's quantiser does
    not look into one. `unroll` is the layers' own setting (keras.io, "LSTM layer").
    """
    loops = [
        layer for layer in private.all_layers(model) if getattr(layer, "unroll", None) is False
    ]
    try:
        for layer in loops:
            layer.unroll = True
        yield
    finally:
        for layer in loops:
            layer.unroll = False
