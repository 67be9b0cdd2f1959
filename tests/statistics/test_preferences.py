"""Win, tie, loss: the order rule, the paper's own counts, and tests against independent packages."""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from lima.records import Label
from lima.statistics.estimates import Estimate, Significance, Undefined
from lima.statistics.preferences import (
    CombinedVerdict,
    Outcome,
    agreeing,
    combine_orders,
    dirichlet_posterior,
    gap_of,
    net_scores,
    win_tie_loss,
)
from lima.statistics.significance import holm, sign_flip_test, sign_test


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ("a", "a", CombinedVerdict("a", True)),
        ("b", "b", CombinedVerdict("b", True)),
        ("tie", "tie", CombinedVerdict("tie", True)),
        ("a", "b", CombinedVerdict("tie", False)),
        ("b", "a", CombinedVerdict("tie", False)),
        ("a", "tie", CombinedVerdict("tie", False)),
        ("tie", "b", CombinedVerdict("tie", False)),
        (None, "a", CombinedVerdict(None, None)),
        ("tie", None, CombinedVerdict(None, None)),
        (None, None, CombinedVerdict(None, None)),
    ],
)
def test_two_orders_of_one_judge(first: Label | None, second: Label | None, verdict: CombinedVerdict) -> None:
    assert combine_orders(first, second) == verdict


def outcomes(win: int, tie: int, loss: int) -> list[Outcome]:
    return [*["win"] * win, *["tie"] * tie, *["loss"] * loss]  # type: ignore[list-item]


def joined(win: int, tie: int, loss: int) -> tuple[float, float]:
    """Wilson limits of wins and losses by statsmodels, joined with the correlation of multinomial counts."""
    n = win + tie + loss
    alpha = 2 * stats.norm.sf(stats.t.ppf(0.975, n - 1))
    (a, b), (c, d) = (proportion_confint(count, n, alpha, "wilson") for count in (win, loss))
    p, q = win / n, loss / n
    r = -((p * q / ((1 - p) * (1 - q))) ** 0.5)
    low = p - q - ((p - a) ** 2 + (d - q) ** 2 - 2 * r * (p - a) * (d - q)) ** 0.5
    return low, p - q + ((b - p) ** 2 + (q - c) ** 2 - 2 * r * (b - p) * (q - c)) ** 0.5


def test_shares_gap_and_score_of_the_papers_table() -> None:
    """300 prompts, 53 / 21 / 26 %: gap 27 points, win + tie/2 = 63.5 %."""
    found = win_tie_loss(outcomes(159, 63, 78), range(300))
    assert found.counts == {"win": 159, "tie": 63, "loss": 78}
    for result, value in ((found.win, 0.53), (found.tie, 0.21), (found.loss, 0.26), (found.score, 0.635)):
        assert isinstance(result, Estimate)
        assert result.value == pytest.approx(value)
        assert (result.n, result.clusters, result.level) == (300, 300, 0.95)
    assert isinstance(found.gap, Estimate)
    assert found.gap.interval == pytest.approx(
        joined(159, 63, 78), abs=0.0004
    )  # another interval, alike for many
    scores = [1] * 159 + [0] * 63 + [-1] * 78
    student = stats.ttest_1samp(scores, 0).confidence_interval(0.95)
    assert found.gap.interval == pytest.approx(
        (student.low, student.high), abs=0.004
    )  # alike with many prompts
    assert isinstance(found.win, Estimate)
    assert found.win.method == "Wilson"


def test_several_verdicts_a_prompt_are_clustered() -> None:
    found = win_tie_loss(outcomes(4, 0, 4), ["p1", "p1", "p2", "p2", "p3", "p3", "p4", "p4"])
    assert isinstance(found.win, Estimate)
    assert (found.win.n, found.win.clusters) == (8, 4)
    assert found.win.method == "Wilson with effective n, by cluster"
    assert net_scores(outcomes(2, 1, 1), ["p", "q", "p", "q"]) == [1, 0]


def test_the_gap_stays_on_its_scale() -> None:
    """7 wins and a tie: Student's interval would end at 1.17."""
    found = win_tie_loss(outcomes(7, 1, 0), range(8))
    assert isinstance(found.gap, Estimate)
    assert found.gap.value < found.gap.interval[1] <= 1.0
    assert isinstance(found.score, Estimate)
    assert found.score.value < found.score.interval[1] <= 1.0


@pytest.mark.parametrize(
    ("gap", "p", "expected"),
    [
        ((0.02, 0.4), 0.06, (0.0, 0.4)),  # the exact test does not reject: the interval reaches zero
        ((0.02, 0.4), 0.04, (0.02, 0.4)),
        ((-0.01, 0.4), 0.04, (0.025, 0.4)),  # it rejects: half a verdict of 20 from zero
        ((-0.4, 0.01), 0.04, (-0.4, -0.025)),
    ],
)
def test_interval_and_exact_test_never_contradict(
    gap: tuple[float, float], p: float, expected: tuple[float, float]
) -> None:
    middle = Estimate(sum(gap) / 2, *gap, 0.95, 20, 20, "")
    found = agreeing(middle, Significance(p, 1, 20, ""), 0.05)
    assert isinstance(found, Estimate)
    assert found.interval == pytest.approx(expected)
    assert agreeing(middle, Significance(0.001, 1, 20, "", adjusted=p), 0.05) == found  # Holm's p counts


