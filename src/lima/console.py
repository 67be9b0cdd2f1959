"""What a person sees in the terminal: progress bars, tables and the closing lines of a command.

Progress and notes go to standard error, results to standard output. Without a terminal the bars become
plain lines, one at most every ten seconds.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from rich.cells import cell_len
from rich.console import Console

if TYPE_CHECKING:
    from rich.console import JustifyMethod
    from rich.measure import Measurement
    from rich.progress import Progress, TaskID
    from rich.table import Table

notes = Console(stderr=True, highlight=False)
results = Console(highlight=False)

PLAIN_LINE_SECONDS = 10.0
CONTROLS = {
    code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"
}
"""Control characters: escape sequences, which command the terminal, begin with one."""


class Tracker(Protocol):
    """Moves a progress display forward; ``note`` is a short text beside the bar, such as ``loss 1.93``."""

    def resume(self, amount: int) -> None:
        """Begin with ``amount`` units that an earlier run finished; rate and time left do not count them."""
        ...

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Add ``amount`` finished units."""
        ...


@contextmanager
def progress(description: str, total: float | None, unit: str = "it") -> Iterator[Tracker]:
    """Show the progress of a long step, with rate and time left.

    ``total`` None means unknown. A resumed step first tells `Tracker.resume` what was done before.
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
    """A text of a model or a user with its control characters replaced, so that it cannot command the terminal."""
    return text.translate(CONTROLS)


def note(text: str) -> None:
    """A line of information, to standard error."""
    notes.print(visible(text), markup=False, soft_wrap=True)


_noted: set[str] = set()


def note_once(text: str) -> None:
    """As `note`, but what was said before is not said again: several stages read the same file."""
    if text not in _noted:
        _noted.add(text)
        note(text)


def warn(text: str) -> None:
    """A warning, to standard error."""
    from rich.text import Text

    notes.print(Text("warning: ", style="bold yellow") + Text(visible(text)), soft_wrap=True)


_steps_shown = ContextVar("_steps_shown", default=True)


@contextmanager
def part_of_a_whole() -> Iterator[None]:
    """Within this block a command is one step of a larger one, so its ``next`` line is left out."""
    token = _steps_shown.set(False)
    try:
        yield
    finally:
        _steps_shown.reset(token)


def command(*words: object) -> str:
    """A `lima` command that can be pasted into a shell.

    >>> command("report", "my studies/1")
    "lima report 'my studies/1'"
    """
    return shlex.join(["lima", *map(str, words)])


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
    texts = [[visible(str(cell)) for cell in row] for row in rows]
    parts = _parts(columns, texts) if align == "right" else [list(range(len(columns)))]
    for part, places in enumerate(parts):
        # a title of the table itself would be broken at the table's width
        heading = title if part == 0 else f"{title}, continued"
        results.print(heading, style="bold", markup=False, soft_wrap=True)
        view = _view(columns, texts, places, align)
        tight = _measured(view).maximum > results.width
        results.print(_view(columns, texts, places, align, tight=True) if tight else view, markup=False)


FIGURE = re.compile(r"\[?[-+−–<>~]?[\d.]|[–-]?$|undefined")
"""How a cell with a figure begins; or it is empty. Figures are never broken."""
PROSE_WIDTH = 14
"""Columns of words have at least this width, or what they need."""


def _view(
    columns: Sequence[str],
    texts: Sequence[Sequence[str]],
    places: Sequence[int],
    align: JustifyMethod,
    *,
    tight: bool = False,
) -> Table:
    """Some columns as a table. If ``tight``, those of words are broken, and those of figures are as wide as their cells."""
    from rich.table import Table

    view = Table(header_style="bold", show_header=any(columns), show_lines=align == "left")
    for place in places:
        cells = [row[place] for row in texts]
        need = min(max(map(cell_len, (*cells, *columns[place].split())), default=0), results.width // 2)
        fixed = need if tight and _are_figures(cells) else None
        side: JustifyMethod = align if place else "left"
        view.add_column(
            columns[place], justify=side, overflow="fold", width=fixed, min_width=min(need, PROSE_WIDTH)
        )
    for row in texts:
        view.add_row(*(row[place] for place in places))
    return view


def _are_figures(cells: Sequence[str]) -> bool:
    return all(FIGURE.match(cell) for cell in cells)


def _parts(columns: Sequence[str], texts: Sequence[Sequence[str]]) -> list[list[int]]:
    """Which columns go into which table: as many as fit; those that identify the rows go into all."""
    names = list(range(_names(texts)))
    parts = [list(names)]
    for place in range(len(names), len(columns)):
        wider = _view(columns, texts, [*parts[-1], place], "right", tight=True)
        if _measured(wider).minimum <= results.width or parts[-1] == names:
            parts[-1].append(place)
        else:
            parts.append([*names, place])
    return parts


def _measured(view: Table) -> Measurement:
    """The least and the natural width, whatever the terminal's."""
    from rich.measure import Measurement

    return Measurement.get(results, results.options.update(max_width=10**6), view)


def _names(texts: Sequence[Sequence[str]]) -> int:
    """How many columns of words, from the left, identify the rows; one if even all of them do not."""
    width = len(texts[0]) if texts else 0
    words = next((n for n in range(width) if _are_figures([row[n] for row in texts])), width)
    enough = (n for n in range(1, words + 1) if len({tuple(row[:n]) for row in texts}) == len(texts))
    return next(enough, 1)


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

    def resume(self, amount: int) -> None:
        self._bar.reset(self._task, completed=amount)  # forgets the rate, of which the amount is no part

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._bar.advance(self._task, amount)
        if note:
            self._bar.update(self._task, note=note)


class _PlainTracker:
    def __init__(self, description: str, total: float | None, unit: str) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._count = self._before = 0.0
        self._start = self._printed = time.monotonic()
        self._note = ""
        self._shown = -1.0

    def resume(self, amount: int) -> None:
        self._count = self._before = amount

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._count += amount
        self._note = note or self._note
        if time.monotonic() - self._printed >= PLAIN_LINE_SECONDS:
            self._print()

    def finish(self) -> None:
        if self._shown != self._count:
            self._print()

    def _print(self) -> None:
        self._printed, self._shown = time.monotonic(), self._count
        of = f"/{_number(self._total)}" if self._total is not None else ""
        seconds = self._printed - self._start
        left, done = "", self._count - self._before
        if self._total and done > 0 and self._count < self._total:
            left = f", {seconds * (self._total - self._count) / done:.0f} s left"
        text = f"{self._description}: {_number(self._count)}{of} {self._unit}, {seconds:.0f} s{left} {self._note}"
        notes.print(text.rstrip(), markup=False, soft_wrap=True)


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
