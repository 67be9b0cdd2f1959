"""``Posts.xml`` of a Stack Exchange dump -> the headers of its rows, and single rows decoded on demand.

One pass over byte lines reads what stands before `` Body=`` with an anchored expression; bodies are
decoded for the few rows that are wanted. Whatever the expression refuses goes to the XML parser, so any
attribute order and any layout of lines gives the same rows.
"""

from __future__ import annotations

import io
import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import IO, Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from lima.curate.compressed import BUFFER_BYTES
from lima.errors import InputError, LimaError

MAX_ROW_BYTES = 64 << 20
"""A row of a real dump has at most some 100 KB; the limit bounds the memory that a bad file can take."""
NO_SCORE = -(2**62)
PROGRESS_BYTES = 16 << 20
TAIL_BYTES = 1 << 16
"""Nearly every such piece of a dump holds the end of a row."""
ROW_END, ROW_END_CRLF = b"/>\n", b"/>\r\n"
QUESTION, ANSWER = 1, 2

HEADER = re.compile(
    rb' *+<row Id="(\d{1,18}+)" PostTypeId="(?:2" ParentId="(\d{1,18}+)|([13-9]\d?+)(?:" AcceptedAnswerId="\d++)?+)"'
    rb' CreationDate="[-0-9T:.]{23}" Score="(-?+\d{1,15}+)"(?: ViewCount="\d++")?+ Body="'
)
"""The beginning of a row as the dumps write it: id, parent (of an answer) or kind, score."""
FRAME = re.compile(rb"<\?xml[^>]*\?>|<!--.*?-->|</?posts\s*/?>", re.DOTALL)
OTHER_TABLE = re.compile(rb"<(users|comments|votes|badges|tags|posthistory|postlinks|[a-z]+)[\s>/]")


Arrays = dict[str, npt.NDArray[np.int64]]
COLUMNS = ("id", "parent", "score", "offset", "length")


@dataclass
class Columns:
    """Headers of the questions or of the answers: the five `COLUMNS` of each row, one after the other."""

    values: array[int] = field(default_factory=lambda: array("q"))

    def arrays(self) -> Arrays:
        """The columns for numpy, by name."""
        table = np.array(self.values, dtype=np.int64).reshape(-1, len(COLUMNS))
        return {name: table[:, position] for position, name in enumerate(COLUMNS)}


@dataclass
class Headers:
    """What one pass over a ``Posts.xml`` finds."""

    questions: Columns = field(default_factory=Columns)
    """Questions that are open."""
    answers: Columns = field(default_factory=Columns)
    """Answers whose score reaches the floor."""
    question_count: int = 0
    closed: int = 0
    low_answers: int = 0
    other_rows: int = 0
    """Rows of other kinds, such as tag wikis, and rows without a usable id."""
    malformed: list[int] = field(default_factory=list)
    """Numbers of the lines that are no XML."""

    @property
    def answer_count(self) -> int:
        """All answers, whatever their score."""
        return self.low_answers + len(self.answers.values) // len(COLUMNS)

    @property
    def rows(self) -> int:
        """All rows."""
        return self.question_count + self.answer_count + self.other_rows


@dataclass(frozen=True)
class Scan:
    """How to read the headers: a floor for answers' scores, whether closed questions count."""

    score_min: int | None = 10
    drop_closed: bool = True


def read_headers(
    stream: IO[bytes],
    path: Path,
    scan: Scan,
    advance: Callable[[int], None] | None = None,
    rows: IO[bytes] | None = None,
) -> Headers:
    """Read the headers of a ``Posts.xml`` from an open stream.

    Args:
        stream: the XML, uncompressed.
        path: its name for messages.
        scan: what to keep.
        advance: called with the number of bytes read since the last call.
        rows: takes a copy of every row that is kept, for a stream that cannot be read again; the offsets of
            the headers are then places in it.

    Raises:
        LimaError: empty file, another table, no answers.
        InputError: truncated, a document type declaration, a row beyond `MAX_ROW_BYTES`.
    """
    reader = _HeaderReader(path, scan)
    lines = io.BufferedReader(_Measured(stream, advance), BUFFER_BYTES)
    size, number = reader.lines(lines if rows is None else _copied(lines, reader, rows))
    reader.finish(size, number)
    return reader.headers


def decode_row(raw: bytes, identifier: int) -> dict[str, str] | None:
    """All attributes of the row with this id in its line; None when the line is no XML."""
    try:
        element = ElementTree.fromstring(raw)
        if element.tag == "row":
            return element.attrib
    except ElementTree.ParseError:
        pass  # the line may hold several rows, or the frame of the file too
    rows = _parse_rows(_unframed(raw)) or []
    return next((row for row in rows if row.get("Id") == str(identifier)), None)


