"""TensorFlow Lite files, answered by ai-edge-litert or tflite-runtime."""

from __future__ import annotations

from toolchain.formats.tflite import metadata
from toolchain.formats.tflite.session import TFLiteSession, import_engine
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
__all__ = ["PRECISIONS", "engines", "import_engine", "is_whole", "open_session", "read_info"]


def is_whole(data: bytes) -> bool:
    return seal.holds(data)


def read_info(data: bytes) -> ModelInfo | None:
    entries = metadata.read_entries(data)
    if metadata.INFO_ENTRY not in entries:
        return None
    return ModelInfo.from_json(entries[metadata.INFO_ENTRY])


def engines() -> tuple[str, ...]:
    return runtimes.installed("tflite")


def open_session(data: bytes, threads: int, engine: str | None = None) -> TFLiteSession:
    return TFLiteSession(data, threads, runtimes.choose(engine, engines()))
