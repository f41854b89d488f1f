"""Cases of models with layers, activations, types and inputs that our own models do not have."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.field.case import ALL, REFUSED, Expected, case, published, refused
from benchmarks.field.material import (
    SHAPES,
    convolutional,
    dense,
    draw,
    fashion,
    learn,
    learn_pictures,
    raw,
    read,
)

KIND = "layers"
EXPORT = "export model.keras --data fashion.npz"
SCALED = f"{EXPORT} --scale 0..1"
IN_FLOAT = " --precision float32 --precision float16"  # int8 of a long loop takes many minutes
Block = Callable[[Any, Any], Any]  # of keras.layers and what goes into it


def mixer(of: Any, values: Any) -> Any:
    """Mixer: dense layers over tokens and channels"""
    mixed = of.Permute((2, 1))(of.LayerNormalization()(values))
    mixed = of.Permute((2, 1))(of.Dense(49)(of.Dense(32, activation="relu")(mixed)))
    values = of.Add()([values, mixed])
    return of.Add()([values, of.Dense(32, activation="relu")(values)])


def attention(of: Any, values: Any) -> Any:
    """Attention of several heads"""
    return of.Add()([values, of.MultiHeadAttention(2, 16)(values, values)])


def class_token(of: Any, values: Any) -> Any:
    """Class token (the mean) with Conv1D"""
    token = of.Reshape((1, 32))(of.GlobalAveragePooling1D()(values))
    return of.Conv1D(16, 3, padding="same")(of.Concatenate(axis=1)([token, values]))


def zeros_token(of: Any, values: Any) -> Any:
    """Class token (zeros, as many as images) with Conv1D"""
    from keras import ops

    token = ops.zeros_like(values[:, :1])
    return of.Conv1D(16, 3, activation="relu")(of.Concatenate(axis=1)([token, values]))


def lstm(of: Any, values: Any) -> Any:
    """LSTM over rows"""
    return of.LSTM(24, return_sequences=True)(values)


def gru(of: Any, values: Any) -> Any:
    """GRU over rows"""
    return of.GRU(24, return_sequences=True)(values)


def simple_rnn(of: Any, values: Any) -> Any:
    """SimpleRNN over rows"""
    return of.SimpleRNN(24, return_sequences=True)(values)


def bidirectional(of: Any, values: Any) -> Any:
    """LSTM in both directions"""
    return of.Bidirectional(of.LSTM(12, return_sequences=True))(values)


def squeeze_and_excite(of: Any, values: Any) -> Any:
    """Squeeze and excite"""
    share = of.Dense(32, activation="sigmoid")(of.GlobalAveragePooling1D()(values))
    return of.Multiply()([values, of.Reshape((1, 32))(share)])


def einsum(of: Any, values: Any) -> Any:
    """EinsumDense"""
    return of.EinsumDense("abc,cd->abd", (None, 24), activation="relu")(values)


def _of_tokens(block: Block, place: Path) -> None:
    """A model whose block works on 49 tokens of 32 numbers each."""
    import keras
    from keras import layers

    image = keras.Input((28, 28, 1))
    values = layers.Conv2D(32, 4, strides=4)(layers.Rescaling(1 / 255)(image))
    values = layers.GlobalAveragePooling1D()(block(layers, layers.Reshape((49, 32))(values)))
    model = keras.Model(image, layers.Dense(10, activation="softmax")(values))
    learn(model, raw).save(place / "model.keras")


def group_normalization(of: Any, values: Any) -> Any:
    """Group normalisation"""
    return of.GroupNormalization(4)(of.Conv2D(8, 3, strides=2)(values))


def instance_normalization(of: Any, values: Any) -> Any:
    """Group normalisation, a group a channel"""
    return of.GroupNormalization(-1)(of.Conv2D(8, 3, strides=2)(values))


def unit_normalization(of: Any, values: Any) -> Any:
    """Unit normalisation"""
    return of.UnitNormalization()(of.Conv2D(8, 3, strides=2)(values))


def augmentation_inside(of: Any, values: Any) -> Any:
    """RandomFlip and RandomRotation as first layers"""
    return of.RandomRotation(0.02)(of.RandomFlip("horizontal")(values))


def transposed(of: Any, values: Any) -> Any:
    """Up and down: Conv2DTranspose, UpSampling2D, MaxPooling2D"""
    values = of.Conv2DTranspose(4, 3, strides=2)(of.Conv2D(8, 3, strides=2)(values))
    return of.MaxPooling2D(4)(of.UpSampling2D()(values))


def separable(of: Any, values: Any) -> Any:
    """Separable convolution with dilation and hard swish"""
    values = of.SeparableConv2D(12, 3, dilation_rate=2, activation="hard_silu")(values)
    return of.MaxPooling2D(3)(values)


def coordinate_channels(of: Any, values: Any) -> Any:
    """Channels that hold the pixel's place, made for each image of the batch"""
    from keras import ops

    ramp = np.linspace(0, 1, 28, dtype=np.float32)[:, None, None]
    values = of.Concatenate()([values, ops.zeros_like(values) + ramp])
    return of.Conv2D(8, 5, strides=3, activation="relu")(values)


def _of_pixels(block: Block, place: Path) -> None:
    """A model whose block works on the image."""
    import keras
    from keras import layers

    image = keras.Input((28, 28, 1))
    values = layers.Flatten()(block(layers, layers.Rescaling(1 / 255)(image)))
    model = keras.Model(image, layers.Dense(10, activation="softmax")(values))
    learn(model, raw).save(place / "model.keras")


