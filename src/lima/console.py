"""What a person sees in the terminal: progress bars, tables and the closing lines of a command.

Progress and notes go to standard error, results to standard output. Without a terminal the bars become
plain lines, one at most every ten seconds.
"""

from __future__ import annotations

import re
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
CONTROLS = {
    code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"
}
"""Characters by which a text could command the terminal: escape sequences begin with one."""


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


def visible(text: str) -> str:
    """A text of a model or a user, in which no character commands the terminal."""
    return text.translate(CONTROLS)


def note(text: str) -> None:
    """A line for the person who waits, to standard error."""
    notes.print(visible(text), markup=False, soft_wrap=True)


def warn(text: str) -> None:
    """A line that the user should not miss."""
    from rich.text import Text

    notes.print(Text("warning: ", style="bold yellow") + Text(visible(text)), soft_wrap=True)


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
    further tables below, each with the columns that tell the rows apart, since a folded figure cannot be read.
    """
    from rich.table import Table

    texts = [[visible(str(cell)) for cell in row] for row in rows]
    whole: list[dict[int, int | None]] = [dict.fromkeys(range(len(columns)))]
    for part, group in enumerate(_layout(columns, texts) if align == "right" else whole):
        # a title of the table itself would be broken at the table's width
        results.print(
            title if part == 0 else f"{title}, continued", style="bold", markup=False, soft_wrap=True
        )
        view = Table(header_style="bold", show_lines=align == "left")
        for place, width in group.items():
            view.add_column(columns[place], justify=align if place else "left", overflow="fold", width=width)
        for row in texts:
            view.add_row(*(row[place] for place in group))
        results.print(view, markup=False)


BORDER = 3
"""Of each column: a blank on both sides and a line."""
FIGURE = re.compile(r"\[?[-+−–<>~]?[\d.]|[–-]?$|undefined")
"""How a cell with a figure begins; or it is empty. Figures are never broken."""
PROSE_WIDTH = 14
"""Columns of words have at least this width, or what they need."""


def _layout(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[dict[int, int | None]]:
    """Which columns stand in which table, and their widths (None: as they are). The first ones stand in all."""
    cells = [[row[place] for row in rows] for place in range(len(columns))]
    whole = [max(map(cell_len, (*column, name))) for name, column in zip(columns, cells, strict=True)]
    if sum(whole) + BORDER * len(whole) < results.width:
        return [dict.fromkeys(range(len(columns)))]
    words = {n for n, column in enumerate(cells) if not all(FIGURE.match(cell) for cell in column)}
    least = [
        min(whole[n], PROSE_WIDTH) if n in words else max(map(cell_len, (*column, *columns[n].split())))
        for n, column in enumerate(cells)
    ]
    names = _names(rows, words)
    share = results.width // (names + 1)
    unbroken = _grouped([*(min(width, share) for width in whole[:names]), *least[names:]], names)
    broken = _grouped(least, names)
    groups = broken if len(broken) == 1 < len(unbroken) else unbroken
    return [_widened(group, whole, words) for group in groups]


def _names(rows: Sequence[Sequence[str]], words: set[int]) -> int:
    """How many columns of words, from the left, tell the rows apart; one where even all of them do not."""
    leading = next((n for n in range(len(rows[0]) if rows else 0) if n not in words), len(words))
    enough = (n for n in range(1, leading + 1) if len({tuple(row[:n]) for row in rows}) == len(rows))
    return next(enough, 1)


def _grouped(least: Sequence[int], names: int) -> list[dict[int, int]]:
    """The columns in as many tables as they need, each with the first ``names`` columns."""
    named = dict(enumerate(least[:names]))
    most = results.width - 1 - sum(named.values()) - BORDER * names
    groups, left = [dict(named)], most
    for place in range(names, len(least)):
        width = max(1, min(least[place], most - BORDER))
        if width + BORDER > left and len(groups[-1]) > names:
            groups.append(dict(named))
            left = most
        groups[-1][place] = width
        left -= width + BORDER
    return groups


def _widened(group: dict[int, int], whole: Sequence[int], words: set[int]) -> dict[int, int | None]:
    """The room that is left goes to the columns of words."""
    left = results.width - 1 - sum(group.values()) - BORDER * len(group)
    found: dict[int, int | None] = dict(group)
    for place in sorted(words & group.keys()):
        more = min(left, whole[place] - group[place])
        found[place] = group[place] + more
        left -= more
    return found


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
        left = ""
        if self._total and 0 < self._count < self._total:
            left = f", {seconds * (self._total - self._count) / self._count:.0f} s left"
        text = f"{self._description}: {_number(self._count)}{of} {self._unit}, {seconds:.0f} s{left} {self._note}"
        notes.print(text.rstrip(), markup=False, soft_wrap=True)


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
