"""A Keras model that was trained in other numbers than float32, as if it had been trained in those.

Under Keras' policies `mixed_float16` and `mixed_bfloat16` the weights are float32 and only the
computation is shorter; phones and small boards compute in float32 or in 8 bits.
"""

from __future__ import annotations

from typing import Any

from toolchain.formats.keras import private
from toolchain.support.errors import ToolchainError, require

OTHERS = ("float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16")


def in_float32(model: Any) -> Any:
    """The same model with the same weights, all of it in float32; itself where it is already.

    Raises:
        ToolchainError: Keras cannot build it again from its configuration.
    """
    if not any(_types(layer) & {*OTHERS} for layer in private.all_layers(model)):
        return model
    keras = require("keras", "export")
    try:
        rebuilt = keras.saving.deserialize_keras_object(
            _changed(keras.saving.serialize_keras_object(model))
        )
        rebuilt.set_weights(model.get_weights())
    except Exception as error:  # layers of the user's own raise whatever they like
        raise ToolchainError(
            "The model computes in other numbers than float32, and Keras cannot build it again in "
            f"float32: {(str(error) or type(error).__name__).splitlines()[0]} Build it with "
            "keras.mixed_precision.set_global_policy('float32'), load the weights into it "
            "(load_weights), and save that."
        ) from error
    return rebuilt


def _types(layer: Any) -> set[str]:
    return {layer.dtype_policy.name, layer.compute_dtype, layer.variable_dtype}


def _changed(config: Any) -> Any:
    """The configuration with each of those types replaced by float32, wherever it is named."""
    if isinstance(config, dict):
        return {key: _changed(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_changed(value) for value in config)
    return "float32" if config in OTHERS else config
