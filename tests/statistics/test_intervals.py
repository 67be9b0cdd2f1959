"""Shares and means against published figures, statsmodels and simulated coverage."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from lima.statistics.estimates import Estimate, Undefined
from lima.statistics.intervals import (
    VarianceSplit,
    clustered_mean,
    mean_share,
    newcombe,
    paired_difference,
    share,
    variance_split,
    wilson,
)


def interval(result: object) -> tuple[float, float]:
    assert isinstance(result, Estimate), result
    return result.interval


@pytest.mark.parametrize(("successes", "n", "expected"), [(24, 30, (62.7, 90.5)), (6, 10, (31.3, 83.2))])
def test_wilson_for_the_safety_counts_of_the_paper(
    successes: int, n: int, expected: tuple[float, float]
) -> None:
    low, high = interval(wilson(successes, n))
    assert (round(100 * low, 1), round(100 * high, 1)) == expected


@pytest.mark.parametrize("successes", [0, 1, 7, 19, 20])
def test_wilson_equals_statsmodels(successes: int) -> None:
    expected = proportion_confint(successes, 20, alpha=0.1, method="wilson")
    assert interval(wilson(successes, 20, level=0.9)) == pytest.approx(expected, abs=1e-12)


def test_no_units_is_undefined_not_nan() -> None:
    assert wilson(0, 0) == Undefined("there is nothing to count", 0, "Wilson")
    assert str(share([], [])) == "undefined because there is nothing to count"


def test_share_with_one_verdict_a_prompt_is_wilson() -> None:
    assert share([True, False, True], ["p1", "p2", "p3"]) == wilson(2, 3)


def test_share_of_copied_verdicts_is_no_surer_than_the_prompts() -> None:
    """Five copies of each of 40 verdicts: n* = 40 (times 40/39), so the width is that of 40, not of 200."""
    single = [i < 12 for i in range(40)]
    copied = share([hit for hit in single for _ in range(5)], [i for i in range(40) for _ in range(5)])
    low, high = interval(copied)
    assert isinstance(copied, Estimate)
    assert (copied.n, copied.clusters, copied.value) == (200, 40, 0.3)
    expected = interval(wilson(12, 40))
    assert (low, high) == pytest.approx(expected, abs=0.01)
    assert high - low > expected[1] - expected[0]


def test_a_unanimous_share_counts_clusters() -> None:
    low, high = interval(share([True] * 50, [i // 5 for i in range(50)]))
    assert high == 1.0
    assert 0.6 < low < 0.75  # 10 agreeing prompts, not 50 (Wilson for 10 of 10: 0.72)


def test_a_single_cluster_has_a_value_and_no_interval() -> None:
    for result in (share([True, False], ["p", "p"]), clustered_mean([1, 2], ["p", "p"])):
        assert isinstance(result, Estimate)
        assert (result.low, result.high, result.note) == (None, None, "no interval: a single cluster")


def test_equal_cluster_means_give_no_interval() -> None:
    result = clustered_mean([3, 3, 3], ["p", "q", "r"])
    assert isinstance(result, Estimate)
    assert (result.value, result.low, result.note) == (3, None, "no interval: all clusters are alike")


def test_newcombe_published_example() -> None:
    """Newcombe 1998, table II: 56/70 against 48/80, method 10: 0.0524 to 0.3339."""
    result = newcombe((56, 70), (48, 80))
    assert isinstance(result, Estimate)
    assert result.value == pytest.approx(0.2)
    assert interval(result) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    expected = confint_proportions_2indep(9, 20, 25, 50, method="newcomb")
    assert interval(newcombe((9, 20), (25, 50))) == pytest.approx(expected, abs=1e-12)


def test_newcombe_with_an_empty_group() -> None:
    assert isinstance(newcombe((0, 0), (1, 2)), Undefined)


def test_clustered_mean_equals_clustered_regression() -> None:
    generator = np.random.default_rng(1)
    clusters = np.repeat(np.arange(30), generator.integers(1, 7, size=30))
    values = generator.normal(size=30)[clusters] + generator.normal(size=len(clusters))
    fit = OLS(values, np.ones_like(values)).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    result = clustered_mean(values.tolist(), clusters.tolist())
    assert isinstance(result, Estimate)
    assert result.value == pytest.approx(fit.params[0])
    assert result.interval == pytest.approx(tuple(fit.conf_int()[0]), abs=1e-10)


def test_variance_split_by_hand() -> None:
    """Prompts (1, 3) and (5, 7): means 2 and 6, within 2; between mean square 16, so (16 - 2) / 2 = 7."""
    split = variance_split([1, 3, 5, 7], ["p", "p", "q", "q"])
    assert isinstance(split, VarianceSplit)
    assert (split.within, split.between) == pytest.approx((2, 7))
    assert split.correlation == pytest.approx(7 / 9)
    assert split.design_effect == pytest.approx(1 + 7 / 9)


@pytest.mark.parametrize(
    ("values", "clusters"),
    [
        ([1, 2], ["p", "p"]),
        ([1, 2], ["p", "q"]),
        ([2, 2, 2, 2], [0, 0, 1, 1]),
        ([1e-200, 2e-200, 1e-200, 2e-200], [0, 0, 1, 1]),  # squares are 0 in floating point
    ],
)
def test_variance_split_of_degenerate_data(values: list[float], clusters: list[object]) -> None:
    assert isinstance(variance_split(values, clusters), Undefined)


def test_five_samples_make_the_naive_error_too_small_by_the_root_of_the_design_effect() -> None:
    """FINDINGS 3: with correlation rho and 5 samples the factor is sqrt(1 + 4 rho); here rho = 1/2."""
    generator = np.random.default_rng(2)
    clusters = [i for i in range(4000) for _ in range(5)]
    values = generator.normal(size=4000)[np.array(clusters)] + generator.normal(size=20_000)
    split = variance_split(values.tolist(), clusters)
    assert isinstance(split, VarianceSplit)
    assert split.design_effect == pytest.approx(3, abs=0.1)
    low, high = interval(clustered_mean(values.tolist(), clusters))
    naive = 2 * 1.96 * values.std() / len(values) ** 0.5
    assert (high - low) / naive == pytest.approx(3**0.5, abs=0.05)


DRAWS = 2_000
CORRELATION = 0.4


def correlated_hits(generator: np.random.Generator, p: float, prompts: int, samples: int) -> np.ndarray:
    """Beta-binomial verdicts with intra-class correlation 0.4."""
    scale = (1 - CORRELATION) / CORRELATION
    chances = generator.beta(p * scale, (1 - p) * scale, size=prompts)
    return generator.random((prompts, samples)) < chances[:, None]


@pytest.mark.parametrize(("p", "prompts"), [(0.5, 60), (0.3, 100), (0.15, 200)])
def test_coverage_of_shares(p: float, prompts: int) -> None:
    generator = np.random.default_rng(3)
    clusters = [i for i in range(prompts) for _ in range(3)]
    covered = 0
    for _ in range(DRAWS):
        low, high = interval(share(correlated_hits(generator, p, prompts, 3).ravel().tolist(), clusters))
        covered += low <= p <= high
    assert 0.935 <= covered / DRAWS <= 0.965


def test_coverage_of_means() -> None:
    generator = np.random.default_rng(4)
    clusters = [i for i in range(40) for _ in range(5)]
    covered = 0
    for _ in range(DRAWS):
        values = 0.8 * generator.normal(size=40)[:, None] + generator.normal(size=(40, 5)) + 3.8
        low, high = interval(clustered_mean(values.ravel().tolist(), clusters))
        covered += low <= 3.8 <= high
    assert 0.935 <= covered / DRAWS <= 0.965


def test_a_difference_seen_from_the_other_side() -> None:
    found = Estimate(0.3, 0.1, 0.6, 0.95, 20, 10, "by hand")
    assert found.mirrored == Estimate(-0.3, -0.6, -0.1, 0.95, 20, 10, "by hand")
    assert Estimate(0.3, None, None, 0.95, 20, 1, "by hand").mirrored.value == -0.3


@pytest.mark.parametrize(("wins", "ties", "losses"), [(30, 10, 20), (9, 0, 1), (0, 12, 0), (4, 3, 8)])
def test_a_paired_difference_is_what_a_score_test_leaves(wins: int, ties: int, losses: int) -> None:
    """At a limit d the test's square is that of the level; its likeliest shares are searched for, not solved for."""
    n = wins + ties + losses
    won, lost = [k < wins for k in range(n)], [k >= wins + ties for k in range(n)]
    found = paired_difference(won, lost, range(n))
    assert isinstance(found, Estimate)
    assert found.value == (wins - losses) / n
    for d in found.interval:
        others = np.linspace(max(0, -d), (1 - d) / 2, 200_001)[1:-1]
        chances = np.stack([others + d, 1 - 2 * others - d, others])
        likely = others[(np.array([wins, ties, losses]) @ np.log(chances)).argmax()]
        square = (wins - losses - n * d) ** 2 / (n * (2 * likely + d * (1 - d)))
        assert square == pytest.approx(
            ((2 * stats.norm.ppf(0.975) + stats.t.ppf(0.975, n - 1)) / 3) ** 2, rel=2e-3
        )


