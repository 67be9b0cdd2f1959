"""Rows of any common file as dictionaries: CSV, TSV, workbooks, JSON Lines, JSON, XML, Parquet; plain, .gz or .zst."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

import orjson

from lima.curate.reading.compressed import open_bytes
from lima.curate.reading.delimited import read_delimited
from lima.curate.reading.elements import read_elements
from lima.curate.reading.lines import bounded_lines, line_at, lines_holding
from lima.curate.reading.mails import SUFFIXES as MAILS
from lima.curate.reading.mails import mail_files, read_mails
from lima.curate.reading.nested import is_beside_messages, is_one_conversation
from lima.curate.reading.workbook import SUFFIXES as WORKBOOKS
from lima.curate.reading.workbook import read_workbook
from lima.errors import InputError, LimaError
from lima.files import (
    BYTE_ORDER_MARK,
    CONTAINERS,
    WIDE,
    files_below,
    other_form,
    parse_json_object,
    whole_characters,
)
from lima.parquet import read_rows

COMPRESSED = {".gz", ".zst"}
MAX_ARRAY_BYTES = 512 << 20
DELIMITED = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
"""Suffixes of delimited text, and the delimiter that they promise."""
SUFFIXES = (
    *MAILS,
    *(".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".xml", ".parquet"),
    *WORKBOOKS,
    *(".csv.gz", ".csv.zst", ".tsv.gz", ".json.gz", ".jsonl.gz", ".jsonl.zst"),
)
PAGES = (
    "tickets", "conversations", "issues", "requests", "results", "data", "items", "rows", "records", "threads", "messages", "value", "comments",
)  # fmt: skip
"""Under which names a JSON document holds its records, as the answers of programming interfaces do."""


def candidate_files(path: Path, suffixes: Sequence[str]) -> list[Path]:
    """The file itself, or the files of a folder with one of the suffixes, by name.

    Raises:
        LimaError: nothing there.
    """
    if path.is_file():
        return [path]
    if not path.exists():
        raise LimaError(f"{path}: no such file or folder.")
    files = [p for p in files_below(path) if p.name.lower().endswith(tuple(suffixes))]
    if not files:
        raise LimaError(f"{path}: no file with one of: {' '.join(suffixes)}.")
    return files


def table_files(path: Path) -> list[Path]:
    """As `candidate_files`, tables and mails; a Slack export's lists of people and channels are none."""
    return [file for file in candidate_files(path, SUFFIXES) if not is_beside_messages(file)]


