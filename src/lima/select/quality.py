"""What makes an answer good, as a number: rules that it keeps, a figure in its ``meta``, or a judge's mark."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np

from lima import console
from lima.curate.candidate import Candidate
from lima.curate.rules import RULES, RuleSettings, first_problem
from lima.errors import LimaError
from lima.evaluate.judge import judge
from lima.evaluate.protocol import Protocol
from lima.evaluate.settings import JudgeSettings
from lima.evaluate.study import Study, existing_rows
from lima.files import loads, write_jsonl, write_text
from lima.records import Example, Grade, Item
from lima.runs import open_map
from lima.select.methods import Marks, Numbers
from lima.select.pool import Pool, lines_at, text_of
from lima.select.settings import SelectSettings

BLOCK = 5_000
"""Examples that a worker marks at once; smaller pools start no process."""
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.S)
PREFERENCES = RuleSettings(
    score_min=None, length_min=None, length_max=None, self_contained_title=False, refusal=True
)
"""The rules that say something of any answer: voice, pointers to what is not there, holes, refusals. The paper's limits of
length are about forum answers."""


def quality_of(settings: SelectSettings, pool: Pool, folder: Path) -> Marks:
    """What `--quality` names: rules as far as they are asked for, the rest at once; a judge's replies are kept in ``folder``."""
    if settings.quality == "rules":
        return Marks(cache(lambda: marks(settings, pool)), cache(partial(_keeps_all, pool)))
    found = judged(settings, pool, folder) if settings.quality == "judge" else marks(settings, pool)
    return Marks(lambda: found)


def _keeps_all(pool: Pool, place: int) -> bool:
    (example,) = pool.examples([place])
    return first_problem(_candidate(example), PREFERENCES) is None


def marks(settings: SelectSettings, pool: Pool, places: Sequence[int] | None = None) -> Numbers:
    """Of the examples at these places, or of all, the rules kept or the number in ``meta``; NaN elsewhere and where there is none.

    Rules take a third of a millisecond an example, so that large pools are shared among ``settings.workers``.

    Raises:
        LimaError: no example of the pool has that number.
    """
    found = np.full(len(pool), np.nan)
    wanted = np.arange(len(pool)) if places is None else np.unique(np.asarray(places, dtype=np.int64))
    blocks = [wanted[start : start + BLOCK] for start in range(0, len(wanted), BLOCK)]
    task = partial(_marks, pool.path, settings.quality)
    with (
        open_map("processes", min(settings.workers or os.cpu_count() or 1, len(blocks))) as run,
        console.progress("marking quality", len(wanted), "examples") as bar,
    ):
        for block, values in zip(blocks, run(task, [pool.offsets[block] for block in blocks]), strict=True):
            found[block] = values
            bar.advance(len(block))
    if places is None and np.isnan(found).all():
        raise LimaError(f"{pool.path}: no example has meta.{settings.quality}, which --quality names.")
    return found


def _marks(path: Path, quality: str, offsets: Iterable[int]) -> list[float]:
    examples = (Example.model_validate(loads(line)) for line in lines_at(path, offsets))
    return [rules_kept(one) if quality == "rules" else _named(one, quality) for one in examples]


def judged(settings: SelectSettings, pool: Pool, folder: Path) -> Numbers:
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


def rules_kept(example: Example) -> float:
    """How many of `PREFERENCES` the answer keeps."""
    candidate = _candidate(example)
    return float(sum(rule(candidate, PREFERENCES) is None for rule in RULES.values()))


def _candidate(example: Example) -> Candidate:
    answer = text_of(example, "answer")
    return Candidate(example, answer=answer, prose=CODE.sub(" ", answer))


def _named(example: Example, name: str) -> float:
    extra = example.meta.model_extra or {}
    value = extra.get(name, getattr(example.meta, name, None))
    if value is None:
        return np.nan
    if isinstance(value, bool | int | float):
        return float(value)
    raise LimaError(f"{example.id}: meta.{name} is {value!r}, expected a number for --quality {name}.")
