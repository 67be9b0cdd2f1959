"""How competent each rater is, judged by all others at once (Dawid and Skene 1979, Applied Statistics 28, 20-28).

Expectation maximisation over the true label of each item and one matrix of confusions a rater. It needs several votes on an
item, and says nothing of raters who are wrong together.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from lima.statistics.agreement import LABELS, Rated

ROUNDS, CLOSE_ENOUGH = 100, 1e-7


def competence(rated: Sequence[Rated]) -> dict[str, float]:
    """Each rater's probability of the true label, in [0, 1], over the share of labels that is estimated.

    Items with one vote count for nothing and are left out, as are raters who have no other item.
    """
    items: dict[Hashable, list[Rated]] = {}
    for row in rated:
        items.setdefault(row.item, []).append(row)
    shared = [rows for rows in items.values() if len(rows) > 1]
    names = sorted({row.rater for rows in shared for row in rows})
    if not shared:
        return {}
    votes = np.zeros((len(shared), len(names), len(LABELS)))
    for number, rows in enumerate(shared):
        for row in rows:
            votes[number, names.index(row.rater), LABELS.index(row.label)] += 1
    confusion, shares = _estimate(votes)
    return {name: float(shares @ np.diag(confusion[place])) for place, name in enumerate(names)}


def _estimate(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Raters' confusions (rater, true label, said label) and the shares of the true labels, from the majority's labels on."""
    truth = votes.sum(1) / votes.sum((1, 2))[:, None]
    bound = -np.inf
    for _ in range(ROUNDS):
        shares = truth.mean(0)
        said = np.einsum("it,irs->rts", truth, votes)
        confusion = said / np.maximum(said.sum(2, keepdims=True), 1e-12)
        logs = np.log(shares + 1e-300) + np.einsum("irs,rts->it", votes, np.log(confusion + 1e-10))
        most = logs.max(1, keepdims=True)
        truth = np.exp(logs - most)
        before, bound = bound, float((most[:, 0] + np.log(truth.sum(1))).sum())
        truth /= truth.sum(1, keepdims=True)
        if bound - before < CLOSE_ENOUGH * abs(bound):
            break
    return confusion, shares
