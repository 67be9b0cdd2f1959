"""What the judges of a study took: calls, tokens and money, from the run records in ``judges/*/run.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lima.files import read_json


@dataclass(frozen=True)
class JudgeCost:
    """The calls of one judge, retries included."""

    rater: str
    calls: int
    outcomes: Mapping[str, int]
    """Calls by what came back: ``replied``, or the kind of failure."""
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    """In the currency of the user's price file; None: unknown, which is not free."""


def judge_costs(folder: Path) -> list[JudgeCost]:
    """One entry a finished judge, by rater id."""
    records = [read_json(path) for path in sorted(folder.glob("judges/*/run.json"))]
    facts = [record["facts"] for record in records if record.get("finished")]
    costs = [
        JudgeCost(
            rater=str(fact["rater"]),
            calls=int(fact["calls"]),
            outcomes=fact["outcomes"],
            prompt_tokens=int(fact["prompt_tokens"]),
            completion_tokens=int(fact["completion_tokens"]),
            cost=fact["cost"] if isinstance(fact["cost"], int | float) else None,
        )
        for fact in facts
    ]
    return sorted(costs, key=lambda cost: cost.rater)
