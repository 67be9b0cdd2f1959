"""What a number of prompts can see, by simulation of the very test that the report does.

A simulated study draws the net score (wins minus losses) of every prompt, tests it by the exact sign-flip test
beside its family, and corrects after Holm. Only the counts of the net scores matter, so that a study of any size
is one multinomial draw. Simulation is seeded, and says its own error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

CELLS_AT_ONCE = 4_000_000
MANY = 60
"""Differences from which on the normal distribution gives the p value to three digits."""


@dataclass(frozen=True)
class Design:
    """A planned comparison of two systems."""

    prompts: int
    ties: float = 0.3
    """Expected share of verdicts that say tie."""
    flips: float = 0.0
    """Expected share of pairs whose two orders contradict each other, which count as ties."""
    samples: int = 1
    """Pairs of answers to each prompt."""
    correlation: float = 0.5
    """How alike the verdicts on the samples of one prompt are: 0, as those on different prompts; 1, equal."""
    alpha: float = 0.05
    """Two-sided level, after Holm's correction."""
    family: int = 1
    """Tests that are corrected together. In the others there is nothing to find: the hardest case."""
    rounds: int = 4_000
    """Simulated studies."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in (("ties", self.ties), ("flips", self.flips), ("correlation", self.correlation)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is {value}, must lie between 0 and 1")
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha}, must lie between 0 and 1")
        if min(self.prompts, self.samples, self.family, self.rounds) < 1:
            raise ValueError(f"a number below 1 in {self}")

    @property
    def largest_gap(self) -> float:
        """The gap of a system that wins every decided pair."""
        return max(0.0, 1 - self.ties - self.flips)


@dataclass(frozen=True)
class Power:
    """The share of simulated studies that found the gap, and its Monte Carlo standard error."""

    value: float
    error: float


def power_of(gap: float, design: Design) -> Power:
    """Probability that a true win - loss ``gap`` is found, in its own direction.

    >>> power_of(0.134, Design(prompts=300)).value > 0.75
    True
    """
    if not 0 <= gap <= design.largest_gap + 1e-9:
        raise ValueError(f"gap {gap} must lie between 0 and 1 - ties - flips = {design.largest_gap:g}")
    nets, p = _tested(gap, design, np.random.default_rng(design.seed))
    others = _without_difference(design)
    found = (nets > 0) & (_adjusted(p, others) < design.alpha)
    share = float(found.mean())
    return Power(share, math.sqrt(max(share * (1 - share), 1 / design.rounds) / design.rounds))


def detectable_gap(design: Design, *, power: float = 0.8) -> float | None:
    """The smallest gap that is found with probability ``power``; None where even the largest is missed too often."""
    _check_power(power)
    low, high = 0.0, design.largest_gap
    if high <= 0 or power_of(high, design).value < power:
        return None
    for _ in range(10):  # to a thousandth of the scale
        middle = (low + high) / 2
        low, high = (low, middle) if power_of(middle, design).value >= power else (middle, high)
    return high


def prompts_needed(gap: float, design: Design, *, power: float = 0.8) -> int:
    """Prompts after which a true ``gap`` is found with probability ``power``; those of ``design`` do not count.

    The normal approximation gives a first number; what is simulated there corrects it.
    """
    _check_power(power)
    if not 0 < gap <= design.largest_gap + 1e-9:
        raise ValueError(f"gap {gap} must be above 0 and at most 1 - ties - flips = {design.largest_gap:g}")
    critical = float(stats.norm.ppf(1 - design.alpha / (2 * design.family)))
    wanted = critical + float(stats.norm.ppf(power))
    prompts = max(6, math.ceil((wanted / gap) ** 2 * _variance(gap, design)))
    for _ in range(3):
        found = min(max(power_of(gap, replace(design, prompts=prompts)).value, 0.01), 0.995)
        reached = max(0.3, critical + float(stats.norm.ppf(found)))
        prompts = max(1, math.ceil(prompts * (wanted / reached) ** 2))
    return prompts


def mean_half_width(spread: float, prompts: int, alpha: float) -> float:
    """Of Student's interval of a mean over this number of prompts, whose values have this standard deviation."""
    if prompts < 2:
        return math.inf
    return float(stats.t.ppf(1 - alpha / 2, prompts - 1)) * spread / math.sqrt(prompts)


def detectable_mean_gap(spread: float, prompts: int, *, alpha: float, power: float = 0.8) -> float | None:
    """The smallest mean difference by prompt, of this standard deviation, that a paired t test finds; None for one prompt.

    By the noncentral t distribution (exact for normal differences), in the true direction alone.
    """
    _check_power(power)
    if prompts < 2:
        return None
    critical = float(stats.t.ppf(1 - alpha / 2, prompts - 1))
    far = critical + float(stats.t.ppf(power, prompts - 1)) + 1
    while stats.nct.sf(critical, prompts - 1, far) < power:
        far *= 2
    shift = optimize.brentq(lambda d: stats.nct.sf(critical, prompts - 1, d) - power, 0.0, far)
    return float(shift) * spread / math.sqrt(prompts)


def _variance(gap: float, design: Design) -> float:
    """Of the mean net score of one prompt."""
    single = max(1 - design.ties - design.flips - gap * gap, 1e-3)
    return single * (1 + (design.samples - 1) * design.correlation) / design.samples


