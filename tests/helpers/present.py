"""Values that may be missing elsewhere, and that a test relies on."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def present(value: T | None) -> T:
    """`value`, which is not None."""
    assert value is not None
    return value
