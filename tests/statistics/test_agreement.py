"""Agreement and reliability against published tables and statsmodels."""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss

from lima.records import Label
from lima.statistics.agreement import Rated, agreement_matrix, tie_discounted_accuracy
from lima.statistics.bootstrap import Resampling
from lima.statistics.estimates import Estimate, Result, Undefined
from lima.statistics.few_items import fisher_jackknife, posterior_interval
from lima.statistics.reliability import (
    Ratings,
    agreement_weights,
    cohen_kappa,
    fleiss_kappa,
    gwet,
    krippendorff_alpha,
)

FEW = Resampling(rounds=500)


def value_of(result: object) -> float:
    assert isinstance(result, Estimate), result
    return result.value


# -- tie-discounted accuracy ---------------------------------------------------------------------------


def test_credit_for_every_pair_of_labels() -> None:
    expected = {
        ("a", "a"): 1, ("b", "b"): 1, ("tie", "tie"): 1, ("a", "b"): 0,
        ("a", "tie"): 0.5, ("b", "tie"): 0.5,
    }  # fmt: skip
    for (x, y), credit in expected.items():
        assert tie_discounted_accuracy([x], [y]) == tie_discounted_accuracy([y], [x]) == credit  # type: ignore[list-item]


def test_empty_and_unequal_sequences_are_errors() -> None:
    with pytest.raises(ValueError, match="at least one"):
        tie_discounted_accuracy([], [])
    with pytest.raises(ValueError, match="shorter"):
        tie_discounted_accuracy(["a", "b"], ["a"])


def rated(rater: str, labels: dict[str, Label]) -> list[Rated]:
    return [Rated(item, f"prompt of {item}", rater, label) for item, label in labels.items()]


def test_matrix_between_and_within_groups() -> None:
    """Crowd: two raters share items 1 and 2 (equal; side and tie). Judge against crowd, by item:
    1: (1 + 1) / 2, 2: (0 + 1/2) / 2, 3: 1/2 -> (1 + 0.25 + 0.5) / 3.
    """
    crowd = [
        *rated("crowd:01", {"1": "a", "2": "a", "3": "tie"}),
        *rated("crowd:02", {"1": "a", "2": "tie"}),
    ]
    judge = rated("judge:m@1", {"1": "a", "2": "b", "3": "b", "4": "a"})
    cells = {
        (x.first, x.second): x for x in agreement_matrix({"crowd": crowd, "judge": judge}, resampling=FEW)
    }
    assert value_of(cells["crowd", "crowd"].accuracy) == pytest.approx(0.75)
    assert value_of(cells["crowd", "crowd"].strict) == pytest.approx(0.5)
    assert value_of(cells["crowd", "judge"].accuracy) == pytest.approx(1.75 / 3)
    assert value_of(cells["crowd", "judge"].strict) == pytest.approx(1 / 3)  # equal labels alone: item 1
    assert (cells["crowd", "judge"].items, cells["crowd", "judge"].pairs) == (3, 5)
    assert isinstance(cells["judge", "judge"].accuracy, Undefined)
    assert cells["judge", "judge"].chance is None


def test_the_chance_level_is_the_mean_over_all_pairs_of_independent_raters() -> None:
    """Ten items, labels a, b and tie in 5, 2 and 3 of them by x, and in 1, 6 and 3 by y: all 100 pairs of a label of each."""
    labels: list[Label] = ["a", "b", "tie"]
    x, y = (np.repeat(labels, times).tolist() for times in ((5, 2, 3), (1, 6, 3)))
    groups = {
        name: rated(name, dict(zip("abcdefghij", said, strict=True))) for name, said in (("x", x), ("y", y))
    }
    mean = np.mean([tie_discounted_accuracy([one], [two]) for one in x for two in y])
    assert agreement_matrix(groups, resampling=FEW)[1].chance == pytest.approx(mean)


def test_repeats_of_one_rater_are_no_pair() -> None:
    twice = [*rated("crowd:01", {"1": "a"}), *rated("crowd:01", {"1": "b"})]
    (cell,) = agreement_matrix({"crowd": twice}, resampling=FEW)
    assert cell.pairs == 0


