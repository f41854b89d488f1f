"""Cases of outputs: in a list, in a dict, several, and numbers that are no probabilities."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.field.case import ALL, case, published, refused
from benchmarks.field.material import dense, learn, trained

KIND = "outputs"
SCALED = "export model.keras --data fashion.npz --scale 0..1"
ENDS: dict[str, tuple[str, Callable[[Any, Any], tuple[Any, Any]]]] = {
    "listed_output": ("image, [output]", lambda image, output: (image, [output])),
    "listed_ends": ("[image], [output]", lambda image, output: ([image], [output])),
    "nested_output": ("image, [[output]]", lambda image, output: (image, [[output]])),
    "named_output": ("image, {'a': output}", lambda image, output: (image, {"a": output})),
    "named_ends": (
        "{'image': image}, {'a': output}",
        lambda image, output: ({"image": image}, {"a": output}),
    ),
}


def _model(ends: Callable[[Any, Any], tuple[Any, Any]], suffix: str, place: Path) -> None:
    import keras
    from keras import layers

    image = keras.Input((28, 28), name="image")
    values = layers.Dense(32, activation="relu")(layers.Flatten()(image))
    plain = learn(keras.Model(image, layers.Dense(10, activation="softmax")(values)))
    keras.Model(*ends(image, plain.output)).save(place / f"model.{suffix}")


for name, (written, ends) in ENDS.items():
    title = f"`keras.Model({written})`"
    case(KIND, SCALED, published(ALL), f"{name}_keras", title)(partial(_model, ends, "keras"))
case(
    KIND,
    SCALED.replace(".keras", ".h5"),
    published(ALL),
    "listed_output_h5",
    "`keras.Model(image, [output])` as .h5",
)(partial(_model, ENDS["listed_output"][1], "h5"))


@case(KIND, SCALED, refused("output"))
def two_outputs(place: Path) -> None:
    """Two outputs are refused for that"""
    import keras

    model = trained()
    ends = [model.outputs[0], model.get_layer("hidden").output]
    keras.Model(model.inputs, ends).save(place / "model.keras")


def _without_softmax(last: str | None) -> Any:
    import keras

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return learn(dense(last=last), loss=loss)


@case(KIND, SCALED, published(ALL))
def log_softmax(place: Path) -> None:
    """Log-probabilities (log_softmax)"""
    _without_softmax("log_softmax").save(place / "model.keras")


@case(KIND, SCALED, published(ALL))
def logits(place: Path) -> None:
    """A control: logits"""
    _without_softmax(None).save(place / "model.keras")


@case(KIND, f"{SCALED} --one-of", published(), "sigmoids_one_of", "Several sigmoids, told --one-of")
@case(KIND, SCALED, refused("sigmoid|yes-or-no", "--one-of|softmax"))
def sigmoids(place: Path) -> None:
    """Several sigmoids, not told what they mean: refused with the way on"""
    model = dense(last="sigmoid")
    learn(model, loss="binary_crossentropy", labels=lambda y: np.eye(10)[y])
    model.save(place / "model.keras")
