"""The layers of a model that is going to be trained, as `model.summary()` of Keras shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from toolchain.formats.keras import summarized_layers


@dataclass(frozen=True)
class Layer:
    """One layer: its kind in Keras, the shape of its output for one image, its parameters, and its
    multiply-accumulates for one image."""

    kind: str
    output: tuple[int | None, ...]
    parameters: int
    macs: int


def layers(model: Any) -> tuple[Layer, ...]:
    """The layers of the Keras `model` that compute, in their order; nested ones in their place."""
    return tuple(
        Layer(type(layer).__name__, shape, int(layer.count_params()), macs)
        for layer, shape, macs in summarized_layers(model)
    )
