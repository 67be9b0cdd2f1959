"""Delimited text as people's programs write it -> rows: encoding, delimiter and header are found, and said when unusual.

Excel writes semicolons where a comma is the decimal mark, cp1252 or UTF-16 by its mood, and a ``sep=`` line; help desks put a
title above the header. A row that cannot be meant as it stands (surplus cells, an open quote) comes as a `TornRow`.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import IO, Any

from lima import console
from lima.curate.reading.compressed import open_bytes
from lima.curate.reading.lines import MAX_LINE_BYTES, bounded_lines
from lima.errors import InputError, LimaError
from lima.files import CONTAINERS, other_form

CHAT_LINE = re.compile(
    r"\W{0,2}\d{1,4}([./-])\d{1,2}\1\d{2,4},?\s\d{1,2}[:.]\d{2}\S*(\s[ap]\.?\s?m\.?)?(\]|\s-)\s[^:]+:\s",
    re.IGNORECASE,
)
"""Day, hour and writer before a message: a line of a messenger's export as text."""
HEAD_BYTES = 1 << 20
"""What encoding, delimiter and header are found from."""
DELIMITERS = (",", ";", "\t", "|")
HEADER_WITHIN = 20
"""Rows from the top among which the header is looked for."""
FEWEST_KEYS = 10
"""Rows with keys of one shape that show what a key looks like."""
MOST_LINES = 1000
"""Lines of one torn row."""
AS_FLAGS = "align: --curate encoding=cp1252 delimiter=';'; curate: --sources.NAME.encoding cp1252"
"""How the two commands that read tables are told."""
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""In this order: UTF-32's begins like UTF-16's."""


class TornRow(dict[str, Any]):
    """A row that is not what its writer meant, or otherwise of no use; ``rule`` says why in a word, ``reason`` in full."""

    def __init__(self, reason: str, rule: str = "torn-row") -> None:
        super().__init__()
        self.reason, self.rule = reason, rule


@dataclass(frozen=True)
class Form:
    """How a file is written."""

    encoding: str
    delimiter: str
    header: int
    """Rows above the header."""

    def said(self, path: Path, usual: str) -> None:
        """Tell what was assumed, where it is not what one expects."""
        found = [] if self.encoding in ("utf-8", "utf-8-sig") else [self.encoding]
        found += [] if self.delimiter == usual else [f"{self.delimiter!r} between cells"]
        found += [f"the header in row {self.header + 1}"] if self.header else []
        if found:
            console.note_once(f"{path}: read as {', '.join(found)} (if that is wrong, say so: {AS_FLAGS})")


def read_delimited(
    path: Path, *, usual: str = ",", encoding: str | None = None, delimiter: str | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(row number below the header from 1, row)``; names of columns without outer blanks.

    Args:
        path: the file, plain, ``.gz`` or ``.zst``.
        usual: the delimiter that its suffix promises, taken where the content does not tell.
        encoding: where it is known; found otherwise.
        delimiter: likewise.

    Raises:
        InputError: bytes that are not in the encoding, with their line.
        LimaError: an unknown encoding, two columns of one name.
    """
    with open_bytes(path) as stream:
        head = stream.read(HEAD_BYTES)
    form = _form(path, head, usual, encoding, delimiter)
    form.said(path, usual)
    with open_bytes(path) as stream:
        rows = (cells for cells in _rows(stream, form, path) if cells != [])
        header = next((cells for cells in rows if isinstance(cells, list)), [])
        names = column_names(header, path)
        read = ((_key_of(cells), _row(names, cells, form)) for cells in _unbroken(rows, len(names)))
        yield from enumerate(_whole(read, _usual_key(form, head)), start=1)


def header_place(rows: Iterable[list[Any]]) -> int:
    """How many rows stand above the header: of the usual width, or wider, is the first that can be one.

    >>> header_place([["Export of 1 May"], [], ["question", "answer"], ["a", "b"]])
    2
    """
    first = list(islice(rows, HEADER_WITHIN))
    filled = [sum(cell not in (None, "") for cell in row) for row in first]
    widths = Counter(width for width in filled if width > 1)
    usual = min(widths, key=lambda width: (-widths[width], width)) if widths else 1

    def can_be(row: list[Any], width: int) -> bool:
        numbered = width > 1 and row[0] in (None, "") and width == len(row) - 1
        return width + numbered >= usual  # pandas gives its row numbers a column without a name

    return next((place for place, row in enumerate(first) if can_be(row, filled[place])), 0)


