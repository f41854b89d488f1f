"""Statistics against an independent implementation and published values; the gate's edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize, stats

from tests.helpers.sessions import FakeSession
from toolchain.evaluation.metrics import (
    binomial_tail,
    compare,
    confusion_matrix,
    discordant_pairs,
    mcnemar_exact,
    paired_score,
    scores,
    wilson_interval,
    worst_change,
)
from toolchain.model.artifact import Comparison
from toolchain.support.errors import ToolchainError

Scores = NDArray[np.float32]
counts = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
discordant = st.integers(0, 300)


def sure(classes: list[int], of: int = 3) -> Scores:
    """Scores that name these classes without doubt."""
    return np.eye(of, dtype=np.float32)[classes]


def compared(
    images: int, only_keras: int = 0, only_file: int = 0, both_wrong: int = 0
) -> Comparison:
    """So many images that just one, or neither, gets right; all others both do. The truth is 0."""
    right = images - only_keras - only_file - both_wrong
    file = [0] * right + [1] * only_keras + [0] * only_file + [1] * both_wrong
    keras = [0] * right + [0] * only_keras + [1] * only_file + [2] * both_wrong
    return compare(sure(file), sure(keras), np.zeros(images, np.uint8))


# statistics


@given(counts)
def test_wilson_interval_is_that_of_scipy(count: tuple[int, int]) -> None:
    expected = stats.binomtest(*count).proportion_ci(0.95, method="wilson")
    assert wilson_interval(*count) == pytest.approx((expected.low, expected.high), abs=1e-7)


@given(st.integers(1, 10_000))
def test_wilson_interval_of_none_or_all_stays_between_0_and_1(trials: int) -> None:
    assert wilson_interval(0, trials)[0] == 0
    assert wilson_interval(trials, trials)[1] == 1


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_is_the_published_one(
    successes: int, trials: int, low: float, high: float
) -> None:
    """R. G. Newcombe, Statistics in Medicine 17 (1998), 857–872, table I, method 3."""
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=0.5e-4)


def test_discordant_pairs_are_of_images_that_one_alone_names_right() -> None:
    first = np.array([True, True, True, False, False])
    second = np.array([True, False, False, True, False])
    assert discordant_pairs(first, second) == (2, 1)


def test_rows_of_a_confusion_matrix_are_the_truth() -> None:
    truth, named = np.array([0, 0, 1, 1, 2], np.uint8), np.array([0, 1, 0, 2, 2])
    assert confusion_matrix(truth, named, 3).tolist() == [[1, 1, 0], [1, 0, 1], [0, 0, 1]]


@given(discordant, discordant)
def test_mcnemar_is_the_binomial_test_of_scipy(first: int, second: int) -> None:
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar_exact(first, second) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(st.integers(0, 12_000), st.integers(0, 12_000))
@example(4_000, 6_000)
@example(4_900, 5_100)
@example(100, 1_200)
@example(1, 1_000)
@example(3, 10_000)
@settings(max_examples=30)
def test_mcnemar_of_large_counts_is_that_of_scipy(first: int, second: int) -> None:
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar_exact(first, second) == pytest.approx(expected, rel=1e-8, abs=1e-290)


@pytest.mark.parametrize("each", [1, 2, 500, 512, 513, 5_000, 20_000])
def test_mcnemar_of_equal_counts_is_1(each: int) -> None:
    assert mcnemar_exact(each, each) == 1.0


@pytest.mark.parametrize("pairs", [1, 2, 10, 1_000, 1_024, 1_075, 10_000])
def test_mcnemar_where_one_side_never_errs_is_a_power_of_two(pairs: int) -> None:
    assert mcnemar_exact(0, pairs) == math.ldexp(1, 1 - pairs)
    assert mcnemar_exact(pairs, 0) == math.ldexp(1, 1 - pairs)


@given(discordant, discordant)
def test_mcnemar_favours_neither_side(first: int, second: int) -> None:
    assert mcnemar_exact(first, second) == mcnemar_exact(second, first)


def test_mcnemar_is_the_published_one() -> None:
    """P. Armitage and G. Berry, Statistical Methods in Medical Research (1994), p. 127; the exact
    P is that of statsdirect.com/help/chi_square_tests/mat.htm."""
    assert mcnemar_exact(12, 2) == pytest.approx(0.0129, abs=0.5e-4)


def test_mcnemar_copes_with_a_file_that_is_wrong_on_everything() -> None:
    assert mcnemar_exact(9_000, 100) == 0.0
    assert mcnemar_exact(0, 1) == 1.0


@given(discordant, discordant)
def test_the_paired_score_of_no_loss_is_mcnemars(first: int, second: int) -> None:
    """Q. McNemar's statistic without continuity correction, whose square is a chi-square."""
    expected = (first - second) / math.sqrt(first + second) if first + second else 0
    assert paired_score(first, second, 1000, 0) == pytest.approx(expected)


@pytest.mark.parametrize("loss", [0.005, 0.03, 0.2])
@pytest.mark.parametrize("pairs", [(0, 0), (3, 0), (1, 2), (12, 2), (30, 9)])
def test_the_paired_score_is_that_of_the_constrained_likelihood(
    pairs: tuple[int, int], loss: float
) -> None:
    """The variance is that under the likeliest rates whose difference is `loss`, here found by
    search instead of by Tango's formula."""
    only_first, only_second, trials = *pairs, 360
    rest = trials - only_first - only_second

    def unlikely(rate: float) -> float:
        shares = (rate + loss, rate, 1 - 2 * rate - loss)
        return -sum(
            count * math.log(share)
            for count, share in zip((only_first, only_second, rest), shares, strict=True)
            if count
        )

    found = optimize.minimize_scalar(
        unlikely, bounds=(1e-12, (1 - loss) / 2 - 1e-12), options={"xatol": 1e-12}, method="bounded"
    )
    deviation = math.sqrt(trials * (2 * found.x + loss - loss**2))
    expected = (only_first - only_second - trials * loss) / deviation
    assert paired_score(only_first, only_second, trials, loss) == pytest.approx(expected, abs=2e-3)


