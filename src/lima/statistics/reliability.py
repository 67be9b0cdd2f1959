"""Chance-corrected agreement: Krippendorff's alpha, Cohen's and Fleiss' kappa, Gwet's AC1 and AC2.

All take a table ``ratings[rater][item]`` in which None is a missing rating, and are functions of sums over
items, so that one jackknife gives the interval of each: by item, or by ``clusters`` of items such as their prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lima.statistics.bootstrap import Statistic, added_up
from lima.statistics.estimates import Estimate, Result, Undefined
from lima.statistics.few_items import (
    DISAGREEING,
    ENOUGH,
    RARE,
    SMALLEST,
    Coefficient,
    fisher_jackknife,
    posterior_interval,
)

Floats: TypeAlias = NDArray[np.float64]
Value: TypeAlias = str | int | float
Ratings: TypeAlias = Sequence[Sequence[Value | None]]
Measurement = Literal["nominal", "ordinal", "interval"]
Weights = Literal["identity", "linear", "quadratic"]


def krippendorff_alpha(
    ratings: Ratings,
    categories: Sequence[Value],
    *,
    measurement: Measurement = "nominal",
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> Result:
    """Alpha = 1 - observed / expected disagreement; any number of raters, missing ratings allowed.

    ``categories`` in their order. An item with one rating counts nowhere. Source: Krippendorff 2011,
    "Computing Krippendorff's Alpha-Reliability". The interval is over items (his own resamples pairs).
    """
    name = f"Krippendorff's alpha, {measurement}"
    size = len(categories)
    counts = _category_counts(ratings, categories)
    kept = counts.sum(axis=1) >= 2
    counts = counts[kept]
    problem = _degenerate(counts)
    if problem:
        return Undefined(problem, len(counts), name)
    raters = counts.sum(axis=1)[:, None, None]
    coincidences = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(size)
    totals = (coincidences / (raters - 1)).reshape(len(counts), size * size)
    points = np.array([float(x) for x in categories]) if measurement == "interval" else None

    def alpha(sums: Floats) -> Floats:
        matrix = sums.reshape(*sums.shape[:-1], size, size)
        margin = matrix.sum(axis=-1)
        distance = _squared_distance(measurement, margin, points)
        observed = (matrix * distance).sum(axis=(-1, -2))
        expected = (margin[..., :, None] * margin[..., None, :] * distance).sum(axis=(-1, -2))
        return _one_minus_ratio(observed * (margin.sum(axis=-1) - 1), expected)

    sample = _Sample(totals, counts, _chosen(clusters, kept), level, measurement == "nominal")
    return sample.estimate(name, alpha)


def cohen_kappa(
    first: Sequence[Value],
    second: Sequence[Value],
    categories: Sequence[Value],
    *,
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> Result:
    """Cohen's kappa of two raters, each with their own label shares (Cohen 1960)."""
    if not first:
        return Undefined("no item was rated by both", 0, "Cohen's kappa")
    size = len(categories)
    index = {value: i for i, value in enumerate(categories)}
    totals = np.zeros((len(first), size * size))
    for row, (x, y) in enumerate(zip(first, second, strict=True)):
        totals[row, index[x] * size + index[y]] = 1
    if len({*first, *second}) == 1:
        return Undefined("both raters gave one and the same label throughout", len(first), "Cohen's kappa")

    def kappa(sums: Floats) -> Floats:
        table = sums.reshape(*sums.shape[:-1], size, size)
        table = table / table.sum(axis=(-1, -2), keepdims=True)
        observed = np.trace(table, axis1=-2, axis2=-1)
        expected = (table.sum(axis=-1) * table.sum(axis=-2)).sum(axis=-1)
        return _one_minus_ratio(1 - observed, 1 - expected)

    sample = _Sample(totals, _category_counts([first, second], categories), clusters, level, True)
    return sample.estimate("Cohen's kappa", kappa)


