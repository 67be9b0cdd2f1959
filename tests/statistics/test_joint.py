"""One estimate from people and a judge: by hand, against its published implementation, and by what it must never do."""

import importlib.util
import json
import os
import subprocess
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lima.statistics.estimates import Estimate, Undefined
from lima.statistics.joint import Joint, draw_sample, inclusion, joint_mean
from lima.statistics.joint_power import JointDesign, cheapest, correlation


def plain(people: Sequence[float | None], judge: Sequence[float | None], chance: float = 0.5) -> Joint:
    """Every unit is a prompt of its own, all drawn alike."""
    n = sum(vote is not None for vote in people)
    return joint_mean(people, judge, [chance] * len(people), range(len(people)), votes=n, limits=(-1, 1))


def drawn_study(
    seed: int, n: int = 200, voted: int = 40, skill: float = 1.0
) -> tuple[list[float | None], list[float]]:
    generator = np.random.default_rng(seed)
    lead = generator.normal(0.3, 1, n)
    judge = np.sign(np.round(skill * lead + generator.normal(size=n)))
    votes = np.sign(np.round(lead))
    chosen = set(generator.permutation(n)[:voted].tolist())
    return [float(vote) if k in chosen else None for k, vote in enumerate(votes)], judge.tolist()


def test_by_hand() -> None:
    """Four voted of eight. Votes 1, 1, 0, -1 mean 1/4; the judge says 1, 0, 0, -1 there and means 1/2 over all."""
    found = plain([1, 1, 0, -1, None, None, None, None], [1, 0, 0, -1, 1, 1, 1, 1])
    assert isinstance(found.both, Estimate)
    assert isinstance(found.alone, Estimate)
    assert found.alone.value == pytest.approx(0.25)
    assert found.both.value == pytest.approx(0.25 + found.tuning * (0.5 - 0.0))
    # The tuning makes smallest the sum over units of ((v / 4)(Y - 1/4) + t ((f - 1/2) / 8 - (v / 4)(f - 0)))^2.
    votes, judge = np.array([1, 1, 0, -1, 0, 0, 0, 0.0]), np.array([1, 0, 0, -1, 1, 1, 1, 1.0])
    v = np.array([1.0] * 4 + [0.0] * 4)
    a, b = v / 4 * (votes - 0.25), (judge - 0.5) / 8 - v / 4 * judge
    grid = np.linspace(-3, 3, 60001)
    best = grid[((a + grid[:, None] * b) ** 2).sum(axis=1).argmin()]
    assert found.tuning == pytest.approx(best, abs=2e-4)
    assert found.both.low is None  # four prompts are too few for an interval
    assert found.both.n == 4


def test_the_interval_is_that_of_leaving_out_each_prompt() -> None:
    """60 prompts of which 15 were voted on: each is left out in turn, and the whole estimate, its tuning too, made anew."""
    people, judge = drawn_study(7, n=60, voted=15)
    found = plain(people, judge, chance=0.25).both
    without = [
        plain(people[:k] + people[k + 1 :], judge[:k] + judge[k + 1 :], chance=0.25).both for k in range(60)
    ]
    values = np.array([one.value for one in without if isinstance(one, Estimate)])
    assert isinstance(found, Estimate)
    half = stats.t.ppf(0.975, 14) * np.sqrt(59 / 60 * ((values - values.mean()) ** 2).sum())
    assert found.interval == pytest.approx((found.value - half, found.value + half))


def test_a_judge_that_says_what_people_say_is_worth_many_votes() -> None:
    people, _ = drawn_study(1)
    generator = np.random.default_rng(1)
    truth = np.sign(np.round(generator.normal(0.3, 1, 200)))  # the first draw of the study: all votes
    found = plain(people, truth.tolist(), chance=0.2)
    assert found.tuning == pytest.approx(1, abs=0.05)
    assert isinstance(found.both, Estimate)
    assert found.both.value == pytest.approx(truth.mean(), abs=0.01)
    assert found.worth is not None
    assert found.worth > 150


