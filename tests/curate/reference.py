"""What the header pass must find, by a parser that reads the whole file: for fuzzing."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from lima.curate.stackexchange.reading import Headers, read_headers
from lima.errors import LimaError


@dataclass(frozen=True)
class Expected:
    """Counts of a file that is XML, and the answers that are kept, by id."""

    rows: int
    questions: int
    closed: int
    answers: int
    good: tuple[int, ...]
    unusable: int
    """Rows without an id, a kind or, of answers, a parent."""


def expected(data: bytes, floor: int = 10) -> Expected | None:
    """None for what is no XML, or holds another document."""
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    if root.tag != "posts":
        return None
    rows = [element.attrib for element in root if element.tag == "row"]
    numbers = [
        {name: _integer(row.get(name)) for name in ("Id", "PostTypeId", "ParentId", "Score")} for row in rows
    ]
    usable = [
        (row, n)
        for row, n in zip(rows, numbers, strict=True)
        if n["Id"] is not None
        and n["PostTypeId"] is not None
        and not (n["PostTypeId"] == 2 and n["ParentId"] is None)
    ]
    questions = [row for row, n in usable if n["PostTypeId"] == 1]
    answers = [n for _, n in usable if n["PostTypeId"] == 2]
    good = [n["Id"] or 0 for n in answers if n["Score"] is not None and n["Score"] >= floor]
    closed = sum("ClosedDate" in row for row in questions)
    return Expected(
        len(rows), len(questions), closed, len(answers), tuple(sorted(good)), len(rows) - len(usable)
    )


def check(data: bytes) -> None:
    """The header pass agrees with the parser, or ends in an error of ours; what it cannot read it counts.

    Raises:
        AssertionError: it does not.
    """
    try:
        headers = read_headers(io.BytesIO(data), Path("Posts.xml"), 10)
    except LimaError:
        return
    truth = expected(data)
    if truth is None:
        return
    if not headers.malformed or len(headers.malformed) == truth.unusable:
        assert found(headers) == truth, (found(headers), truth)
    assert headers.rows + len(headers.malformed) >= truth.rows, "a row is lost without a word"


def found(headers: Headers) -> Expected:
    """The same counts from the headers."""
    good = tuple(sorted(headers.answers["id"].tolist()))
    return Expected(
        rows=headers.rows,
        questions=headers.question_count,
        closed=len(headers.closed),
        answers=headers.answer_count,
        good=good,
        unusable=len(headers.malformed),
    )


def _integer(text: str | None) -> int | None:
    if text is None or not re.fullmatch(r"-?[0-9]{1,18}", text.strip()):
        return None
    return int(text)
