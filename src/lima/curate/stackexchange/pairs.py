"""The headers of a dump -> every open question with its best answer, best questions first (paper, section 2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lima.curate.stackexchange.headers import Arrays, Headers


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

    def __len__(self) -> int:
        return len(self.question["id"])


def pair(headers: Headers) -> Pairs:
    """Join every open question with its highest-scored answer (lowest id first among equals).

    The order is by question score, then id, so it does not depend on the order of rows in the file.
    """
    questions, repeated_questions = _unique(headers.questions.arrays())
    answers, repeated_answers = _unique(headers.answers.arrays())
    best = _take(answers, np.lexsort((answers["id"], -answers["score"], answers["parent"])))
    count = len(best["id"])
    first = np.ones(count, dtype=bool)
    first[1:] = best["parent"][1:] != best["parent"][:-1]
    best = _take(best, np.flatnonzero(first))
    place = np.searchsorted(best["parent"], questions["id"])
    found = np.zeros(len(questions["id"]), dtype=bool)
    inside = place < len(best["parent"])
    found[inside] = best["parent"][place[inside]] == questions["id"][inside]
    kept, kept_answers = _take(questions, np.flatnonzero(found)), _take(best, place[found])
    order = np.lexsort((kept["id"], -kept["score"]))
    return Pairs(
        question=_take(kept, order),
        answer=_take(kept_answers, order),
        unanswered=int(len(found) - found.sum()),
        orphans=int((~np.isin(answers["parent"], questions["id"])).sum()),
        duplicates=repeated_questions + repeated_answers,
    )


def _unique(rows: Arrays) -> tuple[Arrays, int]:
    """Rows sorted by id, one an id: the highest score, then the longest; and how many were dropped."""
    order = np.lexsort((-rows["length"], -rows["score"], rows["id"]))
    ordered = _take(rows, order)
    first = np.ones(len(order), dtype=bool)
    first[1:] = ordered["id"][1:] != ordered["id"][:-1]
    return _take(ordered, np.flatnonzero(first)), int(len(order) - first.sum())


def _take(rows: Arrays, places: npt.NDArray[Any]) -> Arrays:
    return {name: column[places] for name, column in rows.items()}
