"""The lead's figures of dialogues: how far they are, and whether raters choose the same systems. Names are unknown here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from lima.annotate.compare.overview import AgreementRow, agreement_rows
from lima.annotate.database import Database
from lima.annotate.dialogue.dialogues import DialoguePlan, all_dialogues, counted_choices
from lima.annotate.tables import raters
from lima.records import Label

if TYPE_CHECKING:  # it brings scipy
    from lima.statistics.agreement import Rated


def progress(base: Database, plan: DialoguePlan) -> tuple[int, int, int]:
    """Dialogues that are finished, dialogues under way, and choices; of raters who count."""
    with base.read() as connection:
        states = [dialogue.state for dialogue in all_dialogues(connection)]
        return states.count("finished"), states.count("open"), len(counted_choices(connection, plan))


def agreement(base: Database, plan: DialoguePlan) -> list[AgreementRow]:
    """Agreement on the better of two systems over the same opening; each rater has talked with both itself."""
    from lima.statistics.agreement import Rated

    groups: dict[str, list[Rated]] = defaultdict(list)
    with base.read() as connection:
        people = {row.id: row for row in connection.execute(sa.select(raters))}
        for row in counted_choices(connection, plan):
            person = people[row.rater_id]
            for pair, label in _labels(row, plan.systems):
                groups[person.grp].append(Rated(pair, row.opening_id, person.name, label))
    return agreement_rows(groups)


def _labels(row: sa.Row[Any], systems: int) -> Iterator[tuple[str, Label]]:
    """What a choice says of each two systems: the best against each other one, or all equal."""
    for first, second in combinations(range(systems), 2):
        name = f"{row.opening_id}/{first}-{second}"
        if row.best is None:
            yield name, "tie"
        elif row.best in (first, second):
            yield name, "a" if row.best == first else "b"
