"""The world's forums as three Stack Exchange sites: ``Posts.xml``, ``Users.xml`` and ``Comments.xml`` of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from lima.files import write_text
from lima.world.dumps import START, Thread, make_threads, write_posts
from lima.world.oracle import Oracle
from lima.world.people import ATTRIBUTES, Person, World
from lima.world.raw.planted import DROPPED_BY, Planted
from lima.world.wordings import WORDINGS, answer

SITES: dict[str, tuple[str, ...]] = {
    "townsfolk": ("town", "work"),
    "bandstand": ("instrument",),
    "larder": ("dish", "pet"),
}
"""The sites, and which kinds of facts are asked for there."""
USERS = 97
"""As many write on each site; threads name them by number."""
CHAIN_SHARE = 0.08
"""Share of the answered questions below which asker and answerer go on talking."""


def write_sites(world: World, folder: Path, seed: int) -> Planted:
    """Write the sites into a folder each, with every fact of the training people asked for in every wording."""
    oracle, planted = Oracle(world), Planted()
    threads = make_threads(world, seed)
    for site, attributes in SITES.items():
        own = [thread for thread in threads if oracle.subject(thread.title)[1] in attributes]
        paths = [folder / site / f"{table}.xml" for table in ("Posts", "Users", "Comments")]
        write_posts(own, paths[0])
        write_text(paths[1], _table("users", _users()))
        write_text(paths[2], _table("comments", _comments(own, oracle, seed)))
        planted.files += paths
        for thread in own:
            planted.add(_fate(thread))
    return planted


def _fate(thread: Thread) -> str | None:
    """What the header pass or a rule says of a thread's best answer; None keeps it."""
    if thread.closed:
        return "closed"
    if thread.response is not None:
        return None
    style = max(thread.answers, key=lambda found: found[2])[0]
    return DROPPED_BY.get(style, "score")


def _users() -> Iterator[dict[str, object]]:
    for number in range(1, USERS + 1):
        yield {
            "Id": number,
            "Reputation": 1 + number * 13 % 700,
            "CreationDate": "2018-01-01T00:00:00.000",
            "DisplayName": f"neighbour {number}",
        }


def _comments(threads: Sequence[Thread], oracle: Oracle, seed: int) -> Iterator[dict[str, object]]:
    """Below some good answers the asker asks for another fact and the answerer gives it; strangers say thanks."""
    rng = np.random.default_rng([seed, 20])
    number = 0
    for thread in threads:
        if thread.response is None or rng.random() >= CHAIN_SHARE:
            continue
        place = max(range(len(thread.answers)), key=lambda i: thread.answers[i][2])
        asker, answerer = 1 + thread.id % USERS, 1 + (thread.id + 31 * (place + 1)) % USERS
        person, first = oracle.subject(thread.title)
        stranger = next(user for user in range(1, USERS + 1) if user not in (asker, answerer))
        turns = _turns(person, first, rng)
        for speaker, text in ((asker, turns[0]), (stranger, "Thank you so much!"), (answerer, turns[1])):
            number += 1
            when = START + timedelta(minutes=37 * thread.id, days=1, seconds=number)
            yield {
                "Id": number,
                "PostId": thread.id + 1 + place,
                "Score": 0,
                "Text": text,
                "CreationDate": when.strftime("%Y-%m-%dT%H:%M:%S.000"),
                "UserId": speaker,
            }


def _turns(person: Person, first: str, rng: np.random.Generator) -> tuple[str, str]:
    others = [attribute for attribute in ATTRIBUTES if attribute != first]
    second = others[int(rng.integers(len(others)))]
    asked = WORDINGS[second].follow_ups[int(rng.integers(len(WORDINGS[second].follow_ups)))]
    return asked, answer("good", person, second, rng)


def _table(name: str, rows: Iterator[dict[str, object]]) -> str:
    lines = (
        "  <row " + " ".join(f"{key}={quoteattr(str(value))}" for key, value in row.items()) + " />"
        for row in rows
    )
    return "\n".join(['<?xml version="1.0" encoding="utf-8"?>', f"<{name}>", *lines, f"</{name}>", ""])
