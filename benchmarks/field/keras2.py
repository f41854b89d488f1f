"""Models as Keras 2.15 writes them, without Keras 2: its configuration, and weights beside it.

`.h5` holds the configuration as an attribute and each weight below its layer's name; `.keras` is a
zip archive of the configuration and of weights that are numbered by the kind of layer.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

Weights = Mapping[str, Iterable[NDArray[Any]]]
VERSION = "2.15.0"


def layer(kind: str, name: str, source: str, config: Any = (), call: Any = None) -> Any:
    """A layer of a functional model. With `call`, an operator with these further arguments."""
    node = [source, 0, 0, call or {}]
    config = {"name": name, "trainable": True, "dtype": "float32", **dict(config)}
    nodes = [node] if call else [[node]]
    return {"class_name": kind, "config": config, "name": name, "inbound_nodes": nodes}


def image(shape: tuple[int, ...], name: str = "input_1") -> Any:
    config: dict[str, Any] = {"batch_input_shape": [None, *shape], "dtype": "float32", "name": name}
    config |= {"sparse": False, "ragged": False}
    return {"class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": []}


def dense(name: str, source: str, units: int, activation: str) -> Any:
    config = {"units": units, "activation": activation, "use_bias": True}
    return layer("Dense", name, source, config)


def functional(layers: list[Any]) -> dict[str, Any]:
    config = {
        "name": "model",
        "trainable": True,
        "layers": layers,
        "input_layers": [[layers[0]["name"], 0, 0]],
        "output_layers": [[layers[-1]["name"], 0, 0]],
    }
    return {"class_name": "Functional", "config": config}


def h5(path: Path, config: dict[str, Any] | None, weights: Weights) -> None:
    """A model in one HDF5 file, as `model.save("model.h5")` wrote it; without `config`, weights."""
    import h5py

    with h5py.File(path, "w") as file:
        if config:
            file.attrs["model_config"] = json.dumps(config)
        _write_weights(file.create_group("model_weights"), weights)
        for group in (file, file["model_weights"]):
            group.attrs["keras_version"], group.attrs["backend"] = VERSION, "tensorflow"


def _write_weights(group: Any, weights: Weights) -> None:
    group.attrs["layer_names"] = [name.encode() for name in weights]
    for name, values in weights.items():
        names = [f"{name}/{each}:0" for each, _ in zip(("kernel", "bias"), values, strict=False)]
        group.create_group(name).attrs["weight_names"] = [each.encode() for each in names]
        for each, value in zip(names, values, strict=True):
            group[name][each] = value


def archive(path: Path, config: dict[str, Any], weights: Weights) -> None:
    """A model as a `.keras` archive, as TensorFlow 2.13 to 2.15 wrote it."""
    import h5py

    held, seen = io.BytesIO(), Counter[str]()
    with h5py.File(held, "w") as file:
        for each in config["config"]["layers"]:
            kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", each["class_name"]).lower()
            number = f"_{seen[kind]}" if seen[kind] else ""
            seen[kind] += 1
            variables = file.create_group(f"layers/{kind}{number}/vars")
            for k, value in enumerate(weights.get(each["name"], ())):
                variables[str(k)] = value
    module = {"module": "keras.src.engine.functional", "registered_name": "Functional"}
    metadata = {"keras_version": VERSION, "date_saved": "2024-03-01@12:00:00"}
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("metadata.json", json.dumps(metadata))
        file.writestr("config.json", json.dumps(module | config))
        file.writestr("model.weights.h5", held.getvalue())
