"""The metadata reader against files that Google's own generated code writes."""

from __future__ import annotations

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from toolchain.formats.tflite.metadata import IDENTIFIER, read_entries
from toolchain.support.errors import ToolchainError

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
entries = st.dictionaries(names, st.binary(max_size=60), max_size=6)


def written(content: dict[str, bytes]) -> bytes:
    """A `.tflite` file without a graph that has this metadata."""
    return packed([*content], [*content.values()], [*range(len(content))])


def packed(titles: list[str], contents: list[bytes], places: list[int]) -> bytes:
    """A file with these buffers, and metadata that name the buffers at these places."""
    model = schema.ModelT()
    model.buffers, model.metadata = [], []
    for content in contents:
        buffer = schema.BufferT()
        buffer.data = content
        model.buffers.append(buffer)
    for title, place in zip(titles, places, strict=True):
        entry = schema.MetadataT()
        entry.name, entry.buffer = title, place
        model.metadata.append(entry)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


@given(entries)
def test_what_was_written_is_read(content: dict[str, bytes]) -> None:
    assert read_entries(written(content)) == content


@given(entries, st.data())
def test_a_file_cut_short_is_refused_or_lacks_nothing(
    content: dict[str, bytes], data: st.DataObject
) -> None:
    whole = written(content)
    try:
        found = read_entries(whole[: data.draw(st.integers(0, len(whole) - 1))])
    except ToolchainError:
        return
    assert found == content


@given(entries, st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), max_size=5))
def test_a_file_with_other_bytes_is_refused_or_gives_parts_of_itself(
    content: dict[str, bytes], changes: list[tuple[int, int]]
) -> None:
    damaged = bytearray(written(content))
    for place, value in changes:
        damaged[place % len(damaged)] = value
    try:
        found = read_entries(bytes(damaged))
    except ToolchainError:
        return
    for title, each in found.items():
        assert title.encode() in damaged
        assert each in damaged


@given(st.binary(max_size=200))
def test_wild_bytes_behind_the_mark(tail: bytes) -> None:
    try:
        found = read_entries(b"\x10\0\0\0" + IDENTIFIER + tail)
    except ToolchainError:
        return
    assert all(each in tail for each in found.values())


def test_entries_that_share_their_content_do_not_fill_the_memory() -> None:
    count = 1000
    data = packed([f"{n}" for n in range(count)], [bytes(100_000)], [0] * count)
    with pytest.raises(ToolchainError, match="This TFLite file is damaged"):
        read_entries(data)
    assert len(read_entries(packed(["a", "b"], [b"x"], [0, 0]))) == 2
