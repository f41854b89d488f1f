"""TensorFlow Lite: made with TensorFlow's converter."""

from toolchain.conversion.tflite.convert import calibrate, convert, quantize
from toolchain.conversion.tflite.graph import inspect, layers_of, min_runtime, summarize
from toolchain.conversion.tflite.writing import write_entries as embed

__all__ = [
    "PACKAGES",
    "calibrate",
    "convert",
    "embed",
    "inspect",
    "layers_of",
    "min_runtime",
    "quantize",
    "summarize",
]

PACKAGES = ("keras", "tensorflow", "ai_edge_litert", "flatbuffers")
