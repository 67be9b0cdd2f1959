"""Clusters that are all alike: the figure stands, an interval without width does not (statistics, every module)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lima.statistics.bootstrap import bootstrap, ratio
from lima.statistics.bradley_terry import Duel, bradley_terry
from lima.statistics.estimates import Estimate, Undefined
from lima.statistics.intervals import clustered_mean, share, variance_split
from lima.statistics.length_control import length_controlled
from lima.statistics.preferences import Outcome, win_tie_loss

counts = st.integers(min_value=0, max_value=40)


def has_width(result: object) -> bool:
    return not isinstance(result, Estimate) or result.low is None or result.low < (result.high or 0.0)


@given(prompts=st.integers(2, 30), win=counts, tie=counts, loss=counts)
def test_alike_prompts_have_no_interval_without_width(prompts: int, win: int, tie: int, loss: int) -> None:
    kinds: tuple[tuple[Outcome, int], ...] = (("win", win), ("tie", tie), ("loss", loss))
    one = [kind for kind, times in kinds for _ in range(times)]
    if len(one) < 2:
        return
    clusters = [prompt for prompt in range(prompts) for _ in one]
    found = win_tie_loss(one * prompts, clusters)
    for result in (found.win, found.tie, found.loss, found.gap, found.score):
        assert has_width(result), result
    mean = clustered_mean([0.1 * k for k in range(len(one))] * prompts, clusters)
    assert isinstance(mean, Estimate)
    assert (mean.low, mean.note) == (None, "no interval: all clusters are alike")


@given(prompts=st.integers(2, 30), hits=st.integers(1, 30), misses=st.integers(1, 30))
def test_a_share_of_alike_prompts_counts_prompts_not_verdicts(prompts: int, hits: int, misses: int) -> None:
    one = [True] * hits + [False] * misses
    found = share(one * prompts, [prompt for prompt in range(prompts) for _ in one])
    assert isinstance(found, Estimate)
    low, high = found.interval
    width = high - low
    p = found.value
    assert low < p < high
    assert width > (p * (1 - p) / prompts) ** 0.5  # wider than one standard error of that many prompts


@given(value=st.floats(-1e6, 1e6), clusters=st.lists(st.integers(0, 4), min_size=3, max_size=40))
def test_equal_ratings_have_no_variance_to_split(value: float, clusters: list[int]) -> None:
    assert isinstance(variance_split([value] * len(clusters), clusters), Undefined)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=20), st.sampled_from([0.1, 1 / 3, 0.7]))
def test_a_bootstrap_of_one_mean_says_that_it_has_no_interval(sizes: list[int], value: float) -> None:
    totals = np.array([[value * size, size] for size in sizes])
    found = bootstrap(totals, ratio, n=sum(sizes))
    assert isinstance(found, Estimate)
    assert found.low is None
    assert "every resample" in found.note


def test_a_system_that_only_ties_has_a_strength_without_interval() -> None:
    duels = [Duel("x", "y", outcome, k) for k in range(6) for outcome in ("win", "loss")]
    duels += [Duel("z", "y", "tie", k) for k in range(6)]
    found = bradley_terry(duels, "y")
    assert not isinstance(found, Undefined)
    for strength in found:
        assert strength.wins.value == pytest.approx(0.5)
        assert has_width(strength.wins)


def test_length_control_of_alike_prompts_has_no_interval() -> None:
    outcomes = ["win", "loss", "win", "loss"] * 5
    lengths = [10.0, 10.0, -10.0, -10.0] * 5
    for difficulty in (None, [1.0, -1.0, -1.0, 1.0] * 5):
        found = length_controlled(outcomes, lengths, [k // 4 for k in range(20)], difficulty=difficulty)  # type: ignore[arg-type]
        assert isinstance(found.score, Estimate)
        assert found.score.value == pytest.approx(0.5)
        assert found.score.low is None
        assert has_width(found.coefficient)


def test_alike_but_for_rounding_is_alike() -> None:
    """Five prompts of the same six verdicts: the variance is 3e-33, not 0."""
    outcomes: list[Outcome] = ["win", "win", "loss", "win", "loss", "tie"] * 5
    lengths, difficulty = [10.3, 7.1, -10.2, -3.3, 12.7, -9.9] * 5, [0.31, -1.7, 0.93, 0.11, -0.4, 0.77] * 5
    found = length_controlled(outcomes, lengths, [k // 6 for k in range(30)], difficulty=difficulty).score
    assert isinstance(found, Estimate)
    assert (found.low, found.note) == (None, "no interval: all clusters are alike")


@given(
    st.lists(
        st.tuples(st.sampled_from("xyz"), st.sampled_from("xyz"), st.sampled_from(["win", "tie", "loss"])),
        min_size=2,
        max_size=30,
    ),
    st.integers(1, 5),
)
def test_any_duels_give_finite_strengths_or_a_reason(rows: list[tuple[str, str, str]], size: int) -> None:
    duels = [Duel(a, b, o, k // size) for k, (a, b, o) in enumerate(rows) if a != b]  # type: ignore[arg-type]
    found = bradley_terry(duels, "x")
    if isinstance(found, Undefined):
        assert found.reason
        return
    for strength in found:
        assert has_width(strength.wins), strength
