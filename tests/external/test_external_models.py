"""Models that were trained elsewhere: understood, unified, and as right as before."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from keras.applications.imagenet_utils import preprocess_input
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from tests.cli import test_cli
from tests.helpers.forked import run
from tests.helpers.heard import Heard
from tests.helpers.present import present
from toolchain import conversion, formats
from toolchain.evaluation import metrics
from toolchain.export import exporting
from toolchain.external import external_model
from toolchain.external.importing import Asked, examine, import_model
from toolchain.external.outputs import OutputKind
from toolchain.external.preprocessing import NAMED, Preprocessing, Scale
from toolchain.external.record import ExternalRecord
from toolchain.formats import keras as keras_format
from toolchain.model import manifest
from toolchain.model.artifact import DEFAULT_GATE, Fit, Gate, InputContract, Precision, Verdict
from toolchain.model.dataset import Dataset
from toolchain.support.errors import ToolchainError, UsageError
from toolchain.support.progress import Silent
from toolchain.training import TrainingResult

# Keras' own formulas, for colour pixels 0 to 255
PREPARED: dict[Scale, Callable[[np.ndarray], np.ndarray]] = {
    Scale.UNIT: lambda pixels: pixels / 255,
    Scale.SIGNED: lambda pixels: preprocess_input(pixels.copy(), mode="tf"),
    Scale.IMAGENET: lambda pixels: preprocess_input(pixels.copy(), mode="torch"),
    Scale.CAFFE: lambda pixels: preprocess_input(pixels.copy(), mode="caffe"),
}


quiet = Silent()


def asking(scale: Scale | None) -> Asked:
    return Asked(NAMED[scale] if scale else None)


def raw(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32)


def network(
    shape: tuple[int, ...], *front: keras.Layer, outputs: int = 10, end: str = "softmax"
) -> keras.Sequential:
    hidden = [layers.Dense(32), layers.BatchNormalization(momentum=0.8), layers.ReLU()]
    head = layers.Dense(outputs, activation=end)
    return keras.Sequential([keras.Input(shape), *front, layers.Flatten(), *hidden, head])


def fit(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> keras.Model:
    """A few seconds of training; the loss fits the model's last layer."""
    loss: keras.Loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if isinstance(model, keras.Sequential):
        last = model.layers[-1]
        logits = last.activation is keras.activations.linear
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
        if last.units == 1:
            loss = keras.losses.BinaryCrossentropy(from_logits=logits)
    keras.utils.set_random_seed(0)
    model.compile(keras.optimizers.Adam(0.002), loss)
    model.fit(images, labels, batch_size=32, epochs=8, verbose=0)
    return model


