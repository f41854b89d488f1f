"""How a model wants its pixels prepared, and whether its own first layers do that."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from toolchain.errors import require


class Scale(StrEnum):
    """What was done to the pixels, 0 to 255, before a model was trained on them.

    `0..1`: divided by 255. `-1..1`: divided by 127.5, less 1. `imagenet`: divided by 255, less the
    mean of ImageNet's channels, divided by their standard deviation. `caffe`: channels in the order
    blue, green, red, less ImageNet's mean. `none`: nothing, or the model does it itself.
    keras.applications calls the middle three `tf`, `torch` and `caffe`.
    """

    UNIT = "0..1"
    SIGNED = "-1..1"
    IMAGENET = "imagenet"
    CAFFE = "caffe"
    NONE = "none"


# of red, green and blue, 0 to 1 (keras.applications.imagenet_utils)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
CAFFE_MEAN = (103.939, 116.779, 123.68)  # of blue, green and red, 0 to 255
# What brings 255 to more than this was made for small numbers: values from -1 to 1 have at most
# the standard deviation 1, so normalising them multiplies by at least 1; pixels are divided.
LARGEST_SPREAD = 128


def offered(channels: int) -> tuple[Scale, ...]:
    """The preparations that there are for so many channels; ImageNet's are for colour only."""
    return tuple(Scale) if channels == 3 else (Scale.UNIT, Scale.SIGNED, Scale.NONE)


def step(scale: Scale) -> Any:
    """What takes raw pixels uint8 `[N, H, W, C]` and gives them prepared, float32, in Keras."""
    keras = require("keras", "export")
    layers = keras.layers
    if scale is Scale.UNIT:
        return layers.Rescaling(1 / 255)
    if scale is Scale.SIGNED:
        return layers.Rescaling(1 / 127.5, offset=-1)
    if scale is Scale.IMAGENET:
        return layers.Normalization(
            mean=[255 * mean for mean in IMAGENET_MEAN],
            variance=[(255 * deviation) ** 2 for deviation in IMAGENET_DEVIATION],
        )
    if scale is Scale.CAFFE:
        import numpy as np  # here, because the command line knows the scales

        # a convolution, because every runtime has one; converters make much of turning an axis
        swap = layers.Conv2D(3, 1)
        swap.build((None, None, None, 3))
        swap.set_weights([np.eye(3)[::-1].reshape(1, 1, 3, 3), -np.array(CAFFE_MEAN)])
        return lambda pixels: swap(keras.ops.cast(pixels, "float32"))
    return lambda pixels: keras.ops.cast(pixels, "float32")


def prepares_itself(model: Any, shape: tuple[int, ...]) -> bool:
    """Whether the first layers of the Keras `model` bring raw pixels of the `shape` of one image
    to the small numbers that networks compute with.

    They are followed into nested models, up to the first that computes features, and then tried on
    black and on white. False where the model is no graph of layers, or the graph parts before.
    """
    keras = require("keras", "export")
    ends = keras.ops.stack([keras.ops.zeros(shape), keras.ops.full(shape, 255.0)])
    steps = list(_first_steps(model))
    for each in steps:
        ends = each(ends, training=False)  # augmentation is for training
    spread = abs(keras.ops.convert_to_numpy(ends[1] - ends[0]))
    return bool(steps) and 0 < float(sorted(spread.ravel())[spread.size // 2]) <= LARGEST_SPREAD


def _first_steps(model: Any) -> Iterator[Any]:
    """The parts of the model, from its input on, that only prepare pixels."""
    keras = require("keras", "export")
    if not isinstance(model, keras.Sequential) and not hasattr(model, "_nodes_by_depth"):
        return
    first = tensor = model.inputs[0]
    nodes = [n for level in _graph(model)._nodes_by_depth.values() for n in level]
    while True:
        readers = [n for n in nodes if any(each is tensor for each in n.input_tensors)]
        if len(readers) != 1 or len(readers[0].outputs) != 1:
            break
        operation = readers[0].operation
        if not _prepares(operation):
            if tensor is not first:
                yield keras.Model(first, tensor)
            if isinstance(operation, keras.Model):
                yield from _first_steps(operation)
            return
        tensor = readers[0].outputs[0]
    if tensor is not first:
        yield keras.Model(first, tensor)


def _graph(model: Any) -> Any:
    return getattr(model, "_functional", None) or model


def _prepares(operation: Any) -> bool:
    """Whether it changes the pixels' size, place or scale, and computes nothing from them."""
    keras = require("keras", "export")
    layers = keras.layers
    if isinstance(operation, keras.Model):
        return all(map(_prepares, operation.layers))
    if not isinstance(operation, layers.Layer):
        return True  # arithmetic, as preprocess_input leaves it in a graph
    kinds = (layers.InputLayer, layers.Rescaling, layers.Normalization, layers.BatchNormalization)
    moved = (layers.Resizing, layers.CenterCrop, layers.ZeroPadding2D, layers.Reshape)
    augmentation = keras.src.layers.preprocessing.image_preprocessing
    changed = augmentation.base_image_preprocessing_layer.BaseImagePreprocessingLayer
    return isinstance(operation, (*kinds, *moved, changed))
