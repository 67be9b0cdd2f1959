"""Length control, Bradley-Terry with ties and the alt-test against statsmodels, closed forms and simulation."""

from collections.abc import Hashable

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests

from lima.statistics.alt_test import AltTest, alt_test
from lima.statistics.bradley_terry import Duel, Strength, bradley_terry, ranks
from lima.statistics.estimates import Estimate, Undefined
from lima.statistics.length_control import difficulties, length_controlled
from lima.statistics.preferences import Outcome


def verdicts(
    generator: np.random.Generator, n: int, at_equal: float, effect: float
) -> tuple[list[Outcome], np.ndarray]:
    """Wins with logit ``at_equal + effect * tanh(d / sd)``; the system's answers are longer on average."""
    differences = generator.normal(150, 200, size=n)
    logit = at_equal + effect * np.tanh(differences / differences.std())
    wins = generator.random(n) < 1 / (1 + np.exp(-logit))
    return ["win" if win else "loss" for win in wins], differences


def test_length_control_equals_statsmodels() -> None:
    """Two verdicts a prompt, some ties; binomial GLM with clustered errors."""
    generator = np.random.default_rng(1)
    outcomes, differences = verdicts(generator, 200, 0.3, 1.0)
    outcomes[:20] = ["tie"] * 20
    clusters = np.repeat(np.arange(100), 2)
    found = length_controlled(outcomes, differences.tolist(), clusters.tolist())
    y = [{"win": 1, "tie": 0.5, "loss": 0}[outcome] for outcome in outcomes]
    x = np.column_stack([np.ones(200), np.tanh(differences / differences.std())])
    fit = sm.GLM(y, x, family=sm.families.Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True, tol=1e-12
    )
    assert isinstance(found.coefficient, Estimate)
    assert isinstance(found.score, Estimate)
    assert found.coefficient.value == pytest.approx(fit.params[1], rel=1e-6)
    assert found.coefficient.interval == pytest.approx(tuple(fit.conf_int()[1]), rel=1e-5)
    logits = np.array([found.score.value, *found.score.interval])
    assert np.log(logits / (1 - logits)) == pytest.approx([fit.params[0], *fit.conf_int()[0]], rel=1e-5)


def test_a_system_that_wins_by_length_alone_is_even_at_equal_length() -> None:
    outcomes, differences = verdicts(np.random.default_rng(2), 4000, 0.0, 2.0)
    found = length_controlled(outcomes, differences.tolist(), range(4000))
    assert isinstance(found.score, Estimate)
    assert outcomes.count("win") / 4000 > 0.65
    assert found.score.value == pytest.approx(0.5, abs=0.03)


def test_equal_length_that_was_never_seen_has_no_score() -> None:
    outcomes, differences = verdicts(np.random.default_rng(4), 100, 0.2, 1.0)
    longer = np.abs(differences) + 1
    found = length_controlled(outcomes, longer.tolist(), range(100))
    assert isinstance(found.score, Undefined)
    assert "never seen" in found.score.reason
    longer[:3] *= -1
    found = length_controlled(outcomes, longer.tolist(), range(100))
    assert isinstance(found.score, Estimate)
    assert found.score.note == "extrapolated: only 3 of 100 pairs lie on the other side of equal length"
    longer[:3] = 0  # equal length itself lies on both sides
    at_equal = length_controlled(outcomes, longer.tolist(), range(100))
    assert isinstance(at_equal.score, Estimate)
    assert at_equal.score.note == found.score.note
    mirrored = length_controlled(outcomes, (-longer).tolist(), range(100)).score
    assert isinstance(mirrored, Estimate)
    longer[:10] = 0  # ten of a hundred are enough
    enough = length_controlled(outcomes, longer.tolist(), range(100)).score
    assert isinstance(enough, Estimate)
    assert (mirrored.note, enough.note) == (found.score.note, "")