@pytest.fixture(scope="module")
def colour(digits: Dataset) -> Dataset:
    """Digits whose three channels differ."""

    def coloured(images: np.ndarray) -> np.ndarray:
        return np.concatenate([images, images // 3, images // 2], axis=-1)

    return dataclasses.replace(
        digits,
        name="colour-digits",
        train_images=coloured(digits.train_images),
        test_images=coloured(digits.test_images),
    )


@pytest.fixture(scope="module")
def low_or_high(digits: Dataset) -> Dataset:
    """Two classes: digits up to 4, and from 5 on."""
    return dataclasses.replace(
        digits,
        name="low-or-high",
        labels=("low", "high"),
        train_labels=(digits.train_labels > 4).astype(np.uint8),
        test_labels=(digits.test_labels > 4).astype(np.uint8),
    )


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Path:
    """A model on pixels from 0 to 1, which does not say so."""
    path = tmp_path_factory.mktemp("own") / "my digits.keras"
    model = network((28, 28, 1))
    fit(model, raw(digits.train_images) / 255, digits.train_labels).save(path)
    return path


def adopted(
    model: keras.Model, folder: Path, dataset: Dataset, scale: Scale | None = None
) -> tuple[ExternalRecord, np.ndarray]:
    """How it was understood, and what the published file gives for the test images."""
    path = folder / "mine.keras"
    model.save(path)
    record = import_model(external_model.load(path), dataset, asking(scale), folder / "out", quiet)
    data = (folder / "out" / "out.keras").read_bytes()
    session = keras_format.open_session(data, threads=1)
    return record, metrics.scores(session, dataset.test_images)


@pytest.mark.parametrize("scale", list(PREPARED))
def test_each_preparation_is_asked_for_once_and_folded_in(
    scale: Scale, colour: Dataset, tmp_path: Path
) -> None:
    prepare = PREPARED[scale]
    model = fit(network((28, 28, 3)), prepare(raw(colour.train_images)), colour.train_labels)
    with pytest.raises(UsageError, match="does not say how") as asked:
        adopted(model, tmp_path, colour)
    assert NAMED[scale].options in str(asked.value)
    wrong = Scale.SIGNED if scale is Scale.CAFFE else Scale.CAFFE
    with pytest.raises(UsageError, match="clearly more are right"):
        adopted(model, tmp_path, colour, wrong)
    record, given = adopted(model, tmp_path, colour, scale)
    assert record.preprocessing == NAMED[scale]
    assert not record.doubt
    expected = model.predict(prepare(raw(colour.test_images)), verbose=0)
    np.testing.assert_allclose(given, expected, atol=2e-5)
    assert record.accuracy == (expected.argmax(1) == colour.test_labels).mean() > 0.9
    published = keras_format.load((tmp_path / "out" / "out.keras").read_bytes())
    data = conversion.get("onnx").convert(published, Precision.FLOAT32, None)
    session = formats.get("onnx").open_session(data, 1)
    np.testing.assert_allclose(session.run(colour.test_images), expected, atol=2e-5)


def test_pixels_that_nobody_prepared(digits: Dataset, tmp_path: Path) -> None:
    model = fit(network((28, 28, 1)), raw(digits.train_images), digits.train_labels)
    record, given = adopted(model, tmp_path, digits, Scale.NONE)
    expected = model.predict(raw(digits.test_images), verbose=0)
    np.testing.assert_allclose(given, expected, atol=1e-5)
    assert record.accuracies.keys() > {"0..1", "-1..1", "per-image", "none"}


def adapted(images: np.ndarray) -> keras.Layer:
    layer = layers.Normalization(axis=None)
    layer.adapt(raw(images))
    return layer


def arithmetic(shape: tuple[int, ...]) -> keras.Model:
    """What `preprocess_input` leaves in a graph."""
    image = keras.Input(shape)
    return keras.Model(image, image / 127.5 - 1)


INSIDE: dict[str, Callable[[Dataset], list[keras.Layer]]] = {
    "rescaling": lambda _: [layers.Rescaling(1 / 255)],
    "augmentation": lambda _: [
        keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.1)]),
        layers.Rescaling(1 / 127.5, offset=-1),
    ],
    "normalization": lambda data: [adapted(data.train_images)],
    "batch normalization": lambda _: [layers.BatchNormalization(momentum=0.5)],
    "nested": lambda _: [
        keras.Sequential(
            [keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3, strides=2)]
        )
    ],
    "arithmetic": lambda _: [arithmetic((28, 28, 1))],
}


@pytest.mark.parametrize("kind", INSIDE)
def test_a_model_that_prepares_its_pixels_needs_no_scale(
    kind: str, digits: Dataset, tmp_path: Path
) -> None:
    model = network((28, 28, 1), *INSIDE[kind](digits))
    fit(model, raw(digits.train_images), digits.train_labels)
    record, given = adopted(model, tmp_path, digits)
    assert record.preprocessing == Preprocessing()
    expected = model.predict(raw(digits.test_images), verbose=0)
    np.testing.assert_allclose(given, expected, atol=1e-5)
    with pytest.raises(UsageError, match=r"prepare (raw pixels|them)|clearly more"):
        adopted(model, tmp_path, digits, Scale.UNIT)