def test_all_voted_is_people_alone() -> None:
    people, judge = drawn_study(2, voted=200)
    found = plain(people, judge, chance=1.0)
    assert found.both.__dict__ | {"method": ""} == found.alone.__dict__ | {"method": ""}
    assert found.worth == 200


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-3, 3), st.floats(0.1, 5))
def test_only_what_the_judge_tells_apart_counts(seed: int, shift: float, factor: float) -> None:
    """Another zero and unit of the judge's scale change nothing, nor does a scale that is turned around."""
    people, judge = drawn_study(seed)
    first = plain(people, judge)
    for sign in (1, -1):
        second = plain(people, [sign * factor * score + shift for score in judge])
        assert isinstance(first.both, Estimate)
        assert isinstance(second.both, Estimate)
        assert second.both.interval == pytest.approx(first.both.interval, abs=1e-8)


def test_weights_undo_the_draw() -> None:
    """Ties are drawn three times as often: unweighted votes are biased towards 0, weighted ones are not."""
    generator = np.random.default_rng(5)
    plain_means, weighted = [], []
    for _ in range(300):
        votes = generator.choice([1.0, 0.0, -1.0], p=[0.5, 0.4, 0.1], size=200)
        chances = inclusion([3.0 if vote == 0 else 1.0 for vote in votes], 60)
        chosen = set(draw_sample(chances, generator))
        people = [float(vote) if k in chosen else None for k, vote in enumerate(votes)]
        found = joint_mean(people, [0.0] * 200, chances, range(200), votes=60, limits=(-1, 1))
        assert isinstance(found.both, Estimate)
        weighted.append(found.both.value)
        plain_means.append(float(np.mean([vote for vote in people if vote is not None])))
    assert np.mean(weighted) == pytest.approx(0.4, abs=0.02)
    assert np.mean(plain_means) < 0.3


def test_votes_on_one_prompt_are_no_votes_on_many() -> None:
    """The same votes thrice on each prompt: as much is known as from one."""
    people, judge = drawn_study(3, n=120, voted=40)
    once = plain(people, judge)
    thrice = joint_mean(people * 3, judge * 3, [0.5] * 360, [*range(120)] * 3, votes=120, limits=(-1, 1))
    assert isinstance(once.both, Estimate)
    assert isinstance(thrice.both, Estimate)
    assert thrice.both.interval == pytest.approx(once.both.interval)
    assert (thrice.both.n, thrice.both.clusters) == (120, 40)


def test_where_there_is_nothing_to_say_it_says_so() -> None:
    nobody = plain([None] * 30, [1.0] * 30)
    assert isinstance(nobody.both, Undefined)
    assert (nobody.tuning, nobody.worth, nobody.verdicts) == (0, None, 30)
    alike = plain([1.0] * 15 + [None] * 15, [1.0] * 30)
    assert isinstance(alike.both, Estimate)
    assert alike.both.low is None
    missing = plain([*drawn_study(4)[0]], [None] * 200)
    assert missing.verdicts == 0
    assert missing.tuning == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(1, 20), min_size=1, max_size=40), st.integers(1, 50), st.integers(0, 99))
def test_samples_have_their_size_and_their_chances(sizes: list[float], wanted: int, seed: int) -> None:
    chances = inclusion(sizes, wanted)
    assert sum(chances) == pytest.approx(min(wanted, len(sizes)))
    assert all(0 < chance <= 1 for chance in chances)
    drawn = draw_sample(chances, np.random.default_rng(seed))
    assert len(drawn) == len(set(drawn)) == min(wanted, len(sizes))
    assert {k for k, chance in enumerate(chances) if chance == 1} <= set(drawn)


@pytest.mark.slow
@pytest.mark.parametrize("judge", ["useless", "by length"])
def test_a_poor_judge_costs_no_more_than_a_tenth(judge: str) -> None:
    from benchmarks import coverage

    generator = np.random.default_rng(11)
    wider = []
    for _ in range(300):
        found = coverage._joint(coverage._drawn(generator, judge, 1, 30, 1.0))
        assert isinstance(found.both, Estimate)
        assert isinstance(found.alone, Estimate)
        wider.append(np.diff(found.both.interval)[0] / np.diff(found.alone.interval)[0])
    assert np.mean(wider) < 1.1


@pytest.mark.parametrize(("skill", "voted"), [(0.4, 40), (1.5, 40), (1.5, 100)])
def test_the_width_that_is_promised_is_the_one_that_comes(skill: float, voted: int) -> None:
    widths, pairs = [], []
    for seed in range(60):
        people, judge = drawn_study(seed, n=300, voted=voted, skill=skill)
        found = plain(people, judge, chance=voted / 300)
        assert isinstance(found.both, Estimate)
        widths.append(np.diff(found.both.interval)[0] / 2)
        pairs += [(vote, score) for vote, score in zip(people, judge, strict=True) if vote is not None]
    votes, scores = np.array(pairs).T
    design = JointDesign(float(votes.var()), correlation(votes.tolist(), scores.tolist()))
    assert np.mean(widths) == pytest.approx(design.half_width(voted, 300), rel=0.07)


