"""The configuration of a Keras model, in the words of the Keras that is installed.

Keras stores a function as its name. TensorFlow's own functions, which tutorials use as activations,
have names that Keras does not know; the built-in functions that compute the same take their places,
so the published file opens anywhere. Settings that another Keras wrote and that change nothing are
left out.
"""

from __future__ import annotations

from typing import Any

# TensorFlow's names of functions (`__name__`), and those of `keras.activations`
ACTIVATIONS = {
    "exp": "exponential",
    "identity": "linear",
    "log_softmax_v2": "log_softmax",
    "softmax_v2": "softmax",
    "swish": "silu",
}
NAMESAKES = frozenset(
    """
    celu elu gelu hard_silu hard_sigmoid hard_swish leaky_relu linear log_sigmoid log_softmax mish
    relu relu6 selu sigmoid silu softmax softplus softsign tanh
    """.split()  # noqa: SIM905 - one can read it so
)
# of `keras.ops`, which has them under TensorFlow's names
OPERATIONS = frozenset("abs cos sin sqrt square maximum minimum round sign floor ceil".split())  # noqa: SIM905
ONE_GROUP = ("DepthwiseConv2D", "Conv2DTranspose")  # Keras 2 writes `groups: 1`, which they lack


def translated(node: Any) -> Any:
    """`node` of a configuration as JSON has it, with everything in it."""
    if isinstance(node, list):
        return [translated(each) for each in node]
    if not isinstance(node, dict):
        return node
    node = {key: translated(value) for key, value in node.items()}
    settings = node.get("config")
    if node.get("class_name") == "function":
        return function(node)
    if not isinstance(settings, dict):
        return node
    if node.get("class_name") == "InputLayer" and isinstance(settings.get("batch_shape"), list):
        settings["batch_shape"][:1] = [None]  # any number of images
    if node.get("class_name") in ONE_GROUP and settings.get("groups") == 1:
        del settings["groups"]
    return _activation_layer(node) if node.get("class_name") == "Lambda" else node


def function(node: dict[str, Any]) -> Any:
    """A stored function as the built-in one that computes the same, or as it is."""
    name = str(node.get("config"))
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    if name in NAMESAKES:
        return name
    return {**node, "module": "keras.ops"} if name in OPERATIONS else node


def _activation_layer(layer: dict[str, Any]) -> dict[str, Any]:
    """A Lambda layer of a function that is built in needs no Lambda."""
    settings = layer["config"]
    computed = settings.get("function")
    if not (isinstance(computed, str) and computed in NAMESAKES | set(ACTIVATIONS.values())):
        return layer
    kept = {key: settings[key] for key in ("name", "dtype") if key in settings}
    config = {**kept, "activation": computed}
    return {**layer, "module": "keras.layers", "class_name": "Activation", "config": config}
