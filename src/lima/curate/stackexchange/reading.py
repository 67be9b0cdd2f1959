"""``Posts.xml`` of a Stack Exchange dump -> its questions with their best answers, as places of rows in the file.

One pass reads what stands before `` Body=`` and leaves the bodies where they are. Dumps are written one row a line, with
attributes in a fixed order, so one anchored regular expression reads a header. Any line in another form goes to the XML
parser: the order of attributes and the layout of lines make no difference.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, repeat
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from lima.errors import InputError, LimaError
from lima.files import BYTE_ORDER_MARK, replacing

MAX_ROW_BYTES = 16 << 20
"""A row of a real dump has at most some 100 KB; the limit bounds the memory that a bad file can take."""
LINE_BYTES = 1 << 20
"""Longer lines are read in parts, cut anywhere."""
LINES_AT_A_TIME = 64
"""Enough to spread the cost of a batch, few enough to stay in the processor's cache."""
PROGRESS_BYTES = 16 << 20
NO_SCORE = -(2**62)
ROW = np.dtype([(name, np.int64) for name in ("id", "partner", "score", "offset", "length")])
"""What is kept of a row. The partner of an answer is its question, of a question its accepted answer; 0 for none."""
packed = struct.Struct("=5q").pack
Rows = npt.NDArray[Any]
"""An array of `ROW`."""
QUESTION, ANSWER = 1, 2

CREATED_AND_SCORE = rb' CreationDate="[^"]*+" Score="(-?\d{1,18})"'
HEADER = re.compile(
    rb'\s*+<row Id="(\d{1,18})" PostTypeId="(?:2" ParentId="(\d{1,18})"'
    + CREATED_AND_SCORE
    + rb'|1"(?: AcceptedAnswerId="(\d{1,18})")?+'
    + CREATED_AND_SCORE
    + rb'(?: ViewCount="\d++")?+ Body="|[3-9]")'
)
"""A row in the dump's own form. The last group that matched gives its kind: `IS_ANSWER`, `IS_QUESTION`, or 1 for others."""
IS_ANSWER, IS_QUESTION = 3, 5
HEADER_BYTES = 24
"""A row's tag begins within them, and no other can."""
ROW_ENDS = (b'" />\n', b'" />\r\n')
CLOSED = b"ClosedDate"

CLOSERS = {b"<!--": b"-->", b"<![CDATA[": b"]]>", b"<?": b"?>"}
"""Markup that may hold a ``<``, and how it ends."""
ROW_CLOSER = b"</row"
FRAME = re.compile(rb"<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*>|</?posts\s*/?>", re.DOTALL)
STRANGE = re.compile(
    rb"&#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,9}));|[\0-\x08\x0b\x0c\x0e-\x1f]|\xed[\xa0-\xbf][\x80-\xbf]"
)
"""Character references, control characters and halves of surrogate pairs."""
STRIPPED = "characters that are no text"
"""An extra attribute of rows from which such characters were taken."""
FABRICATED = (1_000_000_001, 1_000_000_010)
"""Ids of the two posts that nobody wrote, which dumps since 2024 hold for every site."""
ENCODING = re.compile(rb"<\?xml[^>]*?encoding=[\"']([^\"']*)")
ELEMENT = re.compile(rb"<([a-z]+)[\s>/]")
NO_ANSWERS = 'no answers (PostTypeId="2"). Is this the Posts table?'


@dataclass
class Headers:
    """What one pass over a ``Posts.xml`` finds."""

    questions: Rows
    """Questions that are open."""
    closed: Rows
    answers: Rows
    """Answers whose score reaches the floor."""
    low_answers: int = 0
    other_rows: int = 0
    """Rows of other kinds, such as tag wikis, and rows without a usable id."""
    malformed: Sequence[int] = ()
    """Numbers of the lines that are no XML."""

    @property
    def question_count(self) -> int:
        """All questions, open or closed."""
        return len(self.questions) + len(self.closed)

    @property
    def answer_count(self) -> int:
        """All answers, whatever their score."""
        return len(self.answers) + self.low_answers

    @property
    def rows(self) -> int:
        """All rows."""
        return self.question_count + self.answer_count + self.other_rows


