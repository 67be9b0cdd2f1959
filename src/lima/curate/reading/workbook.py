"""The first sheet of a workbook (.xlsx, .xls, .ods) -> rows, as `lima.curate.reading.delimited` gives them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from lima import console
from lima.curate.reading.delimited import TornRow, column_names, header_place
from lima.errors import LimaError

SUFFIXES = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")


def read_workbook(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(row number below the header from 1, row)`` of the first sheet that holds a table, of two columns or more.

    Raises:
        LimaError: no workbook, nothing in it, or two columns of one name.
    """
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_path(path)
        sheets = {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}
    except (CalamineError, OSError) as error:
        raise LimaError(f"{path}: cannot be read as a workbook ({error}).") from None
    filled = [(name, rows) for name, rows in sheets.items() if rows]
    tables = [
        (name, rows) for name, rows in filled if any(sum(cell != "" for cell in row) > 1 for row in rows)
    ]
    name, cells = next(iter([*tables, *filled]), ("", []))  # a cover sheet has one column
    if not cells:
        raise LimaError(f"{path}: no rows in any sheet.")
    place = header_place(cells)
    if len(sheets) > 1 or place:
        console.note(f"{path}: sheet {name!r}, the header in row {place + 1}")
    names = column_names(cells[place], path)
    rows = (row for row in cells[place + 1 :] if any(cell not in (None, "") for cell in row))
    for number, row in enumerate(rows, start=1):
        surplus = [cell for name, cell in zip(names[1:], row[1:], strict=False) if name == "" != cell]
        if surplus:
            yield number, TornRow(f"{surplus[0]!r} stands in a column without a name in the header")
        else:
            yield number, {name: _value(cell) for name, cell in zip(names, row, strict=False) if name}


def _value(cell: Any) -> str | int | float | bool:
    """What a person sees in the cell, as text where that is certain: a whole number has no point, a day no midnight.

    Whether a fraction is shown as 0.5, 50 % or 1/2 the sheet alone knows, so it stays a number, as do TRUE and FALSE.
    """
    if isinstance(cell, bool):
        return cell
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else cell
    if isinstance(cell, datetime) and cell.time() == time():
        return cell.date().isoformat()
    if isinstance(cell, date | time | datetime | timedelta):
        return str(cell)
    return "" if cell is None else str(cell)
