"""What judges are worth together, its interval by hand."""

import numpy as np
import pytest
from scipy import stats

from lima.statistics.estimates import Estimate, Undefined
from lima.statistics.panel import effective_number, error_correlation


def worth(table: np.ndarray) -> float:
    """Mean variance of one judge's error over the variance of the mean error."""
    return float(table.var(axis=0, ddof=1).mean() / table.mean(axis=1).var(ddof=1))


def test_the_interval_is_a_jackknife_of_the_log_of_what_exceeds_one() -> None:
    """Ten prompts, the fewest there may be, of two texts each; t of 9 degrees of freedom."""
    generator = np.random.default_rng(4)
    table = generator.normal(size=(20, 1)) + generator.normal(size=(20, 3))
    clusters = [n // 2 for n in range(20)]
    found = effective_number(table.tolist(), clusters, level=0.8)
    logs = np.log([worth(np.delete(table, [2 * k, 2 * k + 1], axis=0)) - 1 for k in range(10)])
    factor = np.exp(stats.t.ppf(0.9, 9) * np.sqrt(9 / 10 * ((logs - logs.mean()) ** 2).sum()))
    beyond = worth(table) - 1
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(1 + beyond)
    assert found.interval == pytest.approx((1 + beyond / factor, 1 + beyond * factor))
    assert isinstance(effective_number(table[:18].tolist(), clusters[:18]), Undefined)


def test_errors_of_one_prompt_alone_have_a_correlation_without_interval() -> None:
    """Without that prompt the first judge never errs."""
    second = np.random.default_rng(1).normal(size=12).tolist()
    found = error_correlation([0.0] * 11 + [1.0], second, range(12))
    assert isinstance(found, Estimate)
    assert (found.low, found.note[:11]) == (None, "no interval")
