"""Models that Keras 2 wrote (TensorFlow up to 2.15, tf_keras), built anew of Keras 3's layers.

Keras 3 reads most of these files not at all. So the configuration is followed here, layer by layer
and call by call, and all weights of the file have to find their place. What the configuration means
is read off tf_keras (github.com/keras-team/tf-keras, `engine/functional.py`), where the weights lie
off its `saving/legacy/hdf5_format.py` and `saving/saving_lib.py`.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

from toolchain.external import keras2_operations, keras_config
from toolchain.support.errors import ToolchainError, UsageError, require

MODELS = ("Functional", "Model", "Sequential")
# settings of no use: the weights are in the file, and nobody trains the model
DROPPED = re.compile(
    r".*_(initializer|regularizer|constraint)|trainable|dtype|input_dtype|rng_type|implementation"
    r"|(batch_|build_)?input_shape|(query|key|value)_shape|input_length"
)
RENAMED = {"LeakyReLU": {"alpha": "negative_slope"}, "ThresholdedReLU": {"theta": "threshold"}}
CLASSES = {"ThresholdedReLU": "ReLU"}
NOTHING: tuple[Any, ...] = (
    None,
    False,
    1,
    "",
    [],
)  # values of settings that Keras 3 lacks and that change nothing
QUANTIZED = re.compile(r'"class_name": "[^"]*Quantize(Layer|Wrapper)')
ONLY_IN_TRAINING = ("RandomHeight", "RandomWidth")  # Keras 3 has no layers like these
CHANGED = "hard_sigmoid"  # 0.2 x + 0.5 in Keras 2, x / 6 + 0.5 in Keras 3
CONSTANT = "_CONSTANT_VALUE"  # in the place of a layer's name


def build(config: dict[str, Any]) -> tuple[Any, Keras2Graph]:
    """The Keras 3 model of a `config` that Keras 2 wrote, and the layers in the order of the file.

    Raises:
        ToolchainError: it has layers, settings or functions that Keras 3 lacks.
        UsageError: it takes several inputs, or does not say what it takes.
    """
    keras = require("keras", "export")
    if QUANTIZED.search(json.dumps(config)):
        raise ToolchainError(
            "its layers are wrapped for quantisation-aware training (tfmot, the package "
            "tensorflow-model-optimization), and these wrappers are no part of Keras."
        )
    shape, kind = _input(config)
    image = keras.Input(shape, dtype=kind)
    graph = Keras2Graph(config, "")
    return keras.Model(image, graph(image)), graph


class Keras2Layer:
    """One layer; `layer` is Keras 3's, or what stands for it where it has no weights."""

    def __init__(self, config: dict[str, Any], path: str) -> None:
        self.kind, self.settings = config["class_name"], config["config"]
        self.name = self.settings["name"]
        self.trainable = bool(self.settings.get("trainable", True))
        self.nodes = config.get("inbound_nodes", [])
        self.layer = _made(self.kind, self.settings, path + self.name)

    def __call__(self, inputs: Any, **settings: Any) -> Any:
        settings.pop("training", None)  # nobody trains here
        return self.layer(inputs, **settings)

    def weights(self) -> tuple[list[Any], list[Any]]:
        """The variables that Keras 2 lists first, and those it lists last."""
        first = list(getattr(self.layer, "trainable_weights", []))
        last = list(getattr(self.layer, "non_trainable_weights", []))
        return (first, last) if self.trainable else ([], first + last)


class Keras2Graph(Keras2Layer):
    """A model: layers that feed each other."""

    def __init__(self, config: dict[str, Any], path: str) -> None:
        self.kind, inner = config["class_name"], config["config"]
        settings = inner if isinstance(inner, dict) else {"layers": inner}  # before Keras 2.2.3
        self.settings, self.name = settings, settings.get("name", "")
        self.trainable = bool(settings.get("trainable", True))
        self.nodes = config.get("inbound_nodes", [])
        below = f"{path}{self.name}." if path or self.nodes else ""
        self.layers = {
            each["config"]["name"] if isinstance(each["config"], dict) else str(number): (
                Keras2Graph if each["class_name"] in MODELS else Keras2Layer
            )(each, below)
            for number, each in enumerate(settings["layers"])
        }

    def __call__(self, inputs: Any, **_: Any) -> Any:
        if self.kind == "Sequential":
            for layer in self.layers.values():
                inputs = layer(inputs)
            return inputs
        return self._followed(inputs)

    def _followed(self, inputs: Any) -> Any:
        """The output of a functional model: each call of a layer, once its inputs are there."""
        (start,) = _references(self.settings["input_layers"], 1, "inputs")
        (end,) = _references(self.settings["output_layers"], 1, "outputs")
        known = {start: inputs}
        nodes = [node for layer in self.layers.values() for node in layer.nodes]
        mentioned = {end, *(call for node in nodes for call in _mentioned(node, self.layers))}
        calls = [
            ((name, number), layer, node)
            for name, layer in self.layers.items()
            # a nested model's call 0 is that of its own input
            for number, node in enumerate(layer.nodes, 0 if (name, 0) in mentioned else 1)
        ]
        while calls:
            waiting = []
            for key, layer, node in calls:
                if all(each in known for each in _mentioned(node, self.layers)):
                    given, settings = _arguments(node, self.layers, known)
                    known[key] = layer(given, **settings)
                else:
                    waiting.append((key, layer, node))
            if len(waiting) == len(calls):
                raise ToolchainError(f"layer '{waiting[0][1].name}' takes what no layer gives.")
            calls = waiting
        return known[end]

    def weights(self) -> tuple[list[Any], list[Any]]:
        pairs = [layer.weights() for layer in self.layers.values()]
        first = [weight for pair in pairs for weight in pair[0]]
        last = [weight for pair in pairs for weight in pair[1]]
        return (first, last) if self.trainable else ([], first + last)


