"""ONNX: made with tf2onnx and onnxslim, quantised by onnxruntime."""

from toolchain.conversion.onnx.convert import convert, embed
from toolchain.conversion.onnx.graph import min_runtime, summarize

__all__ = ["PACKAGES", "convert", "embed", "min_runtime", "summarize"]

PACKAGES = ("keras", "tensorflow", "tf2onnx", "onnxslim", "onnx", "onnx_ir", "onnxruntime")
