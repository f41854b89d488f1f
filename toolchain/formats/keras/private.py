"""All that toolchain uses of TensorFlow and Keras beyond their public interfaces, with the reasons.

A new version of either may change these parts without notice; then this module is the one to mend.
The interpreter's private part is in `toolchain.formats.tflite.session`, because devices need it.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from toolchain.support.errors import require


def all_layers(model: Any) -> list[Any]:
    """The Keras model and all layers in it. `model.layers` lacks the layers inside of layers, such
    as those of Bidirectional."""
    return list(model._flatten_layers())


def calls(model: Any) -> list[Any]:
    """The calls that make up the graph of a Keras model; none where it is no graph of layers.
    `model.operations` does not say which tensors each call reads and gives."""
    graph = getattr(model, "_functional", None) or model
    levels = getattr(graph, "_nodes_by_depth", {})
    return [call for level in levels.values() for call in level]


def augmentation_class() -> Any:
    """The class of all Keras layers that vary pictures. A list of their names would lack those of
    newer versions."""
    preprocessing = require("keras", "export").src.layers.preprocessing.image_preprocessing
    return preprocessing.base_image_preprocessing_layer.BaseImagePreprocessingLayer


def loads_unsafely() -> bool:
    """Whether this process called `keras.config.enable_unsafe_deserialization`. Nothing public
    tells it."""
    return require("keras", "export").src.saving.serialization_lib.in_safe_mode() is False


def weight_store(path: Path) -> Any:
    """The open HDF5 file that holds the weights of a `.keras` file. Publicly Keras opens it itself,
    for all layers of a model at once."""
    return require("keras", "export").src.saving.saving_lib.H5IOStore(str(path), mode="r")


def load_weights(layer: Any, store: Any, place: str) -> None:
    """Give one layer the weights at a `place` in a `weight_store`. Publicly Keras loads all layers
    of a model at once, and a rebuilt Keras 2 model has other layers than its file."""
    require("keras", "export").src.saving.saving_lib._load_state(layer, store, None, place)


def with_constants(function: Any) -> Any:
    """The concrete TensorFlow function with constants for its variables. The public function of
    this kind, in `tf.compat.v1.graph_util`, needs a session of TensorFlow 1."""
    require("tensorflow", "export")
    from tensorflow.python.framework import convert_to_constants

    return convert_to_constants.convert_variables_to_constants_v2(
        function, lower_control_flow=False
    )


def keep_dense_per_tensor(converter: Any) -> None:
    """Let a `tf.lite.TFLiteConverter` quantise dense weights per tensor. No public setting does
    it."""
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True


def only_calibrate(converter: Any) -> None:
    """Let a `tf.lite.TFLiteConverter` stop before it quantises. Publicly it calibrates anew for
    each choice of layers in float."""
    converter._experimental_calibrate_only = True


def quantize(calibrated: bytes, in_float: Collection[str]) -> bytes:
    """A calibrated `.tflite` file in int8, but for Softmax and the operators with the outputs
    `in_float`. `tf.lite.experimental.QuantizationDebugger`, the public way to it, cannot keep dense
    weights per tensor."""
    require("tensorflow", "export")
    from tensorflow.lite.python.convert import mlir_quantize

    return bytes(
        mlir_quantize(
            calibrated,
            denylisted_ops={"SOFTMAX"},
            denylisted_nodes=set(in_float),
            disable_per_channel_for_dense_layers=True,
        )
    )