class _HeaderReader:
    """Collects headers; keeps what needs to be remembered from line to line."""

    def __init__(self, path: Path, scan: Scan) -> None:
        self.path, self.scan = path, scan
        self.headers = Headers()
        self.pending: list[bytes] = []  # lines of a row that goes on in the next line
        self._began = (0, 1)  # offset and line where the row being read begins
        self._closed_frame = False
        self._floor = NO_SCORE if scan.score_min is None else scan.score_min

    def lines(self, lines: Iterable[bytes]) -> tuple[int, int]:
        """Read every line; return the size of the file and the number of its lines.

        The hot path, about a microsecond a row: rows in the dump's own form stay in this loop, and of an
        answer below the floor nothing but its score is looked at.
        """
        headers, floor, match = self.headers, self._floor, HEADER.match
        keep, ask = headers.answers.values.frombytes, headers.questions.values.frombytes
        pack = Struct(f"{len(COLUMNS)}q").pack
        digits = len(str(floor)) if floor > 0 else 0  # a shorter score is below the floor
        low = asked = offset = number = 0
        end, pending = ROW_END, False
        for number, line in enumerate(lines, start=1):
            found = match(line)
            if found is None or pending or line.find(b"<", 8) >= 0 or not line.endswith(end):
                self.slow(line, offset, number)
                end = ROW_END_CRLF if line.endswith(ROW_END_CRLF) else ROW_END
                pending = bool(self.pending)
                offset += len(line)
                continue
            identifier, parent, kind, score = found.groups()
            if kind is None:
                if len(score) < digits or int(score) < floor:
                    low += 1
                else:
                    keep(pack(int(identifier), int(parent), int(score), offset, len(line)))
            elif (
                kind == b"1" and line.find(b"ClosedDate", line.find(b'"', found.end())) < 0
            ):  # behind the body
                asked += 1
                ask(pack(int(identifier), 0, int(score), offset, len(line)))
            else:
                self._other(int(identifier), kind, int(score), line, offset)
            offset += len(line)
        headers.low_answers += low
        headers.question_count += asked
        return offset, number

    def _other(self, identifier: int, kind: bytes, score: int, line: bytes, offset: int) -> None:
        """A row in the dump's own form that is no answer and no open question."""
        if kind == b"1":
            self._question(identifier, score, _is_closed(line), (offset, len(line)))
        else:
            self.headers.other_rows += 1

    def slow(self, line: bytes, offset: int, number: int) -> None:
        """Any other line: the frame of the file, rows in another form, or something wrong."""
        begun = self._began[0] if self.pending else offset
        if offset + len(line) - begun >= MAX_ROW_BYTES:
            raise InputError(self.path, number, f"a row of over {MAX_ROW_BYTES >> 20} MB. Is this a dump?")
        if self.pending and (line.lstrip().startswith(b"<row") or b"</posts>" in line):
            self._malformed()  # the row before was never finished
        if not self.pending:
            self._began = (offset, number)
            self._check_frame(line, number)
        ended = line.rstrip().endswith((b"/>", b"</row>", b"</posts>", b"-->", b"?>", b"<posts>"))
        if not ended and (self.pending or line.lstrip().startswith(b"<row")):
            self.pending.append(line)
        elif text := _unframed(b"".join((*self.pending, line))):
            self._rows(text, (self._began[0], offset + len(line) - self._began[0]))

    def finish(self, size: int, number: int) -> None:
        """Checks at the end of the file, whose last line is ``number``."""
        headers = self.headers
        if not size:
            raise LimaError(
                f"{self.path}: the file is empty. Expected the Posts.xml of a Stack Exchange dump."
            )
        if not self._closed_frame:
            raise InputError(
                self.path, number, "the file ends here, without </posts>. It is cut off: get it again."
            )
        if self.pending:
            self._malformed()
        if not headers.answer_count:
            raise LimaError(
                f'{self.path}: no answers (PostTypeId="2"). Is this the Posts table? '
                f"Found: {headers.rows} rows, {headers.question_count} questions."
            )

    def _check_frame(self, line: bytes, number: int) -> None:
        if line.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise InputError(self.path, number, "the file is in UTF-16, expected UTF-8. Convert it first.")
        if b"<!DOCTYPE" in line or b"<!ENTITY" in line:
            raise InputError(self.path, number, "a document type declaration, which no dump has.")
        if b"</posts>" in line or b"<posts/>" in line or b"<posts />" in line:
            self._closed_frame = True
        table = OTHER_TABLE.search(line[:200])
        if table and self.headers.rows == 0 and table.group(1) not in (b"posts", b"row"):
            name = table.group(1).decode().capitalize()
            raise LimaError(
                f'{self.path}: no answers (PostTypeId="2"). Is this the Posts table? Found: {name} rows.'
            )

    def _rows(self, text: bytes, place: tuple[int, int]) -> None:
        rows = _parse_rows(text)
        if not rows:
            self._malformed()
        self.pending = []
        for row in rows or []:
            self._row(row, place)

    def _row(self, row: dict[str, str], place: tuple[int, int]) -> None:
        identifier, kind = _integer(row.get("Id")), _integer(row.get("PostTypeId"))
        score, parent = _integer(row.get("Score")), _integer(row.get("ParentId"))
        headers, known = self.headers, NO_SCORE if score is None else score
        if identifier is None or kind is None or (kind == ANSWER and parent is None):
            headers.other_rows += 1
            self._malformed()
        elif kind == QUESTION:
            self._question(identifier, known, "ClosedDate" in row, place)
        elif kind != ANSWER:
            headers.other_rows += 1
        elif known < self._floor:
            headers.low_answers += 1
        else:
            headers.answers.values.extend((identifier, parent or 0, known, *place))

    def _question(self, identifier: int, score: int, closed: bool, place: tuple[int, int]) -> None:
        self.headers.question_count += 1
        if closed and self.scan.drop_closed:
            self.headers.closed += 1
        else:
            self.headers.questions.values.extend((identifier, 0, score, *place))

    def _malformed(self) -> None:
        self.headers.malformed.append(self._began[1])
        self.pending = []


