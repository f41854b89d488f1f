"""A small convolutional network that a few numbers describe: the networks that a search may find,
and our own small ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from toolchain.model.artifact import InputContract
from toolchain.support.errors import UsageError, require
from toolchain.support.suggestions import unknown

MOMENTUM = 0.9  # with 0.99 the averages of a few hundred steps are still those of the start
SMALLEST_SIDE = 8  # pixels; a stage halves no further
RESIDUAL, SEPARABLE, VALID = "residual", "separable", "valid"
BLOCKS = (RESIDUAL, SEPARABLE, VALID)
FLATTEN, AVERAGE = "flatten", "average"
HEADS = (FLATTEN, AVERAGE)


@dataclass(frozen=True)
class Stage:
    """A convolution to so many `channels`, and `blocks` that keep them.

    With `strides` 2 it halves those sides that are longer than 8 pixels. Each block is a `kind`:

    - `residual`: a 3×3 convolution, added to what it is computed from (K. He et al., "Deep residual
      learning for image recognition", CVPR 2016);
    - `separable`: the same, but each channel has a 3×3 convolution of its own, and one of 1×1 mixes
      them (A. Howard et al., "MobileNets", 2017);
    - `valid`: a 3×3 convolution without a margin, which takes 2 pixels off each side.

    Batch normalisation and ReLU follow every convolution.
    """

    channels: int
    strides: int = 2
    kernel: int = 3
    blocks: int = 0
    kind: str = RESIDUAL

    def __post_init__(self) -> None:
        if min(self.channels, self.kernel) < 1 or self.strides not in (1, 2) or self.blocks < 0:
            raise UsageError(
                "A stage has at least 1 channel, a kernel of at least 1 pixel, strides of 1 or 2, "
                f"and no less than 0 blocks, unlike {self}."
            )
        if self.kind not in BLOCKS:
            raise unknown("kind of block called", self.kind, BLOCKS)


@dataclass(frozen=True)
class Design:
    """Stages, one after the other, and a dense layer.

    The `head` either gives the dense layer all places of all channels (`flatten`), or one `average`
    of each channel, with learnt weights that start equal. `dropout` (0 to below 1) is the share of
    the dense layer's inputs that are left out at each step of the training.
    """

    stages: tuple[Stage, ...]
    head: str = AVERAGE
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not self.stages:
            raise UsageError("A network has at least 1 stage.")
        if self.head not in HEADS:
            raise unknown("head called", self.head, HEADS)
        if not 0 <= self.dropout < 1:
            raise UsageError(f"Dropout lies between 0 and 1, not {self.dropout:g}.")

    def build(self, contract: InputContract, classes: int) -> Any:
        """An untrained `keras.Model`: uint8 `[N, height, width, channels]` in, float32
        probabilities `[N, classes]` out.

        Raises:
            ValueError: the images are too small for a block without margin.
        """
        image, x = scaled(contract)
        for stage in self.stages:
            x = convolution(x, stage.channels, stage.kernel, _strides(x, stage.strides))
            for _ in range(stage.blocks):
                x = _block(x, stage.kind)
        if self.head == AVERAGE:
            x = _weighted_average(x)
        if self.dropout:
            x = require("keras", "export").layers.Dropout(self.dropout)(x)
        return answer(image, x, classes)


def pixels(contract: InputContract) -> Any:
    """The input of a network: raw pixels uint8 0–255."""
    shape = (contract.height, contract.width, contract.channels)
    return require("keras", "export").Input(shape, dtype="uint8", name="image")


def scaled(contract: InputContract) -> tuple[Any, Any]:
    """The pixels, and the pixels from 0 to 1."""
    image = pixels(contract)
    return image, require("keras", "export").layers.Rescaling(1 / 255)(image)


def convolution(
    x: Any,
    channels: int,
    size: int = 3,
    strides: int | tuple[int, ...] = 1,
    padding: str = "same",
    activation: bool = True,
) -> Any:
    """A convolution with batch normalisation instead of a bias, and what is above zero of it."""
    layers = require("keras", "export").layers
    x = layers.Conv2D(channels, size, strides, padding=padding, use_bias=False)(x)
    x = layers.BatchNormalization(momentum=MOMENTUM)(x)
    return layers.ReLU()(x) if activation else x


def answer(image: Any, x: Any, classes: int) -> Any:
    """The network from `image` to the probabilities that a dense layer makes of `x`."""
    keras = require("keras", "export")
    x = keras.layers.Flatten()(x)
    return keras.Model(image, keras.layers.Dense(classes, activation="softmax")(x))


def _strides(x: Any, strides: int) -> tuple[int, ...]:
    return tuple(strides if side > SMALLEST_SIDE else 1 for side in x.shape[1:3])


def _block(x: Any, kind: str) -> Any:
    layers, channels = require("keras", "export").layers, x.shape[-1]
    if kind == VALID:
        return convolution(x, channels, padding="valid")
    if kind == RESIDUAL:
        added = convolution(x, channels, activation=False)
    else:
        added = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        added = layers.ReLU()(layers.BatchNormalization(momentum=MOMENTUM)(added))
        added = convolution(added, channels, size=1, activation=False)
    return layers.ReLU()(layers.Add()([x, added]))


def _weighted_average(x: Any) -> Any:
    """Each channel averaged over the places, with weights that start equal."""
    keras = require("keras", "export")
    equal = keras.initializers.Constant(1 / math.prod(x.shape[1:3]))
    return keras.layers.DepthwiseConv2D(x.shape[1:3], depthwise_initializer=equal)(x)