BLOCKS: dict[Callable[[Block, Path], None], tuple[Block, ...]] = {
    _of_tokens: (
        mixer,
        attention,
        class_token,
        zeros_token,
        lstm,
        gru,
        simple_rnn,
        bidirectional,
        squeeze_and_excite,
        einsum,
    ),
    _of_pixels: (
        group_normalization,
        instance_normalization,
        unit_normalization,
        augmentation_inside,
        transposed,
        separable,
        coordinate_channels,
    ),
}
for build, blocks in BLOCKS.items():
    for block in blocks:
        command = f"{EXPORT}{IN_FLOAT}" if block in (gru, bidirectional) else EXPORT
        register = case(KIND, command, published(), block.__name__, block.__doc__ or "")
        register(partial(build, block))


def _half(policy: str, factor: float, place: Path) -> None:
    """A model of half precision, whose hidden values are multiplied by `factor` afterwards."""
    import keras
    from keras import layers

    keras.config.set_dtype_policy(policy)
    try:
        model = keras.Sequential(
            [
                layers.Input((28, 28, 1)),
                layers.Conv2D(12, 3, strides=2, activation="relu"),
                layers.Flatten(),
                layers.Dense(32, activation="relu", name="hidden"),
                layers.Dense(10, activation="softmax", dtype="float32", name="scores"),
            ]
        )
        learn(model)
    finally:
        keras.config.set_dtype_policy("float32")
    hidden, scores = model.get_layer("hidden"), model.get_layer("scores")
    hidden.set_weights([value * factor for value in hidden.get_weights()])
    kernel, bias = scores.get_weights()
    scores.set_weights([kernel / factor, bias])
    model.save(place / "model.keras")


for policy in ("mixed_float16", "mixed_bfloat16"):
    register = case(KIND, SCALED, published(ALL), policy, f"Trained under {policy}")
    register(partial(_half, policy, 1.0))
case(KIND, SCALED, published(), "overflow", "mixed_float16, and pixels of 0..255 overflow")(
    partial(_half, "mixed_float16", 1e3)
)


def _activated(activation: Any, place: Path) -> None:
    import tensorflow as tf

    model = dense(last=tf.nn.softmax)
    model.get_layer("hidden").activation = activation
    learn(model).save(place / "model.keras")


def _of_tensorflow(name: str, place: Path) -> None:
    import tensorflow as tf

    _activated(getattr(tf.nn, name), place)


for name in ("relu", "leaky_relu", "swish", "elu", "relu6"):
    title = f"activation=tf.nn.{name}, the last tf.nn.softmax"
    case(KIND, SCALED, published(), f"tf_nn_{name}", title)(partial(_of_tensorflow, name))


OWN_FUNCTION = """import keras

@keras.saving.register_keras_serializable()
def {name}(values):
    return keras.ops.{body}
"""


def _own_function(name: str, body: str, place: Path) -> None:
    source = OWN_FUNCTION.format(name=name, body=body)
    (place / "own.py").write_text(source)
    scope: dict[str, Any] = {}
    exec(source, scope)
    _activated(scope[name], place)


for name, body in (("steps", "clip(values, 0, 3)"), ("softmax", "maximum(values, 0)")):
    case(
        KIND,
        f"{SCALED} --import own --precision float32 && info models/model/model.keras",
        published(("float32.onnx", "float32.tflite"), codes=(0,)),
        f"own_{name}",
        f"An own function `{name}`, decorated, with --import; the published file opens",
    )(partial(_own_function, name, body))


@case(KIND, "export model.keras --data photos --size 32", published())
def any_size(place: Path) -> None:
    """A model for any size, which brings pictures to its own"""
    import keras
    from keras import layers

    draw(place / "photos", count=60, size=(40, 40))
    x, y = read(place / "photos", SHAPES)
    image = keras.Input((None, None, 3))
    values = layers.Resizing(32, 32)(layers.Rescaling(1 / 255)(image))
    learn_pictures(keras.Model(image, convolutional(3)(values)), x, y).save(place / "model.keras")


@case(KIND, EXPORT, published())
def whole_numbers(place: Path) -> None:
    """An input of type uint8"""
    import keras
    from keras import layers

    image = keras.Input((28, 28), dtype="uint8")
    values = layers.Flatten()(layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, layers.Dense(10, activation="softmax")(values))
    learn(model, lambda pixels: pixels).save(place / "model.keras")


@case(KIND, SCALED, Expected((0, *REFUSED), never=("--size 1x28",)))
def channels_first(place: Path) -> None:
    """Channels first, as PyTorch has them: proved, or refused for that"""
    import keras
    from keras import layers

    image = keras.Input((1, 28, 28))
    values = layers.Flatten()(layers.Permute((2, 3, 1))(image))
    model = keras.Model(image, layers.Dense(10, activation="softmax")(values))
    x, y, _, _ = fashion()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x[:, None] / 255, y, batch_size=64, epochs=2, verbose=0)
    model.save(place / "model.keras")


@case(
    KIND,
    SCALED,
    refused("784", "--size 28|Flatten"),
    "flat_untold",
    "784 inputs, not told: refused with the lines that help",
)
@case(KIND, f"{SCALED} --size 28", published(ALL))
def flat(place: Path) -> None:
    """784 inputs, told --size 28"""
    model = dense(shape=(784,))
    learn(model, lambda pixels: pixels.reshape(-1, 784) / 255).save(place / "model.keras")
