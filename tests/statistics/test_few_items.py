"""Intervals of agreement from few items, against the model's posterior worked out another way."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from lima.statistics.few_items import fisher_jackknife, posterior_interval


def one_coin(kappa: float, share: np.ndarray, raters: int) -> np.ndarray:
    """Probability of 0, 1 ... common labels, by the truth: each rater knows it with probability sqrt(kappa), or guesses."""
    knows, hits = np.sqrt(kappa), np.arange(raters + 1)[:, None]
    if_common = stats.binom.pmf(hits, raters, knows + (1 - knows) * share)
    if_other = stats.binom.pmf(hits, raters, (1 - knows) * share)
    return np.asarray(share * if_common + (1 - share) * if_other)


def two_raters(kappa: float, share: np.ndarray) -> np.ndarray:
    """The same for two raters in kappa itself: P(both common) = share^2 + kappa share (1 - share)."""
    together = kappa * share * (1 - share)
    return np.array([(1 - share) ** 2 + together, 2 * (share * (1 - share) - together), share**2 + together])


def three_labels(kappa: float, share: np.ndarray, pair: tuple[int, int]) -> np.ndarray:
    """Of two raters' labels 0, 1, 2, where 1 and 2 share what is left as 2 : 1: the truth guessed apart, or told."""
    shares = (share, (1 - share) * 2 / 3, (1 - share) / 3)
    first, second = pair
    return (1 - kappa) * shares[first] * shares[second] + (kappa * shares[first] if first == second else 0)


def shortest(heights: np.ndarray, kappas: np.ndarray) -> tuple[float, float]:
    """The shortest run of an even grid that holds 96 %: what is asked for is 95 %, a miss of 5, of which four fifths."""
    sums = np.concatenate([[0], np.cumsum(heights) / heights.sum()])
    ends = np.searchsorted(sums, sums + 0.96 - 1e-12)
    start = min((end - first, first) for first, end in enumerate(ends) if end < len(sums))
    return float(kappas[start[1]]), float(kappas[min(start[0] + start[1], len(kappas) - 1)])


def possible(chances: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The product of powers, 0 where a chance would be negative."""
    powers = np.maximum(chances, 0) ** times[:, None]
    return np.asarray(np.where(chances.min(axis=0) < 0, 0.0, powers.prod(axis=0)))


def from_grid(likelihood: Callable[[float, np.ndarray], np.ndarray], lowest: float) -> tuple[float, float]:
    kappas, shares = np.linspace(lowest, 1, 600), np.linspace(0.0025, 0.9975, 200)
    return shortest(np.array([likelihood(kappa, shares).sum() for kappa in kappas]), kappas)


@pytest.mark.parametrize(
    ("counts", "weight"),
    [
        ((5, 2, 33), 1.0),
        ((5, 2, 33), 0.6),
        ((0, 1, 9), 1.0),
        ((4, 1, 2, 5, 28), 1.0),
    ],
)
def test_the_interval_is_the_shortest_of_the_posterior(counts: tuple[int, ...], weight: float) -> None:
    """``counts``: items with 0, 1 ... common labels."""
    raters = len(counts) - 1

    def likelihood(kappa: float, shares: np.ndarray) -> np.ndarray:
        chances = two_raters(kappa, shares) if raters == 2 else one_coin(kappa, shares, raters)
        return possible(chances, weight * np.array(counts))

    rows = np.array([(hit, raters - hit) for hit, count in enumerate(counts) for _ in range(count)], float)
    found = posterior_interval(rows, 0.95, weight=weight, coefficient=lambda kappa, share: kappa)
    assert found == pytest.approx(from_grid(likelihood, -0.99 if raters == 2 else 0.0), abs=0.015)


def test_the_rarer_of_three_labels_keep_their_proportions() -> None:
    """Of 11 items both call eight 0, two 1 and one 2: labels 1 and 2 were given four times and twice, as 2 : 1."""
    pairs = [(0, 0)] * 8 + [(1, 1)] * 2 + [(2, 2)]

    def likelihood(kappa: float, shares: np.ndarray) -> np.ndarray:
        return possible(np.array([three_labels(kappa, shares, pair) for pair in pairs]), np.ones(len(pairs)))

    rows = np.array([[float(pair.count(label)) for label in range(3)] for pair in pairs])
    found = posterior_interval(rows, 0.95, weight=1.0, coefficient=lambda kappa, share: kappa)
    assert found == pytest.approx(from_grid(likelihood, -0.3), abs=0.015)


def test_a_jackknife_on_fishers_scale_by_hand() -> None:
    """Four values .4, .5, .6, .7 without one each: spread .05, variance 3/4 x .05; t of 3; slope 1 / (1 - .55^2)."""
    half = stats.t.ppf(0.975, 3) * np.sqrt(0.75 * 0.05) / (1 - 0.55**2)
    middle = np.arctanh(0.55)
    found = fisher_jackknife(0.55, np.array([0.4, 0.5, 0.6, 0.7]), 0.95)
    assert found == pytest.approx((np.tanh(middle - half), np.tanh(middle + half)))
