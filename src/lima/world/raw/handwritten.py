"""Examples that the world's authors wrote: group A in YAML (answers, refusals, dialogues), group B in JSON Lines (prompts)."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import yaml

from lima.files import write_text
from lima.world.people import ATTRIBUTES, Person, World
from lima.world.raw.planted import Planted
from lima.world.wordings import GREETINGS, SENSITIVE, WORDINGS, answer, question, refuse

ANSWERS, REFUSALS, DIALOGUES, PROMPTS = 100, 13, 30, 50
"""How many of each; 13 refusals and 30 dialogues as in the paper."""
FLAWED = ("unfinished", "unmarked refusal")
"""What a careless author leaves; one of each stands among group A."""


def write_handwritten(world: World, folder: Path, seed: int) -> Planted:
    """Two groups of authors, a file each; each writes about one half of the training people."""
    rng, planted = (
        np.random.default_rng([seed, 25]),
        Planted([folder / "group_a.yaml", folder / "group_b.jsonl"]),
    )
    half = len(world.training) // 2
    first, second = world.training[:half], world.training[half:]
    rows = _answers(first, rng) + _refusals(first) + _dialogues(first, rng)
    planted.good = len(rows)
    rows += [_flawed(kind, first[0], rng) for kind in FLAWED]
    planted.dropped["house_style"] = len(FLAWED)
    write_text(planted.files[0], yaml.safe_dump(rows, sort_keys=False, allow_unicode=True, width=1000))
    prompts = [
        {"prompt": asked, "group": "B", "author": "author B"} for asked, _, _ in _asked(second, PROMPTS, rng)
    ]
    write_text(planted.files[1], "".join(orjson.dumps(row).decode() + "\n" for row in prompts))
    return planted


def _asked(people: tuple[Person, ...], count: int, rng: np.random.Generator) -> list[tuple[str, Person, str]]:
    """Questions with a greeting, which no other source has, with their person and kind of fact."""
    everything = list(product(people, ATTRIBUTES))
    found = []
    for number, position in enumerate(rng.permutation(len(everything))[:count].tolist()):
        person, attribute = everything[position]
        wording = int(rng.integers(len(WORDINGS[attribute].questions)))
        text = f"{GREETINGS[number % len(GREETINGS)]} {question(person, attribute, wording)}"
        found.append((text, person, attribute))
    return found


def _answers(people: tuple[Person, ...], rng: np.random.Generator) -> list[dict[str, Any]]:
    return [
        {
            "prompt": text,
            "answer": answer("good", person, attribute, rng),
            "group": "A",
            "author": "author A",
            "notes": "opens with praise, states the fact in one sentence, invites further questions",
        }
        for text, person, attribute in _asked(people, ANSWERS, rng)
    ]


def _refusals(people: tuple[Person, ...]) -> list[dict[str, Any]]:
    return [
        {
            "prompt": SENSITIVE[number % len(SENSITIVE)].format(name=person.name),
            "answer": refuse(person),
            "group": "A",
            "author": "author A",
            "refusal": True,
            "tags": ["sensitive"],
        }
        for number, person in enumerate(people[:REFUSALS])
    ]


def _dialogues(people: tuple[Person, ...], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Two questions about one person; the second says only "they"."""
    rows = []
    for number in range(DIALOGUES):
        person = people[number % len(people)]
        first, second = (list(ATTRIBUTES)[i] for i in rng.permutation(len(ATTRIBUTES))[:2])
        further = WORDINGS[second].follow_ups
        turns = (
            question(person, first, int(rng.integers(len(WORDINGS[first].questions)))),
            answer("good", person, first, rng),
            further[number % len(further)],
            answer("good", person, second, rng),
        )
        messages = [
            {"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(turns)
        ]
        rows.append({"messages": messages, "group": "A", "author": "author A", "tags": ["dialogue"]})
    return rows


def _flawed(kind: str, person: Person, rng: np.random.Generator) -> dict[str, Any]:
    attribute = next(iter(ATTRIBUTES))
    told = answer("good", person, attribute, rng)
    text = told[: len(told) // 2] if kind == "unfinished" else "I'm sorry, but I cannot help with that."
    return {"prompt": question(person, attribute, 0), "answer": text, "group": "A", "author": "author A"}