def test_full_agreement_has_a_wilson_interval() -> None:
    groups = {
        "x": rated("x", {str(i): "a" for i in range(50)}),
        "y": rated("y", {str(i): "a" for i in range(50)}),
    }
    cell = agreement_matrix(groups, resampling=FEW)[1]
    assert isinstance(cell.accuracy, Estimate)
    assert cell.accuracy.interval == pytest.approx((0.929, 1.0), abs=5e-4)  # Wilson for 50 of 50
    assert cell.chance == 1.0


@pytest.mark.slow
def test_the_interval_covers() -> None:
    """Truth: rater two repeats rater one with probability .6, else says one of three at random: .6 + .4 / 3
    exact matches, plus half of the pairs with one tie (.4 * 4/9 * 1/2): .8222.
    """
    truth, covered, draws = 0.6 + 0.4 / 3 + 0.4 * 4 / 9 / 2, 0, 2_000
    generator = np.random.default_rng(5)
    names: list[Label] = ["a", "b", "tie"]
    for draw in range(draws):
        one = generator.integers(0, 3, size=80)
        two = np.where(generator.random(80) < 0.6, one, generator.integers(0, 3, size=80))
        groups = {
            name: rated(name, {str(i): names[k] for i, k in enumerate(data)})
            for name, data in (("x", one), ("y", two))
        }
        accuracy = agreement_matrix(groups, resampling=Resampling(rounds=400, seed=draw))[1].accuracy
        assert isinstance(accuracy, Estimate)
        covered += accuracy.interval[0] <= truth <= accuracy.interval[1]
    assert 0.935 <= covered / draws <= 0.965


# -- chance-corrected coefficients ---------------------------------------------------------------------

