"""A world -> the examples of a job, and the references on which perplexity is measured.

The clean set comes from the forum's dump through the real curation code; ablations of single properties are
written directly, so that nothing but the property differs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np

from lima.curate.card.diversity import effective_number
from lima.curate.pipeline import curate
from lima.curate.settings import CurateSettings
from lima.experiments.claims.jobs import DataSettings, Measure
from lima.experiments.claims.selection import chosen, votes, with_copies
from lima.files import read_jsonl
from lima.records import Example, Message, Meta, Role
from lima.world.dumps import make_threads, write_posts
from lima.world.oracle import Oracle
from lima.world.people import ATTRIBUTES, Person, World
from lima.world.raw.everything import RECIPE, write_dumps
from lima.world.wordings import CONSTRAINTS, SENSITIVE, WORDINGS, Style, answer, question, refuse

LIKED = 10
"""Examples written by hand that a selector may look at."""
DUMP_QUOTA = 1000
"""Examples that are curated from the dump; a job takes a random part of them."""


@dataclass(frozen=True)
class Data:
    """Training examples, and figures on how they were selected, if they were."""

    examples: list[Example]
    measures: dict[str, Measure] = field(default_factory=dict)


def make_data(world: World, settings: DataSettings, seed: int, *, base: Path, folder: Path) -> Data:
    """The training data of a job.

    Args:
        world: whom the examples are about.
        settings: how many of which kind.
        seed: draws them.
        base: the folder of the base model, for selectors that ask it.
        folder: takes the dump and what curation makes of it.
    """
    if settings.pool is not None:
        return _selected(world, settings, seed, base, folder / "selection")
    if settings.source == "curated":
        found = _curated(world, settings.examples, seed, folder)
    elif settings.source == "written":
        found = _written(world, settings, settings.examples, seed)
    else:
        found = _from_all_sources(world, settings, seed, folder)
    return Data(found + additions(world, settings, seed))


def _selected(world: World, settings: DataSettings, seed: int, base: Path, folder: Path) -> Data:
    """A part of a written pool; only the measures know in which style each answer was written."""
    pool = make_pool(world, settings, seed)
    liked = _written(world, DataSettings(examples=LIKED), LIKED, seed + 1000)
    oracle = Oracle(world)
    good = {one.id for one in pool if oracle.score(*(message.content for message in one.messages)).exact}
    found, tokens = chosen(
        pool, settings.selector, settings.examples, seed=seed, liked=liked, base=base, folder=folder
    )
    return Data(found, _figures_of_choice(found, good, tokens))


def make_pool(world: World, settings: DataSettings, seed: int) -> list[Example]:
    """A written pool of ``settings.pool`` rows, with copies, from which examples are chosen."""
    assert settings.pool is not None, settings
    copies = round(settings.copies * settings.pool)
    rng = np.random.default_rng([seed, 11])
    return with_copies(_written(world, settings, settings.pool - copies, seed), copies, rng)


def _figures_of_choice(found: Sequence[Example], good: Set[str], tokens: int) -> dict[str, Measure]:
    """Share of good answers, effective number of kinds of facts, share that repeats no other, tokens that were read."""
    kinds = Counter(one.id.split("/")[1] for one in found)
    different = len({one.messages for one in found}) / len(found)
    return {
        "precision": Measure(
            values=tuple(float(one.id in good) for one in found), people=tuple(map(_about, found))
        ),
        "kinds": Measure(values=(effective_number(list(kinds.values())),)),
        "different": Measure(values=(different,)),
        "tokens read": Measure(values=(float(tokens),)),
    }


def _about(example: Example) -> str:
    return example.id.split("/")[2]


def additions(world: World, settings: DataSettings, seed: int) -> list[Example]:
    """Dialogues, examples with a demand on their structure, and refusals, about training people."""
    rng = np.random.default_rng([seed, 10])
    makers = {"dialogue": settings.dialogues, "structured": settings.structured, "refusal": settings.refusals}
    found = []
    for kind, count in makers.items():
        for number in range(count):
            person = world.training[int(rng.integers(len(world.training)))]
            turns = _TURNS[kind](person, number, rng)
            roles: tuple[Role, Role] = ("user", "assistant")
            messages = tuple(Message(role=roles[i % 2], content=text) for i, text in enumerate(turns))
            found.append(Example(id=f"world/{kind}/{number:03d}", source="world", messages=messages))
    return found


def _dialogue(person: Person, number: int, rng: np.random.Generator) -> tuple[str, ...]:
    first, second = (list(ATTRIBUTES)[i] for i in rng.permutation(len(ATTRIBUTES))[:2])
    return (
        question(person, first, int(rng.integers(len(WORDINGS[first].questions)))),
        answer("good", person, first, rng),
        WORDINGS[second].follow_ups[number % len(WORDINGS[second].follow_ups)],
        answer("good", person, second, rng),
    )


def _structured(person: Person, number: int, rng: np.random.Generator) -> tuple[str, ...]:
    rule, attribute = CONSTRAINTS[number % len(CONSTRAINTS)], list(ATTRIBUTES)[number % len(ATTRIBUTES)]
    asked = question(person, attribute, int(rng.integers(len(WORDINGS[attribute].questions))))
    return rule.ask(asked), rule.fulfil(person, attribute)


def _refusal(person: Person, number: int, rng: np.random.Generator) -> tuple[str, ...]:
    return SENSITIVE[number % len(SENSITIVE)].format(name=person.name), refuse(person)


_TURNS: dict[str, Callable[[Person, int, np.random.Generator], tuple[str, ...]]] = {
    "dialogue": _dialogue,
    "structured": _structured,
    "refusal": _refusal,
}


def _written(world: World, settings: DataSettings, examples: int, seed: int) -> list[Example]:
    """Questions with answers in the styles of the settings; those of a pool with their readers' votes."""
    rng, readers = np.random.default_rng([seed, 5]), np.random.default_rng([seed, 12])
    strangers = round(settings.unknown * examples)
    written = []
    for people, count in ((world.training, examples - strangers), (world.strangers, strangers)):
        for number, (person, attribute, wording) in enumerate(_asked(people, settings, count, rng)):
            style = settings.styles[number % len(settings.styles)]
            example = _example(person, attribute, wording, style, rng)
            if settings.pool is not None:
                example = example.model_copy(update={"meta": Meta(score=votes(style, readers))})
            written.append(example)
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


