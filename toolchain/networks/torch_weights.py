"""Reads a file of weights that PyTorch wrote before version 1.6, without PyTorch.

The file is a sequence of pickles: a magic number, a version, facts on the machine, the weights by
name, and the keys of the storages; then each storage follows as its length and its values
(torch/serialization.py, `_legacy_save`). A pickle may call any function, so only those are found
that such a file needs.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = 0x1950A86A20F9469CFC6C
LENGTH = 8  # bytes of a storage's length, little-endian


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage: where it begins, its shape, and its strides in values."""

    storage: str
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild(
    storage: tuple[str, np.dtype[Any]],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_: object,
) -> _Tensor:
    return _Tensor(*storage, offset, shape, strides)


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None

    def persistent_load(self, pid: Any) -> tuple[str, np.dtype[Any]]:
        _, dtype, key, *_ = pid
        return key, dtype


def read(data: bytes) -> dict[str, NDArray[Any]]:
    """The tensors in the file by their names, with the shapes that PyTorch gave them.

    Raises:
        ValueError: it is no such file.
    """
    file = io.BytesIO(data)
    try:
        magic, _, _, tensors, keys = (_Unpickler(file).load() for _ in range(5))
    except Exception as error:  # whatever damaged pickles bring about
        raise ValueError(f"no file of PyTorch's: {error}") from error
    if magic != MAGIC:
        raise ValueError("no file of PyTorch's")
    dtypes = {tensor.storage: tensor.dtype for tensor in tensors.values()}
    storages = {key: _storage(file, dtypes[key]) for key in keys}
    return {name: _array(storages[each.storage], each) for name, each in tensors.items()}


def _storage(file: io.BytesIO, dtype: np.dtype[Any]) -> NDArray[Any]:
    count = int.from_bytes(file.read(LENGTH), "little")
    return np.frombuffer(file.read(count * dtype.itemsize), dtype, count)


def _array(storage: NDArray[Any], tensor: _Tensor) -> NDArray[Any]:
    last = tensor.offset + sum(
        (size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    if min(tensor.strides, default=0) < 0 or not 0 <= tensor.offset <= last < len(storage):
        raise ValueError("a tensor reaches beyond its storage")
    strides = [stride * storage.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides)
