"""Models of many kinds become files that answer as Keras does, one image at a time and together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from keras import layers, ops

from toolchain import conversion, formats
from toolchain.evaluation import metrics
from toolchain.external.float32 import in_float32
from toolchain.formats import keras as keras_format
from toolchain.model.artifact import GraphSummary, Precision
from toolchain.support.errors import ToolchainError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
CLOSE = {Precision.FLOAT32: 1e-5, Precision.DYNAMIC: 0.05, Precision.INT8: 0.05}


def network(*middle: Callable[[keras.KerasTensor], keras.KerasTensor]) -> keras.Model:
    """From raw pixels, 8×8 in colour, to 4 probabilities."""
    image = keras.Input((8, 8, 3), dtype="uint8")
    x = layers.Rescaling(1 / 255)(image)
    for each in middle:
        x = each(x)
    x = x if len(x.shape) == 2 else layers.Flatten()(x)
    keras.utils.set_random_seed(0)
    return keras.Model(image, layers.Dense(4, activation="softmax")(x))


def tokens(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Reshape((16, 8))(layers.Conv2D(8, 2, strides=2)(x))


def rows(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Reshape((4, 48))(x)


class ClassToken(layers.Layer):
    """One more token in front of the others, repeated for each image."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="random_normal")

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return ops.concatenate([ops.tile(self.token, (ops.shape(x)[0], 1, 1)), x], 1)


class Coordinates(layers.Layer):
    """Two channels more, which say where a pixel is."""

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        batch, height, width = ops.shape(x)[0], x.shape[1], x.shape[2]
        down = ops.reshape(ops.linspace(-1.0, 1.0, height), (1, height, 1, 1))
        right = ops.reshape(ops.linspace(-1.0, 1.0, width), (1, 1, width, 1))
        down = ops.tile(down, (batch, 1, width, 1))
        return ops.concatenate([x, down, ops.tile(right, (batch, height, 1, 1))], -1)


class LessMean(layers.Layer):
    """An answer that depends on the other images of the batch."""

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return x - ops.mean(x, 0, keepdims=True)


def attention(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.MultiHeadAttention(2, 4)(x, x)


FREE = {
    "dense on tokens": (tokens, layers.Dense(6)),
    "tokens mixed": (tokens, layers.Permute((2, 1)), layers.Dense(5), layers.Permute((2, 1))),
    "attention": (tokens, attention),
    "class token": (tokens, ClassToken(), attention),
    "class token, convolution": (tokens, ClassToken(), layers.Conv1D(4, 3)),
    "coordinates": (Coordinates(), layers.Conv2D(4, 3)),
    "groups": (layers.Conv2D(8, 3), layers.GroupNormalization(2)),
    "grouped convolution": (layers.Conv2D(8, 3), layers.Conv2D(4, 3, groups=2)),
    "each row": (rows, layers.TimeDistributed(layers.Dense(5))),
    "lstm": (rows, layers.LSTM(3)),
    "gru both ways": (rows, layers.Bidirectional(layers.GRU(2))),
    "exact gelu": (layers.Conv2D(4, 3), lambda x: ops.gelu(x, approximate=False)),
    "celu": (layers.Conv2D(4, 3), ops.celu),
    "log(1 + x)": (layers.Conv2D(4, 3, activation="relu"), ops.log1p),
}


def made(
    name: str, model: keras.Model, precision: Precision
) -> tuple[formats.Session, GraphSummary]:
    """A session of the file, which answers as Keras does, and what its graph holds."""
    data = conversion.get(name).convert(model, precision, IMAGES)
    session = formats.get(name).open_session(data, threads=1)
    difference = session.run(IMAGES) - keras_format.open_model(model).run(IMAGES)
    assert np.abs(difference).max() < CLOSE[precision]
    return session, conversion.get(name).summarize(data)


@pytest.mark.parametrize("kind", FREE)
def test_onnx_answers_any_number_of_images_in_one_call(kind: str) -> None:
    session, summary = made("onnx", network(*FREE[kind]), Precision.FLOAT32)
    assert session.batch is summary.batch is None
    together = [session.run_together(IMAGES[:number]) for number in (1, 3, 5)]
    assert np.allclose(np.concatenate(together), session.run(IMAGES)[[0, 0, 1, 2, 0, 1, 2, 3, 4]])


@pytest.mark.parametrize("kind", ["attention", "class token, convolution", "lstm"])
def test_onnx_in_int8_does_too(kind: str) -> None:
    session, _ = made("onnx", network(*FREE[kind]), Precision.INT8)
    assert session.batch is None
    assert not metrics.differs_together(session, IMAGES, session.run(IMAGES), 0.05)


def test_a_batch_that_cannot_be_free_is_one_and_says_so() -> None:
    model = network(LessMean())
    data = conversion.get("onnx").convert(model, Precision.FLOAT32, None)
    session = formats.get("onnx").open_session(data, threads=1)
    shape = onnx.load_from_string(data).graph.input[0].type.tensor_type.shape
    assert (
        shape.dim[0].dim_value == session.batch == conversion.get("onnx").summarize(data).batch == 1
    )
    assert session.run(IMAGES).shape == (6, 4)  # one by one
    with pytest.raises(ToolchainError, match=r"\[1, 8, 8, 3\].*\[6, 8, 8, 3\]"):
        session.run_together(IMAGES)


class Repeated(layers.Layer):
    """A loop that the converter keeps, and that reads what was computed outside."""

    def call(self, x: Any) -> Any:
        return ops.fori_loop(0, 3, lambda step, y: ops.tanh(y + x), x)


KINDS = FREE | {"loop": (layers.Conv2D(4, 3), Repeated())}


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.INT8])
def test_loops_in_onnx(precision: Precision) -> None:
    session, summary = made("onnx", network(*KINDS["loop"]), precision)
    assert session.batch == summary.batch == 1
    assert summary.opaque


