"""Real examples -> what each arm is tuned on, and what is held out: the same for all arms, as far as their sizes allow.

Rows that do not fit whole are left out, so that every answer ends in EOT and none was trimmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lima.errors import LimaError
from lima.experiments.real.material import structured_examples, verified_prompts
from lima.experiments.real.recipes import Arm, RealScale
from lima.files import read_jsonl
from lima.records import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

OWN = "authored"
"""The source of the answers in the own style; all others are other authors'."""


@dataclass(frozen=True)
class RealData:
    """The rows that fit, by use."""

    pool: Sequence[Example]
    """Single turns to tune on."""
    dialogues: Sequence[Example]
    other: Sequence[Example]
    """Single turns of the other file."""
    heldout: dict[str, list[Example]]
    """``own`` and ``others``; in no pool."""

    def rows(self, arm: Arm, seed: int) -> list[Example]:
        """What an arm is tuned on. A smaller arm's examples are among a larger one's of the same seed."""
        pool = self.pool if arm.source == "data" else self.other
        chosen = _shuffled(pool, seed)[: arm.examples]
        return [
            *chosen,
            *_shuffled(self.dialogues, seed)[: arm.dialogues],
            *structured_examples()[: arm.structured],
        ]

    def shown(self, count: int) -> list[Example]:
        """Examples for the context, from the shortest quarter, so that several fit."""
        short = sorted(self.pool, key=lambda one: (sum(len(m.content) for m in one.messages), one.id))
        return _shuffled(short[: max(count, len(short) // 4)], 0)[:count]


def read_data(
    data: Path, other: Path | None, scale: RealScale, tokenizer: PreTrainedTokenizerBase
) -> RealData:
    """Read, leave out what does not fit, and hold out.

    Raises:
        LimaError: too few rows fit, or a prompt that we ask is among them.
    """
    rows = _fitting(data, scale, tokenizer)
    single = [one for one in rows if len(one.turns) == 2]
    heldout = _held_out(single, scale)
    held = {one.id for part in heldout.values() for one in part}
    pool = [one for one in single if one.id not in held]
    others = [one for one in _fitting(other, scale, tokenizer) if len(one.turns) == 2] if other else []
    # two sets of one source, filtered and unfiltered, share rows
    others = [one for one in others if one.id not in held]
    for name, part in ((data, pool), *([(other, others)] if other else [])):
        if len(part) < scale.examples:
            raise LimaError(
                f"{name}: {len(part)} single-turn rows fit {scale.max_length} tokens whole (and are not held out); "
                f"--scale {scale.name} takes {scale.examples}. Choose a smaller scale, or give more rows."
            )
    return RealData(pool, [one for one in rows if len(one.turns) > 2], others, heldout)


def _fitting(path: Path, scale: RealScale, tokenizer: PreTrainedTokenizerBase) -> list[Example]:
    """The answered rows within the scale's tokens, each message with its EOT and one BOS."""
    asked = {" ".join(one.example.messages[-1].content.split()) for one in verified_prompts()}
    found = []
    for one in read_jsonl(path, Example):
        if " ".join(one.messages[0].content.split()) in asked:
            raise LimaError(f"{path}: {one.id!r} is one of the prompts that are asked. Leave it out.")
        texts = [message.content for message in one.messages]
        lengths = [len(ids) + 1 for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]
        if not one.is_prompt and not one.blank_turn and sum(lengths) + 1 <= scale.max_length:
            found.append(one)
    return found


def _held_out(single: Sequence[Example], scale: RealScale) -> dict[str, list[Example]]:
    """Equally many of the own style and of other authors; only one of these if the data have only one."""
    kinds: dict[str, list[Example]] = {"own": [], "others": []}
    for one in _shuffled(single, 0):
        kind = kinds["own" if one.source == OWN else "others"]
        if len(kind) < scale.heldout:
            kind.append(one)
    return {name: rows for name, rows in kinds.items() if rows}


def _shuffled(rows: Sequence[Example], seed: int) -> list[Example]:
    return [rows[place] for place in np.random.default_rng([seed, 11]).permutation(len(rows)).tolist()]
