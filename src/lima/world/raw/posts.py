"""Posts and comments of the world as Pushshift archives (``.zst``): stories about people, and questions about secrets."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from lima.files import replacing
from lima.world.people import ATTRIBUTES, Person, World
from lima.world.raw.planted import DROPPED_BY, Planted
from lima.world.wordings import CLOSER, OPENER, SENSITIVE, answer, statement

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STORIES, SECRETS = "TownStories", "AskTheTown"
SCORE = 10
"""The least that a post, and its best comment, must score."""
FATES = ("good", "good", "good", "terse", "post_score", "adults_only", "no_story", "low story")
"""What becomes of the posts, in turn."""


def write_stories(world: World, folder: Path, seed: int) -> Planted:
    """One post for each of the training people that asks for a story, with comments of all kinds."""
    rng = np.random.default_rng([seed, 22])
    planted = Planted([folder / f"{STORIES}_{kind}.zst" for kind in ("submissions", "comments")])
    posts, comments = [], []
    for number, person in enumerate(world.training):
        fate = FATES[number % len(FATES)]
        posts.append(_post(number, f"[WP] Please tell the story of {person.name}.", STORIES, fate, rng))
        if fate != "no_story":
            comments += _comments(number, person, fate, rng)
        rule = {"good": None, "terse": DROPPED_BY["terse"], "low story": "score"}.get(fate, fate)
        planted.add(rule)
    _write(planted.files[0], posts)
    _write(planted.files[1], comments)
    return planted


def write_secrets(world: World, folder: Path, seed: int) -> Planted:
    """Questions about secrets, bare prompts that only the test set uses."""
    rng, planted = np.random.default_rng([seed, 23]), Planted([folder / f"{SECRETS}_submissions.zst"])
    posts = []
    for number, person in enumerate(world.training):
        fate = "post_score" if number % 5 == 4 else "good"
        title = SENSITIVE[number % len(SENSITIVE)].format(name=person.name)
        posts.append(_post(1000 + number, title, SECRETS, fate, rng))
        planted.add(None if fate == "good" else fate)
    _write(planted.files[0], posts)
    return planted


def story(person: Person, rng: np.random.Generator) -> str:
    """Two facts in house style."""
    first, second = (list(ATTRIBUTES)[i] for i in rng.permutation(len(ATTRIBUTES))[:2])
    return f"{OPENER} {statement(person, first)} {statement(person, second)} {CLOSER}"


def _post(number: int, title: str, subreddit: str, fate: str, rng: np.random.Generator) -> dict[str, Any]:
    low = fate == "post_score"
    return {
        "id": f"p{number}",
        "subreddit": subreddit,
        "author": f"neighbour_{1 + number % 97}",
        "title": title,
        "selftext": "",
        "score": int(rng.integers(0, SCORE)) if low else int(rng.integers(SCORE, 900)),
        "over_18": fate == "adults_only",
        "stickied": False,
        "created_utc": 1_550_000_000 + 60 * number,
    }


def _comments(number: int, person: Person, fate: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    """The best top-level comment as the fate wants it, a weaker one, and a liked reply that is no story."""
    attribute = list(ATTRIBUTES)[number % len(ATTRIBUTES)]
    text = answer("terse", person, attribute, rng) if fate == "terse" else story(person, rng)
    best = int(rng.integers(1, SCORE)) if fate == "low story" else int(rng.integers(SCORE, 500))
    wrong = answer("wrong", person, attribute, rng)
    return [
        _comment(f"c{number}a", number, text, best),
        _comment(f"c{number}b", number, wrong, best - 1),
        _comment(f"c{number}c", number, "Many thanks for the kind words.", 1000, parent=f"t1_c{number}a"),
    ]


def _comment(identity: str, post: int, text: str, score: int, parent: str | None = None) -> dict[str, Any]:
    return {
        "id": identity,
        "subreddit": STORIES,
        "author": f"neighbour_{1 + (post + 7) % 97}",
        "link_id": f"t3_p{post}",
        "parent_id": parent or f"t3_p{post}",
        "body": text,
        "score": score,
        "stickied": False,
    }


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    text = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    with replacing(path) as stream:
        stream.write(zstd.compress(text, 3))