def fleiss_kappa(
    ratings: Ratings,
    categories: Sequence[Value],
    *,
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> Result:
    """Fleiss' kappa for several raters (Fleiss 1971); missing ratings as in Gwet 2014, section 2.4."""

    def expected(shares: Floats) -> Floats:
        return np.asarray((shares**2).sum(axis=-1))

    weights = np.eye(len(categories))
    return _several_raters(
        ratings, categories, weights, expected, "Fleiss' kappa", clusters=clusters, level=level
    )


def gwet(
    ratings: Ratings,
    categories: Sequence[Value],
    *,
    weights: Weights = "identity",
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> Result:
    """Gwet's AC1 (identity weights) or AC2 (ordered categories): steady where nearly all labels are equal.

    Source: Gwet 2008, Br. J. Math. Stat. Psychol. 61; missing ratings and weights: Gwet 2014, sections 2.4
    and 3.5.
    """
    matrix = agreement_weights(len(categories), weights)
    size = len(categories)
    scale = matrix.sum() / (size * (size - 1))

    def expected(shares: Floats) -> Floats:
        return np.asarray(scale * (shares * (1 - shares)).sum(axis=-1))

    name = "Gwet's AC1" if weights == "identity" else f"Gwet's AC2, {weights} weights"
    return _several_raters(ratings, categories, matrix, expected, name, clusters=clusters, level=level)


def agreement_weights(size: int, kind: Weights) -> Floats:
    """Credit for two labels by the steps between them: 1 on the diagonal, 0 for the two ends of the scale."""
    steps = np.abs(np.subtract.outer(np.arange(size), np.arange(size))) / max(1, size - 1)
    if kind == "identity":
        return np.eye(size)
    return 1 - steps if kind == "linear" else 1 - steps**2


def _several_raters(
    ratings: Ratings,
    categories: Sequence[Value],
    weights: Floats,
    expected: Callable[[Floats], Floats],
    name: str,
    *,
    clusters: Sequence[Hashable] | None,
    level: float,
) -> Result:
    """(observed - expected) / (1 - expected), from per-item sums: agreement, pairable, shares, rated."""
    counts = _category_counts(ratings, categories)
    kept = counts.sum(axis=1) >= 1
    counts = counts[kept]
    problem = _degenerate(counts[counts.sum(axis=1) >= 2])
    if problem:
        return Undefined(problem, len(counts), name)
    raters = counts.sum(axis=1)
    pairable = raters >= 2
    agreeing = (counts * (counts @ weights - 1)).sum(axis=1)
    within = np.where(pairable, agreeing / np.where(pairable, raters * (raters - 1), 1), 0.0)
    totals = np.column_stack([within, pairable, counts / raters[:, None], np.ones(len(counts))])

    def coefficient(sums: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            observed = sums[..., 0] / sums[..., 1]
            chance = expected(sums[..., 2:-1] / sums[..., -1:])
        return _one_minus_ratio(1 - observed, 1 - chance)

    def modelled(kappa: Floats, common: Floats) -> Floats:
        """The coefficient under the model of `lima.statistics.few_items`; rarer labels keep their proportions."""
        rest = counts.sum(axis=0) + 0.5
        rest[_commonest(counts)] = 0
        shares = (1 - common)[..., None] * rest / rest.sum()
        shares[..., _commonest(counts)] = common
        chance = expected(shares)
        independent = np.einsum("...i,ij,...j->...", shares, weights, shares)
        return np.asarray((kappa + (1 - kappa) * independent - chance) / (1 - chance))

    sample = _Sample(
        totals, counts, _chosen(clusters, kept), level, bool((weights == np.eye(len(weights))).all())
    )
    return sample.estimate(name, coefficient, modelled)


def _plain_kappa(kappa: Floats, common: Floats) -> Floats:
    return kappa


@dataclass(frozen=True)
class _Sample:
    """What an interval is made from: sums by item, counts by item and category, clusters of items."""

    totals: Floats
    counts: Floats
    clusters: Sequence[Hashable] | None
    level: float
    nominal: bool
    """Whether any two labels are equally far apart."""

    def estimate(self, name: str, statistic: Statistic, modelled: Coefficient = _plain_kappa) -> Result:
        """The coefficient with its interval; ``modelled`` is what it is under the model of few items."""
        sums = self.totals if self.clusters is None else added_up(self.totals, self.clusters)
        n, groups = len(self.totals), len(sums)
        value = float(statistic(sums.sum(axis=0)))
        method = f"{name}; jackknife by cluster on Fisher's scale"
        if np.isnan(value):
            return Undefined("the figure does not exist for these data", n, name)
        if groups < SMALLEST:
            note = f"no interval: fewer than {SMALLEST} {'items' if self.clusters is None else 'prompts'}"
            return Estimate(value, None, None, self.level, n, groups, method, note)
        without = _without_each(sums, statistic, value)
        limits = fisher_jackknife(value, without, self.level)
        if self._few:
            weight = self._weight(without, statistic, value)
            model = posterior_interval(self.counts, self.level, weight=weight, coefficient=modelled)
            method = f"{name}; posterior of the one-coin model"
            if self._unequal:
                method = f"{name}; hull of jackknife and posterior of the one-coin model"
                model = min(model[0], limits[0]), max(model[1], limits[1])
            limits = min(model[0], value), max(model[1], value)
        return Estimate(value, *limits, self.level, n, groups, method)

    @property
    def _unequal(self) -> bool:
        """Whether some disagreements weigh more than others, of which the model knows nothing."""
        return not self.nominal and bool((self.counts.sum(axis=0) > 0).sum() > 2)

    @property
    def _few(self) -> bool:
        """Whether a jackknife cannot be trusted: few disagreements, or where the model is right few rare labels."""
        rated, common = self.counts.sum(axis=1), self.counts[:, _commonest(self.counts)]
        disagreeing = (self.counts.max(axis=1) < rated).sum()
        rare = (common < rated).sum() < RARE
        return bool(disagreeing < DISAGREEING if self._unequal else rare or disagreeing < ENOUGH)

    def _weight(self, without: Floats, statistic: Statistic, value: float) -> float:
        """What an item counts: the variance of independent items over that by cluster, which few clusters tell badly."""
        groups, items = len(without), len(self.totals)
        if self.clusters is None or groups == items:
            return 1.0
        alone = _without_each(self.totals, statistic, value)
        spread = float(((alone - alone.mean()) ** 2).sum())
        design = max(1.0, float(((without - without.mean()) ** 2).sum()) / spread) if spread > 0 else 1.0
        tail = (1 + self.level) / 2
        return float((stats.norm.ppf(tail) / stats.t.ppf(tail, groups - 1)) ** 2) / design


def _without_each(sums: Floats, statistic: Statistic, value: float) -> Floats:
    """The statistic without each row in turn; where it does not exist then, that of all rows."""
    found = statistic(sums.sum(axis=0) - sums)
    return np.asarray(np.where(np.isnan(found), value, found))


def _commonest(counts: Floats) -> int:
    return int(counts.sum(axis=0).argmax())


def _chosen(clusters: Sequence[Hashable] | None, kept: NDArray[np.bool_]) -> list[Hashable] | None:
    """The clusters of the items that are kept."""
    return None if clusters is None else [c for c, keep in zip(clusters, kept, strict=True) if keep]


def _category_counts(ratings: Ratings, categories: Sequence[Value]) -> Floats:
    """How many raters gave each item each category: shape (items, categories)."""
    index = {value: i for i, value in enumerate(categories)}
    items = len(ratings[0]) if ratings else 0
    counts = np.zeros((items, len(categories)))
    for row in ratings:
        assert len(row) == items, (len(row), items)
        for item, value in enumerate(row):
            if value is not None:
                counts[item, index[value]] += 1
    return counts


def _degenerate(pairable: Floats) -> str:
    """Why chance correction has nothing to correct, or the empty string."""
    if len(pairable) == 0:
        return "no item has two ratings"
    if (pairable.sum(axis=0) > 0).sum() == 1:
        return "all ratings are equal, so there is no disagreement to expect by chance"
    return ""


def _squared_distance(measurement: Measurement, margin: Floats, points: Floats | None) -> Floats:
    size = margin.shape[-1]
    if measurement == "nominal":
        return 1 - np.eye(size)
    if points is not None:
        return np.asarray(np.subtract.outer(points, points) ** 2)
    middle = np.cumsum(margin, axis=-1) - margin / 2  # ordinal: ratings between the two, ends by half
    return np.asarray((middle[..., :, None] - middle[..., None, :]) ** 2)


def _one_minus_ratio(above: Floats, below: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(np.abs(below) > 1e-12, 1 - above / below, np.nan))
