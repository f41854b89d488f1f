"""Which bytes of a model file are structure: all that are not weights."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Iterable

import numpy as np

from toolchain.formats import tflite
from toolchain.formats.tflite.session import interpreter

LEAST = 64  # bytes; shorter weights count as structure


def offsets(suffix: str, data: bytes) -> list[int]:
    """The offsets of the bytes of a good file, whose format is `suffix`, that are structure."""
    structure = np.ones(len(data), bool)
    for weights in WEIGHTS[suffix](data):
        start = data.find(weights) if len(weights) >= LEAST else -1
        if start >= 0:
            structure[start : start + len(weights)] = False
    return [int(offset) for offset in np.flatnonzero(structure)]


def _of_tflite(data: bytes) -> Iterable[bytes]:
    loaded = interpreter(data, 1, tflite.engines()[0], delegates=False)
    for tensor in loaded.get_tensor_details():
        with contextlib.suppress(ValueError):  # it has no value yet: it is no weight
            yield loaded.get_tensor(tensor["index"]).tobytes()


def _of_onnx(data: bytes) -> Iterable[bytes]:
    import onnx

    for tensor in onnx.load_from_string(data).graph.initializer:
        yield tensor.raw_data


def _of_archive(data: bytes) -> Iterable[bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            start = member.header_offset + 30 + len(member.filename.encode()) + len(member.extra)
            yield data[start : start + member.compress_size]


WEIGHTS = {"tflite": _of_tflite, "onnx": _of_onnx, "keras": _of_archive, "pyz": _of_archive}
