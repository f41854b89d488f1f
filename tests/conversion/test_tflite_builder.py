"""What the builder writes is what was packed, in fewer bytes."""

from __future__ import annotations

from typing import Any

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from toolchain.cli import locate
from toolchain.conversion.tflite.builder import sharing_builder

FILES = sorted(locate.RELEASED.glob("*/*.tflite"))


def unfolded(thing: Any) -> Any:
    """An object of the schema's API as plain values, whatever shares its bytes with what."""
    if isinstance(thing, list):
        return [unfolded(each) for each in thing]
    if hasattr(thing, "tolist"):
        return thing.tolist()
    if hasattr(thing, "__dict__"):
        return {name: unfolded(value) for name, value in vars(thing).items()}
    return thing


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_reads_back_as_it_was(path: Any) -> None:
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    sizes = []
    for builder in (flatbuffers.Builder(1024), sharing_builder(1024)):
        builder.Finish(model.Pack(builder), b"TFL3")
        data = bytes(builder.Output())
        assert data[4:8] == b"TFL3"
        assert unfolded(schema.ModelT.InitFromPackedBuf(data, 0)) == unfolded(model)
        sizes.append(len(data))
    plain, shared = sizes
    assert shared < plain - 500


def test_equal_tables_of_other_types_are_told_apart() -> None:
    """One and 1.0 are equal to Python, but not the bytes of an int32 and of a float."""
    builder = sharing_builder(64)
    places = []
    for prepend, one in ((builder.PrependInt32Slot, 1), (builder.PrependFloat32Slot, 1.0)):
        builder.StartObject(1)
        prepend(0, one, 0)
        places.append(builder.EndObject())
    first, second = places
    assert first != second
    builder.StartObject(1)
    builder.PrependInt32Slot(0, 1, 0)
    assert builder.EndObject() == first


def test_narrow_fields_lie_side_by_side() -> None:
    """Two bytes and two references take the room of three references and the table's own."""
    sizes = []
    for builder in (flatbuffers.Builder(64), sharing_builder(64)):
        text = builder.CreateString("abc")
        builder.StartObject(4)
        builder.PrependInt8Slot(0, 1, 0)
        builder.PrependUOffsetTRelativeSlot(1, text, 0)
        builder.PrependInt8Slot(2, 1, 0)
        builder.PrependUOffsetTRelativeSlot(3, text, 0)
        builder.Finish(builder.EndObject())
        sizes.append(len(builder.Output()))
    plain, sorted_ = sizes
    assert sorted_ == plain - 4
