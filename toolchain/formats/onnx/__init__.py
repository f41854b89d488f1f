"""ONNX files, answered by onnxruntime."""

from __future__ import annotations

from toolchain.formats.onnx.session import OnnxSession, runtime_session
from toolchain.formats.onnx.session import import_engine as import_engine
from toolchain.model import engines as runtimes
from toolchain.model import seal
from toolchain.model.artifact import ModelInfo, Precision

PRECISIONS = (Precision.FLOAT32, Precision.INT8)
INFO_KEY = "toolchain"  # the property that holds the description
is_whole = seal.holds


def read_info(data: bytes) -> ModelInfo | None:
    properties = runtime_session(data, threads=1, optimize=False).get_modelmeta()
    text = properties.custom_metadata_map.get(INFO_KEY)
    return None if text is None else ModelInfo.from_json(text)


def step(data: bytes) -> float | None:
    return None  # there is one runtime; on ARM it answers as on x86 (docs/device.md)


def engines() -> tuple[str, ...]:
    return runtimes.installed("onnx")


def open_session(data: bytes, threads: int, engine: str | None = None) -> OnnxSession:
    runtimes.choose(engine, engines())
    return OnnxSession(data, threads)
