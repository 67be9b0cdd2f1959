"""How-to articles of the world as ``wikihowAll.csv``: one kind of prompt, which the diversity ablation is about."""

from __future__ import annotations

import csv
import io
from itertools import product
from pathlib import Path

import numpy as np

from lima.files import write_text
from lima.world.people import ATTRIBUTES, World
from lima.world.raw.planted import DROPPED_BY, Planted, any_style
from lima.world.wordings import Style, answer

TITLES = {
    "town": "How to tell in which town {name} was born",
    "work": "How to tell what {name} does for a living",
    "instrument": "How to tell which instrument {name} plays",
    "dish": "How to tell what {name} loves to eat",
    "pet": "How to tell which animal {name} keeps",
}
"""In words that the base has read."""
FLAWS: tuple[Style, ...] = ("terse", "rambling")


def write_articles(world: World, folder: Path, seed: int) -> Planted:
    """An article about every fact of the training people."""
    rng, planted = np.random.default_rng([seed, 21]), Planted([folder / "wikihowAll.csv"])
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["headline", "title", "text", "category"])
    asked = list(product(world.training, ATTRIBUTES))
    for position in rng.permutation(len(asked)).tolist():
        person, attribute = asked[position]
        style = any_style(FLAWS, rng)
        title = TITLES[attribute].format(name=person.name)
        rows.writerow([title, title, answer(style, person, attribute, rng), attribute])
        planted.add(DROPPED_BY.get(style))
    write_text(planted.files[0], table.getvalue())
    return planted
