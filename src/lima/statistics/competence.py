"""How competent each rater is, judged by all others at once (Dawid and Skene 1979, Applied Statistics 28, 20-28).

Expectation maximisation over the true label of each item and one matrix of confusions a rater. It needs several votes on an
item, and says nothing of raters who are wrong together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from scipy.sparse import csr_array

from lima.statistics.agreement import LABELS, Rated

ROUNDS, CLOSE_ENOUGH = 100, 1e-7
FEWEST_SHARED, FEWEST_RATERS = 10, 3
"""Items that a rater must share with others, and raters who do: with two nothing tells them apart."""


def competence_of_enough(rated: Sequence[Rated]) -> dict[str, float]:
    """As `competence`, of raters about whom the votes say enough; empty where they are too few."""
    votes = Counter(row.item for row in rated)
    shared = Counter(row.rater for row in rated if votes[row.item] > 1)
    enough = {rater for rater, number in shared.items() if number >= FEWEST_SHARED}
    if len(enough) < FEWEST_RATERS:
        return {}
    return competence([row for row in rated if row.rater in enough])


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
    places = {name: place for place, name in enumerate(names)}
    row_of = [number for number, rows in enumerate(shared) for _ in rows]
    column_of = [len(LABELS) * places[row.rater] + LABELS.index(row.label) for rows in shared for row in rows]
    shape = (len(shared), len(LABELS) * len(names))
    votes = csr_array((np.ones(len(row_of)), (row_of, column_of)), shape=shape)
    confusion, shares = _estimate(votes)
    return {name: float(shares @ np.diag(confusion[place])) for place, name in enumerate(names)}


def _estimate(votes: csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Raters' confusions (rater, true label, said label) and the shares of the true labels, from the majority's labels on.

    ``votes`` has a row an item and a column for each rater and label: 30,000 votes of 1,000 raters are mostly zeros.
    """
    labels = len(LABELS)
    by_label = np.tile(np.eye(labels), (votes.shape[1] // labels, 1))
    truth = votes @ by_label / votes.sum(1)[:, None]
    bound = -np.inf
    for _ in range(ROUNDS):
        shares = truth.mean(0)
        said = (votes.T @ truth).reshape(-1, labels, labels)  # (rater, said, true)
        confusion = said / np.maximum(said.sum(1, keepdims=True), 1e-12)
        logs = np.log(shares + 1e-300) + votes @ np.log(confusion + 1e-10).reshape(-1, labels)
        most = logs.max(1, keepdims=True)
        truth = np.exp(logs - most)
        before, bound = bound, float((most[:, 0] + np.log(truth.sum(1))).sum())
        truth /= truth.sum(1, keepdims=True)
        if bound - before < CLOSE_ENOUGH * abs(bound):
            break
    return confusion.transpose(0, 2, 1), shares
