"""Who wrote a post, as the licence wants it named: display name and profile (CC BY-SA)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lima.curate.reading.compressed import open_bytes
from lima.curate.stackexchange.row_xml import MAX_ROW_BYTES, decode_row
from lima.records import Example

USER = re.compile(rb'\s*<row Id="(-?\d+)"')
PROFILE_NUMBER = re.compile(r"/users/(-?\d+)$")
UNKNOWN = "a deleted account"


@dataclass(frozen=True)
class Author:
    """A name, and the address of the profile where there is one."""

    name: str
    profile: str | None


def author(post: Mapping[str, str], host: str) -> Author:
    """The owner of a post as its row tells: a number, a name left by a deleted account, or nothing."""
    number, name = post.get("OwnerUserId"), post.get("OwnerDisplayName")
    if number:
        return Author(name or f"user {number}", f"https://{host}/users/{number}")
    return Author(name or UNKNOWN, None)


def display_names(examples: Sequence[Example], users: Path | None) -> list[Example]:
    """Replace ``user 17`` by the name in ``Users.xml``; without that file nothing changes."""
    numbers = {number for example in examples for number in _numbers(example) if number}
    if users is None or not numbers:
        return list(examples)
    names = _names(users, numbers)
    return [_renamed(example, names) for example in examples]


def _names(users: Path, numbers: set[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    with open_bytes(users) as stream:
        for line in iter(partial(stream.readline, MAX_ROW_BYTES), b""):
            found = USER.match(line)
            if found and (number := found.group(1).decode()) in numbers:
                row = decode_row(line, int(number)) or {}
                names[number] = row.get("DisplayName") or f"user {number}"
    return names


def _numbers(example: Example) -> list[str | None]:
    profiles = (example.meta.model_extra or {}).get("profiles", [])
    found = [PROFILE_NUMBER.search(profile or "") for profile in profiles]
    return [match.group(1) if match else None for match in found]


def _renamed(example: Example, names: Mapping[str, str]) -> Example:
    pairs = zip(example.meta.authors, _numbers(example), strict=True)
    authors = tuple(names.get(number, shown) if number else shown for shown, number in pairs)
    return example.model_copy(update={"meta": example.meta.model_copy(update={"authors": authors})})
