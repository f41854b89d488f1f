"""The verdict: what the gate asks for, and how much evidence a number of images is."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.test_metrics import compared, sure
from toolchain.evaluation.metrics import compare
from toolchain.evaluation.proof import judge
from toolchain.model.artifact import DEFAULT_GATE, Comparison, Gate, Verdict

ANY_AGREEMENT = Gate(largest_drop=0.5, least_agreement=0)
ANY_DROP = Gate(largest_drop=100, least_agreement=0.99)


@given(st.integers(1, 30))
def test_a_drop_of_exactly_half_a_point_is_proved_and_one_image_more_is_not(allowed: int) -> None:
    images = 200 * allowed
    assert judge(compared(images, only_keras=allowed), DEFAULT_GATE).verdict is Verdict.PROVED
    even = compared(images, only_keras=allowed + 2, only_file=2)
    assert judge(even, ANY_AGREEMENT).verdict is Verdict.PROVED
    proof = judge(compared(images, only_keras=allowed + 1), ANY_AGREEMENT)
    assert proof.verdict is Verdict.UNDECIDED
    assert "accuracy fell by" in proof.doubts[0]
    assert f"on {images} test images, at most 0.5 are allowed" in proof.doubts[0]


@given(st.integers(1, 30))
def test_an_agreement_of_exactly_99_percent_is_proved_and_one_image_less_is_not(
    others: int,
) -> None:
    assert judge(compared(100 * others, both_wrong=others), DEFAULT_GATE).verdict is Verdict.PROVED
    proof = judge(compared(100 * others, both_wrong=others + 1), DEFAULT_GATE)
    assert proof.verdict is Verdict.UNDECIDED
    assert "agrees with Keras on" in proof.doubts[0]
    assert f"of {100 * others} images, at least 99.00%" in proof.doubts[0]


@pytest.mark.parametrize(
    ("comparison", "verdict"),
    [
        # three images of 360, as int8 loses them by chance on digits
        (compared(360, only_keras=3), Verdict.UNDECIDED),
        (compared(360, only_keras=12), Verdict.REJECTED),
        (compared(100, only_keras=1), Verdict.UNDECIDED),
        (compared(100, only_keras=2, only_file=1), Verdict.UNDECIDED),
        (compared(100, only_keras=6), Verdict.REJECTED),
        (compared(20, only_keras=1), Verdict.UNDECIDED),
        (compared(1, only_keras=1), Verdict.UNDECIDED),
        (compared(10_000, only_keras=90, only_file=10), Verdict.REJECTED),
        (compared(10_000, only_keras=60, only_file=20), Verdict.PROVED),
    ],
)
def test_a_file_is_rejected_on_evidence_alone(comparison: Comparison, verdict: Verdict) -> None:
    assert judge(comparison, ANY_AGREEMENT).verdict is verdict


@given(st.integers(1, 40), st.integers(0, 10), st.integers(100, 1000))
def test_so_many_more_images_would_tell_and_fewer_would_not(
    only_keras: int, only_file: int, images: int
) -> None:
    """Ten times the images with ten times the answers of each kind weigh as much as predicted."""
    proof = judge(compared(images, only_keras, only_file), ANY_AGREEMENT)
    assert (proof.more_images > 0) == (proof.verdict is Verdict.UNDECIDED)
    ten = judge(compared(10 * images, 10 * only_keras, 10 * only_file), ANY_AGREEMENT)
    if proof.verdict is Verdict.UNDECIDED:
        told = ten.verdict is Verdict.REJECTED
        assert told == (images + proof.more_images <= 10 * images)


def test_one_image_of_twenty_is_no_evidence_against_99_percent() -> None:
    """A file that agrees on 99 % answers at least one of 20 otherwise in 18 % of such sets."""
    assert judge(compared(20, both_wrong=1), DEFAULT_GATE).verdict is Verdict.UNDECIDED
    assert judge(compared(20, both_wrong=2), DEFAULT_GATE).verdict is Verdict.REJECTED


def test_images_too_few_to_show_anything_prove_nothing() -> None:
    """A file that agrees on 95 % answers 58 images alike in 5.1 % of all such sets, 59 in 4.8 %."""
    assert judge(compared(59), DEFAULT_GATE).verdict is Verdict.PROVED
    proof = judge(compared(58), DEFAULT_GATE)
    assert (proof.verdict, proof.more_images) == (Verdict.UNDECIDED, 58)
    assert "only 58 images could be compared" in proof.doubts[0]
    assert judge(compared(2), Gate(largest_drop=100, least_agreement=0)).verdict is Verdict.PROVED


def test_agreement_is_judged_on_the_images_it_was_counted_on() -> None:
    small = compared(100, both_wrong=2)
    assert judge(small, ANY_DROP).verdict is Verdict.UNDECIDED
    many = dataclasses.replace(small, compared_images=10_000)  # 98 % of many is evidence
    assert judge(many, ANY_DROP).verdict is Verdict.REJECTED
    old = dataclasses.replace(small, compared_images=None)  # a record of an older toolchain
    assert judge(old, ANY_DROP) == dataclasses.replace(judge(small, ANY_DROP), comparison=old)


def test_a_file_that_is_better_is_proved() -> None:
    assert judge(compared(1000, only_file=10), DEFAULT_GATE).verdict is Verdict.PROVED


def test_a_gate_may_be_stricter_or_open() -> None:
    found = compared(1000, only_keras=3)
    assert judge(found, Gate(0.3, 0.997)).verdict is Verdict.PROVED
    assert len(judge(found, Gate(0.2, 0.998)).doubts) == 2
    assert judge(compared(10, only_keras=10), Gate(100, 0)).verdict is Verdict.PROVED
    assert judge(compared(1000, both_wrong=1), Gate(0, 1)).verdict is Verdict.REJECTED
    assert judge(compared(1000), Gate(0, 1)).verdict is Verdict.PROVED


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", [(0, 0), (999, 2)])
def test_one_value_that_is_no_number_is_rejected_whatever_the_classes(
    value: float, where: tuple[int, int]
) -> None:
    keras, file = sure([0] * 1000), sure([0] * 1000)
    file[where] = value
    found = compare(file, keras, np.zeros(1000, np.uint8))
    assert not math.isfinite(found.largest_difference)
    assert math.isnan(found.largest_difference) == math.isnan(value)
    proof = judge(found, Gate(largest_drop=100, least_agreement=0))
    assert (proof.verdict, proof.more_images) == (Verdict.REJECTED, 0)
    assert "not numbers" in proof.doubts[0]


def test_a_file_that_answers_only_nan_is_rejected() -> None:
    file = np.full((10, 3), np.nan, np.float32)
    found = compare(file, sure([0] * 10), np.zeros(10, np.uint8))
    assert math.isnan(found.largest_difference)
    assert judge(found, DEFAULT_GATE).verdict is Verdict.REJECTED