def _form(path: Path, head: bytes, usual: str, encoding: str | None, delimiter: str | None) -> Form:
    if form := other_form(head, CONTAINERS):
        raise LimaError(f"{path}: {form} It has the name of a text file.")
    found = encoding or _encoding(head)
    try:
        text = codecs.getincrementaldecoder(found)("ignore").decode(head)
    except LookupError:
        raise LimaError(f"{path}: no encoding {found!r}. Such as: utf-8, cp1252, utf-16.") from None
    if told := _chat_line(text):
        raise LimaError(
            f"{path}: the lines of a chat, as WhatsApp exports it ({told!r}), are not read. Read are tables with a column of questions "
            "and one of answers, or with a row a message: make a CSV file with the columns conversation, author, time and "
            "text. docs/own-data.md lists all forms."
        )
    first, _, rest = text.partition("\n")
    told = first.strip().removeprefix("\ufeff").lower()
    if told.startswith("sep=") and len(told) == 5:  # Excel's own line: the next one is the header
        return Form(found, delimiter or told[4], 1 + header_place(_cells(rest, delimiter or told[4])))
    best = delimiter or _delimiter(text, usual)
    return Form(found, best, header_place(_cells(text, best)))


def _chat_line(text: str) -> str | None:
    """The first line of a messenger's export as text; None where most of the first lines are no messages."""
    lines = [line for line in text[:10_000].splitlines() if line.strip()]
    said = [line for line in lines if CHAT_LINE.match(line)]
    return " ".join(said[0].split())[:60] if len(said) > 1 and 2 * len(said) > len(lines) else None


def _encoding(head: bytes) -> str:
    """By its mark, else UTF-8 if it is, else what the text's bytes look like (charset-normalizer)."""
    marked = next((name for mark, name in BOMS if head.startswith(mark)), None)
    if marked:
        return marked
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        pass
    else:
        # a stray NUL is no UTF-16, of whose western text every other byte is zero
        return _wide(head) if 4 * head[:1000].count(0) > len(head[:1000]) else "utf-8"
    if b"\0" in head[:1000]:
        return _wide(head)
    from charset_normalizer import from_bytes

    best = from_bytes(head[:65536]).best()
    name = codecs.lookup(best.encoding).name if best else "cp1252"
    # Windows programs write the western code page; its relatives differ in characters that hardly occur.
    return "cp1252" if name in ("iso8859-1", "iso8859-15", "cp1250", "cp1254", "cp1257", "latin_1") else name


def _wide(head: bytes) -> str:
    """UTF-16 without a mark: of western text every other byte is zero."""
    return "utf-16-be" if head[:1000:2].count(0) > head[1:1000:2].count(0) else "utf-16-le"


def _delimiter(text: str, usual: str) -> str:
    """The one that cuts most of the first rows into the same number of cells, more than one."""

    def score(delimiter: str) -> tuple[float, bool]:
        rows = [len(cells) for cells in _cells(text, delimiter) if cells][:200]
        if not rows:
            return 0.0, False
        width, often = Counter(rows).most_common(1)[0]
        return (often / len(rows) if width > 1 else 0.0), delimiter == usual

    best = max(DELIMITERS, key=score)
    return best if score(best)[0] > 0 else usual


def _cells(text: str, delimiter: str) -> Iterator[list[str]]:
    """Rows of a head, whose last may be cut."""
    csv.field_size_limit(MAX_LINE_BYTES)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except csv.Error:
        return


def _rows(stream: IO[bytes], form: Form, path: Path) -> Iterator[list[str] | TornRow]:
    """Rows from the header on. One with broken quotes comes torn, and reading goes on below it."""
    lines = _Lines(stream, form.encoding, path)
    reader = csv.reader(lines, delimiter=form.delimiter, strict=True)
    above = form.header
    while True:
        begin = lines.number + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            if "field larger" in str(error):
                raise InputError(path, begin, f"a cell of over {MAX_LINE_BYTES >> 20} MB.") from None
            yield TornRow(f"its quotes do not pair ({error}), lines {begin} to {lines.number}")
            continue
        if cells is None:
            return
        if above:
            above -= 1
        else:
            yield cells


class _Lines:
    """Lines of text with their ends, of any kind; counts them, for messages."""

    def __init__(self, stream: IO[bytes], encoding: str, path: Path) -> None:
        self._text = io.TextIOWrapper(stream, encoding, newline="")
        self._path, self._encoding, self.number = path, encoding, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            line = self._text.readline(MAX_LINE_BYTES)
        except UnicodeError as error:
            raise InputError(
                self._path,
                _unreadable_line(self._path, self._encoding) or self.number + 1,
                f"not readable as {self._encoding} ({error}). Name the file's encoding ({AS_FLAGS}).",
            ) from None
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) >= MAX_LINE_BYTES:
            raise InputError(self._path, self.number, f"a line of over {MAX_LINE_BYTES >> 20} MB.")
        return line


def _unreadable_line(path: Path, encoding: str) -> int | None:
    """The first line whose bytes are not in the encoding; None where lines of bytes are no lines of text (UTF-16, UTF-32)."""
    if len("\n".encode(encoding)) > 1:
        return None
    with open_bytes(path) as stream:
        for number, line in enumerate(bounded_lines(stream, path), start=1):
            try:
                line.decode(encoding)
            except UnicodeError:
                return number
    return None


