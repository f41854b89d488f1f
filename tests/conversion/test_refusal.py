"""A converter's pages of words become a sentence that names the cause."""

from __future__ import annotations

import pytest

from toolchain.conversion.refusal import MOST, refusal

TRACE = (
    "in user code:\n\n    File /a/b.py, line 9, in call  *\n        x = f(x)\n\n    ValueError: why"
)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("one\ntwo", "model: one Choose"),
        (TRACE, "model: ValueError: why Choose"),
        ("in user code:", "model: in user code: Choose"),
        ("", "model: ValueError Choose"),
        ("\n\n" + "a" * 999, f"model: {'a' * MOST} … Choose"),
        ("No Op registered for Erfinv with domain", "which uses Erfinv: there is no counterpart"),
    ],
)
def test_the_cause_is_named(said: str, words: str) -> None:
    assert words in str(refusal("ONNX int8", "tf2onnx 1.17.0", ValueError(said)))
