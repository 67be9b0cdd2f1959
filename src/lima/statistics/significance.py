"""Two-sided tests of "no difference between two systems", with the prompt as the unit, and Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lima.statistics.estimates import Significance, Undefined

ROUNDS = 10_000


def sign_flip_test(
    differences: Sequence[float], *, rounds: int = ROUNDS, seed: int = 0
) -> Significance | Undefined:
    """Paired permutation test: under the null each difference is as likely with the other sign.

    Whole numbers (wins minus losses of a prompt) are tested exactly, by the distribution of their signed
    sum; other values by ``rounds`` random sign patterns with p = (hits + 1) / (rounds + 1)
    (Phipson and Smyth 2010, SAGMB 9).
    """
    data = np.asarray([d for d in differences if d != 0], dtype=float)
    method = "paired sign-flip permutation, exact"
    if len(data) == 0:
        return Undefined("no prompt has a difference", len(differences), method)
    observed = abs(float(data.sum()))
    if np.all(data == np.round(data)):
        p = _exact_sign_flip(np.abs(data).astype(np.int64), round(observed))
        return Significance(p, observed, len(differences), method)
    signs = np.random.default_rng(seed).integers(0, 2, size=(rounds, len(data))) * 2.0 - 1
    hits = int((np.abs(signs @ data) >= observed * (1 - 1e-12)).sum())
    method = f"paired sign-flip permutation, {rounds:,} rounds"
    return Significance((hits + 1) / (rounds + 1), observed, len(differences), method)


def sign_test(differences: Sequence[float]) -> Significance | Undefined:
    """Exact sign test: of the prompts with a difference, are half in favour? (7 against 0: p = .016)

    ``statistic`` is the number in favour, ``n`` the prompts with a difference.

    >>> round(sign_test([1] * 7 + [0] * 3).p, 3)
    0.016
    """
    favour, against = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    n = favour + against
    if n == 0:
        return Undefined("no prompt has a difference", len(differences), "exact sign test")
    return Significance(float(stats.binomtest(favour, n).pvalue), favour, n, "exact sign test")


def holm(tests: Sequence[Significance | Undefined]) -> list[Significance | Undefined]:
    """The tests of one family with ``adjusted`` set (Holm 1979); an undefined one is no member.

    >>> from lima.statistics.estimates import Significance as S
    >>> [round(test.adjusted, 3) for test in holm([S(p, 0, 9, "") for p in (0.01, 0.04, 0.03)])]
    [0.03, 0.06, 0.06]
    """
    members = [i for i, test in enumerate(tests) if isinstance(test, Significance)]
    adjusted, largest = list(tests), 0.0
    for rank, i in enumerate(sorted(members, key=lambda i: _p(tests[i]))):
        largest = max(largest, min(1.0, (len(members) - rank) * _p(tests[i])))
        test = tests[i]
        assert isinstance(test, Significance)
        adjusted[i] = replace(test, adjusted=largest)
    return adjusted


def holm_step(
    test: Significance | Undefined, family: Sequence[Significance | Undefined], alpha: float
) -> int:
    """The number by which Holm's procedure divides the level where it decides on ``test``.

    The smallest p is held against alpha / m, the next against alpha / (m - 1), and all from the first that is
    not rejected against the same as that one. ``family`` comes from `holm`.
    """
    members = [other for other in family if isinstance(other, Significance)]
    rejected = [o.p for o in members if o.adjusted is not None and o.adjusted < alpha]
    return max(1, len(members) - sum(p < _p(test) for p in rejected))


def _p(test: Significance | Undefined) -> float:
    return test.p if isinstance(test, Significance) else 1.0


def _exact_sign_flip(sizes: NDArray[np.int64], observed: int) -> float:
    """P(|sum of signed sizes| >= observed), by convolving the two-point distributions.

    ``weights[s]`` is the probability that the sizes with a plus sign sum to s.
    """
    total = int(sizes.sum())
    weights = np.zeros(total + 1)
    weights[0] = 1.0
    for size in sizes:
        weights[size:] = 0.5 * (weights[size:] + weights[: total + 1 - size])
        weights[:size] *= 0.5
    sums = 2 * np.arange(total + 1) - total
    return min(1.0, float(weights[np.abs(sums) >= observed].sum()))
