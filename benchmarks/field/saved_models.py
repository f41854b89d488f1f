"""Cases of SavedModel folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.field.case import FLOAT, REFUSED, Expected, case, published
from benchmarks.field.material import dense, learn, raw, trained

KIND = "SavedModel"
EXPORT = "export saved --data fashion.npz"


@case(KIND, EXPORT, published())
def with_rescaling(place: Path) -> None:
    """Keras 3's, with Rescaling inside: asks for no --scale"""
    from keras import layers

    learn(dense(layers.Rescaling(1 / 255)), raw).export(place / "saved", verbose=False)


@case(KIND, EXPORT, published())
def with_normalization(place: Path) -> None:
    """Keras 3's, with an adapted Normalization inside"""
    from keras import layers

    normalization = layers.Normalization(mean=73.0, variance=8100.0)
    learn(dense(normalization), raw).export(place / "saved", verbose=False)


@case(KIND, f"{EXPORT} --scale 0..1", published())
def without_rescaling(place: Path) -> None:
    """A control: Keras 3's, without, told --scale"""
    trained().export(place / "saved", verbose=False)


def _save(place: Path, answer: Any, batch: int | None = None) -> None:
    """A plain TensorFlow program as a SavedModel; `answer` takes pixels and the two layers."""
    import tensorflow as tf

    program = tf.Module()
    layers = [trained().get_layer(name).get_weights() for name in ("hidden", "scores")]
    program.layers = [[tf.Variable(value) for value in layer] for layer in layers]
    given = tf.TensorSpec((batch, 28, 28), tf.float32, name="image")
    serve = tf.function(lambda image: {"scores": answer(image, *program.layers)}, [given])
    tf.saved_model.save(program, str(place / "saved"), {"serving_default": serve})


def _through(values: Any, hidden: Any, scores: Any, quantised: Any = lambda values: values) -> Any:
    import tensorflow as tf

    values = quantised(tf.reshape(values, (-1, 784)))
    values = quantised(tf.nn.relu(values @ quantised(hidden[0]) + hidden[1]))
    return tf.nn.softmax(values @ quantised(scores[0]) + scores[1])


@case(KIND, EXPORT, published())
def a_division(place: Path) -> None:
    """TensorFlow's, with `image / 255` in the program: asks for no --scale"""
    _save(place, lambda image, *layers: _through(image / 255, *layers))


@case(KIND, f"{EXPORT} --scale 0..1", published(FLOAT))
def fixed_batch(place: Path) -> None:
    """A fixed batch of 1"""
    _save(place, _through, batch=1)


@case(KIND, EXPORT, published(FLOAT))
def fixed_batch_and_division(place: Path) -> None:
    """A fixed batch of 1, which prepares its pixels itself"""
    _save(place, lambda image, *layers: _through(image / 255, *layers), batch=1)


@case(KIND, f"{EXPORT} --scale 0..1", published(("float32.onnx", "float32.tflite")))
def fake_quant(place: Path) -> None:
    """Trained for quantisation: FakeQuant operators"""
    import tensorflow as tf

    def quantised(values: Any) -> Any:
        return tf.quantization.fake_quant_with_min_max_args(values, -6, 6)

    _save(place, lambda image, hidden, scores: _through(image, hidden, scores, quantised))


@case(KIND, f"{EXPORT} --scale 0..1", published(("float32.onnx", "float32.tflite")))
def fake_quant_per_channel(place: Path) -> None:
    """The same with weights whose channels have ranges of their own, as tfmot writes them"""
    import tensorflow as tf

    def in_its_range(weights: Any) -> Any:
        ends = np.full(weights.shape[-1], 6, np.float32)
        return tf.quantization.fake_quant_with_min_max_vars_per_channel(weights, -ends, ends)

    def answer(image: Any, *layers: Any) -> Any:
        return _through(image, *((in_its_range(kernel), bias) for kernel, bias in layers))

    _save(place, answer)


@case(KIND, EXPORT, Expected((0, *REFUSED), never=("use --scale caffe", "caffe is clearly")))
def a_tie(place: Path) -> None:
    """Blind to what is subtracted from all pixels: caffe and none tie, and caffe is not advised"""
    import keras
    from keras import layers

    image = keras.Input((28, 28, 3))
    gray = keras.ops.mean(image, axis=-1)
    gray = (gray - keras.ops.mean(gray, axis=(1, 2), keepdims=True)) / 255
    model = keras.Model(image, dense()(layers.Activation("linear")(gray)))
    learn(model, lambda x: np.repeat(raw(x)[..., None], 3, axis=-1)).export(
        place / "saved", verbose=False
    )


@case(KIND, EXPORT, Expected((1, 2), ("ReadFile",), gone=("models/*",)))
def reads_files(place: Path) -> None:
    """A control: a program that reads a file is refused for it"""
    import tensorflow as tf

    def answer(image: Any, *layers: Any) -> Any:
        size = tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)
        return _through(image + 0 * size, *layers)

    _save(place, answer)