@given(st.integers(1, 5000), st.integers(0, 60), st.sampled_from([0.0, 0.001, 0.01, 0.1]))
def test_the_binomial_tail_is_that_of_scipy(trials: int, beyond: int, rate: float) -> None:
    successes = min(trials, math.ceil(trials * rate) + beyond)
    expected = stats.binom.sf(successes - 1, trials, rate)
    assert binomial_tail(successes, trials, rate) == pytest.approx(expected, rel=1e-7, abs=1e-300)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(100, 5000))
def test_the_worst_change_is_where_the_score_turns(first: int, second: int, images: int) -> None:
    found = compared(images, only_keras=first, only_file=second)
    worst = worst_change(found)
    assert worst <= found.change
    assert paired_score(first, second, images, -worst / 100) == pytest.approx(-1.644854, abs=1e-3)


# compare


def test_a_comparison_counts_what_it_says() -> None:
    truth = np.array([0, 1, 2, 0, 1, 2, 0, 1])
    keras = sure([0, 1, 2, 0, 1, 0, 1, 2])  # right on the first five
    file = sure([0, 1, 2, 1, 2, 2, 1, 0])  # right on the first three and on the sixth
    file[0] = [0.75, 0.25, 0]
    found = compare(file, keras, truth)
    assert found.images == 8
    assert found.keras_accuracy == 5 / 8
    assert found.accuracy == 4 / 8
    assert found.interval == wilson_interval(4, 8)
    assert (found.only_keras_right, found.only_file_right) == (2, 1)
    assert found.change == -12.5
    assert found.p_value == mcnemar_exact(2, 1)
    assert found.agreement == 4 / 8  # the first three and the seventh, where both are wrong
    assert found.largest_difference == 1.0


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=40))
@example([(0, 0, 0)] * 4)  # all right: the interval ends at 1, whatever rounding says
@example([(1, 1, 0)] * 4)
def test_any_comparison_counts_what_it_says(images: list[tuple[int, int, int]]) -> None:
    file, keras, truth = (list(each) for each in zip(*images, strict=True))
    found = compare(sure(file), sure(keras), np.array(truth))
    right = sum(f == t for f, _, t in images)
    assert found.images == len(images)
    assert found.accuracy == right / len(images)
    assert found.interval[0] <= found.accuracy <= found.interval[1]
    assert found.keras_accuracy == sum(k == t for _, k, t in images) / len(images)
    assert found.agreement == pytest.approx(sum(f == k for f, k, _ in images) / len(images))
    assert found.largest_difference == any(f != k for f, k, _ in images)
    assert found.only_file_right == sum(k != t == f for f, k, t in images)
    assert found.only_keras_right == sum(f != t == k for f, k, t in images)
    assert found.change == pytest.approx(100 * (found.accuracy - found.keras_accuracy))


def test_images_without_a_label_tell_agreement_and_difference_alone() -> None:
    found = compare(sure([0, 0, 1, 1]), sure([0, 1, 1, 2]), np.array([0, 0]))
    assert (found.images, found.compared_images) == (2, 4)
    assert (found.accuracy, found.keras_accuracy) == (1, 0.5)
    assert found.agreement == 0.5
    assert (found.only_keras_right, found.only_file_right) == (0, 1)


def test_a_comparison_with_itself_finds_nothing() -> None:
    answers = np.random.default_rng(1).dirichlet([1.0] * 3, 50).astype(np.float32)
    found = compare(answers, answers, np.zeros(50, np.uint8))
    assert (found.agreement, found.largest_difference, found.change) == (1.0, 0.0, 0.0)
    assert found.p_value == 1.0


def test_the_largest_difference_is_that_of_any_probability() -> None:
    keras = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]], np.float32)
    file = np.array([[0.5, 0.25, 0.25], [0.125, 0.5625, 0.3125]], np.float32)
    assert compare(file, keras, np.array([0, 1])).largest_difference == 0.1875


@pytest.mark.parametrize("worse", [1, 3])
def test_the_sign_of_change_says_who_is_better(worse: int) -> None:
    assert compared(100, only_keras=worse).change == -worse
    assert compared(100, only_file=worse).change == worse
    assert compared(100, only_keras=worse, only_file=worse).change == 0


def test_all_these_fields_are_plain_numbers() -> None:
    found = compared(10, only_keras=1)
    for value in (*vars(found).values(), *found.interval):
        assert type(value) in (int, float, tuple)


# scores


class Echo(FakeSession):
    """A session that answers with the pixels it is asked about and notes how many they are."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def run(self, images: NDArray[np.uint8]) -> Scores:
        self.batches.append(len(images))
        first, second = images[:, 0, 0, 0], images[:, 0, 1, 0]
        return np.stack([first, second], axis=1).astype(np.float32)


@pytest.mark.parametrize("count", [1, 2, 700])
def test_every_image_is_asked_once_and_in_order(count: int) -> None:
    images = np.random.default_rng(count).integers(0, 256, (count, 1, 2, 1), np.uint8)
    session = Echo()
    answers = scores(session, images)
    assert np.array_equal(answers, images.reshape(count, 2))
    assert answers.dtype == np.float32
    assert sum(session.batches) == count


def test_no_images_are_refused() -> None:
    session = Echo()
    with pytest.raises(ToolchainError, match="no images to evaluate"):
        scores(session, np.zeros((0, 1, 2, 1), np.uint8))
    assert session.batches == []