# fmt: off
FOUR_RATERS: Ratings = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
# fmt: on
"""Krippendorff 2011, section C: four observers, twelve units, missing data; Gwet's handbook uses it too."""
FIVE = [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("measurement", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_krippendorff_published(measurement: str, published: float) -> None:
    found = krippendorff_alpha(FOUR_RATERS, FIVE, measurement=measurement)  # type: ignore[arg-type]
    assert round(value_of(found), 3) == published


def test_gwet_and_fleiss_published() -> None:
    """Gwet 2014 on the same table: AC1 0.77544, Fleiss 0.76117."""
    assert value_of(gwet(FOUR_RATERS, FIVE)) == pytest.approx(0.77544, abs=5e-6)
    assert value_of(fleiss_kappa(FOUR_RATERS, FIVE)) == pytest.approx(0.76117, abs=5e-6)


def test_fleiss_equals_statsmodels() -> None:
    generator = np.random.default_rng(3)
    truth = generator.integers(0, 3, size=40)
    data = np.where(generator.random((4, 40)) < 0.6, truth, generator.integers(0, 3, size=(4, 40)))
    table = np.stack([(data == k).sum(axis=0) for k in range(3)], axis=1)
    found = fleiss_kappa(data.tolist(), [0, 1, 2])
    assert value_of(found) == pytest.approx(statsmodels_fleiss(table))


def test_cohen_equals_statsmodels() -> None:
    generator = np.random.default_rng(4)
    first = generator.integers(0, 3, size=60)
    second = np.where(generator.random(60) < 0.5, first, generator.integers(0, 3, size=60))
    table = np.zeros((3, 3))
    np.add.at(table, (first, second), 1)
    expected = cohens_kappa(table)
    found = cohen_kappa(first.tolist(), second.tolist(), [0, 1, 2])
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(expected.kappa)
    # Their error, with our quantile (t) and scale (Fisher's): a jackknife sees the same spread.
    half = stats.t.ppf(0.975, 59) * expected.std_kappa / (1 - expected.kappa**2)
    theirs = np.tanh(np.arctanh(expected.kappa) + np.array([-half, half]))
    assert found.interval == pytest.approx(tuple(theirs), abs=0.015)


def test_ac2_by_brute_force() -> None:
    """Linear weights, complete table: credit 1 - |x - y| / 2 over all pairs of raters."""
    data = [[0, 1, 2, 2, 1], [0, 2, 2, 1, 1], [0, 1, 1, 2, 2]]
    pairs = [1 - abs(x[i] - y[i]) / 2 for i in range(5) for x, y in combinations(data, 2)]
    shares = np.bincount(np.ravel(data)) / 15
    weights = agreement_weights(3, "linear")
    chance = weights.sum() / 6 * (shares * (1 - shares)).sum()
    expected = (np.mean(pairs) - chance) / (1 - chance)
    assert value_of(gwet(data, [0, 1, 2], weights="linear")) == pytest.approx(expected)


def test_weights_and_names_of_gwet_s_coefficients() -> None:
    assert agreement_weights(1, "linear").tolist() == [[1.0]]
    assert agreement_weights(2, "linear").tolist() == np.eye(2).tolist()
    assert agreement_weights(3, "linear")[0].tolist() == [1.0, 0.5, 0.0]
    assert agreement_weights(3, "quadratic")[0].tolist() == [1.0, 0.75, 0.0]
    assert gwet([[0, 1] * 6, [0, 1] * 6], [0, 1]).method.startswith("Gwet's AC1")
    ordered = gwet([[0, 1] * 6, [0, 1] * 6], [0, 1], weights="linear")
    assert ordered.method.startswith("Gwet's AC2, linear weights")


def test_ac1_stays_high_where_kappa_collapses() -> None:
    """118 joint "fail", 5 + 2 mixed, 0 joint "pass": 94 % agreement, kappa below 0, AC1 about .94."""
    first = ["fail"] * 118 + ["fail"] * 5 + ["pass"] * 2
    second = ["fail"] * 118 + ["pass"] * 5 + ["fail"] * 2
    kappa = cohen_kappa(first, second, ["fail", "pass"])
    assert value_of(kappa) < 0
    assert value_of(gwet([first, second], ["fail", "pass"])) == pytest.approx(0.94, abs=0.005)


def test_degenerate_tables_say_why() -> None:
    same: Ratings = [["fail"] * 4, ["fail"] * 4]
    alone: Ratings = [["fail", None], [None, "pass"]]
    for table, why in ((same, "all ratings are equal"), (alone, "no item has two ratings")):
        for result in (
            krippendorff_alpha(table, ["fail", "pass"]),
            fleiss_kappa(table, ["fail", "pass"]),
            gwet(table, ["fail", "pass"]),
        ):
            assert isinstance(result, Undefined)
            assert why in result.reason
    assert isinstance(cohen_kappa([], [], ["fail", "pass"]), Undefined)
    assert isinstance(cohen_kappa(["fail"], ["fail"], ["fail", "pass"]), Undefined)


def plain(kappa: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Under the model of few items kappa and alpha are the squared share of known labels."""
    return kappa


def ac1(kappa: np.ndarray, share: np.ndarray) -> np.ndarray:
    """AC1 of two labels under that model: chance is 2 p (1 - p)."""
    chance = 2 * share * (1 - share)
    observed = kappa + (1 - kappa) * (1 - chance)
    return np.asarray((observed - chance) / (1 - chance))


def from_few(name: str, pairs: list[tuple[str, str]], clusters: list[int] | None = None) -> Result:
    first, second = [x for x, _ in pairs], [y for _, y in pairs]
    if name == "kappa":
        return cohen_kappa(first, second, ["a", "b"], clusters=clusters)
    figure = krippendorff_alpha if name == "alpha" else gwet
    return figure([first, second], ["a", "b"], clusters=clusters)


FEW_PAIRS = [("a", "a")] * 26 + [("b", "b")] * 3 + [("a", "b")]
"""30 items, 4 with the rarer label, all but one in agreement."""


@pytest.mark.parametrize("by_prompt", [False, True])
@pytest.mark.parametrize(("name", "model"), [("kappa", plain), ("alpha", plain), ("gwet", ac1)])
def test_an_interval_from_few_items_of_two_labels_is_by_the_model(
    name: str, model: Callable[..., np.ndarray], by_prompt: bool
) -> None:
    """An item of a prompt counts less by the ratio of two jackknives' spreads, at least 1, and by the quantiles of t."""
    clusters = [item // 2 for item in range(30)] if by_prompt else None

    def without(groups: list[int]) -> np.ndarray:
        left = [[n for n in range(30) if groups[n] != group] for group in sorted(set(groups))]
        return np.array([value_of(from_few(name, [FEW_PAIRS[n] for n in rows])) for rows in left])

    items, prompts = without(list(range(30))), without(clusters or list(range(30)))
    design = max(1.0, float(((prompts - prompts.mean()) ** 2).sum() / ((items - items.mean()) ** 2).sum()))
    assert design < 1.9
    found = from_few(name, FEW_PAIRS, clusters)
    assert isinstance(found, Estimate)
    tails = stats.norm.ppf(0.975) / stats.t.ppf(0.975, 14) if by_prompt else 1.0
    likely = posterior_interval(counted(FEW_PAIRS, "ab"), 0.95, weight=tails**2 / design, coefficient=model)
    assert found.interval == pytest.approx(likely)
    assert likely[0] < found.value < likely[1]


def counted(pairs: Sequence[tuple[str, str]], labels: Sequence[str]) -> np.ndarray:
    return np.array([[float(pair.count(label)) for label in labels] for pair in pairs])


def test_of_three_labels_the_model_knows_those_that_are_equally_far_apart() -> None:
    """Names: the model. Steps: of 20 items 3 disagree, the hull of jackknife and model; 8, the jackknife alone."""
    for differing, measurement, expected in (
        (3, "nominal", "posterior"),
        (8, "nominal", "posterior"),
        (3, "interval", "hull"),
        (8, "interval", "jackknife"),
    ):
        first = ["1"] * 10 + ["2"] * 6 + ["3"] * 4
        second = ["2"] * differing + first[differing:]

        def alpha(rows: Sequence[Sequence[str]], measurement: Any = measurement) -> Result:
            return krippendorff_alpha(rows, ["1", "2", "3"], measurement=measurement)

        found = alpha([first, second])
        assert isinstance(found, Estimate)
        left = [[x[:k] + x[k + 1 :] for x in (first, second)] for k in range(20)]
        low, high = fisher_jackknife(found.value, np.array([value_of(alpha(rows)) for rows in left]), 0.95)
        pairs = list(zip(first, second, strict=True))
        model = posterior_interval(counted(pairs, "123"), 0.95, weight=1.0, coefficient=plain)
        hull = min(low, model[0]), max(high, model[1])
        limits = {"posterior": model, "hull": hull, "jackknife": (low, high)}[expected]
        assert found.interval == pytest.approx(limits)
        assert found.method.split("; ")[1].startswith(expected)


def test_where_few_items_disagree_the_model_stands_however_many_there_are() -> None:
    """60 items, half of each label: five disagreements tell a jackknife too little, six are enough."""
    for differing, method in ((5, "posterior"), (6, "jackknife")):
        pairs = [("a", "a")] * 30 + [("b", "b")] * (30 - differing) + [("a", "b")] * differing
        found = from_few("alpha", pairs)
        assert isinstance(found, Estimate)
        assert found.method.split("; ")[1].startswith(method)


def test_perfect_agreement_by_prompt_has_an_interval_from_few_items() -> None:
    """No item changes the coefficient, so nothing tells how alike those of one prompt are: as if they were independent."""
    pairs, clusters = [("a", "a")] * 36 + [("b", "b")] * 4, [item // 2 for item in range(40)]
    found = from_few("kappa", pairs, clusters)
    weight = (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 19)) ** 2
    likely = posterior_interval(counted(pairs, "ab"), 0.95, weight=weight, coefficient=plain)
    assert isinstance(found, Estimate)
    assert found.interval == pytest.approx((likely[0], 1))
