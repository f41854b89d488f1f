"""A network that was pretrained on other pictures: its pretrained layers, and its new head.

Both are layers of one Keras model; the layer called `FEATURES` is where the head begins.
"""

from __future__ import annotations

import math
from typing import Any

from toolchain.support.errors import require

SIDE = 224  # pixels of ImageNet's pictures, and of the user's unless a size is asked for
FEATURES = "features"
DROPOUT = 0.2


def with_head(image: Any, x: Any, classes: int) -> Any:
    """A Keras model from `image` to probabilities: `x`, what the pretrained layers make of the
    image, is averaged over the places, and one dense layer follows."""
    keras = require("keras", "export")
    x = keras.layers.GlobalAveragePooling2D(name=FEATURES)(x)
    x = keras.layers.Dropout(DROPOUT)(x)
    return keras.Model(image, keras.layers.Dense(classes, activation="softmax")(x))


def parts(model: Any) -> tuple[Any, Any]:
    """Two Keras models of the same layers: from the image to the features float32 `[N, C]`, and
    from there to the probabilities."""
    keras = require("keras", "export")
    features = model.get_layer(FEATURES).output
    return keras.Model(model.input, features), keras.Model(features, model.output)


def unfreeze(model: Any, share: float) -> None:
    """Let the last `share` (0–1) of the pretrained layers learn, and the head.

    Batch normalisation stays as it is: few pictures would give it other means than ImageNet's.
    """
    normalization = require("keras", "export").layers.BatchNormalization
    names = [layer.name for layer in model.layers]
    pretrained = model.layers[: names.index(FEATURES)]
    first = len(pretrained) - math.ceil(share * len(pretrained))
    for number, layer in enumerate(pretrained):
        layer.trainable = number >= first and not isinstance(layer, normalization)
