"""``Posts.xml`` of a Stack Exchange dump -> the headers of its rows; the bodies stay where they are.

One pass over blocks of pieces, from one ``<`` to the next, reads what stands before `` Body=`` of all rows at once
(`fields`). Whatever is not in the dump's own form goes to the XML parser, so any attribute order and any layout of
lines gives the same rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import repeat
from pathlib import Path
from typing import IO

import numpy as np

from lima.curate.stackexchange import row_xml as rows
from lima.curate.stackexchange.blocks import Block, Integers, read_blocks
from lima.curate.stackexchange.fields import ANSWER, Fields, Mask, read_fields
from lima.curate.stackexchange.headers import NO_SCORE, Columns, Headers, Scan
from lima.curate.stackexchange.row_xml import integer, parse_elements, parse_rows, unframed
from lima.errors import InputError, LimaError

QUESTION = 1
CLOSED = b"ClosedDate"
CLOSED_DATE = re.compile(rb' ClosedDate="\d[-0-9T:.]*+"[ /]')
SINGLE_QUOTES = re.compile(rb"=\s*+'")
CLOSERS = {b"<!--": b"-->", b"<![CDATA[": b"]]>", b"<?": b"?>"}
"""What may hold a ``<``, and how it ends."""
ROW_CLOSER = b"</row"
ENCODING = re.compile(rb"<\?xml[^>]*?encoding=[\"']([^\"']*)")
OTHER_TABLE = re.compile(rb"<(users|comments|votes|badges|tags|posthistory|postlinks|[a-z]+)[\s>/]")


def read_headers(
    stream: IO[bytes],
    path: Path,
    scan: Scan,
    advance: Callable[[int], None] | None = None,
    copy: IO[bytes] | None = None,
) -> Headers:
    """Read the headers of a ``Posts.xml`` from an open stream.

    Args:
        stream: the XML, uncompressed.
        path: its name for messages.
        scan: what to keep.
        advance: called with the number of bytes read since the last call.
        copy: takes a copy of every row that is kept, for a stream that cannot be read again; the offsets of
            the headers are then places in it.

    Raises:
        LimaError: empty file, another table, questions without answers, a row beyond `rows.MAX_ROW_BYTES`. A table
            without rows is none: the site is empty.
        InputError: truncated, a document type declaration, in UTF-16.
    """
    reader = _HeaderReader(path, scan, copy)
    for block in read_blocks(stream, path, advance):
        reader.read(block)
    reader.finish()
    return reader.headers


class _HeaderReader:
    """Collects headers; keeps what needs to be remembered from piece to piece."""

    def __init__(self, path: Path, scan: Scan, copy: IO[bytes] | None) -> None:
        self.path, self.scan = path, scan
        self.headers = Headers()
        self._copy, self._copied = copy, 0
        self._floor = scan.floor
        self._pending: list[bytes] = []  # pieces of what goes on until `_closer`
        self._closer = b""
        self._began = (0, 0)  # offset and line where the piece being read begins
        self._lines, self._torn = 0, False  # newlines so far; whether the last line lacks its own
        self._rows_seen = self._closed_frame = False

    def read(self, block: Block) -> None:
        """Read a block: the rows in the dump's own form all at once, other pieces one by one, in their order."""
        found, strange = read_fields(block)
        if self._pending or strange.any():
            self._strange_pieces(block, strange)
            found = found.where(~strange[found.pieces])
        else:
            self._lines += len(strange)  # as dumps are written, each row on one line
        self._regular(block, found)
        self._torn = block.buffer[int(block.ends[-1]) - 1] != ord("\n")

    def _strange_pieces(self, block: Block, strange: Mask) -> None:
        newlines = block.newlines()
        lines = self._lines + 1 + np.searchsorted(newlines, block.starts)
        first_row = int(np.argmin(strange)) if not strange.all() else len(strange)
        waiting = iter(np.flatnonzero(strange).tolist())
        place = 0 if self._pending else next(waiting, None)
        while place is not None and place < len(strange):
            self._rows_seen = self.headers.rows > 0 or place > first_row
            self._strange(block.text(place), block.offset + int(block.starts[place]), int(lines[place]))
            strange[place] = True  # also what looks like a row, but stands in a comment
            place = place + 1 if self._pending else next((p for p in waiting if p > place), None)
        self._lines += len(newlines)

    def _regular(self, block: Block, rows: Fields) -> None:
        """Rows in the dump's own form."""
        headers = self.headers
        answers, questions = rows.kind == ANSWER, rows.kind == QUESTION
        good = answers & (rows.score >= self._floor)
        headers.low_answers += int(answers.sum()) - int(good.sum())
        headers.question_count += int(questions.sum())
        headers.other_rows += int((rows.kind > ANSWER).sum())
        if self.scan.drop_closed:
            closed = _closed(block, rows, questions)
            headers.closed += len(closed)
            questions[closed] = False
        kept = rows.where(good | questions)
        table = np.stack([kept.ids(), kept.partners(), kept.score, *self._places(block, kept)], axis=1)
        headers.answers.add(table[kept.kind == ANSWER])
        headers.questions.add(table[kept.kind == QUESTION])

    def _places(self, block: Block, kept: Fields) -> tuple[Integers, Integers]:
        """Offsets and lengths of rows, which are copied where a copy is wanted."""
        starts, ends = block.starts[kept.pieces], block.ends[kept.pieces]
        lengths = ends - starts
        if self._copy is None:
            return starts + block.offset, lengths
        offsets = self._copied + np.cumsum(lengths) - lengths
        spans = zip(starts.tolist(), ends.tolist(), strict=True)
        self._copied += self._copy.write(b"".join([block.buffer[start:end] for start, end in spans]))
        return offsets, lengths

    def _strange(self, text: bytes, offset: int, line: int) -> None:
        """Any other piece: the frame of the file, rows in another form, or something wrong."""
        if self._closer == ROW_CLOSER and text.startswith(b"<row"):
            self._malformed()  # the row before was never finished
        if not self._pending:
            self._began = (offset, line)
            self._check_frame(text, line)
            self._closer = _closer(text)
        if self._closer and self._closer not in text:
            self._pending.append(text)
            if offset + len(text) - self._began[0] > rows.MAX_ROW_BYTES:
                raise InputError(
                    self.path, line, f"a row of over {rows.MAX_ROW_BYTES >> 20} MB. Is this a dump?"
                )
            return
        whole = b"".join((*self._pending, text))
        self._pending, self._closer = [], b""
        self._parse(whole)

    def finish(self) -> None:
        """Checks at the end of the file."""
        headers, last_line = self.headers, self._lines + self._torn
        if not last_line:
            raise LimaError(
                f"{self.path}: the file is empty. Expected the Posts.xml of a Stack Exchange dump."
            )
        if not self._closed_frame:
            raise InputError(
                self.path, last_line, "the file ends here, without </posts>. It is cut off: get it again."
            )
        if self._pending:
            self._malformed()
        if headers.rows and not headers.answer_count:
            raise LimaError(
                f'{self.path}: no answers (PostTypeId="2"). Is this the Posts table? '
                f"Found: {headers.rows} rows, {headers.question_count} questions."
            )

    def _check_frame(self, text: bytes, line: int) -> None:
        if text.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise InputError(self.path, line, "the file is in UTF-16, expected UTF-8. Convert it first.")
        if text.startswith(b"<!ENTITY") or (text.startswith(b"<!DOCTYPE") and b"[" in text):
            raise InputError(
                self.path, line, "a document type declaration with definitions, which no dump has."
            )
        encoding = ENCODING.match(text)
        if encoding and encoding.group(1).lower() not in (b"utf-8", b"utf8", b"us-ascii"):
            name = encoding.group(1).decode(errors="replace")
            raise InputError(
                self.path, line, f"the file says that it is in {name}, expected UTF-8. Convert it first."
            )
        if text.startswith((b"</posts>", b"<posts/>", b"<posts />")):
            self._closed_frame = True
        table = OTHER_TABLE.match(text[:200])
        if table and not self._rows_seen and table.group(1) not in (b"posts", b"row"):
            name = table.group(1).decode().capitalize()
            raise LimaError(
                f'{self.path}: no answers (PostTypeId="2"). Is this the Posts table? Found: {name} rows.'
            )

    def _parse(self, raw: bytes) -> None:
        """One piece, or several that belong together, for the XML parser."""
        text = unframed(raw)
        found = parse_elements(text) if text else []
        if text and not found:
            self._malformed()
        for row in found or []:
            columns = self._columns(row.attrib)
            if columns is not None:
                columns.append((*self._numbers(row.attrib), *self._place(raw)))
            if (row.tail or "").strip():
                self._malformed(raw.count(b"\n", 0, len(raw.rstrip())))

    def _numbers(self, row: Mapping[str, str]) -> tuple[int, int, int]:
        partner = "AcceptedAnswerId" if integer(row.get("PostTypeId")) == QUESTION else "ParentId"
        identifier, other, score = (integer(row.get(name)) for name in ("Id", partner, "Score"))
        return identifier or 0, other or 0, NO_SCORE if score is None else score

    def _place(self, raw: bytes) -> tuple[int, int]:
        """Offset and length of a row that is kept, and copied where a copy is wanted."""
        if self._copy is None:
            return self._began[0], len(raw)
        self._copied += self._copy.write(raw)
        return self._copied - len(raw), len(raw)

    def _columns(self, row: Mapping[str, str]) -> Columns | None:
        """Count a row; where it is kept, or None."""
        headers, kind = self.headers, integer(row.get("PostTypeId"))
        known = None not in (integer(row.get("Id")), kind)
        if not known or (kind == ANSWER and integer(row.get("ParentId")) is None):
            headers.other_rows += 1
            self._malformed()
        elif kind == QUESTION:
            headers.question_count += 1
            if not (self.scan.drop_closed and "ClosedDate" in row):
                return headers.questions
            headers.closed += 1
        elif kind != ANSWER:
            headers.other_rows += 1
        else:
            if self._numbers(row)[2] >= self._floor:
                return headers.answers
            headers.low_answers += 1
        return None

    def _malformed(self, lines_on: int = 0) -> None:
        self.headers.malformed.append(self._began[1] + lines_on)
        self._pending, self._closer = [], b""


