"""Intervals of agreement from few items, against the model's posterior worked out another way."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from lima.statistics.few_items import fisher_jackknife, posterior_interval


def one_coin(kappa: float, share: float, raters: int) -> np.ndarray:
    """Probability of 0, 1 ... common labels, by the truth: each rater knows it with probability sqrt(kappa), or guesses."""
    knows, hits = np.sqrt(kappa), np.arange(raters + 1)
    if_common = stats.binom.pmf(hits, raters, knows + (1 - knows) * share)
    if_other = stats.binom.pmf(hits, raters, (1 - knows) * share)
    return np.asarray(share * if_common + (1 - share) * if_other)


def two_raters(kappa: float, share: float) -> np.ndarray:
    """The same for two raters in kappa itself: P(both common) = share^2 + kappa share (1 - share)."""
    together = kappa * share * (1 - share)
    return np.array([(1 - share) ** 2 + together, 2 * (share * (1 - share) - together), share**2 + together])


def quantiles(counts: Sequence[int], level: float, weight: float) -> tuple[float, float]:
    """Of kappa, by sums over a fine even grid, where ``counts`` are the items with 0, 1 ... common labels."""
    raters = len(counts) - 1
    kappas, shares = np.linspace(-0.99 if raters == 2 else 0.0, 1, 800), np.linspace(0.0025, 0.9975, 200)
    heights = np.zeros(len(kappas))
    for place, kappa in enumerate(kappas):
        for share in shares:
            chances = two_raters(kappa, share) if raters == 2 else one_coin(kappa, share, raters)
            if min(chances) >= 0:
                heights[place] += float(np.prod(np.maximum(chances, 0) ** (weight * np.array(counts))))
    sums = np.cumsum(heights) / heights.sum()
    low, high = (float(kappas[np.searchsorted(sums, tail)]) for tail in ((1 - level) / 2, (1 + level) / 2))
    return low, high


@pytest.mark.parametrize(
    ("counts", "weight"),
    [
        ((5, 2, 33), 1.0),
        ((5, 2, 33), 0.6),
        ((0, 20, 20), 1.0),
        ((2, 1, 9), 1.0),
        pytest.param((4, 1, 2, 5, 28), 1.0, marks=pytest.mark.slow),
    ],
)
def test_the_interval_is_that_of_the_posterior(counts: tuple[int, ...], weight: float) -> None:
    raters = len(counts) - 1
    hits = [float(hit) for hit, count in enumerate(counts) for _ in range(count)]
    found = posterior_interval(
        np.full(len(hits), float(raters)),
        np.array(hits),
        0.95,
        weight=weight,
        coefficient=lambda kappa, share: kappa,
    )
    assert found == pytest.approx(quantiles(counts, 0.95, weight), abs=0.012)


def test_a_jackknife_on_fishers_scale_by_hand() -> None:
    """Four values .4, .5, .6, .7 without one each: spread .05, variance 3/4 x .05; t of 3; slope 1 / (1 - .55^2)."""
    half = stats.t.ppf(0.975, 3) * np.sqrt(0.75 * 0.05) / (1 - 0.55**2)
    middle = np.arctanh(0.55)
    found = fisher_jackknife(0.55, np.array([0.4, 0.5, 0.6, 0.7]), 0.95)
    assert found == pytest.approx((np.tanh(middle - half), np.tanh(middle + half)))
