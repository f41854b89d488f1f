"""Cases of one format that fails, and of test sets that are small."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.field.case import ALL, FLOAT, TFLITE, Expected, case, published
from benchmarks.field.material import (
    SHAPES,
    convolutional,
    dense,
    draw,
    learn,
    learn_pictures,
    npz,
    raw,
    read,
    shoes,
)

KIND = "one format fails"
SMALL = "few test pictures"
EXPORT = "export model.keras --data fashion.npz"
INT8 = "--format onnx --precision int8"
FAILED = (1, 4, 5)


@case(KIND, EXPORT, published(TFLITE[:2], codes=(0, *FAILED)))
def exact_gelu(place: Path) -> None:
    """Exact GELU, whose Erfc ONNX does not have"""
    import keras
    from keras import layers

    model = dense(layers.Rescaling(1 / 255))
    model.get_layer("hidden").activation = keras.activations.gelu
    learn(model, raw).save(place / "model.keras")


@case(KIND, EXPORT, published(TFLITE[:2], codes=(0, *FAILED)))
def convnext_block(place: Path) -> None:
    """A block of ConvNeXt: depthwise 7x7, layer normalisation, dense, exact GELU"""
    import keras
    from keras import layers

    image = keras.Input((28, 28, 1))
    start = layers.Conv2D(16, 4, strides=4)(layers.Rescaling(1 / 255)(image))
    values = layers.LayerNormalization()(layers.DepthwiseConv2D(7, padding="same")(start))
    values = layers.Dense(16)(layers.Dense(32, activation="gelu")(values))
    values = layers.Flatten()(layers.Add()([start, values]))
    model = keras.Model(image, layers.Dense(10, activation="softmax")(values))
    learn(model, raw).save(place / "model.keras")


@case(KIND, EXPORT, published(("float32.onnx",), codes=(0, *FAILED)))
def tangent(place: Path) -> None:
    """tan, which ONNX has and TFLite does not"""
    import keras
    from keras import layers

    image = keras.Input((28, 28))
    values = layers.Dense(32)(layers.Flatten()(layers.Rescaling(1 / 255)(image)))
    values = keras.ops.tan(keras.ops.tanh(values))
    model = keras.Model(image, layers.Dense(10, activation="softmax")(values))
    learn(model, raw).save(place / "model.keras")


@case(KIND, EXPORT, Expected(FAILED, (r"float32\.onnx", r"float32\.tflite", r"int8\.tflite")))
def neither_format(place: Path) -> None:
    """A spectrum (FFT of two dimensions) that no converter knows: all rows, and no file"""
    import keras
    from keras import layers

    image = keras.Input((28, 28))
    pixels = layers.Rescaling(1 / 255)(image)
    real, imaginary = keras.ops.fft2((pixels, pixels * 0))
    values = layers.Flatten()(layers.Concatenate()([real, imaginary]))
    model = keras.Model(image, layers.Dense(10, activation="softmax")(values))
    learn(model, raw).save(place / "model.keras")


def _normalise(network: Any, images: Any) -> None:
    """Let its batch normalisations measure images: with those of no image, all answers are alike.

    Its own momentum of 0.999 would take thousands of steps.
    """
    from keras import layers

    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.5
    for _ in range(10):
        network(images, training=True)


@case(KIND, "export model.keras --data photos", published(FLOAT))
def mobilenet_v3(place: Path) -> None:
    """MobileNetV3Small of keras.applications, its last layer trained"""
    import keras

    draw(place / "photos", count=100)
    x, y = read(place / "photos", SHAPES)
    base = keras.applications.MobileNetV3Small(
        input_shape=(32, 32, 3), include_top=False, weights=None, pooling="avg"
    )
    _normalise(base, x)
    base.trainable = False
    head = keras.Sequential(
        [keras.Input((576,)), keras.layers.BatchNormalization(), keras.layers.Dense(3, "softmax")]
    )
    learn_pictures(head, base.predict(x, verbose=0), y, epochs=40)
    image = keras.Input((32, 32, 3))
    keras.Model(image, head(base(image))).save(place / "model.keras")


@case(
    KIND,
    f"{EXPORT} --scale 0..1 --format onnx --precision int8",
    published(("int8.onnx",), codes=(0, 5)),
)
def only_what_was_asked_for(place: Path) -> None:
    """A control: one file asked for, one file made"""
    learn(dense()).save(place / "model.keras")


def _hundred(seed: int, place: Path) -> None:
    import keras

    keras.utils.set_random_seed(seed)
    npz(place / "hundred.npz", test=100)
    learn(dense()).save(place / "model.keras")


for number in (1, 2, 3):
    case(
        SMALL,
        "export model.keras --data hundred.npz --scale 0..1",
        Expected((0, 5), never=(r"\brejected\b",)),
        f"hundred_test_pictures_{number}",
        f"100 test pictures, seed {number}: int8 is not rejected for one of them",
    )(partial(_hundred, number))


@case(SMALL, "export model.keras --data shoes.npz --scale 0..1", published(ALL, codes=(0,)))
def many_test_pictures(place: Path) -> None:
    """A control: 2,000 test pictures, and a network that is sure (shoes or not): all are proved"""
    npz(place / "shoes.npz", labels=shoes)
    learn(dense(classes=2), epochs=4, labels=shoes).save(place / "model.keras")


@case(
    SMALL,
    "export model.keras --data hundred.npz",
    Expected(FAILED, there=("models/*/*.float32.tflite",), gone=("models/*/*.int8.tflite",)),
)
def harmful_int8(place: Path) -> None:
    """100 test pictures, and one unit so large that int8 has no steps left for the others"""
    from keras import layers

    npz(place / "hundred.npz", test=100)
    model = learn(dense(layers.Rescaling(1 / 255)), raw)
    hidden, scores = model.get_layer("hidden"), model.get_layer("scores")
    kernel, bias = hidden.get_weights()
    hidden.set_weights([kernel * (np.arange(32) > 0), np.where(np.arange(32) > 0, bias, 1e5)])
    kernel, bias = scores.get_weights()
    scores.set_weights([kernel * (np.arange(32) > 0)[:, None], bias])
    model.save(place / "model.keras")


@case(SMALL, "export model.keras --data photos --scale 0..1", published(FLOAT))
def a_dozen_test_pictures(place: Path) -> None:
    """20 pictures a class, so 12 to test with"""
    draw(place / "photos")
    x, y = read(place / "photos", SHAPES)
    learn_pictures(convolutional(3), x / 255, y, epochs=40).save(place / "model.keras")
