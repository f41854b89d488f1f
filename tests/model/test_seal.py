"""A file's own hash inside it: every changed byte is noticed."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.model import seal
from toolchain.support.errors import ToolchainError

parts = st.binary(max_size=200)


@given(parts, parts)
def test_a_closed_seal_holds(before: bytes, after: bytes) -> None:
    closed = seal.close(before + seal.OPEN + after)
    assert len(closed) == len(before + seal.OPEN + after)
    assert seal.holds(closed)


@given(parts, parts, st.data())
def test_no_byte_can_change(before: bytes, after: bytes, data: st.DataObject) -> None:
    closed = bytearray(seal.close(before + seal.OPEN + after))
    place = data.draw(st.integers(0, len(closed) - 1))
    closed[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ToolchainError):
        assert not seal.holds(bytes(closed))
    if place not in range(len(before), len(before) + len(seal.OPEN)):  # else nothing vouches
        with pytest.raises(ToolchainError, match="its own seal is broken"):
            seal.holds(bytes(closed))


@given(parts)
def test_bytes_lost_or_added_break_it(content: bytes) -> None:
    closed = seal.close(seal.OPEN + content + b"end")
    for changed in (closed[:-1], closed + b"x"):
        with pytest.raises(ToolchainError, match="its own seal is broken"):
            seal.holds(changed)


def test_a_file_without_a_seal_is_not_vouched_for() -> None:
    assert not seal.holds(b"a file of another tool")


def test_two_seals_are_refused() -> None:
    closed = seal.close(seal.OPEN)
    with pytest.raises(ToolchainError, match="seal is broken"):
        seal.holds(closed + closed)
    with pytest.raises(ValueError, match="exactly one"):
        seal.close(seal.OPEN + seal.OPEN)
    with pytest.raises(ValueError, match="exactly one"):
        seal.close(b"")
