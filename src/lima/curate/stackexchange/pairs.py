"""The headers of a dump -> every open question with its best answer, best questions first (paper, section 2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lima.curate.stackexchange.headers import Arrays, Headers

FABRICATED = (1_000_000_001, 1_000_000_010)
"""Ids of the two posts that nobody wrote, which dumps since 2024 hold for every site."""


@dataclass(frozen=True)
class Pairs:
    """Questions with their best answer, best questions first: columns of ids, offsets and lengths."""

    question: Arrays
    answer: Arrays
    unanswered: int
    """Open questions without an answer that reaches the floor."""
    orphans: int
    """Answers that reach the floor to questions that are closed or not in the dump."""
    duplicates: int
    """Rows whose id was there before."""
    fabricated: int = 0
    """Questions among `FABRICATED`."""

    def __len__(self) -> int:
        return len(self.question["id"])


def pair(headers: Headers) -> Pairs:
    """Join every open question with its highest-scored answer: among equals the accepted one, then the lowest id.

    The order is by question score, then id, so it does not depend on the order of rows in the file.
    """
    questions, repeated_questions = _unique(headers.questions.arrays())
    answers, repeated_answers = _unique(headers.answers.arrays())
    questions, fabricated = _written(questions)
    answers, _ = _written(answers)
    accepted = _accepted(questions, answers)
    best = _take(answers, np.lexsort((answers["id"], ~accepted, -answers["score"], answers["partner"])))
    count = len(best["id"])
    first = np.ones(count, dtype=bool)
    first[1:] = best["partner"][1:] != best["partner"][:-1]
    best = _take(best, np.flatnonzero(first))
    place = np.searchsorted(best["partner"], questions["id"])
    found = np.zeros(len(questions["id"]), dtype=bool)
    inside = place < len(best["partner"])
    found[inside] = best["partner"][place[inside]] == questions["id"][inside]
    kept, kept_answers = _take(questions, np.flatnonzero(found)), _take(best, place[found])
    order = np.lexsort((kept["id"], -kept["score"]))
    return Pairs(
        question=_take(kept, order),
        answer=_take(kept_answers, order),
        unanswered=int(len(found) - found.sum()),
        orphans=int((~np.isin(answers["partner"], questions["id"])).sum()),
        duplicates=repeated_questions + repeated_answers,
        fabricated=fabricated,
    )


def _accepted(questions: Arrays, answers: Arrays) -> npt.NDArray[np.bool_]:
    """Which answers their questions have accepted."""
    if not len(questions["id"]):
        return np.zeros(len(answers["id"]), dtype=bool)
    place = np.minimum(np.searchsorted(questions["id"], answers["partner"]), len(questions["id"]) - 1)
    is_theirs = questions["id"][place] == answers["partner"]
    found: npt.NDArray[np.bool_] = is_theirs & (questions["partner"][place] == answers["id"])
    return found


def _written(posts: Arrays) -> tuple[Arrays, int]:
    """The posts that somebody wrote, and how many others there are."""
    made_up = np.isin(posts["id"], FABRICATED)
    return _take(posts, np.flatnonzero(~made_up)), int(made_up.sum())


def _unique(rows: Arrays) -> tuple[Arrays, int]:
    """Rows sorted by id, one an id: the highest score, then the longest; and how many were dropped."""
    order = np.lexsort((-rows["length"], -rows["score"], rows["id"]))
    ordered = _take(rows, order)
    first = np.ones(len(order), dtype=bool)
    first[1:] = ordered["id"][1:] != ordered["id"][:-1]
    return _take(ordered, np.flatnonzero(first)), int(len(order) - first.sum())


def _take(rows: Arrays, places: npt.NDArray[Any]) -> Arrays:
    return {name: column[places] for name, column in rows.items()}