def test_difficulty_and_length_equal_statsmodels_with_the_delta_method() -> None:
    """The mean chance at equal length over the prompts' difficulty: its gradient by differences, on the logit scale."""
    generator = np.random.default_rng(1)
    outcomes, differences = verdicts(generator, 200, 0.3, 1.0)
    clusters, hard = np.repeat(np.arange(100), 2), np.repeat(generator.normal(size=100), 2)
    found = length_controlled(
        outcomes, differences.tolist(), clusters.tolist(), difficulty=hard.tolist(), level=0.9
    ).score
    y = [float(outcome == "win") for outcome in outcomes]
    x = np.column_stack([np.ones(200), np.tanh(differences / differences.std()), hard - hard.mean()])
    fit = sm.GLM(y, x, family=sm.families.Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": clusters}, tol=1e-12
    )

    def at_equal_length(parameters: np.ndarray) -> float:
        mean = np.mean(1 / (1 + np.exp(-(parameters[0] + parameters[2] * x[:, 2]))))
        return float(np.log(mean / (1 - mean)))

    steps = 1e-6 * np.eye(3)
    gradient = (
        np.array([at_equal_length(fit.params + s) - at_equal_length(fit.params - s) for s in steps]) / 2e-6
    )
    half = stats.t.ppf(0.95, 99) * np.sqrt(gradient @ fit.cov_params() @ gradient)
    middle = at_equal_length(fit.params)
    assert isinstance(found, Estimate)
    ends = 1 / (1 + np.exp(-np.array([middle, middle - half, middle + half])))
    assert [found.value, *found.interval] == pytest.approx(ends, rel=1e-5)


def test_difficulties_are_logits_of_credits_with_half_a_win_and_half_a_loss() -> None:
    found = difficulties([{"easy": 1, "hard": 0}, {"easy": 1, "hard": 0.5}])
    assert found == pytest.approx({"easy": np.log(2.5 / 0.5), "hard": np.log(1 / 2)})


def test_few_clusters_equal_statsmodels_with_leverage() -> None:
    """Single units: the scores over the root of one minus the leverage, as HC2 has it."""
    generator = np.random.default_rng(9)
    outcomes, differences = verdicts(generator, 20, 0.2, 0.5)
    found = length_controlled(outcomes, differences.tolist(), range(20)).coefficient
    y = np.array([float(outcome == "win") for outcome in outcomes])
    x = np.column_stack([np.ones(20), np.tanh(differences / differences.std())])
    fitted = sm.GLM(y, x, family=sm.families.Binomial()).fit()
    weights = fitted.mu * (1 - fitted.mu)
    bread = np.linalg.inv((x * weights[:, None]).T @ x)
    leverage = weights * np.einsum("ij,jk,ik->i", x, bread, x)
    freed = ((y - fitted.mu) / np.sqrt(1 - leverage))[:, None] * x
    error = (bread @ freed.T @ freed @ bread)[1, 1] ** 0.5
    assert isinstance(found, Estimate)
    half = stats.t.ppf(0.975, 19) * error
    assert found.interval == pytest.approx((fitted.params[1] - half, fitted.params[1] + half), rel=1e-5)


def test_length_control_covers() -> None:
    generator, covered = np.random.default_rng(3), 0
    truth = 1 / (1 + np.exp(-0.4))
    for _ in range(2_000):
        outcomes, differences = verdicts(generator, 150, 0.4, 0.8)
        score = length_controlled(outcomes, differences.tolist(), range(150)).score
        assert isinstance(score, Estimate)
        covered += score.interval[0] <= truth <= score.interval[1]
    assert 0.935 <= covered / 2_000 <= 0.965


@pytest.mark.parametrize(
    ("outcomes", "differences", "why"),
    [
        (["win", "loss"], [1, 2], "fewer than three prompts"),
        (["win"] * 4, [1, 2, 3, 4], "all verdicts are equal"),
        (["win", "loss", "win"], [5, 5, 5], "same amount"),
        (["loss"] * 4 + ["win"] * 4, [-4, -3, -2, -1, 1, 2, 3, 4], "separates"),
    ],
)
def test_length_control_without_an_answer(
    outcomes: list[Outcome], differences: list[float], why: str
) -> None:
    found = length_controlled(outcomes, differences, range(len(outcomes)))
    assert isinstance(found.score, Undefined)
    assert why in found.score.reason


def duels(counts: dict[tuple[str, str, Outcome], int]) -> list[Duel]:
    rows = [place for place, count in counts.items() for _ in range(count)]
    return [Duel(*row, cluster=i) for i, row in enumerate(rows)]


def strengths(found: list[Strength] | Undefined) -> dict[str, float]:
    assert isinstance(found, list), found
    return {strength.system: strength.wins.value for strength in found}


