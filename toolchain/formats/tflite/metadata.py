"""Reads the named metadata of a `.tflite` file with `struct` alone, as a device can.

A `.tflite` is a FlatBuffer (TensorFlow Lite schema v3): `Model.metadata` lists names, each with
the index of one of `Model.buffers`, which holds the content.
"""

from __future__ import annotations

import struct

from toolchain.support.errors import ToolchainError

INFO_ENTRY = "TOOLCHAIN_INFO"  # our own JSON
RUNTIME_ENTRY = "min_runtime_version"  # written by the converter
IDENTIFIER = b"TFL3"

# field numbers of the tables we read, in schema order
MODEL_BUFFERS, MODEL_METADATA = 4, 6
METADATA_NAME, METADATA_BUFFER = 0, 1
BUFFER_DATA = 0


def read_entries(data: bytes) -> dict[str, bytes]:
    """All metadata entries of a `.tflite` file, by name.

    Raises:
        ToolchainError: `data` is no `.tflite` file, or its tables point outside of it.
    """
    if data[4:8] != IDENTIFIER:
        raise ToolchainError(
            "This is not a TFLite file: it lacks the mark 'TFL3'. Expected a model exported with "
            "this toolchain or another TFLite converter."
        )
    try:
        model = _indirect(data, 0)
        buffers = _vector(data, model, MODEL_BUFFERS)
        entries: dict[str, bytes] = {}
        left = 2 * len(data)
        for table in _vector(data, model, MODEL_METADATA):
            name = _bytes(data, table, METADATA_NAME).decode()
            field = _field(data, table, METADATA_BUFFER)
            index = _uint(data, field) if field else 0
            entries[name] = _bytes(data, buffers[index], BUFFER_DATA)
            left -= len(name) + len(entries[name])
            if left < 0:  # a small file could fill the memory with the same bytes again and again
                raise IndexError("its entries are longer than the file")
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ToolchainError(
            "This TFLite file is damaged: its tables point outside of it. "
            "Export it again, or fetch a fresh copy."
        ) from error
    return entries


def _uint(data: bytes, position: int) -> int:
    return int(struct.unpack_from("<I", data, position)[0])


def _indirect(data: bytes, position: int) -> int:
    return position + _uint(data, position)


def _field(data: bytes, table: int, number: int) -> int:
    """Where field `number` of a table lies; 0 where it is absent."""
    vtable = table - int(struct.unpack_from("<i", data, table)[0])
    if vtable < 0:
        raise IndexError("a table points before the file")
    entry = 4 + 2 * number
    if entry >= struct.unpack_from("<H", data, vtable)[0]:
        return 0
    offset = int(struct.unpack_from("<H", data, vtable + entry)[0])
    return table + offset if offset else 0


def _vector(data: bytes, table: int, number: int) -> list[int]:
    """Positions of the tables in a vector of tables."""
    field = _field(data, table, number)
    if not field:
        return []
    start = _indirect(data, field)
    count = _uint(data, start)
    if count > len(data) // 4:
        raise IndexError("a vector is longer than the file")
    return [_indirect(data, start + 4 + 4 * i) for i in range(count)]


def _bytes(data: bytes, table: int, number: int) -> bytes:
    field = _field(data, table, number)
    if not field:
        return b""
    start = _indirect(data, field)
    size = _uint(data, start)
    if start + 4 + size > len(data):
        raise IndexError("a string is longer than the file")
    return data[start + 4 : start + 4 + size]
