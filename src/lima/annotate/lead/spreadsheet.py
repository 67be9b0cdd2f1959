"""Rows as CSV, for spreadsheets: beside the JSON Lines of the study, which hold the same."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

import orjson

from lima.records import Record


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table whose cells no spreadsheet takes for formulas: people of whom nothing is known may have written them."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def records_as_csv(rows: Iterable[Record]) -> str:
    """A column for each field; what is nested stands as JSON."""
    table = [row.model_dump(mode="json") for row in rows]
    columns = list(table[0]) if table else []
    return as_csv(columns, ([row[name] for name in columns] for row in table))


def names_of(text: str) -> list[str]:
    """The first column of pasted CSV, or of lines, without empty ones and without a heading ``name``."""
    rows = csv.reader(io.StringIO(text))
    names = [row[0].strip() for row in rows if row and row[0].strip()]
    return names[1:] if names and names[0].lower() == "name" else names


FORMULAS = tuple(
    "=+-@\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
)
"""With what a cell begins that some spreadsheet takes for a formula."""


def _cell(value: object) -> object:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULAS) else value
    return orjson.dumps(value).decode() if isinstance(value, list | dict) else value
