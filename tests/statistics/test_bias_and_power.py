"""Side, flip and length figures by hand; power against simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lima.records import Label, Shown
from lima.statistics.bias import Bias, Showing, bias
from lima.statistics.estimates import Estimate, Significance, Undefined
from lima.statistics.power import Design, _adjusted, detectable_gap, power_of, prompts_needed, sign_flip_p
from lima.statistics.significance import holm, sign_flip_test


def showing(item: int, shown: Shown | None, label: Label, a: int = 10, b: int = 20) -> Showing:
    return Showing(item, f"prompt {item}", shown, label, 0, a, b)


def shares(found: Bias) -> dict[str, tuple[float, int]]:
    return {
        name: (result.value, result.n)
        for name in ("side", "flip", "inconsistent", "longer")
        if isinstance(result := getattr(found, name), Estimate)
    }


def test_bias_by_hand() -> None:
    """Item 1 steady for b (longer), item 2 always the first shown, item 3 side and tie, item 4 one order."""
    found = bias([
        showing(1, "ab", "b"), showing(1, "ba", "b"),
        showing(2, "ab", "a"), showing(2, "ba", "b"),
        showing(3, "ab", "tie"), showing(3, "ba", "a"),
        showing(4, "ab", "a", a=5, b=5),
    ])  # fmt: skip
    # decided: 1ab b second, 1ba b first, 2ab a first, 2ba b first, 3ba a second, 4ab a first
    assert shares(found) == {
        "side": (4 / 6, 6), "flip": (1 / 3, 3), "inconsistent": (2 / 3, 3), "longer": (3 / 5, 5),
    }  # fmt: skip
    assert (found.follows_first, found.follows_second) == (1, 0)


def test_an_unknown_order_says_nothing_of_sides() -> None:
    """As imported verdicts have it: no share of sides, no flip; length is known all the same."""
    found = bias([showing(k, None, "a" if k < 8 else "b", a=9, b=5) for k in range(10)])
    assert isinstance(found.side, Undefined)
    assert "order" in found.side.reason
    assert isinstance(found.flip, Undefined)
    assert shares(found) == {"longer": (0.8, 10)}


def test_no_decided_verdict() -> None:
    found = bias([showing(1, "ab", "tie")])
    assert isinstance(found.side, Undefined)
    assert isinstance(found.flip, Undefined)
    assert isinstance(found.longer, Undefined)


@pytest.mark.parametrize("prompts", [20, 50, 300])
def test_what_is_promised_is_what_the_report_s_test_finds(prompts: int) -> None:
    """Other studies than those of the promise, each with the test of the report: 80 % +- 2 are found."""
    gap = detectable_gap(Design(prompts))
    assert gap is not None
    wins, losses = (0.7 + gap) / 2, max(0.0, (0.7 - gap) / 2)
    counts = np.random.default_rng(11).multinomial(prompts, [wins, 0.3, losses], size=10_000)
    table = {
        (w, lost): sign_flip_test([1] * w + [-1] * lost) for w, _, lost in {tuple(row) for row in counts}
    }
    found = [w > lost and _p(table[w, lost]) < 0.05 for w, _, lost in counts]
    assert np.mean(found) == pytest.approx(0.8, abs=0.02)


def test_power_of_several_samples_and_baselines() -> None:
    """40 prompts with three samples, two baselines: verdicts of one prompt share its lead."""
    design = Design(40, ties=0.2, flips=0.1, samples=3, correlation=0.4, family=2)
    gap, generator = 0.35, np.random.default_rng(12)
    hits = 0
    for _ in range(1_500):
        tests = []
        for real in (gap, 0.0):
            shares = np.array([(0.7 + real) / 2, 0.3, (0.7 - real) / 2])
            own = generator.dirichlet(shares * (0.6 / 0.4), size=40)
            drawn = generator.multinomial(3, own)
            tests.append(sign_flip_test((drawn[:, 0] - drawn[:, 2]).tolist()))
        first = holm(tests)[0]
        assert isinstance(first, Significance)
        assert first.adjusted is not None
        hits += first.adjusted < 0.05
    assert power_of(gap, design).value == pytest.approx(
        hits / 1_500, abs=3 * (0.25 / 1_500 + 0.25 / 4_000) ** 0.5
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=40))
def test_many_sign_flip_tests_at_once_equal_one_by_one(differences: list[int]) -> None:
    sizes = np.array([[sum(abs(d) == k for d in differences) for k in range(1, 5)]])
    found = sign_flip_p(sizes, np.array([abs(sum(differences))]))[0]
    assert found == pytest.approx(_p(sign_flip_test(differences)), abs=1e-9)


def test_the_normal_form_for_many_differences_is_close() -> None:
    differences = [1] * 45 + [-1] * 30 + [2] * 20 + [-2] * 12
    sizes = np.array([[75, 32]])
    exact = _p(sign_flip_test(differences))
    assert sign_flip_p(sizes, np.array([sum(differences)]))[0] == pytest.approx(exact, abs=1e-3)


def _p(test: Significance | Undefined) -> float:
    return test.p if isinstance(test, Significance) else 1.0


def test_prompts_needed_is_near_the_normal_approximation_and_simulated() -> None:
    """(1.95996 + 0.84162)^2 (0.7 - 0.1^2) / 0.1^2 = 542; the exact test asks for a few more."""
    needed = prompts_needed(0.10, Design(1))
    assert 542 <= needed <= 542 * 1.08
    found = power_of(0.10, Design(needed, seed=5))
    assert found.value == pytest.approx(0.8, abs=0.02)
    assert found.error == pytest.approx((0.8 * 0.2 / 4_000) ** 0.5, rel=0.05)


def test_prompts_needed_with_several_samples_and_tests() -> None:
    """Four alike samples a prompt, three tests: far from one sample and one test, and 80 % of other studies find it all the same."""
    design = Design(1, samples=4, correlation=0.6, family=3, rounds=1_000)
    needed = prompts_needed(0.2, design)
    found = power_of(0.2, Design(needed, samples=4, correlation=0.6, family=3, seed=5))
    assert found.value == pytest.approx(0.8, abs=0.05)
    assert needed > prompts_needed(0.2, Design(1, samples=4, correlation=0.6, rounds=1_000))


def test_a_test_beside_others_is_adjusted_by_holm() -> None:
    """Beside .01 and .02, .03 is the last of three: max(3 x .01, 2 x .02, .03) = .04; .005 is the first: 3 x .005."""
    p = np.array([0.03, 0.005])
    assert _adjusted(p, np.array([[0.01, 0.01], [0.02, 0.02]])) == pytest.approx([0.04, 0.015])
    assert _adjusted(p, np.empty((0, 2))) == pytest.approx(p)


def test_a_gap_that_is_always_found_has_the_error_of_one_study() -> None:
    found = power_of(0.7, Design(300, rounds=500))
    assert found.value == 1.0
    assert found.error == pytest.approx(1 / 500)


def test_a_gap_that_no_number_of_wins_shows_is_none() -> None:
    """Five prompts: even five wins have p = 1/16."""
    assert detectable_gap(Design(5)) is None
    assert detectable_gap(Design(300, ties=0.7, flips=0.3)) is None


@pytest.mark.parametrize("gap", [0.0, 0.8])
def test_impossible_gaps(gap: float) -> None:
    with pytest.raises(ValueError, match="above 0 and at most"):
        prompts_needed(gap, Design(1))


@pytest.mark.parametrize("wrong", [{"ties": 1.5}, {"alpha": 0.0}, {"prompts": 0}, {"correlation": -0.1}])
def test_impossible_designs(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must lie between|below 1"):
        Design(**({"prompts": 10} | wrong))  # type: ignore[arg-type]


def test_uncorrelated_samples_are_worth_as_many_prompts() -> None:
    """Three independent verdicts on each of 100 prompts tell what 300 prompts tell."""
    three = power_of(0.15, Design(prompts=100, samples=3, correlation=0.0))
    assert three.value == pytest.approx(power_of(0.15, Design(prompts=300)).value, abs=0.04)


@pytest.mark.parametrize("sizes", [[[4]], [[30, 30]], [[2, 1]]])
def test_a_sum_of_nothing_has_p_1(sizes: list[list[int]]) -> None:
    """By the sign test, by the normal distribution, and exactly."""
    assert sign_flip_p(np.array(sizes), np.array([0])).tolist() == [1.0]