@pytest.mark.parametrize("said", [1, 2])
def test_units_on_which_two_systems_agree_do_not_widen_their_difference(said: int) -> None:
    """150 statements: both are right on 114, one alone on 9, the other alone on 7. The naive variance is (9 + 7) / 150^2."""
    both, mine, theirs, none = 114, 9, 7, 20
    one = ([True] * (both + mine) + [False] * (theirs + none)) * said
    two = ([True] * both + [False] * mine + [True] * theirs + [False] * none) * said
    found = paired_difference(one, two, [*range(150)] * said)
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(2 / 150)
    low, high = found.interval
    assert high - low == pytest.approx(2 * 1.96 * 4 / 150, rel=0.1)


def test_two_correlated_shares_differ_as_often_as_their_interval_says() -> None:
    """Of 80 statements one system knows 80 %, and the other the same ones but for a tenth: agreement, not chance, ties them."""
    random, draws, covered = np.random.default_rng(5), 2_000, 0
    for _ in range(draws):
        knows, turned = random.random(80) < 0.8, random.random(80) < 0.1
        low, high = interval(paired_difference(knows.tolist(), (knows ^ turned).tolist(), range(80)))
        covered += low <= 0.8 - (0.8 * 0.9 + 0.2 * 0.1) <= high
    assert 0.935 <= covered / draws <= 0.97


