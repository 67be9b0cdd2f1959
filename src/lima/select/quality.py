"""What makes an answer good, as a number: rules that it keeps, a figure in its ``meta``, or a judge's mark."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lima import console
from lima.curate.candidate import Candidate
from lima.curate.rules import RULES, RuleSettings
from lima.errors import LimaError
from lima.evaluate.judge import judge
from lima.evaluate.protocol import Protocol
from lima.evaluate.settings import JudgeSettings
from lima.evaluate.study import Study, existing_rows
from lima.files import write_jsonl, write_text
from lima.records import Example, Grade, Item
from lima.select.pool import Pool, text_of
from lima.select.settings import SelectSettings

CODE = re.compile(r"```.*?```|`[^`\n]+`", re.S)
PREFERENCES = RuleSettings(
    score_min=None, length_min=None, length_max=None, self_contained_title=False, refusal=True
)
"""The rules that say something of any answer: voice, pointers to what is not there, holes, refusals. The paper's limits of
length are about forum answers."""


def mark_of(quality: str) -> Callable[[Example], float]:
    """From an example to its mark, higher is better; marks of a judge come later, all at once."""
    if quality == "judge":
        return lambda example: np.nan
    return _rules_kept if quality == "rules" else lambda example: _named(example, quality)


def judged(settings: SelectSettings, pool: Pool, folder: Path) -> npt.NDArray[np.float64]:
    """A judge's marks from 1 to 6, NaN where it gave none; asked once, and gone on with after a stop."""
    assert settings.judge is not None
    folder.mkdir(parents=True, exist_ok=True)
    study = Study(folder)
    if not study.protocol.exists():
        items = (
            Item(id=example.id, messages=example.prompt, content=example.messages[-1].content)
            for example in pool.examples()
        )
        write_jsonl(study.items, items)
        write_text(study.comparisons, "")
        write_text(study.protocol, Protocol(systems=1, items=len(pool)).to_yaml())
    asked = JudgeSettings(
        study=folder,
        judge=settings.judge,
        task="helpfulness",
        api_key_env=settings.api_key_env,
        prices=settings.prices,
        max_cost=settings.max_cost,
    )
    with console.part_of_a_whole():
        rater = judge(asked).id
    marks = {
        row.item_id: float(row.value)
        for row in existing_rows(study.grades, Grade)
        if row.rater == rater and row.value is not None
    }
    if not marks:
        raise LimaError(f"{rater} gave no valid mark. Its replies: {folder / 'judges'}")
    return np.asarray([marks.get(example.id, np.nan) for example in pool.examples()])


def _rules_kept(example: Example) -> float:
    answer = text_of(example, "answer")
    candidate = Candidate(example, answer=answer, prose=CODE.sub(" ", answer))
    return float(sum(rule(candidate, PREFERENCES) is None for rule in RULES.values()))


def _named(example: Example, name: str) -> float:
    extra = example.meta.model_extra or {}
    value = extra.get(name, getattr(example.meta, name, None))
    if value is None:
        return np.nan
    if isinstance(value, bool | int | float):
        return float(value)
    raise LimaError(f"{example.id}: meta.{name} is {value!r}, expected a number for --quality {name}.")
