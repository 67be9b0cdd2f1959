"""Graded verdicts: credits between 0 and 1 go through every statistic, and whole ones change nothing."""

import random

import pytest

from lima.statistics.agreement import Rated, group_agreement
from lima.statistics.bootstrap import Resampling
from lima.statistics.bradley_terry import Duel, bradley_terry
from lima.statistics.estimates import Estimate, Significance
from lima.statistics.preferences import CREDITS, Outcome, net_scores, win_tie_loss

SIDES: list[Outcome] = ["win", "loss", "win", "tie", "win", "loss", "win", "win", "tie", "win"]


def test_whole_credits_change_nothing() -> None:
    plain = win_tie_loss(SIDES, range(10))
    assert win_tie_loss(SIDES, range(10), credits=[CREDITS[x] for x in SIDES]) == plain


def test_the_gap_and_its_test_are_those_of_the_credits() -> None:
    credits = [0.6 if side == "win" else 0.1 if side == "loss" else 0.5 for side in SIDES]
    found = win_tie_loss(SIDES, range(10), credits=credits)
    assert isinstance(found.gap, Estimate)
    assert isinstance(found.score, Estimate)
    assert found.score.value == pytest.approx((6 * 0.6 + 2 * 0.1 + 2 * 0.5) / 10)  # 0.48
    assert found.gap.value == pytest.approx(2 * 0.48 - 1)  # although 6 of 10 are wins
    assert "graded" in found.gap.method
    assert isinstance(found.sign_flip, Significance)
    assert found.sign_flip.statistic == pytest.approx(abs(6 * 0.2 - 2 * 0.8))
    assert net_scores(["win", "loss"], ["p", "p"], [0.75, 0.25]) == [0.0]


def test_graded_agreement_is_one_minus_the_distance() -> None:
    one = [Rated(n, n, "x", "a", credit=0.9) for n in range(20)]
    other = [Rated(n, n, "y", "b" if n % 2 else "a") for n in range(20)]
    cell = group_agreement({"x": one, "y": other}, "x", "y", resampling=Resampling(rounds=200))
    assert isinstance(cell.accuracy, Estimate)
    assert cell.accuracy.value == pytest.approx((0.9 + 0.1) / 2)
    assert cell.chance == pytest.approx(0.5)
    assert isinstance(cell.strict, Estimate)
    assert cell.strict.value == 0.5


def test_strengths_of_graded_duels_are_those_of_their_mean() -> None:
    """Three systems whose mean credits fit one scale: odds 3 to 1, and 3 to 1, so 9 to 1."""
    rng = random.Random(3)
    duels = []
    for number in range(300):
        for first, second, mean in (("a", "b", 0.75), ("b", "c", 0.75), ("a", "c", 0.9)):
            credit = mean + rng.uniform(-0.1, 0.1)
            duels.append(Duel(first, second, "win" if credit > 0.5 else "loss", number, credit))
    found = bradley_terry(duels, "c")
    assert isinstance(found, list)
    assert {row.system: round(row.wins.value, 2) for row in found} == {"a": 0.9, "b": 0.75}
