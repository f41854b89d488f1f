"""A file that Keras wrote, whichever version of it: the configuration is translated first."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolchain.external import keras2, keras2_weights, keras_config
from toolchain.formats import keras as keras_format
from toolchain.formats.keras import private
from toolchain.support import files
from toolchain.support.errors import ToolchainError, UsageError, require

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
HDF5 = b"\x89HDF\r\n\x1a\n"  # how its files begin


def load(data: bytes) -> Any:
    """The Keras model in `data`, a `.keras` or `.h5` file of Keras 2 or 3. Nothing in it is run.

    Raises:
        UsageError: it takes several inputs or gives several outputs.
        ToolchainError: it is damaged, or holds code, layers or functions that are not known here.
    """
    return _from_h5(data) if data.startswith(HDF5) else _from_zip(data)


def packed(members: dict[str, bytes]) -> bytes:
    """A `.keras` file of these members, which are what an unpacked one has as files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def unpacked(folder: Path) -> bytes:
    """The `.keras` file that was unpacked into `folder`.

    Raises:
        ToolchainError: a part of it is missing.
    """
    members = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return packed({str(path.relative_to(folder)): files.read_bytes(path) for path in members})


def _from_zip(data: bytes) -> Any:
    keras_format.is_whole(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = _parsed(members[CONFIG])
    version = str(_parsed(members.get(METADATA, b"{}")).get("keras_version", ""))
    if _is_keras2(version, config):
        return _rebuilt(config, version, lambda graph: _weights(graph, members[WEIGHTS]))
    translated = keras_config.translated(config)
    if translated != config:
        data = packed({**members, CONFIG: json.dumps(translated).encode()})
    return keras_format.load(data)


def _from_h5(data: bytes) -> Any:
    h5py = require("h5py", "export")
    content = io.BytesIO(data)
    try:
        with h5py.File(content, "r+") as file:
            config = _parsed(file.attrs["model_config"])
            version = str(file.attrs.get("keras_version", ""))
            if _is_keras2(version, config):
                return _rebuilt(config, version, lambda graph: keras2_weights.from_h5(graph, file))
            file.attrs["model_config"] = json.dumps(keras_config.translated(config)).encode()
    except ToolchainError:
        raise
    except Exception as error:  # h5py raises whatever damaged files lead to
        raise ToolchainError(
            f"The file is damaged ({error}). Fetch a fresh copy, or save the model again."
        ) from error
    return keras_format.load(content.getvalue(), ".h5")


def _parsed(text: bytes | str) -> dict[str, Any]:
    try:
        config = json.loads(text)
    except ValueError as error:
        raise ToolchainError(
            f"Its configuration is no JSON ({error}). Save the model again."
        ) from error
    if not isinstance(config, dict):
        raise ToolchainError("Its configuration describes no model. Save the model again.")
    return config


def _is_keras2(version: str, config: dict[str, Any]) -> bool:
    """Whether Keras 1 or 2 wrote the file; only they called the shape `batch_input_shape`.

    tf_keras goes on with TensorFlow's numbers, such as 2.21.0.
    """
    if version:
        return version.startswith(("1.", "2.")) and config.get("class_name") in keras2.MODELS
    return "batch_input_shape" in json.dumps(config)


def _rebuilt(
    config: dict[str, Any], version: str, fill: Callable[[keras2.Keras2Graph], None]
) -> Any:
    """A model of Keras 2 in Keras 3's layers, once `fill` has given them their weights.

    Raises:
        ToolchainError: Keras 3 cannot compute the same.
    """
    try:
        model, graph = keras2.build(config)
        fill(graph)
        keras2_weights.settle(graph)
    except UsageError:
        raise
    except Exception as error:  # Keras raises whatever its layers raise
        raise ToolchainError(
            f"This file was written by Keras {version}, and Keras 3 cannot compute the same: "
            f"{keras_format.reason(error).rstrip('. ')}. In the program that trained the model, "
            "write a SavedModel instead, with tf.saved_model.save(model, 'my_model'), and export "
            "that folder: toolchain export my_model."
        ) from error
    return model


def _weights(graph: keras2.Keras2Graph, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, WEIGHTS)
        path.write_bytes(data)
        with contextlib.closing(private.weight_store(path)) as store:
            keras2_weights.from_keras(graph, store)
