"""The sheets of a workbook (.xlsx, .xls, .ods) -> rows, as `lima.curate.reading.delimited` gives them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from lima import console
from lima.curate.reading.delimited import TornRow, column_names, header_place, repeats_header
from lima.errors import LimaError

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

SUFFIXES = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
OLD = b"\xd0\xcf\x11\xe0"
"""How .xls and workbooks with a password begin."""
LARGEST_CELL = 32_767
"""Characters: Excel cuts longer texts."""
LARGEST_NUMBER = 10**15
"""Beyond, Excel's numbers end in digits that nobody typed."""


class Merged(str):
    """A cell that is merged over several columns; each of them has its text."""


class Below(str):
    """A cell that is merged with one above it, whose text it has."""


def read_workbook(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(row number below the header from 1, row)`` of the first sheet that holds a table, of two columns or more.

    Sheets that are hidden come last; what is not read, and rows that are read though a filter hides them, is said.

    Raises:
        LimaError: no workbook, nothing in it, or two columns of one name.
    """
    sheets = _sheets(path)
    filled = {name: rows for name, rows in sheets.items() if rows}
    tables = [name for name, rows in filled.items() if any(sum(c != "" for c in row) > 1 for row in rows)]
    name = next(iter([*tables, *filled]), None)  # a cover sheet has one column
    if name is None:
        raise LimaError(f"{path}: no rows in any sheet.")
    header, rows, place = _table(filled[name])
    alike = [other for other in tables if other != name and _table(filled[other])[0] == header]
    others = ", ".join(
        f"{other!r} ({len(sheets[other])} rows)" for other in tables if other not in (name, *alike)
    )
    if len(sheets) > 1 or place:
        together = f", with {', '.join(map(repr, alike))} of the same columns" if alike else ""
        unread = f"; not read: {others}. A sheet is read alone from a workbook of its own" if others else ""
        console.note_once(f"{path}: sheet {name!r}, the header in row {place + 1}{together}{unread}")
    if hidden := _hidden_rows(path):
        console.note_once(
            f"{path}: {hidden} rows are hidden, by a filter perhaps; they are read like the others."
        )
    names = column_names(header, path)
    for number, row in enumerate(chain(rows, *(_table(filled[other])[1] for other in alike)), start=1):
        yield number, _row(names, row)


def _table(cells: list[list[Any]]) -> tuple[list[str], list[list[Any]], int]:
    """The header of a sheet, the filled rows below it, and how many stand above.

    Cells that are merged have their text in each; the row right below a header that is merged over columns, where it stands
    under these alone, tells the columns apart: "Customer" over "Name" and "E-mail".
    """
    place = header_place(cells)
    header, below = cells[place], place + 1
    spread = {column for column, cell in enumerate(header) if isinstance(cell, Merged)}
    under = cells[below] if below < len(cells) else []
    filled = {column for column, cell in enumerate(under) if _is_filled(cell)}
    if spread and filled and filled <= spread:
        header = [
            f"{top} {sub}".strip() if _is_filled(sub) else top for top, sub in zip(header, under, strict=True)
        ]
        below += 1
    rows = [row for row in cells[below:] if any(map(_is_filled, row))]
    return [str(cell).strip() for cell in header], rows, place


def _is_filled(cell: Any) -> bool:
    """Whether a cell holds something of its own."""
    return cell not in (None, "") and not isinstance(cell, Below)


def _sheets(path: Path) -> dict[str, list[list[Any]]]:
    """The cells of each sheet by its name, the hidden ones last."""
    from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum

    try:
        book = CalamineWorkbook.from_path(path)
        shown = sorted(book.sheets_metadata, key=lambda sheet: sheet.visible != SheetVisibleEnum.Visible)
        return {sheet.name: _cells(book.get_sheet_by_name(sheet.name)) for sheet in shown}
    except (CalamineError, OSError) as error:
        raise LimaError(f"{path}: cannot be read as a workbook ({_fault(path, str(error))}).") from None


def _cells(sheet: CalamineSheet) -> list[list[Any]]:
    """Rows of cells; what is merged stands in each of its cells, unless nothing else stands in the row: a title."""
    rows: list[list[Any]] = sheet.to_python()
    above, before = sheet.start or (0, 0)
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        row = rows[top - above] if 0 <= top - above < len(rows) else []
        span = range(max(0, left - before), min(right + 1 - before, len(row)))
        if not any(cell != "" for column, cell in enumerate(row) if column not in span):
            continue
        told = row[span[0]] if span else ""
        for column in span if left < right else ():
            row[column] = Merged(told)
        for lower in rows[top - above + 1 : bottom - above + 1]:
            for column in span:
                lower[column] = Below(_value(told))
    return rows


def _fault(path: Path, error: str) -> str:
    """Why a file is no workbook: programs give text of any kind the name of one."""
    head = path.read_bytes()[:8] if path.is_file() else b""
    if head.startswith(OLD) and path.suffix.lower() != ".xls":
        return "it has a password, or is an old workbook: save it without, as .xlsx"
    if head.startswith((OLD, b"PK")) or not head:
        return error
    return "it is text, perhaps a table of HTML or with tabs: open it and save it as .xlsx, or call it .tsv or .csv"


def _hidden_rows(path: Path) -> int:
    """Of all sheets of an .xlsx."""
    if path.suffix.lower() not in (".xlsx", ".xlsm"):
        return 0
    with ZipFile(path) as book:
        parts = (book.read(name) for name in book.namelist() if name.startswith("xl/worksheets/"))
        return sum(len(re.findall(rb'<row [^>]*hidden="(?:1|true)"', part)) for part in parts)


def _row(names: list[str], row: list[Any]) -> dict[str, Any]:
    surplus = [cell for name, cell in zip(names[1:], row[1:], strict=False) if name == "" != cell]
    if surplus:
        return TornRow(f"{surplus[0]!r} stands in a column without a name in the header")
    if any(isinstance(cell, str) and len(cell) >= LARGEST_CELL for cell in row):
        return TornRow(
            f"a cell is as long as a workbook allows, {LARGEST_CELL:,} characters: its end is lost"
        )
    if repeats_header(names, row):
        return TornRow("it is the header again")
    return {name: _value(cell) for name, cell in zip(names, row, strict=False) if name}


def _value(cell: Any) -> str | int | float | bool:
    """What a person sees in the cell, as text where that is certain: a whole number has no point, a day no midnight.

    Whether a fraction is shown as 0.5, 50 % or 1/2 the sheet alone knows, so it stays a number, as do TRUE and FALSE, and
    numbers whose last digits a sheet does not keep.
    """
    if isinstance(cell, bool):
        return cell
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < LARGEST_NUMBER else cell
    if isinstance(cell, datetime) and cell.time() == time():
        return cell.date().isoformat()
    if isinstance(cell, date | time | datetime | timedelta):
        return str(cell)
    return "" if cell is None else str(cell)
