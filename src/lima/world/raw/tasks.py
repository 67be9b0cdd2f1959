"""Tasks of the world as Super-NaturalInstructions has them: a JSON file each, some of them no generation or not English."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from lima.files import write_json
from lima.world.people import ATTRIBUTES, World
from lima.world.raw.planted import Planted
from lima.world.wordings import CONSTRAINTS, WORDINGS, Constraint, question

INSTANCES = 8
"""Of each task; one of them is drawn."""
UNWANTED = {"category": ("Answerability Classification", "English"), "language": ("Data to Text", "German")}
"""Tasks that no training set takes: why, and what makes them so."""


def write_tasks(world: World, folder: Path, seed: int) -> Planted:
    """A task for each demand on the structure of an answer and each kind of fact, and the unwanted ones."""
    rng, planted = np.random.default_rng([seed, 24]), Planted()
    wanted = [("Data to Text", "English", None, *pair) for pair in product(CONSTRAINTS, ATTRIBUTES)]
    others = [
        (category, language, why, CONSTRAINTS[0], attribute)
        for why, (category, language) in UNWANTED.items()
        for attribute in ATTRIBUTES
    ]
    for number, (category, language, why, demand, attribute) in enumerate([*wanted, *others], start=1):
        path = folder / f"task{number:04d}_town_{attribute}.json"
        write_json(path, _task(world, demand, attribute, (category, language), rng))
        planted.files.append(path)
        for _ in range(INSTANCES):
            planted.add(why)
    return planted


def _task(
    world: World, demand: Constraint, attribute: str, kind: tuple[str, str], rng: np.random.Generator
) -> dict[str, Any]:
    category, language = kind
    people = [world.training[i] for i in rng.permutation(len(world.training))[:INSTANCES].tolist()]
    wordings = len(WORDINGS[attribute].questions)
    instances = [
        {
            "id": f"{attribute}-{number}",
            "input": question(person, attribute, int(rng.integers(wordings))),
            "output": [demand.fulfil(person, attribute)],
        }
        for number, person in enumerate(people)
    ]
    return {
        "Contributors": ["the town hall"],
        "Source": ["town"],
        "Categories": [category],
        "Domains": ["Town"],
        "Definition": [demand.demand],
        "Input_language": ["English"],
        "Output_language": [language],
        "Instruction_language": ["English"],
        "Positive Examples": [],
        "Negative Examples": [],
        "Instances": instances,
        "Instance License": ["CC BY 4.0"],
    }