def _check_power(power: float) -> None:
    if not 0 < power < 1:
        raise ValueError(f"power is {power}, must lie between 0 and 1")


@lru_cache(maxsize=32)
def _without_difference(design: Design) -> Floats:
    """P values of the rest of the family: shape (family - 1, studies)."""
    generator = np.random.default_rng([design.seed, 1])
    rows = [_tested(0.0, design, generator)[1] for _ in range(design.family - 1)]
    return np.array(rows).reshape(len(rows), design.rounds)


def _tested(gap: float, design: Design, generator: np.random.Generator) -> tuple[Counts, Floats]:
    """Sum of the net scores and p value of every simulated study."""
    values, chances = _net_scores(gap, design)
    counts = generator.multinomial(design.prompts, chances, size=design.rounds)
    sums = counts @ values
    sizes = np.stack(
        [counts[:, np.abs(values) == k].sum(axis=1) for k in range(1, design.samples + 1)], axis=1
    )
    return sums, sign_flip_p(sizes, np.abs(sums))


def _net_scores(gap: float, design: Design) -> tuple[Counts, Floats]:
    """Net scores that a prompt can have, and their chances: Dirichlet-multinomial over its samples."""
    decided = design.largest_gap
    shares = np.array([(decided + gap) / 2, 1 - decided, (decided - gap) / 2])
    k, values = design.samples, np.arange(-design.samples, design.samples + 1)
    chances = np.zeros(len(values))
    if k == 1 or design.correlation >= 1:
        chances[[2 * k, k, 0]] = shares
        return values, _normalised(chances)
    for win in range(k + 1):
        for loss in range(k + 1 - win):
            parts = np.array([win, k - win - loss, loss])
            chances[k + win - loss] += math.exp(_log_chance(parts, shares, design.correlation))
    return values, _normalised(chances)


def _log_chance(parts: Counts, shares: Floats, correlation: float) -> float:
    ways = float(special.gammaln(parts.sum() + 1) - special.gammaln(parts + 1).sum())
    if correlation <= 0:
        return ways + float(special.xlogy(parts, np.maximum(shares, 0.0)).sum())
    weight = (1 - correlation) / correlation
    prior = np.maximum(shares * weight, 1e-12)
    total = float(special.gammaln(prior.sum()) - special.gammaln(prior.sum() + parts.sum()))
    return ways + total + float((special.gammaln(prior + parts) - special.gammaln(prior)).sum())


def _normalised(chances: Floats) -> Floats:
    positive = np.maximum(chances, 0.0)
    return np.asarray(positive / positive.sum())


def sign_flip_p(sizes: Counts, observed: Counts) -> Floats:
    """Two-sided p values of many sign-flip tests at once: exact, but by the normal distribution for many of mixed sizes.

    Args:
        sizes: how many differences are 1, 2, ... in size, shape (studies, largest size).
        observed: absolute sum of the signed differences of each study.
    """
    if sizes.shape[1] == 1:  # of n signs, how often a sum as far from 0: the sign test
        n = sizes[:, 0]
        return np.asarray(np.minimum(1.0, 2 * stats.binom.sf((n + observed) // 2 - 1, n, 0.5)))
    if sizes.sum(axis=1).min() >= MANY:
        variance = sizes @ np.arange(1, sizes.shape[1] + 1) ** 2
        # A sum of signed sizes moves in steps of 2, so that half a step is 1.
        return np.asarray(np.minimum(1.0, 2 * stats.norm.sf((observed - 1) / np.sqrt(variance))))
    total = int((sizes @ np.arange(1, sizes.shape[1] + 1)).max())
    length = 2 ** math.ceil(math.log2(2 * total + 2))
    step = max(1, CELLS_AT_ONCE // length)
    parts = [
        _by_transform(sizes[i : i + step], observed[i : i + step], length) for i in range(0, len(sizes), step)
    ]
    return np.concatenate(parts)


def _by_transform(sizes: Counts, observed: Counts, length: int) -> Floats:
    """The distribution of a sum of signed sizes from its characteristic function, a product of cosines."""
    angles = 2 * np.pi * np.arange(length // 2 + 1) / length
    cosines = np.cos(np.outer(np.arange(1, sizes.shape[1] + 1), angles))
    odd = (sizes.astype(float) @ (cosines < 0)) % 2
    with np.errstate(divide="ignore"):
        # A size that does not occur must not bring in the logarithm of a zero.
        logs = sum(special.xlogy(sizes[:, [k]], np.abs(cosines[k])) for k in range(len(cosines)))
    masses = np.fft.irfft(np.where(odd > 0.5, -1, 1) * np.exp(logs), n=length, axis=1)
    upper = np.cumsum(masses[:, : length // 2][:, ::-1], axis=1)[:, ::-1]
    tail = np.take_along_axis(upper, observed[:, None].astype(np.int64), axis=1)[:, 0]
    return np.asarray(np.where(observed == 0, 1.0, np.clip(2 * tail, 0.0, 1.0)))


def _adjusted(p: Floats, others: Floats) -> Floats:
    """Holm's adjusted value of the first test of a family, study by study."""
    ranked = np.sort(np.vstack([p[None], others]), axis=0)
    factors = np.arange(len(ranked), 0, -1)[:, None]
    adjusted = np.minimum(1.0, np.maximum.accumulate(ranked * factors, axis=0))
    place = (ranked < p).sum(axis=0)
    return np.asarray(adjusted[place, np.arange(len(p))])
