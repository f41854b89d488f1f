"""What a person types for a budget."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toolchain.benchmark.budget import (
    BYTES,
    SECONDS,
    SHARES,
    Budget,
    parse_budget,
    parse_quantity,
)
from toolchain.support.errors import UsageError


@pytest.mark.parametrize(
    ("text", "units", "expected"),
    [
        ("5ms", SECONDS, 0.005),
        ("1.5 s", SECONDS, 1.5),
        ("200us", SECONDS, 0.0002),
        (" 200 µs ", SECONDS, 0.0002),
        ("300KB", BYTES, 300_000),
        ("300kb", BYTES, 300_000),
        ("60MB", BYTES, 60_000_000),
        ("2GB", BYTES, 2e9),
        ("12B", BYTES, 12),
        ("1KiB", BYTES, 1024),
        (".5 MiB", BYTES, 524_288),
        ("1.GiB", BYTES, 2**30),
        ("90%", SHARES, 0.9),
        ("0.9", SHARES, 0.9),
    ],
)
def test_quantities(text: str, units: dict[str, float], expected: float) -> None:
    assert parse_quantity(text, units) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("", SECONDS),
        ("5", SECONDS),
        ("5", BYTES),
        ("ms", SECONDS),
        ("-5ms", SECONDS),
        ("5 m s", SECONDS),
        ("5ms5", SECONDS),
        ("1e3ms", SECONDS),
        ("1,5ms", SECONDS),
        ("nan s", SECONDS),
        ("5MB", SECONDS),
        ("5ms", BYTES),
        ("5TB", BYTES),
        ("inf", SHARES),
        ("90％", SHARES),
    ],
)
def test_nonsense_is_no_quantity(text: str, units: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="no such quantity"):
        parse_quantity(text, units)


@given(
    st.text(max_size=12) | st.from_regex(r"\d*\.?\d*\s*[a-zA-Zµ%]*", fullmatch=True),
    st.sampled_from([SECONDS, BYTES, SHARES]),
)
@example("٣ms", SECONDS)
@example("1\u212ab", BYTES)  # the Kelvin sign is a K
def test_any_text_is_a_quantity_or_refused(text: str, units: dict[str, float]) -> None:
    try:
        found = parse_quantity(text, units)
    except UsageError:
        return
    assert found >= 0
    assert not math.isnan(found)


def test_a_budget_is_what_was_typed() -> None:
    assert parse_budget(None, None, None, None) == Budget()
    assert parse_budget("5ms", "300KB", "60MB", "90%") == Budget(0.005, 300_000, 60e6, 0.9)
    with pytest.raises(UsageError, match="5 apples"):
        parse_budget(None, "5 apples", None, None)
