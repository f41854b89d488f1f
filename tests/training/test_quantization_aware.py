"""A network learns with the rounding that its int8 file will bring."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from tests.helpers.unbalanced import unbalance
from toolchain import conversion, formats
from toolchain.evaluation import metrics
from toolchain.formats import keras as keras_format
from toolchain.model.artifact import InputContract, Precision
from toolchain.model.dataset import Dataset
from toolchain.model.folder import ModelFolder
from toolchain.networks import architectures
from toolchain.training import TrainingResult, quantization_aware


def learner(model: keras.Model, images: np.ndarray) -> keras.Model:
    return quantization_aware.learner(model, np.array_split(images, 2))


def test_it_answers_as_the_int8_file_does(
    trained: TrainingResult, digits: Dataset, tmp_path: Path
) -> None:
    broken = ModelFolder(unbalance(trained.path, tmp_path / "unbalanced")).source
    model = keras_format.load(broken.read_bytes())
    images = digits.train_images[:200]
    data = conversion.get("tflite").convert(model, Precision.INT8, images)
    file = metrics.scores(formats.get("tflite").open_session(data, 1), images)
    exact = model.predict(images, verbose=0)
    rounded = learner(model, images).predict(images, verbose=0)
    assert np.abs(file - exact).mean() > 0.1  # int8 breaks it
    assert np.abs(file - rounded).mean() < 0.01


@pytest.mark.parametrize("name", ["small-cnn", "fashion-cnn"])
def test_what_it_learns_the_network_itself_learns(name: str, digits: Dataset) -> None:
    keras.utils.set_random_seed(0)
    model = architectures.get(name).build(InputContract(28, 28, 1), 10)
    images, labels = digits.train_images[:200], digits.train_labels[:200]
    before, answers = model.get_weights(), model.predict(images, verbose=0)
    learns = learner(model, images)
    assert np.array_equal(model.predict(images, verbose=0), answers)
    assert [id(each) for each in learns.trainable_variables] == [
        id(each) for each in model.trainable_variables
    ]
    learns.compile("adam", "sparse_categorical_crossentropy")
    first, *_, last = learns.fit(images, labels, epochs=8, verbose=0).history["loss"]
    assert last < first
    assert not any(map(np.array_equal, before, model.get_weights()))


def test_weights_are_rounded_to_255_steps_of_each_channel() -> None:
    image = keras.Input((4, 4, 1), dtype="uint8")
    x = layers.Conv2D(2, 1, use_bias=False)(layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, layers.Softmax()(layers.Flatten()(x)))
    convolution = model.layers[2]
    convolution.set_weights([np.array([[[[1.0, 0.4]]]])])
    images = np.zeros((2, 4, 4, 1), np.uint8)
    images[:, 0, 0] = 255
    expected = model.predict(images, verbose=0)
    assert np.abs(learner(model, images).predict(images, verbose=0) - expected).max() < 1e-3
