"""The cluster bootstrap against scipy's own, and its coverage."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from lima.statistics.bootstrap import Resampling, bootstrap, ratio
from lima.statistics.estimates import Estimate, Undefined

Floats = NDArray[np.float64]


def column(values: Floats) -> Floats:
    return np.column_stack([values, np.ones(len(values))])


def test_it_agrees_with_scipy() -> None:
    """Same statistic (the mean of skewed data), independent resamples: bounds within Monte Carlo error."""
    values = np.random.default_rng(0).exponential(size=80)
    ours = bootstrap(column(values), ratio, n=80, resampling=Resampling(rounds=40_000))
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=40_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    assert isinstance(ours, Estimate)
    assert ours.interval == pytest.approx((theirs.low, theirs.high), abs=0.01)
    assert ours.value == pytest.approx(values.mean())


def test_the_same_seed_gives_the_same_interval() -> None:
    totals = column(np.random.default_rng(0).normal(size=50))
    results = [bootstrap(totals, ratio, n=50, resampling=Resampling(seed=seed)) for seed in (7, 7, 8)]
    assert results[0] == results[1] != results[2]


def test_clusters_are_resampled_whole() -> None:
    """One row of sums for two values: 2 of 4 clusters hold 1 and 1, the others 0 and 0."""
    result = bootstrap(np.array([[2.0, 2], [0, 2], [2, 2], [0, 2]]), ratio, n=8)
    assert isinstance(result, Estimate)
    assert (result.value, result.n, result.clusters) == (0.5, 8, 4)
    assert result.method == "BCa bootstrap by cluster, 10,000 rounds"


def test_as_many_resamples_are_drawn_as_were_asked_for() -> None:
    """Each as a row of sums; beside them the sums of all clusters, and those without each of the 50 clusters."""
    asked: list[int] = []

    def counted(sums: Floats) -> Floats:
        asked.append(len(sums) if sums.ndim == 2 else 0)
        return ratio(sums)

    totals = column(np.random.default_rng(0).normal(size=50))
    bootstrap(totals, counted, n=50, resampling=Resampling(rounds=1_234))
    assert sum(asked) == 1_234 + 50


def test_degenerate_data() -> None:
    assert isinstance(bootstrap(np.empty((0, 2)), ratio, n=0), Undefined)
    assert isinstance(bootstrap(np.zeros((5, 2)), ratio, n=0), Undefined)
    single = bootstrap(np.array([[1.0, 2]]), ratio, n=2)
    equal = bootstrap(np.ones((5, 2)), ratio, n=5)
    for result, why in ((single, "a single cluster"), (equal, "every resample gives the same figure")):
        assert isinstance(result, Estimate)
        assert result.low is None
        assert why in result.note
    assert isinstance(single, Estimate)
    assert (single.n, single.clusters) == (2, 1)


def test_rounds_without_the_figure_are_left_out_or_forbid_an_interval() -> None:
    """Units are rare in the denominator: in many resamples of 4 clusters there is none."""
    rare = np.array([[1.0, 1], [0, 0], [0, 0], [0, 0]])
    result = bootstrap(rare, ratio, n=1)
    assert isinstance(result, Estimate)
    assert "exists in only" in result.note


@pytest.mark.slow
def test_coverage_of_the_mean_of_skewed_clusters() -> None:
    """2,000 draws of 120 prompts with three log-normal ratings that share a prompt effect."""
    generator = np.random.default_rng(5)
    truth, covered = float(np.exp(0.5 * (0.4**2 + 0.4**2))), 0
    for draw in range(2_000):
        logs = 0.4 * generator.normal(size=(120, 1)) + 0.4 * generator.normal(size=(120, 3))
        totals = np.column_stack([np.exp(logs).sum(axis=1), np.full(120, 3.0)])
        result = bootstrap(totals, ratio, n=360, resampling=Resampling(rounds=2_000, seed=draw))
        assert isinstance(result, Estimate)
        low, high = result.interval
        covered += low <= truth <= high
    assert 0.935 <= covered / 2_000 <= 0.965
