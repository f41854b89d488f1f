"""Leaves out of a `.tflite` file what the converter left behind and no runtime reads: long names,
descriptions, and buffers of tensors that have no data."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

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
