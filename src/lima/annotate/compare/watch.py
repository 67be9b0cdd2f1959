"""The lead's view of a study that may be watched: win - loss so far, without a system's name.

Only a process of its own opens the key (`lima.evaluate.watch_process`); the server of people's pages gets numbers back.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lima.annotate.compare.exchange import PLAN_HASH
from lima.annotate.compare.overview import counted_votes
from lima.annotate.compare.texts import Texts
from lima.annotate.database import Database
from lima.annotate.languages import Said
from lima.annotate.tables import facts

SECONDS = 60
"""After which the other process is given up: the rest of the console does not wait for it longer."""


@dataclass(frozen=True)
class WatchedLine:
    """One pair of systems and group of raters, in words."""

    group: str
    pair: str
    gap: str
    state: str


def watched_lines(base: Database, texts: Texts) -> tuple[list[WatchedLine], str]:
    """Lines for the console, or why there are none; both empty where the plan declares nothing."""
    if not texts.protocol.plan.watched or not texts.comparisons:
        return [], ""
    votes: dict[str, list[tuple[str, str]]] = defaultdict(list, {texts.plan.groups[0]: []})
    with base.read() as connection:
        began = connection.scalar(sa.select(facts.c.value).where(facts.c.name == PLAN_HASH))
        for row in connection.execute(counted_votes()):
            votes[row.grp].append((row.text_id, row.answer["pairwise"]))
    if began != texts.plan.hash:
        return [], Said("plan.watched was declared after this study began, so it may not be watched.")
    command = [sys.executable, "-m", "lima.evaluate.watch_process", str(texts.study.folder)]
    try:
        run = subprocess.run(
            command, input=json.dumps(votes), text=True, capture_output=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return [], Said("The sequences took more than {seconds} s; lima report has them.", seconds=SECONDS)
    if run.returncode:
        return [], Said("The sequences cannot be made: is the key of the study here? lima report says more.")
    return [_line(found) for found in json.loads(run.stdout)], ""


def _line(found: dict[str, Any]) -> WatchedLine:
    first, second = found["pair"]
    gap, low, high = (found[name] for name in ("gap", "low", "high"))
    words: str = Said("no vote yet")
    if gap is not None:
        words = f"{100 * gap:+.0f} [{100 * low:+.0f}, {100 * high:+.0f}]".replace("-", "\u2212")
    decided = found["decided_at"]
    state = (
        Said("decided after {number} prompts", number=decided)
        if decided
        else Said("open, {number} of {all} prompts", number=found["n"], all=found["planned"])
    )
    pair = Said("system {first} against system {second}", first=first + 1, second=second + 1)
    return WatchedLine(str(found["group"]), pair, words, state)