def test_rescaling_that_is_no_preparation_of_pixels(digits: Dataset, tmp_path: Path) -> None:
    """From 0..1 to -1..1: the model still wants somebody to divide by 255."""
    model = network((28, 28, 1), layers.Rescaling(2, offset=-1))
    fit(model, raw(digits.train_images) / 255, digits.train_labels)
    with pytest.raises(UsageError, match="does not say how"):
        adopted(model, tmp_path, digits)
    assert adopted(model, tmp_path, digits, Scale.UNIT)[0].accuracy > 0.9


def test_prepared_twice_in_training_is_prepared_twice_here(digits: Dataset, tmp_path: Path) -> None:
    """A mistake that people make, and that their model has learnt to live with."""
    prepared = PREPARED[Scale.SIGNED](raw(digits.train_images))
    learnt = fit(network((28, 28, 1)), prepared, digits.train_labels).get_weights()
    model = network((28, 28, 1), layers.Rescaling(1 / 255))
    model.set_weights([learnt[0] * 255, *learnt[1:]])
    with pytest.raises(UsageError, match=r"with --scale -1\.\.1 clearly more are right"):
        adopted(model, tmp_path, digits)
    assert adopted(model, tmp_path, digits, Scale.SIGNED)[0].preprocessing == NAMED[Scale.SIGNED]


def test_a_model_of_raw_pixels_and_probabilities_stays_as_it_is(
    trained: TrainingResult, digits: Dataset, tmp_path: Path
) -> None:
    model = keras_format.load(trained.path.read_bytes())
    adopted(model, tmp_path, digits)
    published = keras_format.load((tmp_path / "out" / "out.keras").read_bytes())
    assert published.get_config() == model.get_config()


@pytest.mark.parametrize(
    ("end", "meaning"),
    [
        ("softmax", OutputKind.PROBABILITIES),
        ("log_softmax", OutputKind.LOG_PROBABILITIES),
        ("linear", OutputKind.LOGITS),
        ("relu", OutputKind.LOGITS),
    ],
)
def test_answers_become_probabilities(
    end: str, meaning: OutputKind, digits: Dataset, tmp_path: Path
) -> None:
    model = network((28, 28, 1), layers.Rescaling(1 / 255), end="linear")
    fit(model, raw(digits.train_images), digits.train_labels)
    model.layers[-1].activation = keras.activations.get(end)
    record, given = adopted(model, tmp_path, digits)
    assert record.gives is meaning
    plain = model.predict(raw(digits.test_images), verbose=0)
    expected = plain if end == "softmax" else keras.ops.softmax(plain)
    np.testing.assert_allclose(given, expected, atol=1e-5)
    np.testing.assert_allclose(given.sum(1), 1, atol=1e-5)
    published = keras_format.load((tmp_path / "out" / "out.keras").read_bytes())
    assert "log_softmax" not in json.dumps(published.get_config())


@pytest.mark.parametrize("end", ["sigmoid", "linear"])
def test_one_number_for_two_classes_becomes_two(
    end: str, low_or_high: Dataset, tmp_path: Path
) -> None:
    model = network((28, 28, 1), layers.Rescaling(1 / 255), outputs=1, end=end)
    fit(model, raw(low_or_high.train_images), low_or_high.train_labels)
    record, given = adopted(model, tmp_path, low_or_high)
    assert record.gives is (OutputKind.PROBABILITY if end == "sigmoid" else OutputKind.LOGIT)
    second = model.predict(raw(low_or_high.test_images), verbose=0)
    if end == "linear":
        second = keras.ops.convert_to_numpy(keras.ops.sigmoid(second))
    np.testing.assert_allclose(given, np.concatenate([1 - second, second], 1), atol=1e-5)
    assert record.accuracy > 0.8


def test_yes_or_no_for_each_class_is_refused(digits: Dataset, tmp_path: Path) -> None:
    model = network((28, 28, 1), layers.Rescaling(1 / 255), end="sigmoid")
    with pytest.raises(UsageError, match="do not add up to 1"):
        adopted(model, tmp_path, digits)


def test_values_that_are_not_numbers_are_refused(digits: Dataset, tmp_path: Path) -> None:
    model = network((28, 28, 1))
    model.layers[-1].bias.assign(np.full(10, np.nan))
    with pytest.raises(UsageError, match="not numbers"):
        adopted(model, tmp_path, digits)