@pytest.mark.parametrize("prices", [(1.0, 0.0), (1.0, 0.2), (2.0, 0.3), (0.5, 2.0)])
def test_no_mix_is_cheaper(prices: tuple[float, float]) -> None:
    design, (vote, verdict) = JointDesign(0.7, 0.8), prices
    found = cheapest(0.2, design, units=150, vote_price=vote, verdict_price=verdict)
    assert found is not None
    assert found.half_width <= 0.2
    every = [
        m * vote + k * verdict
        for m in range(10, 151)
        for k in (0, *range(m, 151))
        if design.half_width(m, k) <= 0.2
    ]
    assert found.cost == pytest.approx(min(every))
    assert cheapest(0.01, design, units=150, vote_price=1, verdict_price=0) is None


def test_the_width_of_votes_and_verdicts_by_hand() -> None:
    """Of a variance of .7 the judge explains .64: .36 / 50 + .64 / 200 with 50 votes and 200 verdicts, 1 / 50 without any."""
    design = JointDesign(0.7, 0.8, level=0.9)
    t = stats.t.ppf(0.95, 49)
    assert design.half_width(50, 200) == pytest.approx(t * np.sqrt(0.7 * (0.36 / 50 + 0.64 / 200)))
    assert design.half_width(50, 0) == pytest.approx(t * np.sqrt(0.7 / 50))
    assert design.half_width(1, 0) == pytest.approx(stats.t.ppf(0.95, 1) * np.sqrt(0.7))
    assert design.worth(50, 200) == round(50 / (0.36 + 0.64 * 50 / 200)) == 96
    assert JointDesign(0.7, 0.0).worth(50, 200) == 50


PPI = """
import json, sys
import numpy as np
from ppi_py import ppi_mean_ci, ppi_mean_pointestimate
given = json.load(sys.stdin)
y, f, rest = (np.array(given[name]) for name in ("y", "f", "rest"))
tuning = given["tuning"]
point = float(np.squeeze(ppi_mean_pointestimate(y, f, rest, lam=tuning)))
own = float(np.squeeze(ppi_mean_pointestimate(y, f, rest)))
low, high = (float(np.squeeze(x)) for x in ppi_mean_ci(y, f, rest, alpha=0.05, lam=tuning))
print(json.dumps({"point": point, "own": own, "low": low, "high": high}))
"""


@pytest.mark.acceptance
@pytest.mark.parametrize("seed", range(5))
def test_it_equals_ppi_python_where_both_apply(seed: int) -> None:
    """No clusters, equal chances. Theirs keeps voted units out of the judge's mean: its tuning is ours times N / (n + N).

    With one tuning the estimates are equal; each finds its own from moments that differ in O(1 / n); their interval
    takes normal quantiles, ours those of t.
    """
    python = os.environ.get("LIMA_PPI_PYTHON", "")
    if not python and importlib.util.find_spec("ppi_py") is None:
        pytest.skip("LIMA_PPI_PYTHON names no Python with ppi-python (pip install ppi-python)")
    people, judge = drawn_study(seed, n=600, voted=200)
    found = plain(people, judge, chance=1 / 3)
    assert isinstance(found.both, Estimate)
    voted = [k for k, vote in enumerate(people) if vote is not None]
    given = {
        "y": [people[k] for k in voted],
        "f": [judge[k] for k in voted],
        "rest": [judge[k] for k, vote in enumerate(people) if vote is None],
        "tuning": found.tuning * 400 / 600,
    }
    run = subprocess.run(
        [python or "python", "-c", PPI], input=json.dumps(given), text=True, capture_output=True, check=True
    )
    theirs = json.loads(run.stdout)
    low, high = found.both.interval
    assert found.both.value == pytest.approx(theirs["point"], abs=1e-12)
    assert found.both.value == pytest.approx(theirs["own"], abs=0.05 * (high - low))
    assert high - low == pytest.approx(theirs["high"] - theirs["low"], rel=0.06)