@dataclass(frozen=True)
class Pairs:
    """Questions with their best answer, best questions first: row i of both."""

    questions: Rows
    answers: Rows
    unanswered: int
    """Questions without an answer that reaches the floor."""
    orphans: int
    """Answers that reach the floor to questions that are dropped or not in the dump."""
    duplicates: int
    """Rows whose id was there before."""
    fabricated: int
    """Questions among `FABRICATED`."""

    def __len__(self) -> int:
        return len(self.questions)


def read_headers(
    stream: IO[bytes], path: Path, floor: int | None, advance: Callable[[int], None] | None = None
) -> Headers:
    """Read the headers of a ``Posts.xml`` from an open stream.

    Args:
        stream: the XML, uncompressed.
        path: its name for messages.
        floor: answers with a lower score are counted only; None keeps all.
        advance: called with the number of bytes read since the last call.

    Raises:
        LimaError: empty file, another table, questions without answers, a row of `MAX_ROW_BYTES`. A table without rows
            is not an error: the site is empty.
        InputError: truncated, a document type declaration, not in UTF-8.
    """
    reader = _HeaderReader(path, NO_SCORE if floor is None else floor)
    lines, shown = iter(partial(stream.readline, LINE_BYTES), b""), 0
    while batch := list(islice(lines, LINES_AT_A_TIME)):
        reader.read(batch)
        if advance and reader.offset - shown >= PROGRESS_BYTES:
            advance(reader.offset - shown)
            shown = reader.offset
    if advance:
        advance(reader.offset - shown)
    return reader.finish()


def pair(headers: Headers, drop_closed: bool) -> Pairs:
    """Join every question with its highest-scored answer: among equals the accepted one, then the lowest id.

    The order is by question score, then id, so it does not depend on the order of rows in the file.
    """
    asked = headers.questions if drop_closed else np.concatenate([headers.questions, headers.closed])
    questions, repeated_questions = _unique(asked)
    answers, repeated_answers = _unique(headers.answers)
    made_up = np.isin(questions["id"], FABRICATED)
    questions, answers = questions[~made_up], answers[~np.isin(answers["id"], FABRICATED)]
    accepted = np.isin(answers["id"], questions["partner"])  # only a question of its own accepts an answer
    best = answers[np.lexsort((answers["id"], ~accepted, -answers["score"], answers["partner"]))]
    best = best[_first_of_each(best["partner"])]
    found = np.isin(questions["id"], best["partner"])
    kept = questions[found]
    kept_answers = best[np.searchsorted(best["partner"], kept["id"])]
    order = np.lexsort((kept["id"], -kept["score"]))
    return Pairs(
        questions=kept[order],
        answers=kept_answers[order],
        unanswered=int((~found).sum()),
        orphans=int((~np.isin(answers["partner"], questions["id"])).sum()),
        duplicates=repeated_questions + repeated_answers,
        fabricated=int(made_up.sum()),
    )


def _unique(rows: Rows) -> tuple[Rows, int]:
    """Rows sorted by id, one an id: the highest score, then the longest; and how many were dropped."""
    ordered = rows[np.lexsort((-rows["length"], -rows["score"], rows["id"]))]
    kept = ordered[_first_of_each(ordered["id"])]
    return kept, len(rows) - len(kept)


