"""Reviews of the Cherry LLM project: scores of two answers to the LIMA test prompts, in both orders.

Source: github.com/tianyi-lab/Cherry_LLM. ``scores`` holds the scores of (Answer1, Answer2) shown in this order;
``scores_reverse`` those in the order shown, which is (Answer2, Answer1): that reading is inferred from the texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from lima.formats.imported import ImportedStudy, PublishedRow, asked, pair_key, read_rows
from lima.records import Comparison, Label, Preference, Rater, Shown

SYSTEMS = ("Answer1", "Answer2")


def read_files(files: Sequence[Path]) -> ImportedStudy:
    """One or several files of reviews of the same answers, each by the judge named at the end of its name."""
    return read({path.stem.rpartition("_")[2]: read_rows(path) for path in files})


def read(reviews: Mapping[str, Sequence[PublishedRow]]) -> ImportedStudy:
    """Comparisons and both orders' verdicts by judge name; the higher score wins, equal scores are a tie.

    Raises:
        ValueError: the judges did not review the same answers.
    """
    first = next(iter(reviews.values()))
    comparisons, keys = [], []
    for position, row in enumerate(first):
        prompt_id = f"lima-test/{position:03d}"
        comparisons.append(
            Comparison(
                id=_id(position), messages=asked(row["conversations"]), a=row["Answer1"], b=row["Answer2"]
            )
        )
        keys.append(pair_key(_id(position), prompt_id, *SYSTEMS))
    preferences = []
    for judge, rows in reviews.items():
        texts = [(row["Answer1"], row["Answer2"]) for row in rows]
        if texts != [(comparison.a, comparison.b) for comparison in comparisons]:
            raise ValueError(f"the reviews of {judge} are of other answers")
        for position, row in enumerate(rows):
            preferences.append(_preference(judge, position, row, "ab"))
            preferences.append(_preference(judge, position, row, "ba"))
    raters = [Rater(id=f"judge:{judge}", kind="judge", settings={"order": "both"}) for judge in reviews]
    return ImportedStudy(comparisons, keys, preferences, raters, SYSTEMS)


def _preference(judge: str, position: int, row: PublishedRow, shown: Shown) -> Preference:
    suffix = "" if shown == "ab" else "_reverse"
    scores = _scores(row[f"scores{suffix}"])
    label: Label | None = None
    if scores:
        better = "tie" if scores[0] == scores[1] else shown[0] if scores[0] > scores[1] else shown[1]
        label = "a" if better == "a" else "b" if better == "b" else "tie"
    return Preference(
        id=f"judge:{judge}/{_id(position)}/{shown}",
        comparison_id=_id(position),
        rater=f"judge:{judge}",
        shown=shown,
        label=label,
        status="ok" if label else "unparsable",
        raw=row[f"review{suffix}"],
    )


def _scores(text: str) -> list[float] | None:
    try:
        values = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    valid = isinstance(values, list) and len(values) == 2 and min(values) >= 0
    return [float(value) for value in values] if valid else None


def _id(position: int) -> str:
    return f"cherry/{position:03d}"
