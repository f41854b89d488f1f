"""TensorFlow Lite files, answered by ai-edge-litert or tflite-runtime."""

from __future__ import annotations

import numpy as np

from toolchain.formats.tflite import metadata
from toolchain.formats.tflite.session import TFLiteSession, interpreter, operators
from toolchain.formats.tflite.session import import_engine as import_engine
from toolchain.model import engines as runtimes
from toolchain.model import seal
from toolchain.model.artifact import ModelInfo, Precision

PRECISIONS = (
    Precision.FLOAT32,
    Precision.FLOAT16,
    Precision.DYNAMIC,
    Precision.INT8,
    Precision.MIXED,
)
BEHIND_LOGITS = ("SOFTMAX", "DEQUANTIZE", "QUANTIZE")
is_whole = seal.holds


def read_info(data: bytes) -> ModelInfo | None:
    entries = metadata.read_entries(data)
    if metadata.INFO_ENTRY not in entries:
        return None
    return ModelInfo.from_json(entries[metadata.INFO_ENTRY])


def step(data: bytes) -> float | None:
    loaded = interpreter(data, 1, engines()[0], delegates=False)
    tensors = {each["index"]: each for each in loaded.get_tensor_details()}
    makers = {index: step for step in operators(loaded) for index in step["outputs"]}
    index = loaded.get_output_details()[0]["index"]
    while (maker := makers.get(index)) and maker["op_name"] in BEHIND_LOGITS:
        index = maker["inputs"][0]
        if tensors[index]["dtype"] is np.int8:
            return float(tensors[index]["quantization"][0])
    return None


def engines() -> tuple[str, ...]:
    return runtimes.installed("tflite")


def open_session(data: bytes, threads: int, engine: str | None = None) -> TFLiteSession:
    return TFLiteSession(data, threads, runtimes.choose(engine, engines()))
