"""Ratings of every epoch on the same prompts -> the chosen epoch, by the one-standard-error rule.

The paper chose by looking (LIMA, section 3); this states in numbers what "no visible difference" means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev

from lima.errors import LimaError
from lima.statistics.estimates import Result
from lima.statistics.intervals import clustered_mean

ROUNDING = 1e-9
"""Differences of ratings below this are rounding."""

Scores = Mapping[int, Mapping[str, float]]
"""Epoch -> prompt -> mean rating of its answers."""


@dataclass(frozen=True)
class EpochScore:
    """How one epoch did."""

    epoch: int
    mean: Result
    """Mean rating over the prompts."""
    behind: Result
    """The best epoch's rating minus this one's, prompt by prompt."""
    standard_error: float
    """Of ``behind``."""
    tied: bool
    """Whether ``behind`` is at most its standard error."""


@dataclass(frozen=True)
class EpochChoice:
    """The outcome, with epochs in ascending order."""

    epochs: tuple[EpochScore, ...]
    best: int
    chosen: int
    prompts: int
    """Prompts with a rating of every epoch: the only ones that count."""


def choose(scores: Scores, *, level: float = 0.95) -> EpochChoice:
    """The earliest epoch within one standard error of the best.

    Only prompts with a rating of every epoch count, n of them. The best epoch has the highest mean; of equal
    ones the earliest. For any other epoch let d_i be the best's rating minus its own on prompt i. It is tied
    with the best if mean(d) <= sd(d) / sqrt(n), with n - 1 in sd's denominator. The earliest of the tied,
    the best among them, is chosen. So the standard error is that of the paired difference: some prompts get low
    ratings whatever the epoch, and that is no reason to call epochs equal.

    Raises:
        LimaError: fewer than two prompts have a rating of every epoch, so there is no standard error.
    """
    epochs = sorted(scores)
    prompts = sorted(set.intersection(*(set(scores[epoch]) for epoch in epochs)))
    if len(prompts) < 2:
        raise LimaError(
            f"only {len(prompts)} prompts have a rating of every epoch ({_listed(epochs)}); "
            "a comparison needs two, and better 50. Rate more of the answers."
        )
    rated = {epoch: [scores[epoch][prompt] for prompt in prompts] for epoch in epochs}
    best = max(epochs, key=lambda epoch: (round(fmean(rated[epoch]) / ROUNDING), -epoch))
    found = tuple(_score(epoch, rated[epoch], rated[best], prompts, level) for epoch in epochs)
    chosen = next(score.epoch for score in found if score.tied)
    return EpochChoice(found, best, chosen, len(prompts))


def _score(epoch: int, own: list[float], best: list[float], prompts: list[str], level: float) -> EpochScore:
    behind = [theirs - mine for theirs, mine in zip(best, own, strict=True)]
    error = stdev(behind) / len(behind) ** 0.5
    return EpochScore(
        epoch,
        clustered_mean(own, prompts, level=level),
        clustered_mean(behind, prompts, level=level),
        error,
        fmean(behind) <= error + ROUNDING,
    )


def _listed(epochs: list[int]) -> str:
    return ", ".join(map(str, epochs))
