"""What the readers of published judgments have in common: the study that they make, and rows of JSON."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from lima.errors import LimaError
from lima.files import loads, read_objects
from lima.records import (
    Comparison,
    Completion,
    Example,
    Grade,
    Item,
    Key,
    Message,
    Meta,
    Origin,
    Preference,
    Rater,
)

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


def read_rows(path: Path, inside: str = "") -> list[PublishedRow]:
    """The rows of a JSON document, of JSON Lines, of a CSV table or of the first sheet of a workbook, by the file's name.

    Args:
        path: the file.
        inside: the field of a JSON document that holds the rows; empty: the document is a list.

    Raises:
        LimaError: no such file, or no rows in it.
    """
    if not path.is_file():
        raise LimaError(f"{path}: no such file.")
    suffix = path.suffix.lower()
    if suffix == ".xlsx":
        return read_sheet(path)
    if suffix in (".csv", ".tsv"):
        return _read_table(path, suffix)
    if suffix in (".jsonl", ".ndjson"):
        rows: Any = [row for _, row in read_objects(path)]
    else:
        value = read_document(path)
        rows = value.get(inside or "data") if isinstance(value, dict) else value
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise LimaError(
            f"{path}: expected a JSON array of objects, or an object with one under {inside or 'data'!r}."
        )
    return rows


def read_document(path: Path) -> Any:
    """A JSON document; some tools write a byte order mark, or NaN, which counts as null."""
    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    try:
        return loads(data)
    except orjson.JSONDecodeError as error:
        if b"NaN" in data:
            with suppress(ValueError, RecursionError):
                return json.loads(data, parse_constant=lambda _: None)
        raise LimaError(f"{path}:{error.lineno}: not JSON ({error.msg}).") from None


def _read_table(path: Path, suffix: str) -> list[PublishedRow]:
    """Rows of a table in UTF-8, or UTF-16 with its mark; in a .csv the first line shows the delimiter, since Excel's depends on the
    country.
    """
    data = path.read_bytes()
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        first = text.split("\n", 1)[0]
        delimiter = "\t" if suffix == ".tsv" else max(",;\t|", key=first.count)
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows = list(reader)
    except UnicodeDecodeError as error:
        raise LimaError(
            f"{path}: not UTF-8 (byte {error.start}). Save it as UTF-8; from Excel: 'CSV UTF-8'."
        ) from None
    except csv.Error as error:
        raise LimaError(f"{path}: not a table ({error}).") from None
    twice = [name for name, count in Counter(reader.fieldnames or ()).items() if count > 1]
    if twice:
        raise LimaError(f"{path}: two columns are called {twice[0]!r}. Rename one.")
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise LimaError(f"{path}: row {number} has another number of cells than the first line.")
    if not rows:
        raise LimaError(f"{path}: no row below the first line.")
    return [{name: cell for name, cell in row.items() if cell != ""} for row in rows]


def read_sheet(path: Path) -> list[PublishedRow]:
    """The first sheet of an Excel workbook: cells by the words of the first row, without the empty ones.

    Raises:
        LimaError: no workbook.
    """
    from python_calamine import CalamineError, load_workbook

    try:
        head, *rows = load_workbook(path).get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (CalamineError, ValueError) as error:
        raise LimaError(f"{path}: not an Excel workbook with a table ({error}).") from None
    return [
        {str(name): cell for name, cell in zip(head, row, strict=True) if "" not in (name, cell)}
        for row in rows
    ]


def answers_of(study: ImportedStudy) -> list[Completion]:
    """The single answers of a study, by id; several of a system to one prompt are its samples."""
    keys = {key.id: key for key in study.keys}
    samples: Counter[tuple[str, str]] = Counter()
    found = []
    for item in study.items:
        key = keys[item.id]
        assert key.content is not None, key
        system, place = key.content.system, (key.content.system, key.prompt_id)
        found.append(
            Completion(
                id=f"{system}/{key.prompt_id}/{samples[place]}",
                prompt_id=key.prompt_id,
                system=system,
                sample=samples[place],
                content=item.content,
                finish_reason="stop",
                tokens=0,  # no tokenizer is known of
                seed=0,
            )
        )
        samples[place] += 1
    return sorted(found, key=lambda row: row.id)


def prompts_of(study: ImportedStudy, source: str) -> list[Example]:
    """The prompts of the single answers of a study."""
    keys = {key.id: key for key in study.keys}
    found = {keys[item.id].prompt_id: item for item in study.items}
    return [
        Example(id=name, source=source, messages=item.messages, meta=Meta(tags=item.tags))
        for name, item in sorted(found.items())
    ]


def asked(text: str) -> tuple[Message, ...]:
    """A conversation of one user turn."""
    return (Message(role="user", content=text),)


def pair_key(identity: str, prompt_id: str, first: str, second: str) -> Key:
    """The key of a comparison whose completions have no ids of their own."""
    origins = [Origin(system=name, completion_id=f"{name}/{prompt_id}") for name in (first, second)]
    return Key(id=identity, prompt_id=prompt_id, a=origins[0], b=origins[1])
