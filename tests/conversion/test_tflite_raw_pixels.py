"""What a file in int8 does with raw pixels before its first layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from toolchain import conversion, formats
from toolchain.formats import keras as keras_format
from toolchain.model.artifact import Precision

LEVELS = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
PHOTOS = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)


def identity() -> layers.Conv2D:
    """A convolution whose border keeps the converter from taking an offset into its bias."""
    kernel = np.zeros((3, 3, 1, 1))
    kernel[1, 1] = 1
    initial = keras.initializers.Constant(kernel)
    return layers.Conv2D(1, 3, padding="same", kernel_initializer=initial)


def operators(data: bytes) -> list[str]:
    return [each.name for each in conversion.get("tflite").summarize(data).operators]


@pytest.mark.parametrize(
    ("scale", "offset"), [(1 / 255, 0.0), (1 / 128, -127 / 128), (1 / 127.5, -1.0), (0.02, -2.0)]
)
def test_the_first_layer_gets_all_gray_levels(scale: float, offset: float) -> None:
    image = keras.Input((16, 16, 1), dtype="uint8")
    x = layers.Rescaling(scale, offset)(image)
    answer = layers.Dense(3, activation="softmax")(layers.Flatten()(identity()(x)))
    maker = conversion.selective("tflite")
    assert maker
    data = maker.quantize(maker.calibrate(keras.Model(image, answer), LEVELS))
    assert operators(data)[:2] == ["QUANTIZE", "CONV_2D"]
    inspector = maker.inspect(data)
    (convolved,) = [name for name, kind in inspector.operators.items() if kind == "CONV_2D"]
    (values,) = inspector.outputs(LEVELS[0], [convolved])
    assert len(np.unique(values)) == 256
    assert np.abs(values.ravel() - (scale * LEVELS.ravel() + offset)).max() <= scale


def photo_network(*first: keras.Layer) -> keras.Model:
    image = x = keras.Input((8, 8, 3), dtype="uint8")
    for each in first:
        x = each(x)
    keras.utils.set_random_seed(0)
    x = layers.Flatten()(layers.Conv2D(4, 3, padding="same")(x))
    return keras.Model(image, layers.Dense(4, activation="softmax")(x))


@pytest.mark.parametrize(
    "layer",
    [
        lambda x: layers.Concatenate()([x, layers.Rescaling(3)(identity()(x[..., :1]))]),
        lambda x: layers.Concatenate()([layers.MaxPooling2D(1)(x), 3 * identity()(x[..., :1])]),
        lambda x: keras.ops.clip(x, -0.5, 0.5),
    ],
)
def test_a_reader_may_want_the_range_of_another_tensor(layer: Any) -> None:
    model = photo_network(layers.Rescaling(1 / 128, -127 / 128), layer)
    data = conversion.get("tflite").convert(model, Precision.INT8, PHOTOS)
    assert operators(data)[0] == "QUANTIZE"
    answers = formats.get("tflite").open_session(data, 1).run(PHOTOS)
    assert np.abs(answers - keras_format.open_model(model).run(PHOTOS)).max() < 0.05


def test_a_scaling_of_each_channel_stays_in_float() -> None:
    colours = layers.Normalization(mean=(120, 110, 100), variance=(3000, 3200, 3400))
    model = photo_network(layers.Rescaling(1), colours)
    data = conversion.get("tflite").convert(model, Precision.INT8, PHOTOS)
    assert operators(data)[:4] == ["DEQUANTIZE", "SUB", "MUL", "QUANTIZE"]
    answers = formats.get("tflite").open_session(data, 1).run(PHOTOS)
    assert np.abs(answers - keras_format.open_model(model).run(PHOTOS)).max() < 0.05


def test_a_scaling_that_leaves_no_zero_stays_in_float() -> None:
    model = photo_network(layers.Rescaling(1 / 255, 0.5))
    data = conversion.get("tflite").convert(model, Precision.INT8, PHOTOS)
    assert operators(data)[:3] == ["DEQUANTIZE", "ADD", "QUANTIZE"]
    answers = formats.get("tflite").open_session(data, 1).run(PHOTOS)
    assert np.abs(answers - keras_format.open_model(model).run(PHOTOS)).max() < 0.05


def test_pixels_that_are_first_moved_are_cast_as_before() -> None:
    model = photo_network(layers.Lambda(lambda x: x[..., ::-1]), layers.Rescaling(1 / 255))
    data = conversion.get("tflite").convert(model, Precision.INT8, PHOTOS)
    assert "CAST" in operators(data)
    answers = formats.get("tflite").open_session(data, 1).run(PHOTOS)
    assert np.abs(answers - keras_format.open_model(model).run(PHOTOS)).max() < 0.05
