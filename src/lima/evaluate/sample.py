"""Which texts people vote on: a part of the study, drawn once with the probabilities that the plan gives.

The report weighs votes by the inverse of these probabilities (`lima.statistics.joint`), so they are written down
for every text, drawn or not (``sample.jsonl``), before the first vote.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lima.errors import LimaError
from lima.evaluate.protocol import Plan
from lima.evaluate.study import Study, existing_rows
from lima.files import text_hash, write_jsonl
from lima.records import Drawn, Label, Preference
from lima.statistics.joint import draw_sample, inclusion


def planned_sample(study: Study, plan: Plan, seed: int, *, noted: Path | None = None) -> list[Drawn]:
    """All texts of the study with their probabilities, as noted before or as they would be drawn now.

    Empty where the plan asks for no sample; ``noted`` is another file than the study's own, that of a pilot. The draw depends on the seed and the ids of the texts alone, and with
    ``wavering`` on the judges' verdicts so far.

    Raises:
        LimaError: the plan asks for more votes where a judge wavers, and no judge has rated both orders.
    """
    if plan.sample is None:
        return []
    before = existing_rows(noted or study.sample, Drawn)
    if before:
        return before
    comparisons = sorted(row.id for row in study.read_comparisons())
    items = sorted(row.id for row in study.read_items())
    sizes = _sizes(study, comparisons, plan.sample.wavering)
    rows = [
        *_drawn(comparisons, sizes, plan.sample.comparisons, _generator(seed, "sample of comparisons")),
        *_drawn(items, [1.0] * len(items), plan.sample.items, _generator(seed, "sample of items")),
    ]
    return sorted(rows, key=lambda row: row.id)


def note_sample(study: Study, rows: Sequence[Drawn]) -> None:
    """Write the sample down, once."""
    if rows and not study.sample.exists():
        write_jsonl(study.sample, rows)


def _drawn(
    ids: Sequence[str], sizes: Sequence[float], wanted: int | None, generator: np.random.Generator
) -> list[Drawn]:
    probabilities = inclusion(sizes, len(ids) if wanted is None else wanted)
    chosen = set(draw_sample(probabilities, generator))
    return [
        Drawn(id=name, probability=chance, drawn=place in chosen)
        for place, (name, chance) in enumerate(zip(ids, probabilities, strict=True))
    ]


def _sizes(study: Study, comparisons: Sequence[str], factor: float) -> list[float]:
    """How likely each comparison is to be drawn, in proportion."""
    if factor == 1:
        return [1.0] * len(comparisons)
    wavers = _wavers(existing_rows(study.preferences, Preference))
    if not wavers:
        raise LimaError(
            f"{study.protocol}: plan.sample.wavering is {factor:g}, but no judge has rated both orders yet. "
            "Run lima judge first, or set it to 1."
        )
    return [factor if wavers.get(name) else 1.0 for name in comparisons]


def _wavers(preferences: Sequence[Preference]) -> dict[str, bool]:
    """For comparisons that a judge rated in both orders: whether its labels differ, of any judge and repeat."""
    said: dict[tuple[str, str, int], dict[str, Label | None]] = defaultdict(dict)
    for row in preferences:
        if row.shown is not None and row.rater.startswith("judge:"):
            said[row.comparison_id, row.rater, row.repeat][row.shown] = row.label
    found: dict[str, bool] = {}
    for (comparison, _, _), labels in said.items():
        if len(labels) == 2 and None not in labels.values():
            found[comparison] = found.get(comparison, False) or len(set(labels.values())) > 1
    return found


def _generator(seed: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng(int(text_hash(str(seed), purpose), 16))