class _Measured(io.RawIOBase):
    """The stream as it is, but ended within a row that is too long, so that no line can fill the memory."""

    def __init__(self, stream: IO[bytes], advance: Callable[[int], None] | None) -> None:
        self._read: Callable[[memoryview], int] = stream.readinto  # type: ignore[attr-defined]
        self._advance = advance
        self._row = self._unseen = 0  # bytes since the last newline, and since the last call of `advance`

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._row >= MAX_ROW_BYTES:
            return 0
        view = memoryview(buffer)
        count = self._read(view)
        ended = b"\n" in bytes(view[max(0, count - TAIL_BYTES) : count]) or b"\n" in bytes(view[:count])
        self._row = 0 if ended else self._row + count
        self._unseen += count
        if self._advance and (self._unseen >= PROGRESS_BYTES or not count):
            self._advance(self._unseen)
            self._unseen = 0
        return count


def _copied(lines: Iterable[bytes], reader: _HeaderReader, rows: IO[bytes]) -> Iterator[bytes]:
    """Pass lines to the reader and, when it asks for the next one, copy the rows that it has kept of them."""
    columns = (reader.headers.questions.values, reader.headers.answers.values)
    width, offset = len(COLUMNS), COLUMNS.index("offset")
    begin = end = copied = 0  # the bytes of `seen` in the stream, and those in `rows`
    seen = b""
    for line in lines:
        kept = [len(column) for column in columns]
        yield line
        seen, end = (seen + line if seen else line), end + len(line)
        for column, before in zip(columns, kept, strict=True):
            for place in range(before, len(column), width):
                start, length = column[place + offset] - begin, column[place + offset + 1]
                column[place + offset] = copied
                copied += rows.write(seen[start : start + length])
        if not reader.pending:
            seen, begin = b"", end


def _is_closed(line: bytes) -> bool:
    """Whether a question's line has the attribute ClosedDate.

    In the dump's own form a quote inside a value is escaped, so the plain text is proof; anything that
    looks like it in another form is left to the XML parser.
    """
    if b"ClosedDate" not in line:
        return False
    if b"='" not in line and b' ClosedDate="' in line:
        return True
    rows = _parse_rows(line)
    return bool(rows and "ClosedDate" in rows[0])


def _unframed(text: bytes) -> bytes:
    """The rows of a line without byte-order mark, declaration, comments and the ``posts`` element."""
    return FRAME.sub(b"", text.removeprefix(b"\xef\xbb\xbf")).strip()


def _parse_rows(text: bytes) -> list[dict[str, str]] | None:
    """Attributes of the rows in a piece of XML, or None. A DTD cannot stand inside an element: no entities."""
    try:
        return [row.attrib for row in ElementTree.fromstring(b"<posts>" + text + b"</posts>").iter("row")]
    except (ElementTree.ParseError, ValueError):
        return None


def _integer(text: str | None) -> int | None:
    """An integer as the dump writes it; None when missing, strange or too big for 8 bytes."""
    if text is None or not re.fullmatch(r"-?\d{1,18}", text.strip(), re.ASCII):
        return None
    return int(text)


def read_rows(path: Path, places: Iterator[tuple[int, int, int]]) -> Iterator[dict[str, str] | None]:
    """Decode the rows at ``(id, offset, length)``, lazily, one at a time."""
    with path.open("rb") as stream:
        for identifier, offset, length in places:
            stream.seek(offset)
            yield decode_row(stream.read(length), identifier)
