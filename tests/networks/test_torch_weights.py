"""Weights that PyTorch wrote, read without it."""

from __future__ import annotations

import io
import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Callable
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
        self.arguments = (storage, offset, shape, strides, False, OrderedDict())


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], bytes]:
    """Write a file as PyTorch did before version 1.6."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def rebuild(*_: Any) -> None:
        raise AssertionError("only its name is written")

    for module, name, value in (
        (torch, "FloatStorage", type("FloatStorage", (), {"__module__": "torch"})),
        (utils, "_rebuild_tensor_v2", rebuild),
    ):
        value.__module__, value.__qualname__, value.__name__ = module.__name__, name, name
        setattr(module, name, value)
        monkeypatch.setitem(sys.modules, module.__name__, module)

    class Writer(pickle.Pickler):
        def persistent_id(self, thing: Any) -> Any:
            if isinstance(thing, Storage):
                return ("storage", thing.kind, "key", "cpu", len(thing.values), None)
            return None

        def reducer_override(self, thing: Any) -> Any:
            if isinstance(thing, Tensor):
                return utils._rebuild_tensor_v2, thing.arguments
            return NotImplemented

    def write(tensors: dict[str, Any]) -> bytes:
        file = io.BytesIO()
        for part in (MAGIC, 1001, {"little_endian": True}, OrderedDict(tensors), ["key"]):
            Writer(file, 2).dump(part)
        return file.getvalue() + len(VALUES).to_bytes(8, "little") + VALUES.tobytes()

    write.storage = Storage(torch.FloatStorage, VALUES)  # type: ignore[attr-defined]
    return write


def test_strides_count(written: Any) -> None:
    tensors = {
        "rows": Tensor(written.storage, 0, (2, 3), (3, 1)),
        "columns": Tensor(written.storage, 0, (2, 3), (1, 2)),
        "later": Tensor(written.storage, 20, (4,), (1,)),
        "one": Tensor(written.storage, 7, (), ()),
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
    written: Any, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="beyond its storage"):
        read(written({"bad": Tensor(written.storage, offset, shape, strides)}))


def test_nothing_else_is_called(tmp_path: Path, written: Any) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "harm",)

    with pytest.raises(ValueError, match="it asks for"):
        read(written({"bad": Harm()}))
    assert not (tmp_path / "harm").exists()


def test_every_cut_is_noticed(written: Any) -> None:
    data = written({"rows": Tensor(written.storage, 0, (2, 3), (3, 1))})
    for length in range(len(data)):
        with pytest.raises(ValueError, match="PyTorch|buffer|storage"):
            read(data[:length])