def column_names(cells: Sequence[Any], path: Path) -> list[str]:
    """The cells of a header without outer blanks; of several with one name the later ones get a number (Jira's comments)."""
    names = _numbered(cells)
    for name in dict.fromkeys(
        old for cell, new in zip(cells, names, strict=True) if (old := str(cell).strip()) != new
    ):
        console.note_once(
            f"{path}: several columns are called {name!r}; the first keeps the name, the next is {f'{name} 2'!r}"
        )
    return names


def _numbered(cells: Iterable[Any]) -> list[str]:
    names: list[str] = []
    for name in (str(cell).strip() for cell in cells):
        same = (f"{name} {number}" for number in count(2))
        names.append(next(one for one in same if one not in names) if name and name in names else name)
    return names


def repeats_header(names: list[str], cells: Iterable[Any]) -> bool:
    """Whether a row is the header once more, as in files that were joined."""
    return len(names) > 1 and _numbered(cells) == names


def _unbroken(rows: Iterable[list[str] | TornRow], width: int) -> Iterator[list[str] | TornRow]:
    """The rows, torn where neighbours that lack cells make one together: a line break in a cell without quotes cuts a row."""
    cut = TornRow(
        f"with its neighbour it has the {width} cells of one row (a line break in a cell without quotes, perhaps)"
    )
    before: list[str] | TornRow | None = None
    together = width + 1  # cells of the row before and those that it was joined with
    for cells in rows:
        now = width + 1 if isinstance(cells, TornRow) else len(cells)
        if together + now - 1 <= width and (now < width or together < width):
            before, cells, together = cut, cut, together + now - 1
        else:
            together = now
        if before is not None:
            yield before
        before = cells
    if before is not None:
        yield before


def _whole(rows: Iterable[tuple[str, dict[str, Any]]], usual: str | None) -> Iterator[dict[str, Any]]:
    """The rows; where keys tell at which line a row begins, one of which any line is torn is torn as a whole."""
    waiting: list[dict[str, Any]] = []

    def emptied() -> Iterator[dict[str, Any]]:
        torn = next((row for row in waiting if isinstance(row, TornRow)), None)
        cut = None if torn is None else TornRow(f"a part of a row that is torn: {torn.reason}")
        for row in waiting:
            yield row if cut is None or isinstance(row, TornRow) else cut
        waiting.clear()

    for key, row in rows:
        if usual is None or key == usual or len(waiting) == MOST_LINES:
            yield from emptied()
        waiting.append(row)
    yield from emptied()


def _usual_key(form: Form, head: bytes) -> str | None:
    """The shape of the keys in the first column, where a third of a head's rows or more have one with a number, each another."""
    text = codecs.getincrementaldecoder(form.encoding)("ignore").decode(head)
    header, *rows = [*islice(_cells(text, form.delimiter), form.header, None)] or [[]]
    keys = [cells[0] for cells in rows if len(cells) == len(header)]
    shape, often = Counter(map(_shape, keys)).most_common(1)[0] if keys else ("", 0)
    same = [key for key in keys if _shape(key) == shape]
    is_key = often >= FEWEST_KEYS and 3 * often > len(keys) and "9" in shape and len(set(same)) == often
    return shape if is_key else None


def _key_of(cells: list[str] | TornRow) -> str:
    return "" if isinstance(cells, TornRow) else _shape(cells[0])


def _row(names: list[str], cells: list[str] | TornRow, form: Form) -> dict[str, Any]:
    if isinstance(cells, TornRow):
        return cells
    unnamed = [
        name == "" for name in names[1:]
    ]  # pandas leaves the first, of its row numbers, without a name
    beyond = [cell for cell, lacks in zip(cells[1:], unnamed, strict=False) if lacks] + cells[len(names) :]
    if any(cell.strip() for cell in beyond):
        named = sum(name != "" for name in names)
        where = f"an unquoted {form.delimiter!r} in a cell, perhaps"
        return TornRow(f"{len(cells)} cells where the header has {named} ({where})")
    if any(_holds_rows(cell, cells, form.delimiter) for cell in cells if "\n" in cell):
        return TornRow("a cell holds whole rows: a quote that opens it is not closed where it should be")
    if repeats_header(names, cells):
        return TornRow("it is the header again")
    filled = dict(zip(names, cells, strict=False))
    return {name: filled.get(name, "") for name in names if name}


def _holds_rows(cell: str, row: list[str], delimiter: str) -> bool:
    """Whether a line inside a quoted cell is a row of its own.

    A tab says so, which no prose has. Prose has commas; there the line's first cell must look like that of its row, a number,
    a date or a key with digits.
    """
    inner = [line.split(delimiter) for line in cell.split("\n")[1:]]
    wide = [cells for cells in inner if len(cells) >= len(row)]
    key = _shape(row[0])
    return any(
        delimiter == "\t" or ("9" in key and cell != row[0] and _shape(cells[0]) == key) for cells in wide
    )


def _shape(cell: str) -> str:
    """A cell with each run of digits as a 9 and each run of letters as an a."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", cell.strip()))
