"""Leaves out of a `.tflite` file what the converter left behind and no runtime reads.

The file of a small network holds a third of its weights' size in names, in buffers of tensors that
have no data, and in the scales and zero points of each channel, of which most vectors are alike.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from toolchain.errors import require

EMPTY = 0  # the buffer that the schema reserves for tensors without data


def slim(model: Any, needless: Container[bytes]) -> None:
    """Shorten names in `model`, a `ModelT` of the schema's object API, and drop the metadata with
    these names and all buffers that nothing refers to."""
    model.description = None
    model.metadata = [each for each in model.metadata or () if each.name not in needless]
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.name = _short(tensor.name)
            if _is_empty(model.buffers[tensor.buffer]):
                tensor.buffer = EMPTY
    _drop_unused_buffers(model)


def _short(name: bytes) -> bytes:
    """The layer of the last operator that was fused into one: `conv2d_1`."""
    return name.rpartition(b";")[2].split(b"/")[-2:][0]


def _is_empty(buffer: Any) -> bool:
    return buffer.data is None or len(buffer.data) == 0


def _drop_unused_buffers(model: Any) -> None:
    users = [
        *(tensor for graph in model.subgraphs for tensor in graph.tensors),
        *model.metadata,
    ]
    kept = sorted({EMPTY, *(user.buffer for user in users)})
    places = {old: new for new, old in enumerate(kept)}
    model.buffers = [model.buffers[old] for old in kept]
    for user in users:
        user.buffer = places[user.buffer]


def sharing_builder(size: int) -> Any:
    """A builder that writes equal vectors and strings once; a FlatBuffer may refer to one from many
    tables (flatbuffers.dev, "FlatBuffer internals")."""
    flatbuffers = require("flatbuffers", "export")

    class Builder(flatbuffers.Builder):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(size)
            self._written: dict[tuple[str, bytes], int] = {}

        def CreateNumpyVector(self, x: Any) -> int:  # noqa: N802 - the generated code calls it so
            key = (x.dtype.str, x.tobytes())
            if key not in self._written:
                self._written[key] = super().CreateNumpyVector(x)
            return self._written[key]

        def CreateString(self, s: str | bytes) -> int:  # noqa: N802
            content = s.encode() if isinstance(s, str) else s
            if ("", content) not in self._written:
                self._written["", content] = super().CreateString(content)
            return self._written["", content]

    return Builder()
