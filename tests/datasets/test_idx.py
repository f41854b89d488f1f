"""The IDX parser: a right answer or a ToolchainError that names the file, never anything else."""

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from toolchain.datasets._idx import parse
from toolchain.support.errors import ToolchainError


def idx(array: np.ndarray) -> bytes:
    """`array` (uint8) in the IDX format, written independently of the parser."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=1, max_dims=4)))
def test_what_was_written_is_read(array: np.ndarray) -> None:
    parsed = parse(idx(array), "some-file")
    assert parsed.dtype == np.uint8
    assert parsed.flags.c_contiguous
    np.testing.assert_array_equal(parsed, array)


@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=1, max_dims=3)), st.data())
def test_a_file_cut_short_or_too_long_is_refused(array: np.ndarray, data: st.DataObject) -> None:
    whole = idx(array)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    longer = whole + data.draw(st.binary(min_size=1, max_size=9))
    for wrong in (cut, longer):
        with pytest.raises(ToolchainError, match="some-file"):
            parse(wrong, "some-file")


headers = st.builds(
    lambda kind, dims, sizes, rest: bytes([0, 0, kind, dims]) + sizes + rest,
    st.sampled_from([0x08, 0x08, 0x08, 0x09, 0x0D]),
    st.integers(0, 255),
    st.lists(st.sampled_from([0, 1, 2, 2**31, 2**32 - 1]), max_size=5).map(
        lambda sizes: struct.pack(f">{len(sizes)}I", *sizes)
    ),
    st.binary(max_size=40),
)


@given(st.binary(max_size=64) | headers)
def test_wild_bytes(data: bytes) -> None:
    with contextlib.suppress(ToolchainError):
        assert idx(parse(data, "some-file")) == data