def test_no_verdict_and_all_ties() -> None:
    empty = win_tie_loss([], [])
    assert all(isinstance(x, Undefined) for x in (empty.win, empty.gap, empty.score, empty.sign))
    ties = win_tie_loss(outcomes(0, 12, 0), range(12))
    assert isinstance(ties.gap, Estimate)
    assert ties.gap.value == 0
    bound = ((2 * stats.norm.ppf(0.975) + stats.t.ppf(0.975, 11)) / 3) ** 2
    bound /= 12 + bound  # where 12 d^2 reaches d (1 - d) of that: Wilson's for 0 of 12
    assert ties.gap.interval == pytest.approx((-bound, bound))
    won = win_tie_loss(outcomes(12, 0, 0), range(12))
    assert isinstance(won.gap, Estimate)
    assert won.gap.interval == pytest.approx((1 - 2 * bound, 1))
    assert isinstance(ties.sign_flip, Undefined)


def test_sign_test_of_the_dialogues() -> None:
    """Better in 7 of 10, tied in 3 (LIMA, section 6): 2 / 2^7 = .0156."""
    found = sign_test([1] * 7 + [0] * 3)
    assert isinstance(found, Significance)
    assert found.p == pytest.approx(2 / 2**7)
    assert (found.statistic, found.n) == (7, 7)


@pytest.mark.parametrize("differences", [[3, -1, 2, 0, 1], [1, 1, -1, 1], [2, 2], [-4, 1, 1, 1, 5]])
def test_sign_flip_is_exact(differences: list[int]) -> None:
    """Against all 2^n sign patterns."""
    observed = abs(sum(differences))
    patterns = [sum(s * d for s, d in zip(signs, differences, strict=True)) for signs in
                product((1, -1), repeat=len(differences))]  # fmt: skip
    found = sign_flip_test(differences)
    assert isinstance(found, Significance)
    assert found.p == pytest.approx(np.mean([abs(total) >= observed for total in patterns]))


def test_sign_flip_of_single_verdicts_is_the_sign_test() -> None:
    differences = [1] * 90 + [-1] * 60 + [0] * 150
    flip, sign = sign_flip_test(differences), sign_test(differences)
    assert isinstance(flip, Significance)
    assert isinstance(sign, Significance)
    assert flip.p == pytest.approx(sign.p, rel=1e-9)


def test_sign_flip_of_fractions_agrees_with_scipy() -> None:
    data = np.random.default_rng(1).normal(0.4, 1, size=25)
    ours = sign_flip_test(data.tolist())
    theirs = stats.permutation_test(
        (data,), np.sum, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(2)
    )
    assert isinstance(ours, Significance)
    assert ours.p == pytest.approx(theirs.pvalue, abs=0.01)
    assert "10,000 rounds" in ours.method


def test_many_prompts_do_not_underflow() -> None:
    found = sign_flip_test([2] * 3000 + [-1] * 3000)
    assert isinstance(found, Significance)
    assert 0 <= found.p < 1e-100


def test_holm_equals_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    values = [0.011, 0.02, 0.6, 0.011, 0.0004]
    adjusted = holm([Significance(p, 0, 9, "") for p in values])
    expected = multipletests(values, method="holm")[1]
    assert [test.adjusted for test in adjusted if isinstance(test, Significance)] == pytest.approx(expected)


def test_holm_counts_only_tests_that_exist() -> None:
    adjusted = holm([Undefined("no prompt has a difference", 3, ""), Significance(0.04, 1, 5, "")])
    assert isinstance(adjusted[0], Undefined)
    assert isinstance(adjusted[1], Significance)
    assert adjusted[1].adjusted == 0.04


def test_dirichlet_posterior() -> None:
    """Counts 35 / 10 / 1 with prior 1/2: mean 35.5 / 47.5; P(win > loss) against simulation."""
    found = dirichlet_posterior({"win": 35, "tie": 10, "loss": 1})
    assert isinstance(found.win, Estimate)
    assert found.win.value == pytest.approx(35.5 / 47.5)
    draws = np.random.default_rng(1).dirichlet([12.5, 7.5, 10.5], size=200_000)
    near = dirichlet_posterior({"win": 12, "tie": 7, "loss": 10})
    assert near.better == pytest.approx((draws[:, 0] > draws[:, 2]).mean(), abs=0.005)
    for place, share in enumerate((near.win, near.tie, near.loss)):
        assert isinstance(share, Estimate)
        assert share.interval == pytest.approx(np.quantile(draws[:, place], [0.025, 0.975]), abs=0.005)


WORDS: tuple[Outcome, ...] = ("loss", "tie", "win")


def test_coverage_of_the_gap() -> None:
    """2,000 studies of 80 prompts with three correlated verdicts each: a prompt's lead is shared by its raters.

    Truth by the normal distribution: lead ~ N(0.3, 1) + N(0, 1), win above 0.6, loss below -0.6.
    """
    spread = 2**0.5
    truth = float(stats.norm.sf((0.6 - 0.3) / spread) - stats.norm.cdf((-0.6 - 0.3) / spread))
    generator, covered = np.random.default_rng(7), 0
    clusters = [prompt for prompt in range(80) for _ in range(3)]
    for _ in range(2_000):
        leads = 0.3 + generator.normal(size=(80, 1)) + generator.normal(size=(80, 3))
        scores = ((leads > 0.6).astype(int) - (leads < -0.6)).ravel()
        words = [WORDS[score + 1] for score in scores]
        gap = gap_of(words, clusters)
        assert isinstance(gap, Estimate)
        covered += gap.interval[0] <= truth <= gap.interval[1]
    assert 0.935 <= covered / 2_000 <= 0.965