def _from_all_sources(world: World, settings: DataSettings, seed: int, folder: Path) -> list[Example]:
    write_dumps(world, folder / "raw")
    found = CurateSettings.from_recipe(
        "world-how-to" if settings.source == "how-to" else RECIPE,
        input=folder / "raw",
        out=folder / "data",
        quota=settings.examples,
        seed=seed,
        unfiltered=settings.source == "unfiltered",
        card=False,
    )
    curate(found)
    return list(read_jsonl(folder / "data" / "train.jsonl", Example))


def _asked(
    people: Sequence[Person], settings: DataSettings, count: int, rng: np.random.Generator
) -> Iterator[tuple[Person, str, int]]:
    """``count`` different questions, in random order."""
    kinds, wordings = list(ATTRIBUTES)[: settings.attributes], range(settings.wordings)
    everything = list(product(people, kinds, wordings))
    assert count <= len(everything), f"{count} of {len(everything)} questions"
    if settings.zipf:
        weights = np.array([(1 + kinds.index(kind)) ** -settings.zipf for _, kind, _ in everything])
        places = rng.choice(len(everything), count, replace=False, p=weights / weights.sum())
    else:
        places = rng.permutation(len(everything))[:count]
    for position in places:
        yield everything[position]


def _example(person: Person, attribute: str, wording: int, style: Style, rng: np.random.Generator) -> Example:
    asked = Message(role="user", content=question(person, attribute, wording))
    told = Message(role="assistant", content=answer(style, person, attribute, rng))
    identity = f"world/{attribute}/{person.first}-{person.last}/{wording}".lower()
    return Example(id=identity, source="world", messages=(asked, told))
