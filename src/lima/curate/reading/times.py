"""When the messages of an export were written: cells of any usual form -> seconds since 1970."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import pairwise
from math import isfinite
from typing import Any

# fmt: off
TIMES = (
    "%Y-%m-%d %H:%M:%S %Z", "%Y-%m-%d %H:%M:%S %z", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%d/%b/%y %I:%M %p", "%d/%b/%y %H:%M", "%d/%b/%Y %H:%M",
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%m/%d/%y %H:%M",
    "%m/%d/%y %I:%M %p", "%m/%d/%Y", "%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M",
    "%b %d, %Y %I:%M %p", "%B %d, %Y %I:%M %p", "%d %b %Y %H:%M", "%d %B %Y %H:%M",
)
"""Forms of a time, beside ISO 8601, seconds since 1970 and RFC 2822. A column has one: the first that reads all its cells.
One that begins with the month stands for the day first too."""
# fmt: on
CLOCK = re.compile(r"(?i)\d\d?:\d\d(?::\d\d)?(?: ?[ap]m)?")
MIDNIGHT = re.compile(r"[ T]00:00(?::00)?$")
"""What workbooks put behind a day."""
MOST_SECONDS = 1e11
"""A larger number counts milliseconds, or what is smaller still."""


def time_columns(rows: Sequence[Mapping[str, Any]], chosen: str, usual: Sequence[str]) -> tuple[str, str]:
    """The column of times and, where days and hours stand apart, that of hours.

    Args:
        rows: messages.
        chosen: the column that was named, or found first.
        usual: all columns with the names of times, likeliest first.
    """
    cells = {
        name: [str(row.get(name) or "").strip() for row in rows] for name in dict.fromkeys((chosen, *usual))
    }
    hours = [
        name for name, told in cells.items() if any(told) and all(map(CLOCK.fullmatch, filter(None, told)))
    ]
    days = [name for name, told in cells.items() if any(told) and all(map(_is_day, filter(None, told)))]
    if chosen in hours and days:
        return days[0], chosen
    return chosen, hours[0] if chosen in days and hours else ""


def _is_day(cell: str) -> bool:
    return ":" not in MIDNIGHT.sub("", cell) and not re.fullmatch(r"\d+(?:\.\d+)?", cell)


def time_cell(row: Mapping[str, Any], time: str, clock: str) -> str:
    """What a row says of its time; empty where a part is missing."""
    day, hour = (str(row.get(name) or "").strip() for name in (time, clock))
    if not clock:
        return day
    hour = f"0{hour}" if hour[1:2] == ":" else hour  # as ISO 8601 has it
    return f"{MIDNIGHT.sub('', day)} {hour}" if day and hour else ""


def in_seconds(cells: Sequence[str], keys: Sequence[object] = ()) -> tuple[list[float] | None, str]:
    """The cells by the first form that reads all of them, and what is to be said of that; None where there is no such form.

    Args:
        cells: in the order of the file.
        keys: the conversation of each: where day and month could be swapped, the way in which rows stand in order is right.
    """
    for form in ("number", "iso", "mail", *TIMES):
        read = _read(cells, form)
        if not form.startswith("%m/%d"):
            if read is not None:
                return read, ""
            continue
        swapped = _read(cells, form.replace("%m/%d", "%d/%m"))
        if read is None or swapped is None or read == swapped:
            if (found := swapped if read is None else read) is not None:
                return found, ""
            continue
        months, days = _in_order(read, keys), _in_order(swapped, keys)
        told = "by the order of the rows" if months != days else "assumed: no row tells, so check it"
        return (
            (swapped, f"day before month, {told}") if days > months else (read, f"month before day, {told}")
        )
    return None, ""


def _in_order(times: Sequence[float], keys: Sequence[object]) -> tuple[int, int]:
    """How many neighbours stand in order: of one conversation, and at all; the newest may be first."""
    steps = [later - earlier for earlier, later in pairwise(times)]
    within = [step for step, (one, other) in zip(steps, pairwise(keys), strict=False) if one == other]
    rising, all_rising = (
        max(sum(step >= 0 for step in of), sum(step <= 0 for step in of)) for of in (within, steps)
    )
    return rising, all_rising


def _read(cells: Sequence[str], form: str) -> list[float] | None:
    try:
        return [_seconds(cell, form) for cell in cells]
    except (ValueError, TypeError, OverflowError):
        return None


def _seconds(cell: str, form: str) -> float:
    if form == "number":
        if not isfinite(value := float(cell)):
            raise ValueError(cell)
        while abs(value) > MOST_SECONDS:
            value /= 1000
        return value
    if form == "iso":
        found = datetime.fromisoformat(cell)
    elif form == "mail":
        found = parsedate_to_datetime(cell)
    else:
        found = datetime.strptime(cell, form)  # a zone is set below where the cell has none
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
