"""The benchmark's statistics against independent implementations and published values."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from toolchain.benchmark.statistics import (
    chance_of_slower,
    early_stopping_bound,
    percentile,
    scatter,
)

durations = st.lists(st.integers(1, 10**12), min_size=1, max_size=300)
shares = st.sampled_from([0.9, 0.95, 0.99])
# halves add up exactly, so that ties are ties in both implementations
groups = st.lists(st.integers(1, 40).map(lambda n: n / 2), min_size=2, max_size=5)


@given(durations, st.sampled_from([50, 90, 99]))
def test_a_percentile_is_the_smallest_sample_that_so_many_do_not_exceed(
    samples: list[int], percent: int
) -> None:
    enough = [
        each
        for each in samples
        if Fraction(sum(other <= each for other in samples), len(samples)) >= Fraction(percent, 100)
    ]
    assert percentile(np.array(samples), percent / 100) == min(enough)


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (90, 90), (99, 99), (100, 100)])
def test_percentiles_of_the_numbers_to_a_hundred(percent: int, expected: int) -> None:
    samples = np.random.default_rng(0).permutation(np.arange(1, 101))
    assert percentile(samples, percent / 100) == expected


@pytest.mark.parametrize(("share", "queries"), [(0.9, 64), (0.95, 130), (0.99, 662)])
def test_a_bound_needs_as_many_queries_as_loadgen_asks_for(share: float, queries: int) -> None:
    """MLPerf loadgen, single stream, "Early stopping": the least numbers of queries."""
    samples = np.random.default_rng(0).permutation(np.arange(queries))
    assert early_stopping_bound(samples[:-1], share) is None
    assert early_stopping_bound(samples, share) == queries - 1  # the largest


@given(st.integers(1, 20_000), shares)
@example(300_000, 0.9)
@example(300_000, 0.99)
@settings(max_examples=200)
def test_a_bound_is_the_sample_that_the_binomial_distribution_of_scipy_names(
    count: int, share: float
) -> None:
    samples = np.random.default_rng(count).permutation(np.arange(count))
    near = np.arange(count + 1)
    slower = int((stats.binom.cdf(near, count, 1 - share) <= 0.01).sum()) - 1
    expected = count - slower if slower >= 1 else None
    assert early_stopping_bound(samples, share) == expected


@given(durations, shares)
def test_a_bound_lies_above_its_percentile(samples: list[int], share: float) -> None:
    bound = early_stopping_bound(np.array(samples), share)
    assert bound is None or bound >= percentile(np.array(samples), share)


def test_scatter_is_the_spread_against_the_median() -> None:
    assert scatter([4.0, 4.0, 4.0]) == 0
    assert scatter([3.0, 9.0, 4.0]) == 1.5
    assert scatter([2.0]) == 0


@given(groups, st.integers(1, 9))
def test_scatter_knows_neither_order_nor_unit(values: list[float], unit: int) -> None:
    assert scatter([unit * value for value in reversed(values)]) == pytest.approx(scatter(values))
    assert (scatter(values) == 0) == (len(set(values)) == 1)


@given(groups, groups)
def test_the_chance_is_that_of_the_permutation_test_of_scipy(
    before: list[float], after: list[float]
) -> None:
    expected = stats.permutation_test(
        (after, before),
        lambda first, second, axis: np.mean(first, axis=axis) - np.mean(second, axis=axis),
        alternative="greater",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert chance_of_slower(before, after) == pytest.approx(expected.pvalue, abs=1e-12)


def test_the_chance_in_cases_that_can_be_counted() -> None:
    low, high = [1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 8.0, 9.0, 10.0]
    assert chance_of_slower(low, high) == 1 / 252
    assert chance_of_slower(high, low) == 1
    assert chance_of_slower([2.0] * 5, [2.0] * 5) == 1
    assert chance_of_slower([1.0], [2.0]) == 1 / 2


@given(groups)
def test_the_same_values_again_are_no_evidence(values: list[float]) -> None:
    assert chance_of_slower(values, values) >= 0.5


def test_rounding_does_not_hide_the_observed_way() -> None:
    assert chance_of_slower([0.1, 0.2, 0.3], [0.3, 0.2, 0.1]) >= 0.5
    assert chance_of_slower([1e-4 / 3] * 5, [1e-4 / 3] * 5) == 1