def _closer(text: bytes) -> bytes:
    """How that ends which begins here and may hold more pieces; empty for what is whole."""
    for opener, closer in CLOSERS.items():
        if text.startswith(opener):
            return closer
    if text.startswith(b"<row") and not text.rstrip().endswith(b"/>") and parse_rows(text) is None:
        return ROW_CLOSER if parse_rows(text + b"</row>") is not None else b""
    return b""


def _closed(block: Block, rows: Fields, questions: Mask) -> list[int]:
    """Which of the rows are questions with the attribute ClosedDate, which stands behind the body."""
    find, asked = block.buffer.find, np.flatnonzero(questions)
    ends = block.ends[rows.pieces[asked]].tolist()
    behind = map(find, repeat(b'"'), rows.body[asked].tolist(), ends)  # loops in C: this is a hot path
    found = np.fromiter(map(find, repeat(CLOSED), behind, ends), np.int64, len(ends))
    return [place for place in asked[found >= 0] if _is_closed(block.text(rows.pieces[place]))]


def _is_closed(line: bytes) -> bool:
    """Whether a question's line has the attribute.

    In the dump's own form a quote inside a value is escaped, so the plain text is proof; anything that
    looks like it in another form is left to the XML parser.
    """
    if CLOSED_DATE.search(line) and not SINGLE_QUOTES.search(line) and line.count(b"/>") == 1:
        return True
    found = parse_rows(line)
    return bool(found and "ClosedDate" in found[0])
