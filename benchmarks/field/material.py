"""The real and the drawn pictures of the cases, and networks that learn them in a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from toolchain import datasets

TRAIN, TEST = 8_000, 2_000  # images of Fashion-MNIST
Pixels = NDArray[Any]
Prepare = Callable[[Pixels], Pixels]
Labels = Callable[[Pixels], Pixels]
SHAPES = ("bar", "circle", "square")


@lru_cache
def fashion() -> tuple[Pixels, Pixels, Pixels, Pixels]:
    """uint8 `[N, 28, 28]` and their labels: to train on, then to test on."""
    data = datasets.load("fashion-mnist", None)
    return (
        data.train_images[:TRAIN, ..., 0],
        data.train_labels[:TRAIN],
        data.test_images[:TEST, ..., 0],
        data.test_labels[:TEST],
    )


def npz(path: Path, train: int = 2_000, test: int = TEST, labels: Labels = lambda y: y) -> None:
    """So much of Fashion-MNIST as the `.npz` that `--data` reads."""
    x, y, x_test, y_test = fashion()
    y, y_test = labels(y[:train]), labels(y_test[:test])
    np.savez(path, x_train=x[:train], y_train=y, x_test=x_test[:test], y_test=y_test)


def shoes(labels: Pixels) -> Pixels:
    """1 for sandals, sneakers and ankle boots, 0 for all others."""
    return np.isin(labels, (5, 7, 9)).astype(np.uint8)


def to_1(pixels: Pixels) -> Pixels:
    """From 0..255 to 0..1."""
    return pixels / np.float32(255)


def raw(pixels: Pixels) -> Pixels:
    return pixels.astype(np.float32)


def learn(
    model: Any,
    prepare: Prepare = to_1,
    epochs: int = 2,
    loss: Any = None,
    labels: Labels = lambda y: y,
) -> Any:
    """Teach a model Fashion-MNIST, as `[N, 28, 28, 1]` where it wants channels; return it."""
    import keras

    x, y, _, _ = fashion()
    x = prepare(x)
    if len(model.input_shape) == 4 and x.ndim == 3:
        x = x[..., None]
    model.compile(keras.optimizers.Adam(2e-3), loss or "sparse_categorical_crossentropy")
    model.fit(x, labels(y), batch_size=64, epochs=epochs, verbose=0)
    return model


def dense(
    *first: Any, last: Any = "softmax", shape: tuple[int, ...] = (28, 28), classes: int = 10
) -> Any:
    """A network of two dense layers, with these layers in front."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            layers.Input(shape),
            *first,
            layers.Flatten(),
            layers.Dense(32, activation="relu", name="hidden"),
            layers.Dense(classes, activation=last, name="scores"),
        ]
    )


@lru_cache
def trained() -> Any:
    """The plain one of them, with pixels from 0 to 1; not to be changed."""
    return learn(dense())


def draw(
    folder: Path,
    classes: Sequence[str] = SHAPES,
    count: int = 20,
    size: tuple[int, int] = (32, 32),
    suffix: str = "png",
    seed: int = 0,
) -> None:
    """`count` pictures of shapes a class, as `folder/CLASS/NUMBER.png`; `size`: width, height."""
    rng = np.random.default_rng(seed)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for k in range(count):
            shape(number, size, rng).save(folder / name / f"{k:03d}.{suffix}")


def shape(number: int, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """A bar, an ellipse as wide and high as the picture allows, or a square, light on dark."""
    picture = Image.new("RGB", size, tuple(rng.integers(0, 90, 3).tolist()))
    pen, light = ImageDraw.Draw(picture), tuple(rng.integers(150, 255, 3).tolist())
    side = int(rng.integers(min(size) // 3, min(size) // 2))
    x, y = (int(rng.integers(0, room - side)) for room in size)
    if number % 3 == 0:
        pen.rectangle((x, y, x + side, y + side // 4), fill=light)
    elif number % 3 == 1:
        pen.ellipse((x, y, x + side, y + side), fill=light)
    else:
        pen.rectangle((x, y, x + side, y + side), fill=light)
    return picture


def read(folder: Path, classes: Sequence[str], size: tuple[int, int] | None = None) -> Any:
    """The pictures of a folder as float32 `[N, H, W, 3]`, stretched to a size, and their labels."""
    paths = [
        (path, k) for k, name in enumerate(classes) for path in sorted((folder / name).iterdir())
    ]
    pictures = [Image.open(path) for path, _ in paths]
    x = np.stack([np.asarray(p.resize(size) if size else p, np.float32) for p in pictures])
    return x, np.array([k for _, k in paths])


def convolutional(classes: int, side: int = 32, last: str | None = "softmax") -> Any:
    """A small network for colour pictures, float32 from 0 to 1."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            layers.Input((side, side, 3)),
            layers.Conv2D(12, 5, strides=2, activation="relu"),
            layers.Conv2D(24, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(classes, activation=last),
        ]
    )


def learn_pictures(model: Any, x: Pixels, y: Pixels, epochs: int = 12) -> Any:
    import keras

    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    return model