def test_a_paired_difference_by_cluster_by_hand() -> None:
    """30 wins, 20 losses, 10 ties of 60 prompts, each said twice, so that the effective n is 59: limits of Wilson's form by t,
    joined with the correlation of the two.
    """
    wins, losses = [n < 30 for n in range(60)] * 2, [30 <= n < 50 for n in range(60)] * 2
    found = paired_difference(wins, losses, [*range(60), *range(60)])
    t, n = stats.t.ppf(0.975, 59), 59
    limits = []
    for p in (1 / 2, 1 / 3):
        middle, half = p + t**2 / (2 * n), t * np.sqrt(p * (1 - p) / n + t**2 / (4 * n**2))
        limits.append(((middle - half) / (1 + t**2 / n), (middle + half) / (1 + t**2 / n)))
    (low_p, high_p), (low_q, high_q) = limits
    r = np.corrcoef(wins, losses)[0, 1]
    assert r == pytest.approx(-np.sqrt(0.5))
    below, above = (1 / 2 - low_p, high_q - 1 / 3), (high_p - 1 / 2, 1 / 3 - low_q)
    down, up = (np.sqrt(x**2 + y**2 - 2 * r * x * y) for x, y in (below, above))
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(1 / 6)
    assert found.interval == pytest.approx((1 / 6 - down, 1 / 6 + up), abs=1e-12)


def test_a_paired_difference_of_nothing_of_one_prompt_and_of_two() -> None:
    nothing = paired_difference([], [], [])
    assert isinstance(nothing, Undefined)
    assert (nothing.reason, nothing.n) == ("there is nothing to count", 0)
    single = paired_difference([True, False], [False, True], ["p", "p"])
    assert isinstance(single, Estimate)
    assert (single.value, single.low, single.note) == (0.0, None, "no interval: a single cluster")
    low, high = interval(paired_difference([True, False], [False, True], ["p", "q"]))
    assert -1 <= low < 0 < high <= 1


def test_the_mean_of_credits_is_cut_to_its_range() -> None:
    """Four prompts, mean .75, s .5: t interval of .75 +- 3.18 x .25 = (-.05, 1.55)."""
    free = clustered_mean([1, 1, 1, 0], range(4))
    assert isinstance(free, Estimate)
    assert free.interval == pytest.approx((-0.0456, 1.5456), abs=1e-4)
    cut = mean_share([1, 1, 1, 0], range(4))
    assert isinstance(cut, Estimate)
    assert cut.interval == (0.0, 1.0)
    whole = mean_share([0.4, 0.6, 0.5, 0.5], range(4))
    assert whole == clustered_mean([0.4, 0.6, 0.5, 0.5], range(4))
    assert isinstance(mean_share([], []), Undefined)