def read_table(
    path: Path, holding: bytes | None = None, *, encoding: str | None = None, delimiter: str | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(row number from 1, row)`` of a file, by its suffix.

    Args:
        path: a folder of mails or of tables, a mail or a mailbox (``.mbox``), ``.csv``, ``.tsv``, ``.txt``, a workbook (``.xlsx``, ``.xls``,
            ``.ods``), ``.jsonl``, ``.ndjson``, ``.json``, ``.xml`` or ``.parquet``; a ``.gz`` or ``.zst`` may follow. A ``.zst`` without another suffix is JSON Lines, as
            Reddit's archives are.
        holding: of JSON Lines, decode only lines that hold these bytes; the others are not even cut into lines.
            Rows are then numbered among those.
        encoding: of delimited text, where it is known; found otherwise.
        delimiter: likewise.

    A delimited row that is not what its writer meant comes as a `TornRow`.

    Raises:
        LimaError: no such file, an unknown suffix, an empty table.
        InputError: a line that cannot be read, by its number.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = next((suffix for suffix in reversed(suffixes) if suffix not in COMPRESSED), "")
    found = False
    mails = kind in MAILS or (
        path.is_dir() and any(file.suffix.lower() in MAILS for file in files_below(path))
    )
    if path.is_dir() and not mails:
        tables = (read_table(file, encoding=encoding, delimiter=delimiter) for file in table_files(path))
        rows: Iterator[tuple[int, dict[str, Any]]] = chain.from_iterable(tables)
    elif mails:
        rows = enumerate((row for _, row in read_mails(mail_files(path))), start=1)
    elif kind in DELIMITED and path.exists():
        rows = read_delimited(path, usual=DELIMITED[kind], encoding=encoding, delimiter=delimiter)
    else:
        rows = _reader(kind or ".jsonl", path)(path, holding)
    for row in rows:
        found = True
        yield row
    if not found and holding is None:
        raise LimaError(f"{path}: no rows in it.")


def _reader(kind: str, path: Path) -> Any:
    if not path.exists():
        raise LimaError(f"{path}: no such file.")
    if kind in WORKBOOKS:
        return lambda path, holding: read_workbook(path)
    if kind == ".parquet":
        return lambda path, holding: read_rows(path)
    if kind == ".xml":
        return lambda path, holding: read_elements(path)
    if kind == ".json":
        return lambda path, holding: _array(path)
    if kind in (".jsonl", ".ndjson") or path.suffix == ".zst":
        return _json_lines
    raise LimaError(
        f"{path}: cannot read {kind!r}. Known: .csv .tsv .txt .xlsx .xls .ods .jsonl .ndjson .json .xml .parquet (.gz, .zst) .eml .mbox."
    )


def _json_lines(path: Path, holding: bytes | None) -> Iterator[tuple[int, dict[str, Any]]]:
    with open_bytes(path) as stream:
        all_lines = enumerate(bounded_lines(stream, path), start=1)
        lines = all_lines if holding is None else lines_holding(stream, path, holding)
        for number, (place, line) in enumerate(lines, start=1):
            if not line.isspace():
                row = None if number == 1 and other_form(line, WIDE) else loads(line)
                if not isinstance(row, dict):
                    line_number = place if holding is None else line_at(path, place)
                    _refuse(line, path, line_number)
                yield number, row


def _refuse(line: bytes, path: Path, number: int) -> NoReturn:
    """Say what stands in a line in the place of a JSON object.

    Raises:
        LimaError: always.
    """
    form = other_form(line, CONTAINERS | WIDE) if number == 1 else None
    if form:
        raise LimaError(f"{path}: {form} Expected JSON Lines in UTF-8.")
    parse_json_object(line.removeprefix(BYTE_ORDER_MARK), path, number)
    raise InputError(path, number, "not a JSON object.")


def _array(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with open_bytes(path) as stream:
        content = stream.read(MAX_ARRAY_BYTES)
    if len(content) == MAX_ARRAY_BYTES:
        raise LimaError(f"{path}: a JSON array of over {MAX_ARRAY_BYTES >> 20} MB. Convert it to JSON Lines.")
    content = content.removeprefix(BYTE_ORDER_MARK)
    if not content.lstrip().startswith(b"["):
        rows = _records(loads(content))
        yield from enumerate(rows, start=1) if rows else _json_lines(path, None)
        return
    rows = loads(content)
    if rows is None:
        try:
            orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise InputError(path, error.lineno, f"not JSON ({error.msg}, column {error.colno}).") from None
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise LimaError(f"{path}: element {number - 1} is a {type(row).__name__}, expected an object.")
        yield number, row


def _records(document: Any) -> list[dict[str, Any]]:
    """The records of a document that is one object: those under a usual name, else the object itself; none where it is no object."""
    if not isinstance(document, dict):
        return []
    lists = (document.get(name) for name in PAGES if "id" not in document)
    objects = ([one for one in found if isinstance(one, dict)] for found in lists if isinstance(found, list))
    found = next((found for found in objects if found), [])
    return [document] if is_one_conversation(found) else found or [document]


def loads(line: bytes) -> Any:
    """JSON that may hold a bare NaN, as pandas writes it: read as null. None when it is no JSON at all."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        pass
    try:
        return whole_characters(_without_nan(json.loads(line)))
    except (ValueError, RecursionError):
        return None


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
