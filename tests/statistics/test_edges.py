"""Limits and defaults at which a slip would go unseen elsewhere; each was left alive by `make mutants`."""

import numpy as np
import pytest
from scipy import stats

from lima.statistics.alt_test import SMALLEST_ITEMS, AltTest, Labels, alt_test
from lima.statistics.bias import Showing, bias
from lima.statistics.bootstrap import bca_tails
from lima.statistics.estimates import Estimate, Significance, Undefined
from lima.statistics.power import Design, detectable_gap
from lima.statistics.significance import holm, holm_step, sign_flip_test


def test_thirty_shared_items_are_enough_for_the_alternative_annotator_test() -> None:
    def labels(count: int) -> Labels:
        return dict.fromkeys(range(count), "a")

    enough = alt_test(labels(SMALLEST_ITEMS), [labels(SMALLEST_ITEMS)] * 3)
    assert isinstance(enough, AltTest)
    assert enough.items == 3 * SMALLEST_ITEMS
    assert isinstance(alt_test(labels(SMALLEST_ITEMS - 1), [labels(SMALLEST_ITEMS - 1)] * 3), Undefined)


def test_bias_is_given_with_intervals_of_95_per_cent() -> None:
    found = bias([Showing(n, n, "ab", "a" if n % 3 else "b") for n in range(30)])
    assert isinstance(found.side, Estimate)
    assert found.side.level == 0.95


def test_lists_are_counted_where_one_answer_alone_has_one() -> None:
    """A list in a that wins, in b that wins, in b that loses: 2 of 3. With a list in both, or a tie, nothing is counted."""
    found = bias(
        [
            Showing(1, 1, "ab", "a", list_a=True),
            Showing(2, 2, "ab", "b", list_b=True),
            Showing(3, 3, "ab", "a", list_b=True),
            Showing(4, 4, "ab", "a", list_a=True, list_b=True),
            Showing(5, 5, "ab", "tie", list_a=True),
        ]
    )
    assert isinstance(found.listed, Estimate)
    assert found.listed.value == pytest.approx(2 / 3)
    assert found.listed.n == 3
    assert isinstance(found.longer, Undefined)  # no lengths are given, and so none differ


def test_draws_that_tie_with_the_value_count_half() -> None:
    # 1 of 6 draws below, 2 equal: a share of 1/3; an even jackknife has no acceleration, so BCa is plain bias correction
    tails = bca_tails(np.array([0, 1, 1, 2, 2, 2.0]), 1.0, np.array([-1.0, 1.0]), 0.9)
    shift = 2 * stats.norm.ppf(1 / 3)
    assert tails == pytest.approx([stats.norm.cdf(shift + stats.norm.ppf(p)) for p in (0.05, 0.95)])


def test_without_a_draw_beyond_the_value_half_a_draw_is_taken_as_there() -> None:
    """Ten draws, all below (above) the value; jackknife values that are all alike leave the plain bias correction."""
    draws, flat = np.arange(10.0), np.full(4, 3.0)
    for value, below in ((10.0, 0.95), (-1.0, 0.05)):
        shift = 2 * stats.norm.ppf(below)
        tails = bca_tails(draws, value, flat, 0.9)
        assert tails == pytest.approx([stats.norm.cdf(shift + stats.norm.ppf(p)) for p in (0.05, 0.95)])


def test_power_begins_with_one_prompt() -> None:
    assert detectable_gap(Design(1)) is None  # no gap is large enough for it
    with pytest.raises(ValueError, match="a number below 1"):
        detectable_gap(Design(0))


def test_a_p_at_its_limit_is_not_rejected_by_holm() -> None:
    """.025 of two is held against .025: not below it, so that .04 is held against .05 / 2 too. Of .02 and .04 the second is not."""
    for p, step in ((0.025, 2), (0.02, 1)):
        family = holm([Significance(p, 0, 9, ""), Significance(0.04, 0, 9, "")])
        assert holm_step(family[1], family, 0.05) == step


def test_differences_of_parts_that_cancel_have_p_1() -> None:
    found = sign_flip_test([0.5, -0.5], rounds=99)
    assert isinstance(found, Significance)
    assert (found.p, found.statistic) == (1.0, 0.0)


def test_the_smallest_p_of_99_random_sign_patterns_is_one_in_a_hundred() -> None:
    # 40 differences of one sign: the chance that a pattern gives all of them one sign is 2 in 2^40
    found = sign_flip_test([0.3] * 40, rounds=99)
    assert isinstance(found, Significance)
    assert found.p == pytest.approx(1 / 100)