def test_two_systems_have_a_closed_form() -> None:
    """Davidson: strength ratio = wins / losses, so the share of decided verdicts is 30 / (30 + 20)."""
    found = bradley_terry(
        duels({("new", "old", "win"): 30, ("new", "old", "tie"): 40, ("new", "old", "loss"): 20}), "old"
    )
    assert strengths(found) == pytest.approx({"new": 0.6})


def test_without_ties_it_is_logistic_regression() -> None:
    generator = np.random.default_rng(4)
    truth = {"a": 0.0, "b": 0.5, "c": -0.7, "d": 1.1}
    names = list(truth)
    rows, x, y = [], [], []
    for number in range(600):
        i, j = generator.choice(4, size=2, replace=False)
        win = generator.random() < 1 / (1 + np.exp(truth[names[j]] - truth[names[i]]))
        rows.append(Duel(names[i], names[j], "win" if win else "loss", number))
        x.append((np.eye(4)[i] - np.eye(4)[j])[1:])
        y.append(float(win))
    fit = sm.GLM(y, np.array(x), family=sm.families.Binomial()).fit(tol=1e-12)
    expected = {name: 1 / (1 + np.exp(-value)) for name, value in zip(names[1:], fit.params, strict=True)}
    assert strengths(bradley_terry(rows, "a")) == pytest.approx(expected, rel=1e-6)


def test_strengths_are_recovered_with_ties_and_the_order_is_by_strength() -> None:
    generator = np.random.default_rng(5)
    log_strength, log_tie = {"a": 0.0, "b": 0.8, "c": -0.5}, -0.3
    rows = []
    for number in range(6000):
        first, second = generator.permutation(list(log_strength))[:2]
        s, t = log_strength[first], log_strength[second]
        weights = np.exp([s, log_tie + (s + t) / 2, t])
        outcome = generator.choice(["win", "tie", "loss"], p=weights / weights.sum())
        rows.append(Duel(str(first), str(second), outcome, number))
    found = bradley_terry(rows, "a")
    assert isinstance(found, list)
    assert [strength.system for strength in found] == ["b", "c"]
    for strength in found:
        truth = 1 / (1 + np.exp(-log_strength[strength.system]))
        assert strength.wins.interval[0] <= truth <= strength.wins.interval[1]


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ({("a", "b", "win"): 9, ("a", "b", "loss"): 2, ("c", "d", "win"): 1, ("c", "d", "loss"): 1},
         "linked to the others by no comparison"),
        ({("a", "b", "win"): 9, ("b", "c", "win"): 9, ("b", "c", "loss"): 3}, "win, or lose, every verdict"),
        ({("a", "b", "loss"): 9, ("b", "c", "win"): 9, ("b", "c", "loss"): 3}, "win, or lose, every verdict"),
        ({("a", "b", "tie"): 9}, "all verdicts are ties"),
        ({}, "fewer than two systems"),
    ],
)  # fmt: skip
def test_graphs_without_a_scale_are_refused(counts: dict[tuple[str, str, Outcome], int], why: str) -> None:
    found = bradley_terry(duels(counts), "a")
    assert isinstance(found, Undefined)
    assert why in found.reason


def people(
    generator: np.random.Generator, skill: float, count: int = 4, items: int = 200
) -> list[dict[Hashable, str]]:
    """Raters who give the true label with probability ``skill``, else one of three at random."""
    truth = generator.integers(0, 3, size=items)
    raters: list[dict[Hashable, str]] = []
    for _ in range(count):
        noise = generator.integers(0, 3, size=items)
        labels = np.where(generator.random(items) < skill, truth, noise)
        raters.append({i: "ab="[k] for i, k in enumerate(labels)})
    return raters


def test_a_judge_as_good_as_people_passes_and_a_coin_does_not() -> None:
    generator = np.random.default_rng(6)
    judge, *humans = people(generator, 0.8)
    found = alt_test(judge, humans)
    assert isinstance(found, AltTest)
    assert found.passed
    assert found.winning_rate == 1.0
    assert found.advantage > 0.7
    coin: dict[Hashable, str] = {i: "ab="[k] for i, k in enumerate(generator.integers(0, 3, size=200))}
    failed = alt_test(coin, humans)
    assert isinstance(failed, AltTest)
    assert not failed.passed