def _first_of_each(values: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Where a value stands for the first time, in sorted values."""
    first = np.ones(len(values), dtype=bool)
    first[1:] = values[1:] != values[:-1]
    return first


def save_headers(path: Path, headers: Headers) -> None:
    """Write headers to a file of numpy's, which appears whole or not at all."""
    arrays = {name: getattr(headers, name) for name in ("questions", "closed", "answers")}
    counts, malformed = [headers.low_answers, headers.other_rows], np.array(headers.malformed, np.int64)
    with replacing(path) as stream:
        np.savez(stream, counts=counts, malformed=malformed, **arrays)


def load_headers(path: Path) -> Headers:
    """What `save_headers` wrote."""
    with np.load(path, allow_pickle=False) as data:
        low, other = data["counts"].tolist()
        questions, closed, answers = (data[name] for name in ("questions", "closed", "answers"))
        return Headers(questions, closed, answers, low, other, data["malformed"].tolist())


def raw_row(rows: IO[bytes], row: Any) -> bytes:
    """The bytes of a row of a `ROW` in its file."""
    rows.seek(row["offset"])
    return rows.read(row["length"])


def decode_row(raw: bytes, identifier: int) -> dict[str, str] | None:
    """All attributes of the row with this id in its line; None when the line is no XML.

    Control characters and halves of surrogate pairs, which XML cannot hold, are left out, and the row is marked `STRIPPED`.
    """
    try:
        element = ElementTree.fromstring(raw)
        if element.tag == "row":
            return element.attrib
    except ElementTree.ParseError:
        pass  # the line may hold several rows, or the frame of the file too
    rows = _parse(_unframed(raw)) or []
    return next((row.attrib for row in rows if _integer(row.get("Id")) == identifier), None)


def _parse(text: bytes) -> list[ElementTree.Element] | None:
    """The rows in a piece of XML; None when it is malformed, even without the characters that XML cannot hold."""
    rows = _rows(text)
    if rows is None and (plain := STRANGE.sub(_if_character, text)) != text:
        rows = _rows(plain)
        for row in rows or ():
            row.set(STRIPPED, "")
    return rows


def _rows(text: bytes) -> list[ElementTree.Element] | None:
    """As `_parse`, of well-formed text. No DTD can stand inside an element, so no entity is ever expanded."""
    try:
        return list(ElementTree.fromstring(b"<posts>" + text + b"</posts>").iter("row"))
    except (ElementTree.ParseError, ValueError):
        return None


def _if_character(found: re.Match[bytes]) -> bytes:
    """A character reference, if XML has that character; otherwise nothing."""
    hexadecimal, decimal = found.groups()
    if hexadecimal is None and decimal is None:
        return b""
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    good = (
        code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000
    )
    return found.group() if good else b""


def _unframed(text: bytes) -> bytes:
    """The rows of a piece without byte-order mark, declarations, comments and the ``posts`` element."""
    return FRAME.sub(b"", text.removeprefix(BYTE_ORDER_MARK)).strip()


def _integer(text: str | None) -> int | None:
    """An integer as the dump writes it; None when missing, strange or too big for 8 bytes."""
    if text is None or not re.fullmatch(r"-?\d{1,18}", text.strip(), re.ASCII):
        return None
    return int(text)


class _HeaderReader:
    """Collects headers, line by line.

    Lines in another form than the dump's own are cut into pieces, from one ``<`` to the next. Only markup holds a ``<``, so a
    row is one piece (two in its long form, ``<row ...></row>``) however its lines are laid out, and each piece can be parsed by
    itself. A comment, a CDATA section or a processing instruction may hold several pieces, and goes on until its end.
    """

    def __init__(self, path: Path, floor: int) -> None:
        self._path, self._floor = path, floor
        self._questions, self._closed, self._answers = bytearray(), bytearray(), bytearray()  # of `ROW`s
        self._low = self._other = 0
        self._malformed: list[int] = []
        self.offset = 0  # bytes read so far
        self._line, self._line_ended = 0, True
        self._piece: list[bytes] = []  # parts of a piece that may go on in the next line
        self._piece_at = (0, 0)  # its offset and line
        self._pending: list[bytes] = []  # whole pieces of what goes on until `_closer`
        self._pending_at = (0, 0)
        self._closer = b""
        self._root = b""
        self._closed_frame = False

    def read(self, lines: Sequence[bytes]) -> None:
        """Read some lines: all at once when each is a whole row in the dump's own form, as nearly always."""
        headers = [*map(HEADER.match, lines)]
        if not self._piece and None not in headers and _are_rows(lines):
            self._line += len(lines)
            self._rows(lines, headers)
            return
        for line, header in zip(lines, headers, strict=True):
            self._line += self._line_ended
            self._line_ended = line.endswith(b"\n")
            if header is None or not _are_rows([line]):
                self._other_line(line)
            elif self._piece and self._goes_on(line):
                pass
            else:
                self._rows([line], [header])
                continue
            self.offset += len(line)

    def _rows(self, lines: Sequence[bytes], headers: Sequence[Any]) -> None:
        """Count rows in the dump's own form, and keep those that may be wanted.

        The hot path of curation: a microsecond a row, where an XML parser takes ten. Hence local names, bodies that are only
        searched for a single byte, and numbers that are made only of what is kept.
        """
        offset, floor, low = self.offset, self._floor, 0
        digits = len(str(floor)) if floor > 0 else 0  # most answers have fewer, and need no int()
        for line, header in zip(lines, headers, strict=True):
            kind = header.lastindex
            if kind == IS_ANSWER:
                score = header[3]
                if len(score) < digits or int(score) < floor:
                    low += 1
                else:
                    self._answers += packed(int(header[1]), int(header[2]), int(score), offset, len(line))
            elif kind == IS_QUESTION:
                after = line.find(b'"', header.end())  # the end of the body, where a quote would be escaped
                is_closed = line.find(CLOSED, after) >= 0 and _is_closed(line, after)
                row = packed(int(header[1]), int(header[4] or 0), int(header[5]), offset, len(line))
                if is_closed:
                    self._closed += row
                else:
                    self._questions += row
            else:
                self._other += 1
            offset += len(line)
        self.offset = offset
        self._low += low

    def finish(self) -> Headers:
        """What was found, after the checks at the end of the file."""
        self._end_piece()
        if self._pending:
            self._note_malformed()
        questions, closed, answers = (
            np.frombuffer(table, ROW) for table in (self._questions, self._closed, self._answers)
        )
        headers = Headers(questions, closed, answers, self._low, self._other, self._malformed)
        if not self.offset:
            what = "the file is empty. Expected the Posts.xml of a Stack Exchange dump."
            raise LimaError(f"{self._path}: {what}")
        if not self._closed_frame:
            what = "the file ends here, without </posts>. It is cut off: get it again."
            raise InputError(self._path, self._line, what)
        if headers.rows and not headers.answer_count:
            found = f"{headers.rows} rows, {headers.question_count} questions"
            raise LimaError(f"{self._path}: {NO_ANSWERS} Found: {found}.")
        return headers

    def _goes_on(self, line: bytes) -> bool:
        """Whether a row in the dump's own form belongs to something that began before it, such as a comment."""
        self._end_piece()
        if self._pending:
            self._other_line(line)
        return bool(self._pending or self._piece)

    def _other_line(self, line: bytes) -> None:
        """The frame of the file, a row in another form, or something wrong."""
        first, *others = line.split(b"<")
        if not self._piece:
            self._piece_at = (self.offset, self._line)
        self._piece.append(first)
        place = self.offset + len(first)
        for text in others:
            self._end_piece()
            self._piece.append(b"<" + text)
            self._piece_at = (place, self._line)
            place += 1 + len(text)
        began = self._pending_at if self._pending else self._piece_at
        if place - began[0] > MAX_ROW_BYTES:
            what = f"a row of over {MAX_ROW_BYTES >> 20} MB. Is this a dump?"
            raise InputError(self._path, self._line, what)

    def _end_piece(self) -> None:
        """The piece is complete: parse it, unless it is part of something that goes on."""
        text = b"".join(self._piece)
        self._piece.clear()
        if not text:
            return
        if self._closer == ROW_CLOSER and text.startswith(b"<row"):
            self._note_malformed()  # the row before was never finished
        if not self._pending:
            self._pending_at = self._piece_at
            self._check_frame(text, self._piece_at[1])
            self._closer = _closer(text)
        self._pending.append(text)
        if not self._closer or self._closer in text:
            whole = b"".join(self._pending)
            self._pending, self._closer = [], b""
            self._parse_piece(whole)

    def _check_frame(self, text: bytes, line: int) -> None:
        if text.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise InputError(self._path, line, "the file is in UTF-16, expected UTF-8. Convert it first.")
        if text.startswith(b"<!ENTITY") or (text.startswith(b"<!DOCTYPE") and b"[" in text):
            what = "a document type declaration with definitions, which no dump has."
            raise InputError(self._path, line, what)
        encoding = ENCODING.match(text)
        if encoding and encoding[1].lower() not in (b"utf-8", b"utf8", b"us-ascii"):
            name = encoding[1].decode(errors="replace")
            what = f"the file says that it is in {name}, expected UTF-8. Convert it first."
            raise InputError(self._path, line, what)
        if text.startswith((b"</posts>", b"<posts/>", b"<posts />")):
            self._closed_frame = True
        element = ELEMENT.match(text[:200])
        if element and not self._root:
            self._root = element[1]
            if self._root not in (b"posts", b"row"):
                raise LimaError(f"{self._path}: {NO_ANSWERS} Found: {self._root.decode().capitalize()} rows.")

    def _parse_piece(self, raw: bytes) -> None:
        text = _unframed(raw)
        if not text:
            return
        rows = _parse(text)
        if not rows:
            self._note_malformed()
        for row in rows or ():
            self._keep(row.attrib, len(raw))
            if (row.tail or "").strip():
                self._note_malformed(raw.rstrip().count(b"\n"))

    def _keep(self, row: Mapping[str, str], length: int) -> None:
        """As the hot path: count a row that was parsed, and keep it or not."""
        names = ("Id", "PostTypeId", "ParentId", "AcceptedAnswerId", "Score")
        identifier, kind, parent, accepted, score = (_integer(row.get(name)) for name in names)
        score = NO_SCORE if score is None else score
        if identifier is None or kind is None or (kind == ANSWER and parent is None):
            self._other += 1
            self._note_malformed()
        elif kind == QUESTION:
            table = self._closed if "ClosedDate" in row else self._questions
            table += packed(identifier, accepted or 0, score, self._pending_at[0], length)
        elif kind != ANSWER:
            self._other += 1
        elif score < self._floor:
            self._low += 1
        else:
            self._answers += packed(identifier, parent or 0, score, self._pending_at[0], length)

    def _note_malformed(self, lines_on: int = 0) -> None:
        self._malformed.append(self._pending_at[1] + lines_on)
        self._pending, self._closer = [], b""


def _are_rows(lines: Sequence[bytes]) -> bool:
    """Whether lines that begin as rows are whole rows, one each: they end as rows do, and no other tag begins in them.

    A value in single quotes could hold such an end. That row is then cut, malformed when it is decoded, and rejected by name.
    """
    return (
        all(map(bytes.endswith, lines, repeat(ROW_ENDS)))
        and max(map(bytes.find, lines, repeat(b"<"), repeat(HEADER_BYTES))) < 0
    )


def _is_closed(line: bytes, after: int) -> bool:
    """Whether "ClosedDate", which stands after a question's body, is an attribute and not part of its title."""
    if line.find(b'" ClosedDate="', after) >= 0 and line.find(b"='", after) < 0:
        return True
    rows = _parse(_unframed(line))
    return bool(rows and "ClosedDate" in rows[0].attrib)


def _closer(text: bytes) -> bytes:
    """What ends the markup that begins with this piece, where that may hold further pieces; empty otherwise."""
    for opener, closer in CLOSERS.items():
        if text.startswith(opener):
            return closer
    if text.startswith(b"<row") and not text.rstrip().endswith(b"/>") and _parse(text) is None:
        return ROW_CLOSER if _parse(text + b"</row>") is not None else b""
    return b""
