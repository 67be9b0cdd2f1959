"""One scale for three or more systems from pairwise verdicts with ties: Bradley-Terry in Davidson's form.

P(i wins) : P(tie) : P(j wins) = s_i : v sqrt(s_i s_j) : s_j with strengths s and a tie parameter v (Davidson
1970, JASA 65). The log-likelihood is concave; strengths are logs here. Graded verdicts are no ties: their credit stands in
the place of the win (Papke and Wooldridge 1996, J. Appl. Econometrics 11).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lima.statistics.estimates import Estimate, Undefined
from lima.statistics.logits import Fit, Rows, fit
from lima.statistics.preferences import CREDITS, Outcome

METHOD = "Bradley-Terry with ties (Davidson), cluster-robust"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Duel:
    """One verdict: the outcome seen from ``first``."""

    first: str
    second: str
    outcome: Outcome
    cluster: Hashable
    credit: float | None = None
    """The part of the win that ``first`` gets. None: as the outcome says."""

    @property
    def win(self) -> float:
        """The credit, given or of the outcome."""
        return CREDITS[self.outcome] if self.credit is None else self.credit


@dataclass(frozen=True)
class Strength:
    """How often a system would win against the reference, of the verdicts that are no tie."""

    system: str
    reference: str
    wins: Estimate


def bradley_terry(
    duels: Sequence[Duel], reference: str, *, level: float = 0.95
) -> list[Strength] | Undefined:
    """Strength of every other system against ``reference``, strongest first.

    Undefined unless every system can be reached from every other by a chain of wins or ties: otherwise
    strengths are infinite, or unrelated groups cannot be put on one scale.
    """
    names = _names(duels, reference)
    found = _fitted(duels, names)
    if isinstance(found, Undefined):
        return found
    strengths = [
        Strength(name, reference, found.probability(k, level, METHOD)) for k, name in enumerate(names[1:])
    ]
    return sorted(strengths, key=lambda strength: -strength.wins.value)


def ranks(duels: Sequence[Duel], reference: str, *, level: float = 0.95) -> dict[str, Estimate]:
    """The rank of every system, 1 the strongest, with the ranks that the verdicts do not rule out.

    A system ranks below those that are stronger by their interval of the difference, and above those that are weaker,
    the differences of one system being a family of k - 1 (Bonferroni; Mogstad et al. 2024, Rev. Econ. Stud. 91).
    Empty where there is no common scale.
    """
    names = _names(duels, reference)
    found = _fitted(duels, names)
    if isinstance(found, Undefined):
        return {}
    size = len(names)
    values = np.append(0.0, found.parameters[: size - 1])  # the reference is the zero of the scale
    covariance = np.zeros((size, size))
    covariance[1:, 1:] = found.covariance[: size - 1, : size - 1]
    variances = np.diag(covariance)
    errors = np.sqrt(np.maximum(variances[:, None] + variances - 2 * covariance, 0.0))
    critical = stats.t.ppf(1 - (1 - level) / (2 * (size - 1)), found.clusters - 1)
    ahead = values[:, None] - values > critical * errors  # [i, j]: i is stronger than j
    method = f"{METHOD}, differences adjusted after Bonferroni"
    places = {}
    for k, name in enumerate(names):
        place, best, worst = 1 + np.sum(values > values[k]), 1 + ahead[:, k].sum(), size - ahead[k].sum()
        n = sum(name in (duel.first, duel.second) for duel in duels)
        places[name] = Estimate(float(place), float(best), float(worst), level, n, found.clusters, method)
    return places


def _names(duels: Sequence[Duel], reference: str) -> list[str]:
    """The reference, then the others by name."""
    return [reference, *sorted({name for d in duels for name in (d.first, d.second)} - {reference})]


def _fitted(duels: Sequence[Duel], names: Sequence[str]) -> Fit | Undefined:
    """Log strengths of all names but the first, whose strength is 0, then the tie parameter."""
    problem = _disconnected(duels, names)
    if problem:
        return Undefined(problem, len(duels), METHOD)
    clusters = [duel.cluster for duel in duels]
    designs, observed, size = _designs(duels, names)

    def likelihood(parameters: Floats, rows: Rows) -> tuple[Floats, Floats]:
        chosen = designs[rows]
        logits = chosen @ parameters  # (n, 3)
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        mean = np.einsum("no,nok->nk", chances, chosen)
        second = np.einsum("no,nok,nol->kl", chances, chosen, chosen)
        return observed[rows] - mean, second - mean.T @ mean

    found = fit(likelihood, size, clusters)
    if found is None:
        return Undefined("the verdicts do not settle finite strengths", len(duels), METHOD)
    return found


def _designs(duels: Sequence[Duel], names: Sequence[str]) -> tuple[Floats, Floats, int]:
    """Gradients of the three logits (win, tie, loss) of each duel, and of the one that happened (of graded duels, the mean).

    Parameters are the strengths of all systems but the reference, then the tie parameter, if there are ties.
    """
    graded = any(duel.win != CREDITS[duel.outcome] for duel in duels)
    with_ties = any(duel.outcome == "tie" for duel in duels) and not graded
    size = len(names) - 1 + with_ties
    designs = np.zeros((len(duels), 3 if with_ties else 2, size))
    outcomes: tuple[Outcome, ...] = ("win", "loss", "tie")
    place = {name: k - 1 for k, name in enumerate(names)}
    for row, duel in enumerate(duels):
        for column, name in enumerate((duel.first, duel.second)):
            if place[name] >= 0:
                designs[row, column, place[name]] += 1.0
                if with_ties:
                    designs[row, 2, place[name]] += 0.5
        if with_ties:
            designs[row, 2, -1] = 1.0
    if graded:
        wins = np.array([duel.win for duel in duels])[:, None]
        return designs, wins * designs[:, 0] + (1 - wins) * designs[:, 1], size
    chosen = [outcomes.index(duel.outcome) for duel in duels]
    return designs, designs[np.arange(len(duels)), chosen], size


def _disconnected(duels: Sequence[Duel], names: Sequence[str]) -> str:
    """Why there is no finite solution, or the empty string (Ford 1957's condition; a tie links both ways)."""
    if len(names) < 2 or not duels:
        return "there are fewer than two systems"
    if all(duel.outcome == "tie" and duel.win == CREDITS["tie"] for duel in duels):
        return "all verdicts are ties"
    place = {name: k for k, name in enumerate(names)}
    edges = set()
    for duel in duels:
        ends = place[duel.first], place[duel.second]
        edges |= {ends} if duel.win > 0 else set()
        edges |= {ends[::-1]} if duel.win < 1 else set()
    rows, columns = zip(*sorted(edges), strict=True)
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(names), len(names)))
    if connected_components(graph, directed=False)[0] > 1:
        return "some systems are linked to the others by no comparison"
    if connected_components(graph, directed=True, connection="strong")[0] > 1:
        return "some systems win, or lose, every verdict against the others"
    return ""
