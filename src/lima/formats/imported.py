"""What the readers of published judgments have in common: the study that they make, and rows of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from lima.errors import LimaError
from lima.records import Comparison, Grade, Item, Key, Message, Origin, Preference, Rater

PublishedRow = dict[str, Any]
"""A row of a published file."""


@dataclass(frozen=True)
class ImportedStudy:
    """Everything that a study folder of pairwise judgments holds."""

    comparisons: Sequence[Comparison]
    keys: Sequence[Key]
    preferences: Sequence[Preference]
    raters: Sequence[Rater]
    systems: Sequence[str]
    """The one whose wins count first."""
    items: Sequence[Item] = ()
    grades: Sequence[Grade] = ()
    """Ratings of single answers, given with a verdict: the id is the verdict's with ``/a`` or ``/b`` behind it."""


def read_rows(path: Path) -> list[PublishedRow]:
    """The objects of a JSON array, or of its ``data`` field."""
    try:
        value = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise LimaError(f"{path}: no such file.") from None
    except orjson.JSONDecodeError as error:
        raise LimaError(f"{path}:{error.lineno}: not JSON ({error.msg}).") from None
    rows = value.get("data") if isinstance(value, dict) else value
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise LimaError(f"{path}: expected a JSON array of objects, or an object with one under 'data'.")
    return rows


def asked(text: str) -> tuple[Message, ...]:
    """A conversation of one user turn."""
    return (Message(role="user", content=text),)


def pair_key(identity: str, prompt_id: str, first: str, second: str) -> Key:
    """The key of a comparison whose completions have no ids of their own."""
    origins = [Origin(system=name, completion_id=f"{name}/{prompt_id}") for name in (first, second)]
    return Key(id=identity, prompt_id=prompt_id, a=origins[0], b=origins[1])
