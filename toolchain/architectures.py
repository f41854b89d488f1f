"""The documented models: one function each, from the input's shape to an untrained `keras.Model`.

Every model takes raw pixels uint8 0–255 and scales them itself, so no caller can forget to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from toolchain.artifact import InputContract
from toolchain.errors import UsageError, require

Build = Callable[[InputContract, int], Any]


@dataclass(frozen=True)
class Architecture:
    """A model and how it is documented to be trained.

    `target_accuracy` (0–1): training stops after the first epoch that reaches it on the training
    images; without one it runs for `epochs`.
    """

    name: str
    build: Build
    dataset: str
    epochs: int
    target_accuracy: float | None


_known: dict[str, Architecture] = {}


def _documented(
    dataset: str, epochs: int, target_accuracy: float | None = None
) -> Callable[[Build], Build]:
    def register(build: Build) -> Build:
        name = build.__name__.replace("_", "-")
        _known[name] = Architecture(name, build, dataset, epochs, target_accuracy)
        return build

    return register


def names() -> tuple[str, ...]:
    """All documented models."""
    return tuple(_known)


def get(name: str) -> Architecture:
    """The model called `name`.

    Raises:
        UsageError: there is no such model.
    """
    if name not in _known:
        raise UsageError(
            f"There is no model '{name}' to train. Choose one of: {', '.join(_known)}."
        )
    return _known[name]


@_documented(dataset="fashion-mnist", epochs=5)
def fashion_cnn(contract: InputContract, classes: int) -> Any:
    """Two convolutions with pooling; 243,786 parameters on 28×28×1 and ten classes."""
    layers = require("keras", "export").layers
    return _classifier(
        contract,
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(classes, activation="softmax"),
    )


@_documented(dataset="mnist", epochs=20, target_accuracy=0.998)
def mnist_cnn(contract: InputContract, classes: int) -> Any:
    """One convolution and one pooling layer, no more; 1,386,506 parameters on 28×28×1."""
    layers = require("keras", "export").layers
    return _classifier(
        contract,
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(classes, activation="softmax"),
    )


def _classifier(contract: InputContract, *layers: Any) -> Any:
    keras = require("keras", "export")
    shape = (contract.height, contract.width, contract.channels)
    image = keras.Input(shape, dtype="uint8", name="image")
    return keras.Sequential([image, keras.layers.Rescaling(1 / 255), *layers])
