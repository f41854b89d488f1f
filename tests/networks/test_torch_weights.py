"""Weights that PyTorch wrote, read without it."""

from __future__ import annotations

import io
import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from toolchain.networks.torch_weights import MAGIC, read

VALUES = np.arange(24, dtype="<f4")


class Storage:
    """What a tensor's values lie in; pickled by its key."""

    def __init__(self, kind: type, values: NDArray[Any]) -> None:
        self.kind, self.values = kind, values


class Tensor:
    def __init__(self, storage: Storage, offset: int, shape: Any, strides: Any) -> None:
        self.arguments: tuple[Any, ...] = (storage, offset, shape, strides, False, OrderedDict())


class Writer(pickle.Pickler):
    """As PyTorch's: a tensor is rebuilt by a function of PyTorch's, a storage has a key."""

    def persistent_id(self, thing: Any) -> Any:
        if isinstance(thing, Storage):
            return ("storage", thing.kind, "key", "cpu", len(thing.values), None)
        return None

    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, Tensor):
            return sys.modules["torch._utils"].__dict__["_rebuild_tensor_v2"], thing.arguments
        return NotImplemented


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Storage:
    """The names of PyTorch's that a file has in it are there meanwhile."""

    def rebuild(*_: Any) -> None:
        raise AssertionError("only its name is written")

    kind = type("FloatStorage", (), {})
    for module, name, value in (
        ("torch", "FloatStorage", kind),
        ("torch._utils", "_rebuild_tensor_v2", rebuild),
    ):
        value.__module__, value.__qualname__, value.__name__ = module, name, name
        monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
        setattr(sys.modules[module], name, value)
    return Storage(kind, VALUES)


def written(tensors: dict[str, Any]) -> bytes:
    """A file as PyTorch wrote it before version 1.6."""
    file = io.BytesIO()
    for part in (MAGIC, 1001, {"little_endian": True}, OrderedDict(tensors), ["key"]):
        Writer(file, 2).dump(part)
    return file.getvalue() + len(VALUES).to_bytes(8, "little") + VALUES.tobytes()


def test_strides_count(storage: Storage) -> None:
    tensors = {
        "rows": Tensor(storage, 0, (2, 3), (3, 1)),
        "columns": Tensor(storage, 0, (2, 3), (1, 2)),
        "later": Tensor(storage, 20, (4,), (1,)),
        "one": Tensor(storage, 7, (), ()),
    }
    found = read(written(tensors))
    assert np.array_equal(found["rows"], VALUES[:6].reshape(2, 3))
    assert np.array_equal(found["columns"], VALUES[:6].reshape(3, 2).T)
    assert np.array_equal(found["later"], VALUES[20:])
    assert found["one"] == 7


@pytest.mark.parametrize(
    ("offset", "shape", "strides"), [(0, (25,), (1,)), (-1, (1,), (1,)), (5, (2,), (-1,))]
)
def test_no_tensor_reaches_beyond_its_values(
    storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="beyond its storage"):
        read(written({"bad": Tensor(storage, offset, shape, strides)}))


def test_nothing_else_is_called(tmp_path: Path, storage: Storage) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "harm",)

    with pytest.raises(ValueError, match="it asks for"):
        read(written({"bad": Harm()}))
    assert not (tmp_path / "harm").exists()


def test_every_cut_is_noticed(storage: Storage) -> None:
    data = written({"rows": Tensor(storage, 0, (2, 3), (3, 1))})
    for length in range(len(data)):
        with pytest.raises(ValueError, match=r"PyTorch|buffer|storage"):
            read(data[:length])