def _input(config: dict[str, Any]) -> tuple[tuple[int | None, ...], str]:
    """The shape of one image, and its type."""
    inner = config["config"]
    layers = inner if isinstance(inner, list) else inner["layers"]
    first = layers[0]
    if config["class_name"] != "Sequential":
        ((name, _),) = _references(inner["input_layers"], 1, "inputs")
        first = next(each for each in layers if each["config"]["name"] == name)
    elif first["class_name"] in MODELS:
        return _input(first)
    shape = first["config"].get("batch_input_shape")
    if not shape:
        raise UsageError(
            "The model does not say what one image it takes. "
            "Call it once on a batch of images before you save it."
        )
    kind = str(first["config"].get("dtype") or "float32")
    return tuple(shape[1:]), kind if "int" in kind else "float32"


def _references(nested: Any, count: int, what: str) -> list[tuple[str, int]]:
    """The calls of layers, by name and number, that `nested` lists or dicts of them mean.

    Raises:
        UsageError: they are not so many.
    """
    found = list(_found(nested, None))
    if len(found) != count:
        raise UsageError(f"The model has {len(found)} {what}. Expected one image and one answer.")
    return found


def _found(node: Any, layers: dict[str, Keras2Layer] | None) -> Iterator[tuple[str, int]]:
    if _is_reference(node, layers):
        yield node[0], node[1]
    elif isinstance(node, list | dict):
        for each in node.values() if isinstance(node, dict) else node:
            yield from _found(each, layers)


def _is_reference(node: Any, layers: dict[str, Keras2Layer] | None) -> bool:
    """Whether it is `[name, number of the call, number of the output, …]`."""
    if not (isinstance(node, list) and len(node) >= 3 and isinstance(node[0], str)):
        return False
    return isinstance(node[1], int) and (layers is None or node[0] in layers)


def _mentioned(node: Any, layers: dict[str, Keras2Layer]) -> list[tuple[str, int]]:
    """The calls that a call waits for, those in its settings included."""
    settings = [each[3] for each in _entries(node) if len(each) > 3]
    return [*_found(_entries(node), layers), *_found(settings, layers)]


def _entries(node: Any) -> list[Any]:
    if isinstance(node, dict):
        raise ToolchainError("A layer takes a dictionary of inputs, which is not read here.")
    return [node] if isinstance(node[0], str) else list(node)


def _arguments(
    node: Any, layers: dict[str, Keras2Layer], known: dict[tuple[str, int], Any]
) -> tuple[Any, dict[str, Any]]:
    """What a layer is called with: its inputs, one alone or in a list, and its settings."""

    def value(given: Any) -> Any:
        if _is_reference(given, layers):
            return known[given[0], given[1]]
        if isinstance(given, list):
            return [value(each) for each in given]
        return given

    entries = _entries(node)
    inputs = [each[2] if each[0] == CONSTANT else value(each) for each in entries]
    settings = entries[0][3] if len(entries[0]) > 3 else {}
    given = {name: value(each) for name, each in settings.items()}
    return inputs[0] if len(inputs) == 1 else inputs, given


def _made(kind: str, settings: dict[str, Any], name: str) -> Any:
    """What computes as the layer does.

    Raises:
        ToolchainError: Keras 3 has nothing that does.
    """
    keras = require("keras", "export")
    if kind in ("TFOpLambda", "SlicingOpLambda"):
        return keras2_operations.named(settings["function"])
    if kind == "InputLayer" or kind in ONLY_IN_TRAINING:
        return lambda inputs: inputs
    if kind == "Lambda":
        return keras2_operations.preparation(settings)
    name = re.sub(r"[/\\]", "_", name)
    if hasattr(keras.ops, re.sub(r"_\d+$", "", name)):
        name += "_layer"  # operations, which Keras names itself, must not meet the same name
    return keras.layers.deserialize(_translated(kind, {**settings, "name": name}))


def _translated(kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    """A layer's configuration for Keras 3.

    Raises:
        ToolchainError: Keras 3 has no layer of that name, or not with these settings.
    """
    layers = require("keras", "export").layers
    kept = {
        RENAMED.get(kind, {}).get(key, key): _setting(value)
        for key, value in settings.items()
        if not DROPPED.fullmatch(key)
    }
    for key in kept:
        if key.endswith("activation") and isinstance(kept[key], str):
            kept[key] = keras_config.ACTIVATIONS.get(kept[key], kept[key])
    kind = CLASSES.get(kind, kind)
    made = getattr(layers, kind, None)
    if not (inspect.isclass(made) and issubclass(made, layers.Layer)):
        raise ToolchainError(f"it uses '{kind}', which is no layer of Keras 3.")
    if CHANGED in kept.values():
        raise ToolchainError(f"its layer '{settings['name']}' uses {CHANGED}, which changed since.")
    if kind == "BatchNormalization" and isinstance(kept.get("axis"), list):
        (kept["axis"],) = kept["axis"]
    allowed = {*inspect.signature(made.__init__).parameters, "name"}
    strange = [key for key in kept if key not in allowed and kept[key] not in NOTHING]
    if strange:
        raise ToolchainError(f"Keras 3's {kind} has no setting {' or '.join(strange)}.")
    config = {key: value for key, value in kept.items() if key in allowed}
    return {"module": "keras.layers", "class_name": kind, "config": config, "registered_name": None}


def _setting(value: Any) -> Any:
    """The value of a setting, a layer within a layer included."""
    if isinstance(value, dict) and isinstance(value.get("config"), dict):
        return _translated(value["class_name"], value["config"])
    if isinstance(value, dict) and value.get("class_name") == "function":
        return keras_config.function(value)
    return value
