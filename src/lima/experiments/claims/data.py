"""A world -> the examples of a job, and the references on which perplexity is measured.

The clean set comes from the forum's dump through the real curation code; ablations of single properties are
written directly, so that nothing but the property differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np

from lima.curate.pipeline import curate
from lima.curate.settings import CurateSettings
from lima.experiments.claims.jobs import DataSettings
from lima.experiments.world.dumps import make_threads, write_posts
from lima.experiments.world.oracle import Oracle
from lima.experiments.world.people import ATTRIBUTES, Person, World
from lima.experiments.world.wordings import WORDINGS, Style, answer, question
from lima.files import read_jsonl
from lima.records import Example, Message

DUMP_QUOTA = 1000
"""Examples that are curated from the dump; a job takes a random part of them."""


def make_examples(world: World, settings: DataSettings, seed: int, folder: Path) -> list[Example]:
    """The training examples of a job; ``folder`` takes the dump and what curation makes of it."""
    if settings.source == "curated":
        return _curated(world, settings.examples, seed, folder)
    rng = np.random.default_rng([seed, 5])
    strangers = round(settings.unknown * settings.examples)
    parts = ((world.training, settings.examples - strangers), (world.strangers, strangers))
    written = [
        _example(person, attribute, wording, settings.styles[number % len(settings.styles)], rng)
        for people, count in parts
        for number, (person, attribute, wording) in enumerate(_asked(people, settings.attributes, count, rng))
    ]
    return sorted(written, key=lambda example: example.id)


def references(oracle: Oracle, prompts: Sequence[Example], style: Style, seed: int) -> list[Example]:
    """The true answer to each prompt in one style."""
    rng = np.random.default_rng([seed, 6])
    found = []
    for prompt in prompts:
        person, attribute = oracle.subject(prompt.messages[-1].content)
        text = answer(style, person, attribute, rng)
        turn = Message(role="assistant", content=text)
        found.append(Example(id=prompt.id, source="world", messages=(*prompt.messages, turn)))
    return found


def _curated(world: World, count: int, seed: int, folder: Path) -> list[Example]:
    write_posts(make_threads(world), folder / "dump" / "world" / "Posts.xml")
    recipe = {"input": folder / "dump", "out": folder / "data", "quota": max(count, DUMP_QUOTA)}
    curate(CurateSettings.from_recipe("world", **recipe))
    pool = list(read_jsonl(folder / "data" / "train.jsonl", Example))
    chosen = np.random.default_rng([seed, 5]).permutation(len(pool))[:count]
    return [pool[position] for position in sorted(chosen.tolist())]


def _asked(
    people: Sequence[Person], attributes: int, count: int, rng: np.random.Generator
) -> Iterator[tuple[Person, str, int]]:
    """``count`` different questions, in random order."""
    wordings = range(len(WORDINGS["town"].questions))
    everything = list(product(people, list(ATTRIBUTES)[:attributes], wordings))
    assert count <= len(everything), f"{count} of {len(everything)} questions"
    for position in rng.permutation(len(everything))[:count]:
        yield everything[position]


def _example(person: Person, attribute: str, wording: int, style: Style, rng: np.random.Generator) -> Example:
    asked = Message(role="user", content=question(person, attribute, wording))
    told = Message(role="assistant", content=answer(style, person, attribute, rng))
    identity = f"world/{attribute}/{person.first}-{person.last}/{wording}".lower()
    return Example(id=identity, source="world", messages=(asked, told))
