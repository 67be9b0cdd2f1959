"""The world -> test questions: about people and in words that no training example has."""

from __future__ import annotations

from itertools import product

import numpy as np

from lima.records import Example, Message, Meta
from lima.world.people import ATTRIBUTES, World
from lima.world.wordings import WORDINGS, question


def make_prompts(world: World, count: int, seed: int) -> list[Example]:
    """``count`` questions about facts of the test people, each fact asked at most once, sorted by id.

    The attribute is the prompt's tag, so that a report can group by it. Where there are fewer facts, all
    of them are asked.
    """
    rng = np.random.default_rng([seed, 4])
    facts = list(product(world.test, ATTRIBUTES))
    chosen = sorted(rng.permutation(len(facts))[:count].tolist())
    prompts = []
    for position in chosen:
        person, attribute = facts[position]
        wording = int(rng.integers(len(WORDINGS[attribute].held_out)))
        text = question(person, attribute, wording, held_out=True)
        prompts.append(
            Example(
                id=f"world/{attribute}/{person.first}-{person.last}".lower(),
                source="world",
                messages=(Message(role="user", content=text),),
                meta=Meta(tags=(attribute,)),
            )
        )
    return sorted(prompts, key=lambda prompt: prompt.id)
