"""Keras models as `.tflite` files: TensorFlow's converter."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain.conversion.tflite.raw_pixels import scaled_input, with_raw_pixels
from toolchain.formats.keras import private
from toolchain.model.artifact import Precision
from toolchain.support.errors import ToolchainError, require

BATCH = 1  # a free batch would leave SHAPE, STRIDED_SLICE and PACK in the graph


def convert(model: Any, precision: Precision, calibration: NDArray[np.uint8] | None) -> bytes:
    """A `.tflite` file with batch 1 (ai.google.dev, "LiteRT: Post-training quantization").

    Dense weights are quantised per tensor: tflite-runtime 2.14 and TensorFlow Lite Micro cannot
    load them per channel. In int8 the softmax stays in float: it costs no time, its output keeps
    more than 8 bits, and the whole computation is one delegate partition.
    """
    if precision is Precision.MIXED:
        raise ToolchainError("A mixed file says which layers stay in float: use `quantize`.")
    if precision is Precision.INT8:
        if calibration is None:
            raise ToolchainError("int8 needs calibration images, and none were given.")
        return quantize(calibrate(model, calibration))
    with _told(precision):
        converter = _converter(model)
        if precision is not Precision.FLOAT32:
            converter.optimizations = [require("tensorflow", "export").lite.Optimize.DEFAULT]
        if precision is Precision.FLOAT16:
            converter.target_spec.supported_types = [require("tensorflow", "export").float16]
        return bytes(converter.convert())


def calibrate(model: Any, images: NDArray[np.uint8]) -> bytes:
    from toolchain.conversion.recurrent import unrolled

    with _told(Precision.INT8), unrolled(model):
        converter = _converter(model)
        converter.optimizations = [require("tensorflow", "export").lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in images)
        private.only_calibrate(converter)
        return bytes(converter.convert())


def quantize(calibrated: bytes, in_float: Collection[str] = ()) -> bytes:
    with _told(Precision.INT8):
        scaled = scaled_input(calibrated)
        if scaled is None:
            return private.quantize(calibrated, in_float)
        quantized = private.quantize(scaled.data, {*in_float, *scaled.in_float})
        return with_raw_pixels(quantized, scaled.scaling)


def _converter(model: Any) -> Any:
    tf = require("tensorflow", "export")
    keras = require("keras", "export")
    keras.config.disable_interactive_logging()  # "Saved artifact at…" goes to its log instead
    image = keras.Input(batch_shape=(BATCH, *model.input_shape[1:]), dtype="uint8", name="image")
    fixed = keras.Model(image, model(image), name="fixed_batch")
    converter = tf.lite.TFLiteConverter.from_keras_model(fixed)
    private.keep_dense_per_tensor(converter)
    return converter


@contextlib.contextmanager
def _told(precision: Precision) -> Iterator[None]:
    """Whatever the converter's passes raise, told as one error of ours."""
    tf = require("tensorflow", "export")
    from toolchain.conversion.refusal import refusal

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        raise refusal(f"TFLite {precision}", f"TensorFlow {tf.__version__}", error) from error
