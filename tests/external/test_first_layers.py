"""Whether a model's own first layers, or the first operators of its graph, prepare raw pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import pytest
from keras import layers

from toolchain.external import external_model, first_layers

SHAPE = (8, 8, 3)


def ends(*front: keras.Layer) -> keras.Model:
    return keras.Sequential([keras.Input(SHAPE), *front, layers.Flatten(), layers.Dense(2)])


def arithmetic() -> keras.Model:
    image = keras.Input(SHAPE)
    return keras.Model(image, layers.Dense(2)(layers.Flatten()(image / 127.5 - 1)))


def two_readers() -> keras.Model:
    image = keras.Input(SHAPE)
    small = layers.Rescaling(1 / 255)(image)
    both = layers.Concatenate()([layers.Conv2D(2, 3)(small), layers.Conv2D(2, 3)(small)])
    return keras.Model(image, layers.Dense(2)(layers.Flatten()(both)))


PREPARE: list[tuple[Callable[[], keras.Model], bool]] = [
    (lambda: ends(layers.Rescaling(1 / 255)), True),
    (lambda: ends(layers.Rescaling(1 / 127.5, offset=-1)), True),
    (lambda: ends(layers.Normalization(mean=[99, 98, 97], variance=[3000, 3100, 3200])), True),
    (lambda: ends(layers.Resizing(4, 4), layers.Rescaling(1 / 255)), True),
    (arithmetic, True),
    (two_readers, True),
    (lambda: ends(), False),
    (lambda: ends(layers.Rescaling(2, offset=-1)), False),  # of pixels 0 to 1
    (lambda: ends(layers.Conv2D(2, 3), layers.Rescaling(1 / 255)), False),
]


@pytest.mark.parametrize(("build", "expected"), PREPARE)
def test_layers(build: Callable[[], keras.Model], expected: bool) -> None:
    assert first_layers.prepares_itself(build(), SHAPE) is expected


@pytest.mark.parametrize(("build", "expected"), PREPARE)
def test_the_graph_of_a_saved_model(
    build: Callable[[], keras.Model], expected: bool, tmp_path: Path
) -> None:
    build().export(tmp_path / "saved", verbose=False)
    own = external_model.load(tmp_path / "saved")
    assert first_layers.prepares_itself(own.model, own.shape) is expected
