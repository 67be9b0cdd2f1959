"""Results as words of a verdict."""

from __future__ import annotations

import math

from lima.experiments.claims.findings import Findings
from lima.statistics.estimates import Result, Undefined


def marks(found: Findings, arm: str, measure: str) -> str:
    """A share of an arm in per cent."""
    return percent(found.mean(arm, measure))


def percent(value: float) -> str:
    """A share.

    >>> percent(0.534)
    '53 %'
    """
    return "an undefined share" if math.isnan(value) else f"{100 * value:.0f} %"


def points(result: Result) -> str:
    """A difference of shares in points, with its interval."""
    if isinstance(result, Undefined):
        return str(result)
    ends = (
        ""
        if result.low is None or result.high is None
        else f" [{_signed(result.low)}, {_signed(result.high)}]"
    )
    return f"{_signed(result.value)} points{ends}"


def _signed(value: float) -> str:
    return f"{100 * value:+.0f}".replace("-", "\u2212")
