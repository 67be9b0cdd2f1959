"""Win, tie and loss of one system against another, from verdicts of any rater (LIMA, section 4.1).

One rater's two orders become one verdict; verdicts become shares and a gap, with intervals and tests in
which the prompt is the unit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

from lima.records import Label
from lima.statistics.estimates import Estimate, Result, Significance, Undefined
from lima.statistics.intervals import clustered_mean, mean_share, paired_difference, share
from lima.statistics.significance import sign_flip_test, sign_test

Outcome = Literal["win", "tie", "loss"]
SCORES: dict[Outcome, int] = {"win": 1, "tie": 0, "loss": -1}
CREDITS: dict[Outcome, float] = {"win": 1.0, "tie": 0.5, "loss": 0.0}
"""The part of the win that an outcome stands for."""


@dataclass(frozen=True)
class WinTieLoss:
    """How one system fares against another; all shares are of the verdicts that exist."""

    n: int
    clusters: int
    counts: dict[Outcome, int]
    win: Result
    tie: Result
    loss: Result
    gap: Result
    """Win minus loss, in [-1, 1]; with graded verdicts the mean of 2 credit - 1."""
    score: Result
    """Win plus half of the ties, in [0, 1]: the "win rate" of many leaderboards. With graded verdicts, their mean."""
    sign_flip: Significance | Undefined
    sign: Significance | Undefined


def win_tie_loss(
    outcomes: Sequence[Outcome],
    clusters: Sequence[Hashable],
    *,
    credits: Sequence[float] | None = None,
    level: float = 0.95,
) -> WinTieLoss:
    """Summarise outcomes seen from the first system; ``clusters`` names the prompt of each.

    ``credits``: the part of the win that each verdict gives. Where it is more than the outcomes say, verdicts are graded:
    gap, score and both tests are those of the credits.

    The gap has the interval of `lima.statistics.intervals.paired_difference`. Two tests have the prompt as their
    unit: the paired sign-flip test on a prompt's net score, and the exact sign test on its sign.
    """
    assert len(outcomes) == len(clusters), (len(outcomes), len(clusters))
    counts = Counter(outcomes)
    graded = grading(outcomes, credits)
    nets = net_scores(outcomes, clusters, graded)

    def share_of(kind: Outcome) -> Result:
        return share([outcome == kind for outcome in outcomes], clusters, level=level)

    win, tie, loss = (share_of(kind) for kind in SCORES)
    gap = gap_of(outcomes, clusters, credits=graded, level=level)
    score = gap if isinstance(gap, Undefined) else gap.rescaled(0.5, 0.5)
    return WinTieLoss(
        n=len(outcomes),
        clusters=len(set(clusters)),
        counts={kind: counts[kind] for kind in SCORES},
        win=win,
        tie=tie,
        loss=loss,
        gap=gap,
        score=score,
        sign_flip=sign_flip_test(nets),
        sign=sign_test(nets),
    )


def grading(outcomes: Sequence[Outcome], credits: Sequence[float] | None) -> Sequence[float] | None:
    """The credits where they say more than the outcomes, else None."""
    if credits is None or list(credits) == [CREDITS[outcome] for outcome in outcomes]:
        return None
    return credits


def gap_of(
    outcomes: Sequence[Outcome],
    clusters: Sequence[Hashable],
    *,
    credits: Sequence[float] | None = None,
    level: float = 0.95,
) -> Result:
    """Win minus loss, in [-1, 1], with the cluster-robust standard error that leaderboards print.

    ``credits`` of graded verdicts stand in the place of the outcomes.
    """
    if credits is not None:
        mean = mean_share(credits, clusters, level=level)
        if isinstance(mean, Undefined):
            return mean
        return replace(mean.rescaled(2.0, -1.0), method=f"{mean.method}, of graded verdicts")
    wins, losses = ([outcome == kind for outcome in outcomes] for kind in ("win", "loss"))
    gap = paired_difference(wins, losses, clusters, level=level)
    mean = clustered_mean([SCORES[outcome] for outcome in outcomes], clusters, level=level)
    if isinstance(gap, Undefined) or isinstance(mean, Undefined):
        return gap
    return replace(gap, standard_error=mean.standard_error)


def agreeing(gap: Result, test: Significance | Undefined, alpha: float) -> Result:
    """The interval of a gap made to agree with its exact test about zero.

    An interval is the set of gaps that are not rejected. For a gap of zero there is an exact test, and its word
    stands: where it rejects, the interval ends before zero, and where it does not, it reaches zero.
    """
    if isinstance(gap, Undefined) or gap.low is None or gap.high is None:
        return gap
    p = 1.0 if isinstance(test, Undefined) else test.p if test.adjusted is None else test.adjusted
    if p >= alpha:
        return replace(gap, low=min(gap.low, 0.0), high=max(gap.high, 0.0))
    nearest = min(abs(gap.value), 0.5 / gap.clusters)  # half of what one verdict more or less would change
    if gap.value > 0 >= gap.low:
        return replace(gap, low=nearest)
    return replace(gap, high=-nearest) if gap.value < 0 <= gap.high else gap


@dataclass(frozen=True)
class CombinedVerdict:
    """What one rater says of one comparison once its orders are combined."""

    label: Label | None
    """None: missing."""
    consistent: bool | None
    """Whether both orders said the same; None where there was one order, or a verdict is missing."""


def combine_orders(first: Label | None, second: Label | None) -> CombinedVerdict:
    """One judge's verdicts on both orders, each in the frame of the comparison, as one.

    The same label twice is that label; opposite sides, or a side and a tie, are a tie; one missing, missing.

    >>> combine_orders("a", "b")
    CombinedVerdict(label='tie', consistent=False)
    """
    if first is None or second is None:
        return CombinedVerdict(None, None)
    if first == second:
        return CombinedVerdict(first, True)
    return CombinedVerdict("tie", False)


def net_scores(
    outcomes: Sequence[Outcome], clusters: Sequence[Hashable], credits: Sequence[float] | None = None
) -> list[float]:
    """Wins minus losses of each cluster, in order of appearance; of graded verdicts the sum of 2 credit - 1."""
    scores = [SCORES[outcome] for outcome in outcomes] if credits is None else [2 * c - 1 for c in credits]
    nets: dict[Hashable, float] = defaultdict(int)
    for score, cluster in zip(scores, clusters, strict=True):
        nets[cluster] += score
    return list(nets.values())


@dataclass(frozen=True)
class Posterior:
    """Posterior of win, tie and loss: mean and equal-tailed credible interval of each."""

    win: Result
    tie: Result
    loss: Result
    better: float
    """Probability that the win share exceeds the loss share."""


def dirichlet_posterior(counts: dict[Outcome, int], *, prior: float = 0.5, level: float = 0.95) -> Posterior:
    """Shares under a symmetric Dirichlet prior (0.5: Jeffreys), for one verdict a prompt.

    P(win > loss) needs no sampling: win / (win + loss) is Beta-distributed and independent of the tie share
    (Gelman et al., Bayesian Data Analysis, 3rd edition, section 3.4).
    """
    n = sum(counts.values())
    after = {kind: counts.get(kind, 0) + prior for kind in SCORES}
    total = sum(after.values())
    tails = ((1 - level) / 2, (1 + level) / 2)
    shares: dict[Outcome, Result] = {}
    for kind, weight in after.items():
        low, high = (float(stats.beta.ppf(q, weight, total - weight)) for q in tails)
        method = f"Dirichlet posterior, prior {prior:g}"
        shares[kind] = Estimate(weight / total, low, high, level, n, n, method)
    better = float(stats.beta.sf(0.5, after["win"], after["loss"]))
    assert np.isfinite(better), after
    return Posterior(shares["win"], shares["tie"], shares["loss"], better)
