"""What the samples of a benchmark say; measuring itself lives elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.99  # of the early-stopping bound, as loadgen sets it


def percentile(samples: NDArray[np.int64], share: float) -> int:
    """The smallest sample that at least `share` (0–1) of all samples do not exceed."""
    return int(np.quantile(samples, share, method="inverted_cdf"))


def early_stopping_bound(samples: NDArray[np.int64], share: float) -> int | None:
    """An upper bound on the percentile `share` that holds with 99 % confidence.

    It is the t-th largest of n samples, with the largest t for which, if more than 1 − `share` of
    all queries were slower, t or fewer such among n would be a chance of at most 1 %. None where
    not even t = 1 is enough: p90 needs 64 samples, p95 130, p99 662 (MLPerf loadgen, single
    stream, "Early stopping", tolerance 0).
    """
    slower = _largest_chance(len(samples), 1 - share)
    if slower < 1:
        return None
    return int(np.partition(samples, len(samples) - slower)[len(samples) - slower])


def _largest_chance(count: int, share: float) -> int:
    """The largest t for which Binomial(`count`, `share`) ≤ t has a chance of at most 1 %."""
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])
    slower = np.arange(count + 1)
    chances = np.exp(
        factorials[count]
        - factorials
        - factorials[::-1]
        + slower * np.log(share)
        + (count - slower) * np.log1p(-share)
    )
    return int(np.searchsorted(np.cumsum(chances), 1 - CONFIDENCE, side="right")) - 1


def scatter(values: Sequence[float]) -> float:
    """How far repeated measurements lie apart: (largest − smallest) / median."""
    return (max(values) - min(values)) / median(values)


def chance_of_slower(before: Sequence[float], after: Sequence[float]) -> float:
    """Chance that `after` lies above `before` as far as it does though nothing changed.

    One-sided exact permutation test on the difference of the means (Fisher 1935): the share of
    all ways to deal the values into groups of these sizes that give at least this difference.
    Meant for a handful of windows a side; two groups of five have 252 ways.
    """
    pooled = [*before, *after]
    total, size = sum(pooled), len(after)
    observed = sum(after)
    ways = [sum(chosen) for chosen in itertools.combinations(pooled, size)]
    # a little slack, so that rounding does not count the observed way out
    return sum(way >= observed - 1e-9 * abs(total) for way in ways) / len(ways)
