"""Accepted candidates -> train, dev, test and held-out sets that share no question and no author pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np

from lima.curate.candidate import Candidate
from lima.records import Example

Split = Literal["train", "dev", "test", "heldout"]
SPLITS: tuple[Split, ...] = get_args(Split)


def split(
    accepted: Sequence[Candidate], quotas: Mapping[Split, int], random: np.random.Generator
) -> dict[Split, list[Example]]:
    """Deal candidates at random, those of one group together.

    When fewer were accepted than wanted, every set gets its share of them.
    """
    rooms = _rooms(len(accepted), quotas)
    found: dict[Split, list[Example]] = {name: [] for name in SPLITS}
    for group in _shuffled_groups(accepted, random):
        name = _roomy(rooms, len(group))
        rooms[name] -= len(group)
        found[name] += [candidate.example for candidate in group]
    return found


def as_prompt(example: Example) -> Example:
    """The example without its last answer: what a test set shows to a model."""
    return example.model_copy(update={"messages": example.prompt})


def _rooms(accepted: int, quotas: Mapping[Split, int]) -> dict[Split, int]:
    total = sum(quotas.values())
    rooms: dict[Split, int] = {}
    for name in SPLITS[1:]:
        share = quotas.get(name, 0) / total if total else 0.0
        rooms[name] = int(min(accepted, total) * share)
    rooms["train"] = accepted - sum(rooms.values())
    return rooms


def _shuffled_groups(accepted: Sequence[Candidate], random: np.random.Generator) -> list[list[Candidate]]:
    groups: dict[str, list[Candidate]] = {}
    for candidate in sorted(accepted, key=lambda candidate: candidate.id):
        groups.setdefault(candidate.group or candidate.id, []).append(candidate)
    ordered = list(groups.values())
    return [ordered[position] for position in random.permutation(len(ordered))]


def _roomy(rooms: Mapping[Split, int], size: int) -> Split:
    """The first small set with room for the whole group, else train."""
    return next((name for name in SPLITS[1:] if rooms[name] >= size), "train")