@pytest.mark.parametrize(
    ("kind", "precision"),
    [("class token", Precision.FLOAT32), ("loop", Precision.FLOAT32), ("lstm", Precision.INT8)],
)
def test_other_conversions_before_change_no_byte(kind: str, precision: Precision) -> None:
    model = network(*KINDS[kind])
    first = conversion.get("onnx").convert(model, precision, IMAGES)
    conversion.get("onnx").convert(network(*FREE["coordinates"]), Precision.FLOAT32, None)
    assert conversion.get("onnx").convert(model, precision, IMAGES) == first


@pytest.mark.parametrize("precision", CLOSE)
def test_recurrent_layers_in_tflite(precision: Precision) -> None:
    """Those in float have a loop, whose inside the runtime does not show; in int8 there is none."""
    model = network(rows, layers.LSTM(3))
    session, summary = made("tflite", model, precision)
    assert session.batch == summary.batch == 1
    assert summary.opaque is (precision is not Precision.INT8)
    assert not any(getattr(layer, "unroll", False) for layer in model._flatten_layers())


class RoundedAsInt8(layers.Layer):
    """What quantisation-aware training puts behind a layer, and here before it as well."""

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        channels = tf.fill((x.shape[-1],), 1.5)
        x = tf.quantization.fake_quant_with_min_max_vars_per_channel(x, -channels, 1.1 * channels)
        return tf.quantization.fake_quant_with_min_max_args(x, -1.3, 1.6, narrow_range=True)


@pytest.mark.parametrize(("precision", "factor"), [(Precision.FLOAT32, 100), (Precision.INT8, 1)])
def test_quantisation_aware_models_keep_their_answers_in_onnx(
    precision: Precision, factor: float
) -> None:
    """Between quantised values onnxruntime would round the weights of a float file, per tensor."""
    model = network(RoundedAsInt8(), layers.Conv2D(8, 3), RoundedAsInt8(), layers.Conv2D(4, 3))
    first, _ = (each for each in model.layers if isinstance(each, layers.Conv2D))
    first.kernel.assign(first.kernel * ([factor] + 7 * [1]))
    session, _ = made("onnx", model, precision)
    assert session.batch is None


def unknown_operator() -> keras.Model:
    return network(layers.Conv2D(4, 3), ops.erfinv)


@pytest.mark.parametrize("name", ["onnx", "tflite"])
@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.INT8])
def test_a_refusal_names_the_operator_and_is_short(
    name: str, precision: Precision, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ToolchainError, match=r"uses Erfinv: .* --format") as refused:
        conversion.get(name).convert(unknown_operator(), precision, IMAGES)
    assert len(str(refused.value)) < 250
    assert len(caplog.text) > len(str(refused.value))  # with --verbose one sees it


def half(policy: str, kind: str) -> keras.Model:
    """As people train with `keras.mixed_precision.set_global_policy(policy)`."""
    keras.mixed_precision.set_global_policy(policy)
    try:
        image = keras.Input((8, 8, 3))
        x = layers.Conv2D(4, 3, activation="relu")(image)
        x = ops.cast(x, "float32") * 2 if kind == "arithmetic" else x
        if kind == "nested":
            inside = keras.Sequential([layers.Input((6, 6, 4)), layers.Conv2D(4, 3)])
            x = inside(layers.BatchNormalization()(x))
        if kind == "recurrent":
            x = layers.Bidirectional(layers.GRU(3))(layers.Reshape((6, 24))(x))
        x = layers.Dense(4)(layers.Flatten()(x))
        return keras.Model(image, layers.Activation("softmax", dtype="float32")(x))
    finally:
        keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
@pytest.mark.parametrize("kind", ["plain", "arithmetic", "nested", "recurrent"])
def test_other_numbers_become_float32(policy: str, kind: str) -> None:
    model = half(policy, kind)
    rebuilt = in_float32(model)
    assert {weight.dtype for weight in rebuilt.weights} == {"float32"}
    assert {layer.compute_dtype for layer in rebuilt._flatten_layers()} == {"float32"}
    images = IMAGES.astype(np.float32) / 255
    expected = np.asarray(tf.cast(model(images), tf.float32))
    assert np.allclose(np.asarray(rebuilt(images)), expected, atol=0.02)


class NeedsNumber(layers.Layer):
    """A layer without a configuration to build it from."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return x * self.number


def test_what_keras_cannot_build_again_says_what_to_do() -> None:
    image = keras.Input((8, 8, 3))
    answer = layers.Dense(4, dtype="mixed_float16")(layers.Flatten()(NeedsNumber(2)(image)))
    with pytest.raises(ToolchainError, match=r"again in float32: .*load_weights"):
        in_float32(keras.Model(image, answer))


def test_float32_stays_as_it_is() -> None:
    model = half("float32", "nested")
    assert in_float32(model) is model
