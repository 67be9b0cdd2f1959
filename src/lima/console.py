"""What a person sees in the terminal: progress bars, tables and the closing lines of a command.

Progress and notes go to standard error, results to standard output. Without a terminal the bars become
plain lines, one at most every ten seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from rich.cells import cell_len
from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

notes = Console(stderr=True, highlight=False)
results = Console(highlight=False)

PLAIN_LINE_SECONDS = 10.0


class Tracker(Protocol):
    """Moves a progress display forward; ``note`` is a short text beside the bar, such as ``loss 1.93``."""

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Add ``amount`` finished units."""
        ...


@contextmanager
def progress(description: str, total: float | None, unit: str = "it") -> Iterator[Tracker]:
    """Show the progress of a long step, with rate and time left.

    ``total`` None means unknown. Resumed work is counted by an `advance` before the first step.
    """
    if notes.is_terminal:
        with _bar() as bar:
            task = bar.add_task(description, total=total, note="", unit=unit)
            yield _BarTracker(bar, task)
    else:
        tracker = _PlainTracker(description, total, unit)
        yield tracker
        tracker.finish()


def note(text: str) -> None:
    """A line for the person who waits, to standard error."""
    notes.print(text, markup=False, soft_wrap=True)


def warn(text: str) -> None:
    """A line that the user should not miss."""
    from rich.text import Text

    notes.print(Text("warning: ", style="bold yellow") + Text(text), soft_wrap=True)


_steps_shown = ContextVar("_steps_shown", default=True)


@contextmanager
def part_of_a_whole() -> Iterator[None]:
    """Within the block a command is a step of a larger one, so that its hint at the next command is left out."""
    token = _steps_shown.set(False)
    try:
        yield
    finally:
        _steps_shown.reset(token)


def done(wrote: Sequence[Path | str], next_command: str | None = None) -> None:
    """The last lines of a command: what it wrote, and what to run next."""
    for path in wrote:
        notes.print(f"wrote  {path}", markup=False, soft_wrap=True)
    if next_command and _steps_shown.get():
        notes.print(f"next   {next_command}", markup=False, soft_wrap=True, style="bold")


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    align: Literal["left", "right"] = "right",
) -> None:
    """Print a table of results; columns after the first are right-aligned, or left where they hold prose.

    A table of prose has a line between its rows. Columns of figures that do not fit beside each other go into
    further tables below, each with the first column, since a folded figure cannot be read.
    """
    from rich.table import Table

    texts = [[str(cell) for cell in row] for row in rows]
    widths = _widths(columns, texts) if align == "right" else None
    for part, group in enumerate(_that_fit(widths) if widths else [range(1, len(columns))]):
        # a title of the table itself would be broken at the table's width
        results.print(
            title if part == 0 else f"{title}, continued", style="bold", markup=False, soft_wrap=True
        )
        view = Table(header_style="bold", show_lines=align == "left")
        for place in (0, *group):
            width = widths[place] if widths else None
            view.add_column(columns[place], justify=align if place else "left", overflow="fold", width=width)
        for row in texts:
            view.add_row(row[0], *(row[place] for place in group))
        results.print(view, markup=False)


BORDER = 3
"""Of each column: a blank on both sides and a line."""


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int] | None:
    """What each column of figures needs: cells in one line each, headings broken at blanks. None where all fits as it is."""
    cells = [[row[place] for row in rows] for place in range(len(columns))]
    whole = [max(map(cell_len, (*column, name))) for name, column in zip(columns, cells, strict=True)]
    if sum(whole) + BORDER * len(whole) < results.width:
        return None
    broken = [
        max(map(cell_len, (*column, *name.split()))) for name, column in zip(columns, cells, strict=True)
    ]
    first = min(whole[0], results.width // 2)  # its words may be broken
    return [first, *(min(width, results.width - 1 - first - 2 * BORDER) for width in broken[1:])]


def _that_fit(widths: Sequence[int]) -> list[range]:
    """The columns after the first in groups that the terminal can show beside the first; one at least in each."""
    groups, start = [], 1
    room = left = results.width - 1 - widths[0] - BORDER
    for place in range(1, len(widths)):
        need = widths[place] + BORDER
        if need > left and place > start:
            groups.append(range(start, place))
            start, left = place, room
        left -= need
    return [*groups, range(start, len(widths))]


def _bar() -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        TextColumn("<"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=notes,
    )


class _BarTracker:
    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._bar.advance(self._task, amount)
        if note:
            self._bar.update(self._task, note=note)


class _PlainTracker:
    def __init__(self, description: str, total: float | None, unit: str) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._count = 0.0
        self._start = self._printed = time.monotonic()
        self._note = ""

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._count += amount
        self._note = note or self._note
        if time.monotonic() - self._printed >= PLAIN_LINE_SECONDS:
            self._print()

    def finish(self) -> None:
        self._print()

    def _print(self) -> None:
        self._printed = time.monotonic()
        of = f"/{_number(self._total)}" if self._total is not None else ""
        seconds = self._printed - self._start
        text = f"{self._description}: {_number(self._count)}{of} {self._unit}, {seconds:.0f} s {self._note}"
        notes.print(text.rstrip(), markup=False, soft_wrap=True)


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