def test_alt_test_by_hand() -> None:
    """Everyone agrees on 40 items but person 3, who never does: the judge ties with 1 and 2, beats 3.

    Persons 1, 2: judge and person equally close, difference 0, spread 0: p = 0 at epsilon .2. All hold.
    """
    same: dict[Hashable, str] = dict.fromkeys(range(40), "a")
    found = alt_test(same, [same, same, dict.fromkeys(range(40), "b")])
    assert isinstance(found, AltTest)
    assert (found.winning_rate, found.advantage, found.people, found.items) == (1.0, 1.0, 3, 120)
    assert found.passed
    assert found.rate_interval.interval == (1.0, 1.0)


def test_alt_test_counts_items_that_a_person_has_not_seen_for_nothing() -> None:
    """All agree wherever they have looked; two people have seen 40 items of 60. An unseen item is no defeat."""
    everything: dict[Hashable, str] = dict.fromkeys(range(60), "a")
    some: list[dict[Hashable, str]] = [dict.fromkeys(range(40), "a"), dict.fromkeys(range(20, 60), "a")]
    found = alt_test(everything, [*some, everything])
    assert isinstance(found, AltTest)
    assert (found.winning_rate, found.items) == (1.0, 140)


def test_alt_test_of_clear_victories_by_hand() -> None:
    """Each of three people is alone wrong in 10 of 32 items: differences -1 there, mean -.3125, variance .2148.

    t = (-.3125 - .2) / sqrt(.2148 / 31) = -6.16, one-sided p 4.0e-7, and after Benjamini and Yekutieli 7.3e-7.
    """
    persons: list[dict[Hashable, str]] = [
        {item: "b" if item // 10 == number else "a" for item in range(32)} for number in range(3)
    ]
    for alpha, rate in ((8e-7, 1.0), (7e-7, 0.0)):
        found = alt_test(dict.fromkeys(range(32), "a"), persons, alpha=alpha)
        assert isinstance(found, AltTest)
        assert found.winning_rate == rate


def test_alt_test_weighs_defeats_and_victories_alike() -> None:
    """32 items. In 8 the judge alone is wrong (+1 for each person); each person alone is wrong in 8 others (-1 for them).

    Each person's differences: mean 0, variance 16 / 32; t = -.2 / sqrt(.5 / 31) = -1.57, one-sided p .063: nobody is beaten.
    """
    judge: dict[Hashable, str] = {item: "b" if item < 8 else "a" for item in range(32)}
    persons: list[dict[Hashable, str]] = [
        {item: "b" if item // 8 == number + 1 else "a" for item in range(32)} for number in range(3)
    ]
    found = alt_test(judge, persons)
    assert isinstance(found, AltTest)
    assert found.winning_rate == 0.0
    assert found.advantage == 0.75


def test_places_begin_with_one_and_equals_share_the_better() -> None:
    """A beats b and c, who beat each other equally often, in 30 prompts; a verdict in ten goes the other way."""
    duels = [
        Duel(first, second, "loss" if prompt % 10 == 0 else "win", prompt)
        for prompt in range(30)
        for first, second in (("a", "b"), ("a", "c"))
    ]
    duels += [Duel("b", "c", "win" if prompt % 2 else "loss", prompt) for prompt in range(30)]
    found = ranks(duels, "b")
    assert sorted(place.value for place in found.values()) == [1, 2, 3]
    assert [found[name].interval for name in "abc"] == [(1, 1), (2, 3), (2, 3)]


def test_a_rank_is_certain_by_the_t_test_of_a_difference_after_bonferroni() -> None:
    """27 of 40: log odds .731, error sqrt(1 / (40 x .675 x .325)) = .338, t 2.17; 26 of 40: t 1.87.

    The limit is 2.02 for two systems (39 degrees of freedom) and 2.28 for three (79), each of which has two differences.
    """

    def between(first: str, second: str, wins: int, start: int = 0) -> list[Duel]:
        return [Duel(first, second, "win" if n < wins else "loss", start + n) for n in range(40)]

    assert [place.interval for place in ranks(between("a", "b", 27), "a").values()] == [(1, 1), (2, 2)]
    assert [place.interval for place in ranks(between("a", "b", 26), "a").values()] == [(1, 2), (1, 2)]
    close = [Duel("a", "b", "win" if n < 11 else "loss", n) for n in range(12)]
    # log odds 2.398, error sqrt(1 / (11 x 11 / 144)), t 2.198, and of 11 degrees of freedom the limit is 2.201
    assert ranks(close, "a")["a"].interval == (1, 2)
    three = ranks([*between("a", "b", 27), *between("b", "c", 36, start=40)], "a")
    assert [three[name].interval for name in "abc"] == [(1, 2), (1, 2), (3, 3)]


def test_alt_test_of_a_scale_by_hand() -> None:
    """People say 2, 3 and 4 of each item. The judge's 3 is nearer to the others than 2 or 4, and equal to 3."""
    votes: list[dict[Hashable, int]] = [dict.fromkeys(range(40), level) for level in (2, 3, 4)]
    found = alt_test(votes[1], votes, closeness="negative RMSE")
    assert isinstance(found, AltTest)
    assert (found.winning_rate, found.advantage) == (1.0, 1.0)
    far = alt_test(dict.fromkeys(range(40), 6), votes, closeness="negative RMSE")
    assert isinstance(far, AltTest)
    assert (far.winning_rate, far.advantage) == (
        0.0,
        0.0,
    )  # |6 - 3| > |2 - 3.5|, and further from the others too
    exact = alt_test(dict.fromkeys(range(40), 6), votes)  # no two people are equal, so nobody is nearer
    assert isinstance(exact, AltTest)
    assert exact.advantage == 1.0


def test_the_interval_of_the_advantage_covers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Truth by one large study; four people of skill .8, a judge of skill .6, 100 items."""
    monkeypatch.setattr(
        "lima.statistics.alt_test.ROUNDS", 2
    )  # of the other interval, which takes nearly all the time
    generator, covered = np.random.default_rng(8), 0

    def draw(items: int) -> AltTest:
        humans = people(generator, 0.8, items=items, count=5)
        noise = generator.random(items) < 0.4
        other = generator.integers(0, 3, size=items)
        judge: dict[Hashable, str] = {
            i: "ab="[other[i]] if noise[i] else str(humans[4][i]) for i in range(items)
        }
        found = alt_test(judge, humans[:4])
        assert isinstance(found, AltTest)
        return found

    truth = draw(20_000).advantage
    for _ in range(400):
        low, high = draw(100).advantage_interval.interval
        covered += low <= truth <= high
    assert 0.92 <= covered / 400 <= 0.98


def test_alt_test_needs_three_people_and_thirty_items() -> None:
    few: dict[Hashable, str] = dict.fromkeys(range(10), "a")
    for count, why in ((2, "fewer than 3 people"), (3, "share 30 items")):
        found = alt_test(few, [few] * count)
        assert isinstance(found, Undefined)
        assert why in found.reason


def test_the_interval_of_the_winning_rate_is_that_of_resampled_t_tests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each resample by scipy's one-sample t test and statsmodels' Benjamini-Yekutieli, on items that are written out again."""
    monkeypatch.setattr("lima.statistics.alt_test.ROUNDS", 200)
    generator = np.random.default_rng(7)
    judge, *humans = people(generator, 0.7, items=60, count=7)
    judge |= dict.fromkeys(range(0, 60, 7), "=")
    found = alt_test(judge, humans, epsilon=0.25, level=0.5, seed=5)
    assert isinstance(found, AltTest)

    def closeness(label: object, item: Hashable, left_out: int) -> float:
        return float(np.mean([label == labels[item] for n, labels in enumerate(humans) if n != left_out]))

    differences = np.array(
        [
            [
                float(closeness(own[i], i, n) >= closeness(judge[i], i, n))
                - float(closeness(judge[i], i, n) >= closeness(own[i], i, n))
                for i in sorted(judge, key=str)
            ]
            for n, own in enumerate(humans)
        ]
    )
    rates = []
    for counts in np.random.default_rng(5).multinomial(60, np.full(60, 1 / 60), size=200):
        p = stats.ttest_1samp(differences.repeat(counts, axis=1), 0.25, axis=1, alternative="less").pvalue
        rates.append(np.mean(multipletests(p, 0.05, method="fdr_by")[0]))
    low, high = np.quantile(rates, [0.25, 0.75])
    assert low < found.winning_rate < high
    assert found.rate_interval.interval == pytest.approx((low, high))
    assert (found.rate_interval.n, found.rate_interval.clusters) == (6, 60)
