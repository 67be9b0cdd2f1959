"""The oracle as a rater of a study: it reads what a judge would read, and writes the same rows."""

from __future__ import annotations

from lima.evaluate.study import Study, add_grades, add_preferences
from lima.records import Comparison, Grade, Item, Preference, Rater
from lima.world.oracle import Oracle

RATER = Rater(
    id="oracle:world",
    kind="oracle",
    description=(
        "Ground truth of the built-in world. Excellent: the right fact in house style; pass: the right "
        "fact in another form; fail: anything else. The better grade wins a comparison."
    ),
)


def rate(study: Study, oracle: Oracle) -> None:
    """Grade every answer and decide every comparison of the study; without the key."""
    comparisons, items = study.read_comparisons(), study.read_items()
    add_preferences(study, RATER, [_preference(oracle, row) for row in comparisons])
    add_grades(study, RATER, [_grade(oracle, row) for row in items])


def _preference(oracle: Oracle, row: Comparison) -> Preference:
    return Preference(
        id=f"{RATER.id}/{row.id}",
        comparison_id=row.id,
        rater=RATER.id,
        shown=None,  # it knows the truth, and sees no order
        label=oracle.prefer(row.messages[-1].content, row.a, row.b),
    )


def _grade(oracle: Oracle, row: Item) -> Grade:
    return Grade(
        id=f"{RATER.id}/{row.id}",
        item_id=row.id,
        rater=RATER.id,
        scale="quality",
        value=oracle.score(row.messages[-1].content, row.content).grade,
    )
