"""Where the weights lie in a file of Keras 2, and that all of them find their place."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from toolchain.external.keras2 import Keras2Graph, Keras2Layer
from toolchain.formats.keras import private
from toolchain.support.errors import ToolchainError

NOT_COMPUTED_WITH = re.compile(r"(.*/)?(StateVar|seed_generator_state)(:0)?")


def from_h5(graph: Keras2Graph, file: Any) -> None:
    """Give the layers of `graph` the weights of an open `.h5` file: a group for each layer of the
    outermost model, which lists its weights, first those that were trained.

    Raises:
        ToolchainError: they are not the layers' weights.
    """
    group = file.get("model_weights", file)
    for layer in graph.layers.values():
        if layer.name not in group:
            _assign(layer, [])
            continue
        names = [name for name in _listed(group[layer.name]) if not _is_idle(name)]
        _assign(layer, [(name, group[layer.name][name][()]) for name in names])


def _listed(group: Any) -> list[str]:
    """The names of a group's weights; a long list lies in pieces, `weight_names0` and so on."""
    attributes = group.attrs
    pieces = [key for key in attributes if re.fullmatch(r"weight_names\d*", key)]
    pieces.sort(key=lambda key: int(key.removeprefix("weight_names") or 0))
    names = [name for piece in pieces for name in attributes[piece]]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _is_idle(name: str) -> bool:
    return NOT_COMPUTED_WITH.fullmatch(name) is not None


def _assign(layer: Keras2Layer, values: list[tuple[str, Any]]) -> None:
    first, last = layer.weights()
    places = [*first, *last]
    fitting = len(places) == len(values) and all(
        place.shape == value.shape and name.split("/")[-1].split(":")[0].endswith(place.name)
        for place, (name, value) in zip(places, values, strict=True)
    )
    if not fitting:
        raise ToolchainError(
            f"the weights of '{layer.name}' are {[name for name, _ in values]}, which is not what "
            "Keras 3's layers have."
        )
    for place, (_, value) in zip(places, values, strict=True):
        place.assign(value)


def from_keras(graph: Keras2Graph, store: Any, path: str = "") -> None:
    """Give the layers the weights of a `.keras` file, Keras' `store` of them: each lies below
    `layers/` under the name of its class and, from the second on, a number.

    Raises:
        ToolchainError, ValueError: they are not the layers' weights.
    """
    seen: Counter[str] = Counter()
    for layer in graph.layers.values():
        name = _snake_case(layer.kind)
        place = f"{path}layers/{name}" + (f"_{seen[name]}" if seen[name] else "")
        seen[name] += 1
        if isinstance(layer, Keras2Graph):
            from_keras(layer, store, f"{place}/")
        elif any(layer.weights()):
            private.load_weights(layer.layer, store, place)


def _snake_case(name: str) -> str:
    """Keras 2's `to_snake_case`: `Conv2D` is `conv2d`, `ReLU` is `re_lu`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def settle(graph: Keras2Graph) -> None:
    """What layers compute from their weights: a Normalization its mean and deviation."""
    for layer in graph.layers.values():
        if isinstance(layer, Keras2Graph):
            settle(layer)
        elif hasattr(layer.layer, "finalize_state"):
            layer.layer.finalize_state()
