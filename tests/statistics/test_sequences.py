"""Sequences that are watched at every vote: by hand, false alarms, coverage at all times, and what they save."""

import math

import numpy as np
import pytest

from lima.statistics.estimates import Estimate, Undefined
from lima.statistics.sequences import _limits, decided_at, watched_gap, watching


def studies(count: int, prompts: int, win: float, tie: float, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.choice([1.0, 0.0, -1.0], p=[win, tie, 1 - win - tie], size=(count, prompts))


def test_the_capital_by_hand() -> None:
    """Wins alone are 1 in [0, 1] against a mean of 1/2. The first bet may lose half of it, so that it is 1 at most; a
    half of the capital that bets up grows by 1 + 1 / 2 each time: (1/2) 1.5^n >= 20 at n = 10 (1.5^9 / 2 = 19.2).
    """
    assert decided_at([1.0] * 30) == next(n for n in range(1, 30) if 0.5 * 1.5**n >= 20)
    assert decided_at([-1.0] * 30) == decided_at([1.0] * 30)
    assert decided_at([0.0] * 500) is None


def capitals(values: np.ndarray, mean: float, alpha: float) -> list[float]:
    """The hedged capital against a mean after each value, bet by bet (Waudby-Smith and Ramdas 2024, section 4)."""
    up, down, variance, total, squares, found = 0.5, 0.5, 0.25, 0.0, 0.0, []
    for t, x in enumerate(values, start=1):
        bet = math.sqrt(2 * math.log(2 / alpha) / (variance * t * math.log(t + 1)))
        up *= 1 + min(bet, 0.5 / mean) * (x - mean)
        down *= 1 - min(bet, 0.5 / (1 - mean)) * (x - mean)
        total += x
        squares += (x - (0.5 + total) / (t + 1)) ** 2
        variance = (0.25 + squares) / (t + 1)
        found.append(max(up, down))
    return found


@pytest.mark.parametrize(
    "row", [studies(1, 90, 0.6, 0.25, seed=6)[0], np.ones(2)], ids=["ninety", "two wins"]
)
def test_p_decision_and_limits_are_those_of_bets_made_one_by_one(row: np.ndarray) -> None:
    values, found = (row + 1) / 2, watched_gap(row.tolist(), level=0.9)
    even = capitals(values, 0.5, 0.1)
    assert found.p == pytest.approx(1 / max(even))
    assert found.decided_at == next((n for n, capital in enumerate(even, start=1) if capital >= 10), None)
    grid = np.linspace(0, 1, 401)
    left = [mean for mean in grid[1:-1] if max(capitals(values, mean, 0.1)) < 10]
    assert isinstance(found.gap, Estimate)
    assert found.gap.interval == pytest.approx((2 * (left[0] - 1 / 400) - 1, 2 * (left[-1] + 1 / 400) - 1))


@pytest.mark.parametrize("tie", [0.0, 0.3, 0.7])
def test_false_alarms_of_two_thousand_watched_studies(tie: float) -> None:
    """Watched at each of 400 votes, with no gap: 5 % at most, and 2.3 standard errors of 2,000 draws."""
    alarms = np.mean([decided_at(row) is not None for row in studies(2_000, 400, (1 - tie) / 2, tie)])
    assert alarms <= 0.05 + 2.3 * math.sqrt(0.05 * 0.95 / 2_000)
    naive = 0
    for row in studies(200, 400, (1 - tie) / 2, tie):
        counts = np.arange(10, 401)
        sums, squares = np.cumsum(row)[9:], np.cumsum(row**2)[9:]
        naive += bool((np.abs(sums) > 1.96 * np.sqrt(np.maximum(squares, 1e-9))).any())
        assert len(counts) == len(sums)
    assert naive / 200 > 0.2  # an interval for one look, looked at each time


def test_the_truth_is_held_at_all_times() -> None:
    held = 0
    for row in studies(300, 200, 0.6, 0.2, seed=1):
        low, high = _limits((row + 1) / 2, 0.05)
        assert (np.diff(low) >= 0).all()
        assert (np.diff(high) <= 0).all()
        held += bool((low <= 0.7).all() and (high >= 0.7).all())
    assert held / 300 >= 0.95 - 2.3 * math.sqrt(0.05 * 0.95 / 300)


def test_a_large_gap_is_decided_early_and_a_small_one_late() -> None:
    large = [decided_at(row) for row in studies(100, 400, 0.75, 0.1, seed=2)]
    small = [decided_at(row) for row in studies(100, 400, 0.5, 0.2, seed=3)]
    assert all(large)
    assert np.median([n for n in large if n]) < 60
    assert np.median([n or 400 for n in small]) > 2 * np.median([n for n in large if n])


def test_sides_are_alike_and_the_price_is_said() -> None:
    row = studies(1, 150, 0.6, 0.2, seed=4)[0]
    found, mirrored = watched_gap(row), watched_gap(-row)
    assert isinstance(found.gap, Estimate)
    assert isinstance(mirrored.gap, Estimate)
    assert mirrored.gap.interval == pytest.approx(found.gap.mirrored.interval)
    assert found.decided_at == mirrored.decided_at
    assert found.price is not None
    assert 1 < found.price < 2.5
    assert (found.decided_at is not None) == (found.gap.interval[0] > 0)
    assert isinstance(watched_gap([]).gap, Undefined)
    # Student's interval of these eight at 99.8 % is 0.25 +- 1.5, of which [-1, 1] can be.
    few = watched_gap([1.0, -1.0, 0.0, 1.0, 1.0, 0.0, -1.0, 1.0], level=0.998)
    assert isinstance(few.gap, Estimate)
    assert few.price == pytest.approx((few.gap.interval[1] - few.gap.interval[0]) / 2)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_few_votes_decide_nothing(length: int) -> None:
    found = watched_gap([1.0] * length)
    assert isinstance(found.gap, Estimate)
    assert found.gap.interval[0] < 0
    assert found.decided_at is None


def test_what_is_promised_of_watching_is_what_comes() -> None:
    """Other draws with the same shares: 65 % wins, 20 % ties, 15 % losses, so a gap of 50 points."""
    found, median = watching(0.5, 0.2, 150, alpha=0.05, seed=9)
    times = [decided_at(row) for row in studies(500, 150, 0.65, 0.2, seed=10)]
    assert found == pytest.approx(np.mean([at is not None for at in times]), abs=0.06)
    assert median == pytest.approx(np.median([at for at in times if at]), rel=0.15)
    assert watching(0.0, 0.2, 100, alpha=0.05)[0] < 0.07
    assert watching(0.5, 0.2, 5, alpha=0.05) == (0.0, None)
