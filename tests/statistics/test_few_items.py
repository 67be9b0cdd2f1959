"""Intervals of agreement from few items, against the likelihood of the model worked out another way."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize_scalar

from lima.statistics.few_items import fisher_jackknife, likelihood_interval


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


def profile_interval(counts: Sequence[int], level: float, groups: int, design: float) -> tuple[float, float]:
    """Limits of kappa, the share of common labels searched for each, where ``counts`` are the items with 0, 1 ... common labels."""
    raters = len(counts) - 1

    def best(kappa: float) -> float:
        def minus(share: float) -> float:
            chances = two_raters(kappa, share) if raters == 2 else one_coin(kappa, share, raters)
            if min(chances) < 0:
                return float("inf")
            seen = [(count, chance) for count, chance in zip(counts, chances, strict=True) if count]
            return -float(sum(count * np.log(max(chance, 1e-300)) for count, chance in seen))

        found = minimize_scalar(minus, bounds=(0.007, 0.993), method="bounded", options={"xatol": 1e-6})
        return -float(found.fun) / design

    grid = np.linspace(
        -0.9 if raters == 2 else 0.001, 0.98, 400
    )  # only two raters can agree less than by chance
    heights = np.array([best(kappa) for kappa in grid])
    inside = grid[2 * (heights.max() - heights) <= stats.t.ppf((1 + level) / 2, groups - 1) ** 2]
    return float(inside[0]), float(inside[-1])


@pytest.mark.parametrize("design", [1.0, 1.5])
@pytest.mark.parametrize(
    ("counts", "near"),
    [
        ((5, 2, 33), 0.025),
        ((6, 1, 1, 32), 0.025),
        ((4, 1, 2, 5, 28), 0.025),
        ((0, 20, 20), 0.07),  # below 0 the possible shares end between two points of the grid
    ],
)
def test_the_interval_is_that_of_the_profile_likelihood(
    counts: tuple[int, ...], near: float, design: float
) -> None:
    """To the steps of the grid."""
    raters = len(counts) - 1
    hits = [float(hit) for hit, count in enumerate(counts) for _ in range(count)]
    found = likelihood_interval(
        np.full(len(hits), float(raters)),
        np.array(hits),
        0.95,
        groups=len(hits),
        design=design,
        coefficient=lambda kappa, share: kappa,
    )
    assert found == pytest.approx(
        profile_interval(counts, 0.95, len(hits), design), abs=near
    )  # the grid's steps


def test_a_jackknife_on_fishers_scale_by_hand() -> None:
    """Four values .4, .5, .6, .7 without one each: spread .05, variance 3/4 x .05; t of 3; slope 1 / (1 - .55^2)."""
    half = stats.t.ppf(0.975, 3) * np.sqrt(0.75 * 0.05) / (1 - 0.55**2)
    middle = np.arctanh(0.55)
    found = fisher_jackknife(0.55, np.array([0.4, 0.5, 0.6, 0.7]), 0.95)
    assert found == pytest.approx((np.tanh(middle - half), np.tanh(middle + half)))