@pytest.mark.parametrize(
    ("outputs", "words"), [(1, "a regression"), (2, "2 classes; 'digits' has 10"), (12, "12 cl")]
)
def test_another_number_of_classes_is_refused(
    outputs: int, words: str, digits: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        adopted(network((28, 28, 1), outputs=outputs), tmp_path, digits)


def test_another_shape_is_refused(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"takes \[32, 32, 1\] pixels"):
        adopted(network((32, 32, 1)), tmp_path, digits)


def test_a_regression_on_two_classes_is_no_better_than_chance(
    low_or_high: Dataset, tmp_path: Path
) -> None:
    model = network((28, 28, 1), layers.Rescaling(1 / 255), outputs=1, end="linear")
    model.layers[-1].bias.assign([100.0])
    with pytest.raises(UsageError, match="no better than chance"):
        adopted(model, tmp_path, low_or_high)


def test_an_untrained_model_is_refused_with_both_reasons(digits: Dataset, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model = network((28, 28, 1), layers.Rescaling(1 / 255))
    model.layers[-1].kernel.assign(model.layers[-1].kernel * 0)
    with pytest.raises(UsageError, match="no better than chance") as refused:
        adopted(model, tmp_path, digits)
    assert "prepared" in str(refused.value)
    assert "another order" in str(refused.value)


def test_classes_in_another_order_are_told(unit: Path, digits: Dataset, tmp_path: Path) -> None:
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    order = np.argsort(names).astype(np.uint8)  # as folders with these names count
    place = np.argsort(order).astype(np.uint8)
    renamed = dataclasses.replace(
        digits,
        labels=tuple(sorted(names)),
        train_labels=place[digits.train_labels],
        test_labels=place[digits.test_labels],
    )
    with pytest.raises(UsageError, match="another order") as refused:
        import_model(
            external_model.load(unit), renamed, asking(Scale.UNIT), tmp_path / "out", quiet
        )
    assert "eight gets two" in str(refused.value)
    assert not (tmp_path / "out" / "out.keras").exists()


def test_adopting_again_keeps_what_was_exported(
    unit: Path, digits: Dataset, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    target = exporting.targets(("onnx",), (Precision.FLOAT32,))
    for _ in range(2):
        import_model(external_model.load(unit), digits, asking(Scale.UNIT), folder, quiet)
        said = Heard()
        (outcome,) = exporting.export(folder, digits, target, DEFAULT_GATE, 50, 0, said)
        assert outcome.verdict is Verdict.PROVED
        assert not any("earlier training" in words or "note:" in words for words in said)


def test_nothing_that_is_only_there_is_replaced(
    unit: Path, trained: TrainingResult, digits: Dataset, tmp_path: Path
) -> None:
    own = external_model.load(unit)
    with pytest.raises(ToolchainError, match="trained there"):
        import_model(own, digits, asking(Scale.UNIT), trained.path.parent, quiet)
    beside = tmp_path / "mine" / "mine.keras"
    beside.parent.mkdir()
    shutil.copy(unit, beside)
    with pytest.raises(ToolchainError, match="would replace"):
        import_model(external_model.load(beside), digits, asking(Scale.UNIT), beside.parent, quiet)
    assert beside.read_bytes() == unit.read_bytes()


def mobile() -> keras.Model:
    """What mobile networks are made of: depthwise, squeeze-and-excite, swish, a residual add."""
    image = keras.Input((28, 28, 1))
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(image / 127.5 - 1)
    x = before = layers.ReLU(6)(layers.BatchNormalization(momentum=0.8)(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.Activation("swish")(layers.BatchNormalization(momentum=0.8)(x))
    squeezed = layers.GlobalAveragePooling2D(keepdims=True)(x)
    squeezed = layers.Conv2D(4, 1, activation="swish")(squeezed)
    x = layers.Multiply()([x, layers.Conv2D(8, 1, activation="sigmoid")(squeezed)])
    x = layers.BatchNormalization(momentum=0.8)(layers.Conv2D(8, 1, use_bias=False)(x))
    x = layers.Conv2D(16, 3, strides=2, activation="relu")(layers.Add()([before, x]))
    return keras.Model(image, layers.Dense(10)(layers.Flatten()(x)))


def test_every_file_of_a_mobile_network_is_proved(digits: Dataset, tmp_path: Path) -> None:
    model = fit(mobile(), raw(digits.train_images), digits.train_labels)
    adopted(model, tmp_path, digits)
    gate = Gate(largest_drop=2, least_agreement=0.97)  # 360 images are few
    everything = exporting.targets((), ())
    for outcome in exporting.export(
        tmp_path / "out", digits, everything, gate, 200, seed=0, progress=quiet
    ):
        name = outcome.artifact.path.name
        assert outcome.verdict is Verdict.PROVED, (name, outcome)
        if outcome.artifact.info.precision is Precision.FLOAT32:
            assert present(outcome.proof).comparison.largest_difference < 1e-4, name
        summary = conversion.of(outcome.artifact.path).summarize(outcome.artifact.path.read_bytes())
        names = {operator.name for operator in summary.operators}
        assert not any("Norm" in each or "RSQRT" in each for each in names)  # folded
        if summary.accelerated_by:
            # pixels are quantised, or cast, outside
            assert {"CAST", "QUANTIZE"} & set(summary.left_out)
            assert "CONV_2D" not in summary.left_out


# what is read


def test_any_size_needs_one(colour: Dataset, tmp_path: Path) -> None:
    image = keras.Input((None, None, 3))
    features = layers.GlobalMaxPooling2D()(layers.Conv2D(4, 5)(image))
    keras.Model(image, layers.Dense(10)(features)).save(tmp_path / "any.keras")
    with pytest.raises(UsageError, match="--size"):
        external_model.load(tmp_path / "any.keras")
    own = external_model.load(tmp_path / "any.keras", (28, 28), Fit.CROP)
    assert own.input == InputContract(28, 28, 3, Fit.CROP)
    with pytest.raises(ToolchainError, match="cannot take images of 3×3"):
        external_model.load(tmp_path / "any.keras", (3, 3))
    network((28, 28, 1)).save(tmp_path / "fixed.keras")
    with pytest.raises(UsageError, match="28×28 pixels, not 32×32"):
        external_model.load(tmp_path / "fixed.keras", (32, 32))


def test_images_without_channels(digits: Dataset, tmp_path: Path) -> None:
    model = network((28, 28), layers.Rescaling(1 / 255))
    fit(model, raw(digits.train_images[..., 0]), digits.train_labels)
    record, given = adopted(model, tmp_path, digits)
    expected = model.predict(raw(digits.test_images[..., 0]), verbose=0)
    np.testing.assert_allclose(given, expected, atol=1e-5)
    assert record.accuracy > 0.9


def two_inputs() -> keras.Model:
    image, age = keras.Input((28, 28, 1), name="image"), keras.Input((1,), name="age")
    both = layers.Concatenate()([layers.Flatten()(image), age])
    return keras.Model([image, age], layers.Dense(10)(both))


def two_outputs() -> keras.Model:
    image = keras.Input((28, 28, 1))
    flat = layers.Flatten()(image)
    return keras.Model(image, [layers.Dense(10)(flat), layers.Dense(1)(flat)])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (two_inputs, r"2 inputs: image \[None, 28, 28, 1\], age \[None, 1\]"),
        (two_outputs, r"gives \[None, 10\] and \[None, 1\]"),
        (lambda: network((784,)), r"784 numbers in a row.*--size 28"),
        (lambda: network((3, 28, 28)), "channels_last"),
        (lambda: network((28, 28, 4)), "with 1 or 3 channels"),
        (
            lambda: keras.Sequential([keras.Input((28, 28, 1)), layers.Conv2D(10, 3)]),
            r"gives \[None, 26, 26, 10\]",
        ),
    ],
)
def test_other_models_than_classifiers_are_refused(
    model: Callable[[], keras.Model], words: str, tmp_path: Path
) -> None:
    model().save(tmp_path / "mine.keras")
    with pytest.raises(UsageError, match=words):
        external_model.load(tmp_path / "mine.keras")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_code_in_a_file_is_not_run(suffix: str, tmp_path: Path) -> None:
    image = keras.Input((28, 28, 1))
    model = keras.Model(image, layers.Lambda(lambda x: keras.ops.mean(x, (1, 2)))(image))
    model.save(tmp_path / f"mine{suffix}")
    with pytest.raises(ToolchainError, match=r"Lambda layer.*model\.export"):
        external_model.load(tmp_path / f"mine{suffix}")


class Unknown(layers.Layer):
    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_layers_of_ones_own_are_named(suffix: str, tmp_path: Path) -> None:
    network((28, 28, 1), Unknown()).save(tmp_path / f"mine{suffix}")
    with pytest.raises(ToolchainError, match=r"it uses 'Unknown'.*--import MODULE"):
        external_model.load(tmp_path / f"mine{suffix}")


def test_unsafe_loading_is_refused(unit: Path) -> None:
    keras.config.enable_unsafe_deserialization()
    try:
        with pytest.raises(ToolchainError, match="unsafe"):
            external_model.load(unit)
    finally:
        keras.src.backend.common.global_state.set_global_attribute("safe_mode_saving", None)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_damaged_files_are_our_error(suffix: str, unit: Path, tmp_path: Path) -> None:
    path = tmp_path / f"mine{suffix}"
    keras.models.load_model(unit).save(path)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for case in range(12):
        damaged = bytearray(whole[: random.integers(0, len(whole))] if case % 2 else whole)
        for place in random.integers(0, max(len(damaged), 1), 0 if case % 2 else 40):
            damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        with contextlib.suppress(ToolchainError):  # some damage does no harm
            external_model.load(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ToolchainError, match=f"mine{suffix}"):
        external_model.load(path)


def test_h5_of_keras_2(digits: Dataset, tmp_path: Path) -> None:
    model = network((28, 28, 1), layers.Rescaling(1 / 255))
    fit(model, raw(digits.train_images), digits.train_labels).save(tmp_path / "mine.h5")
    own = external_model.load(tmp_path / "mine.h5")
    assert import_model(own, digits, Asked(), tmp_path / "out", quiet).accuracy > 0.9


def test_what_is_ones_own(trained: TrainingResult, unit: Path, tmp_path: Path) -> None:
    assert external_model.is_external(unit)
    assert not external_model.is_external(trained.path)
    assert not external_model.is_external(trained.path.parent)
    assert not external_model.is_external(tmp_path / "nothing.keras")


# SavedModels


def saved(model: keras.Model, folder: Path) -> Path:
    model.export(folder, verbose=False)
    return folder


def test_a_saved_model_travels_inside_the_file(digits: Dataset, tmp_path: Path) -> None:
    model = network((28, 28, 1), layers.Rescaling(1 / 255), end="linear")
    fit(model, raw(digits.train_images), digits.train_labels)
    folder = saved(model, tmp_path / "mine")
    record = import_model(
        external_model.load(folder), digits, asking(Scale.NONE), tmp_path / "out", quiet
    )
    shutil.rmtree(folder)
    data = (tmp_path / "out" / "out.keras").read_bytes()
    given = metrics.scores(keras_format.open_session(data, 1), digits.test_images)
    expected = keras.ops.softmax(model.predict(raw(digits.test_images), verbose=0))
    np.testing.assert_allclose(given, expected, atol=1e-5)
    assert record.gives is OutputKind.LOGITS
    assert keras_format.summarize(data).parameters == model.count_params()
    assert keras_format.summarize(data).opaque


class Files(tf.Module):
    """Answers, and reads or writes a file meanwhile."""

    def __init__(self, what: str, path: Path) -> None:
        self._what, self._path = what, str(path)

    @tf.function(input_signature=[tf.TensorSpec((None, 28, 28, 1), tf.float32)])
    def __call__(self, image: tf.Tensor) -> tf.Tensor:
        noise = 0.0
        if self._what == "WriteFile":
            tf.io.write_file(self._path, "here")
        elif self._what == "ReadFile":
            noise = tf.cast(tf.strings.length(tf.io.read_file(self._path)), tf.float32)
        elif self._what == "EagerPyFunc":
            noise = tf.py_function(lambda: 1.0, [], tf.float32)
        else:
            tf.print("here")
        return tf.reshape(image, (-1, 784))[:, :10] + noise


@pytest.mark.parametrize("what", ["WriteFile", "ReadFile", "EagerPyFunc", "PrintV2"])
def test_saved_models_that_do_more_than_compute_are_refused(what: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("1")
    module = Files(what, tmp_path / ("new" if what == "WriteFile" else "secret"))
    tf.saved_model.save(module, tmp_path / "mine", signatures=module.__call__)
    (tmp_path / "new").unlink(missing_ok=True)  # tracing may have run it
    with pytest.raises(ToolchainError, match=f"operators that are no part.*{what}"):
        external_model.load(tmp_path / "mine")
    assert not (tmp_path / "new").exists()


def test_saved_models_with_tables_are_refused(tmp_path: Path) -> None:
    class Table(tf.Module):
        def __init__(self) -> None:
            pairs = tf.lookup.KeyValueTensorInitializer([1], [2])
            self.table = tf.lookup.StaticHashTable(pairs, -1)

        @tf.function(input_signature=[tf.TensorSpec((None, 28, 28, 1), tf.float32)])
        def __call__(self, image: tf.Tensor) -> tf.Tensor:
            return tf.cast(self.table.lookup(tf.cast(image[:, 0, :10, 0], tf.int32)), tf.float32)

    module = Table()
    tf.saved_model.save(module, tmp_path / "mine", signatures=module.__call__)
    with pytest.raises(ToolchainError, match="more than variables and functions: resource"):
        external_model.load(tmp_path / "mine")


def test_a_call_that_tensorflow_may_swap_is_refused(tmp_path: Path) -> None:
    folder = saved(network((28, 28, 1)), tmp_path / "mine")
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for function in model.meta_graphs[0].graph_def.library.function:
        function.attr["api_implements"].s = b"other"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ToolchainError, match="api_implements"):
        external_model.load(folder)


@pytest.mark.parametrize("damage", [b"", b"\x08", b"nonsense", None])
def test_damaged_saved_models_are_our_error(damage: bytes | None, tmp_path: Path) -> None:
    folder = saved(network((28, 28, 1)), tmp_path / "mine")
    if damage is None:
        shutil.rmtree(folder / "variables")
    else:
        (folder / "saved_model.pb").write_bytes(damage)
    with pytest.raises(ToolchainError, match=str(folder)):
        external_model.load(folder)


def test_a_keras_file_cannot_smuggle_operators_in(digits: Dataset, tmp_path: Path) -> None:
    """Somebody changes the graph inside a published file."""
    folder = saved(network((28, 28, 1), end="linear"), tmp_path / "mine")
    data = keras_format.convert(external_model.load(folder).model, Precision.FLOAT32, None)
    graph = tf.compat.v1.GraphDef()
    node = graph.node.add(name="spy", op="ReadFile")
    node.attr["dtype"].type = types_pb2.DT_STRING
    path = tmp_path / "changed.keras"
    path.write_bytes(data)
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    assert sum(name.endswith("graph.pb") for name in members) == 1
    with zipfile.ZipFile(path, "w") as new:
        for name, content in members.items():
            new.writestr(name, graph.SerializeToString() if name.endswith(".pb") else content)
    with pytest.raises(ToolchainError, match="ReadFile"):
        keras_format.load(path.read_bytes())


# the command line

MODULE = """
import keras

@keras.saving.register_keras_serializable("mine")
class Net(keras.Model):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.conv = keras.layers.Conv2D(6, 3, strides=2)
        self.norm = keras.layers.BatchNormalization()
        self.flatten = keras.layers.Flatten()
        self.head = keras.layers.Dense(10)

    def call(self, images, training=None):
        features = keras.ops.relu(self.norm(self.conv(images), training=training))
        return self.head(self.flatten(features))
"""


def test_a_subclassed_model_needs_its_module_once(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_layers.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    net = importlib.import_module("my_layers").Net()
    model = fit(net, raw(digits.train_images) / 255, digits.train_labels)
    model.save(tmp_path / "net.keras")
    expected = model.predict(raw(digits.test_images) / 255, verbose=0).argmax(1)
    call = ("export", "net.keras", "--dataset", "digits", "--scale", "0..1")
    assert "--import MODULE" in run(*call, code=1, cwd=tmp_path).stderr
    assert "without .py" in run(*call, "--import", "my_layers.py", code=2, cwd=tmp_path).stderr
    gate = ("--max-drop", "2", "--min-agreement", "0.97")  # 360 images are few
    done = test_cli.run(*call, "--import", "my_layers", *gate, cwd=tmp_path)
    assert done.stdout.count("proved") == 6
    (tmp_path / "my_layers.py").unlink()
    for name in present(manifest.read(tmp_path / "models" / "net")).files:
        path = tmp_path / "models" / "net" / name
        session = formats.of(path).open_session(path.read_bytes(), 1)
        agreement = (metrics.scores(session, digits.test_images).argmax(1) == expected).mean()
        assert agreement >= (0.97 if "int8" in name else 0.99), name


@pytest.mark.parametrize("scale", [255, 1])
def test_what_a_subclassed_model_does_to_its_pixels_is_seen(
    scale: float, digits: Dataset, tmp_path: Path
) -> None:
    @keras.saving.register_keras_serializable("tests")
    class Own(keras.Model):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.parts = [layers.Rescaling(1 / scale), layers.Flatten(), layers.Dense(10)]

        def call(self, images: tf.Tensor) -> tf.Tensor:
            for part in self.parts:
                images = part(images)
            return images

    model = fit(Own(), raw(digits.train_images) * scale / 255, digits.train_labels)
    model.save(tmp_path / "own.keras")
    found = examine(external_model.load(tmp_path / "own.keras"), digits, Asked(), quiet)
    assert found.inside is (scale == 255)


def test_the_command_line_asks_for_what_it_needs(unit: Path, tmp_path: Path) -> None:
    data = ("--dataset", "digits")
    assert "--data FOLDER" in run("export", unit, code=2, cwd=tmp_path).stderr
    assert "--scale 0..1" in run("export", unit, *data, code=2, cwd=tmp_path).stderr
    assert "96x64" in run("export", unit, *data, "--size", "big", code=2, cwd=tmp_path).stderr
    assert "plain name" in run("export", unit, *data, "--name", "a/b", code=2, cwd=tmp_path).stderr
    given = ("--scale", "0..1", "--name", "mine", "--precision", "int8", "--json")
    gate = ("--max-drop", "2", "--min-agreement", "0.95")  # 360 images are few
    records = json.loads(run("export", unit, *data, *given, *gate, cwd=tmp_path).stdout)
    assert {record["proof"]["comparison"]["images"] for record in records} == {360}
    files = {path.name for path in (tmp_path / "models" / "mine").iterdir()}
    assert files >= {"mine.keras", "mine.int8.tflite", "mine.int8.onnx", "adopted.json"}
    assert (
        "a model that toolchain made"
        in run("export", "mine", "--scale", "0..1", code=2, cwd=tmp_path).stderr
    )
    assert "proved" in run("export", "mine", "--precision", "float16", cwd=tmp_path).stdout


@pytest.mark.parametrize("command", ["bench", "bundle"])
def test_files_that_belong_to_pictures_say_so(
    command: str, unit: Path, digits: Dataset, tmp_path: Path
) -> None:
    pictures = dataclasses.replace(digits, name="my-pictures")
    folder = tmp_path / "mine"
    import_model(external_model.load(unit), pictures, asking(Scale.UNIT), folder, quiet)
    target = exporting.targets(("tflite",), (Precision.FLOAT32,))
    exporting.export(folder, pictures, target, DEFAULT_GATE, 50, 0, quiet)
    path = folder / "mine.float32.tflite"
    assert "Name their folder with --data" in run(command, path, code=2).stderr
