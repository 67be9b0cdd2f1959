"""Reads the first sheet of an Excel workbook with the standard library: a zip of XML (ECMA-376, part 1)."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from lima.errors import LimaError

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def read_sheet(path: Path) -> list[dict[str, str]]:
    """Rows as mappings from the words of the first row to cell texts; empty cells are absent.

    Raises:
        LimaError: no such file, or no workbook.
    """
    try:
        with zipfile.ZipFile(path) as book:
            shared = _shared_strings(book)
            sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    except FileNotFoundError:
        raise LimaError(f"{path}: no such file.") from None
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError) as error:
        raise LimaError(f"{path}: not an Excel workbook ({error}).") from None
    rows = [_cells(row, shared) for row in sheet.iter(f"{MAIN}row")]
    header = rows[0] if rows else {}
    return [{header[column]: text for column, text in row.items() if column in header} for row in rows[1:]]


def _shared_strings(book: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in book.namelist():
        return []
    root = ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
    return ["".join(t.text or "" for t in entry.iter(f"{MAIN}t")) for entry in root.findall(f"{MAIN}si")]


def _cells(row: ElementTree.Element, shared: list[str]) -> dict[str, str]:
    """Cell texts by column letters."""
    found = {}
    for cell in row.findall(f"{MAIN}c"):
        column = re.sub(r"\d", "", cell.get("r", ""))
        value = cell.findtext(f"{MAIN}v")
        if cell.get("t") == "inlineStr":
            value = "".join(t.text or "" for t in cell.iter(f"{MAIN}t"))
        if value is not None:
            found[column] = shared[int(value)] if cell.get("t") == "s" else value
    return found
