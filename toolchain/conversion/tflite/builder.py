"""Writes a FlatBuffer of tables smaller than `flatbuffers.Builder` does.

A small network's `.tflite` file holds about half of its weights' size in names, scales and zero
points of each channel, and tables of tensors and operators, of which many are alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from toolchain.formats.tflite.metadata import IDENTIFIER
from toolchain.support.errors import require

if TYPE_CHECKING:
    from flatbuffers import Builder
else:
    Builder = object  # until flatbuffers is asked for

FIRST_SIZE = 2**16  # bytes, from which a builder grows
REFERENCE = 4  # bytes of a reference to another table, vector or string
Field = tuple[int, int, Any, Any]  # its bytes, its place in the table, its type, its value


def packed(model: Any) -> bytes:
    """The `.tflite` file of `model`, a `ModelT` of the schema's object API."""
    schema = require("ai_edge_litert.schema_py_generated", "export")
    model.buffers = [_AlignedBuffer(buffer, schema) for buffer in model.buffers]
    builder = sharing_builder(FIRST_SIZE)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def sharing_builder(size: int) -> Any:
    """A `flatbuffers.Builder` that begins with `size` bytes and writes what is equal once.

    A FlatBuffer may refer to a vector, string or table from many places, and hold a table's fields
    in any order (flatbuffers.dev, "FlatBuffer internals"): the widest first leaves the least unused
    between them. For schemas without structs, as TensorFlow Lite's.
    """
    plain = require("flatbuffers", "export").Builder
    return type("SharingBuilder", (_Sharing, plain), {})(size)


class _Sharing(Builder):  # type: ignore[misc]
    """What `sharing_builder` does otherwise; the generated code calls its methods as they are."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[Any, int] = {}
        self._fields: list[Field] = []  # of the table that is begun

    def CreateNumpyVector(self, x: Any) -> int:  # noqa: N802
        return self._once((x.dtype.str, x.tobytes()), super().CreateNumpyVector, x)

    def CreateString(self, s: str | bytes) -> int:  # noqa: N802
        content = s.encode() if isinstance(s, str) else s
        return self._once(content, super().CreateString, content)

    def PrependSlot(self, flags: Any, o: int, x: Any, d: Any) -> None:  # noqa: N802
        if x != d:
            self._fields.append((flags.bytewidth, o, flags, x))

    def PrependUOffsetTRelativeSlot(self, o: int, x: int, d: int) -> None:  # noqa: N802
        if x != d:
            self._fields.append((REFERENCE, o, None, x))

    def EndObject(self) -> int:  # noqa: N802
        fields, self._fields = sorted(self._fields, key=_widest_first), []
        table = self._once((len(self.current_vtable), *fields), self._end_table, fields)
        self.nested = False  # where the same one had been written
        return table

    def _end_table(self, fields: list[Field]) -> int:
        for _, place, flags, value in fields:
            if flags is None:
                self.PrependUOffsetTRelative(value)
            else:
                self.Prepend(flags, value)
            self.Slot(place)
        return int(super().EndObject())

    def _once(self, content: Any, write: Callable[[Any], int], given: Any) -> int:
        if content not in self._written:
            self._written[content] = write(given)
        return self._written[content]


def _widest_first(field: Field) -> tuple[int, int]:
    return -field[0], field[1]


class _AlignedBuffer:
    """Packs a buffer's data on a 16-byte boundary, as the schema's `force_align` demands.

    The generated Python code knows no `force_align`; kernels and memory-mapping devices rely on it.
    """

    def __init__(self, buffer: Any, schema: Any) -> None:
        self._data = b"" if buffer.data is None else bytes(buffer.data)
        self._schema = schema

    def Pack(self, builder: Any) -> int:  # noqa: N802 - the generated code calls it so
        vector = None
        if self._data:
            builder.StartVector(1, len(self._data), 16)
            builder.head -= len(self._data)
            builder.Bytes[builder.head : builder.head + len(self._data)] = self._data
            vector = builder.EndVector()
        self._schema.BufferStart(builder)
        if vector is not None:
            self._schema.BufferAddData(builder, vector)
        return int(self._schema.BufferEnd(builder))
