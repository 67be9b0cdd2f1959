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

    A table of prose has a line between its rows.
    """
    from rich.table import Table

    view = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    view.show_lines = align == "left"
    for position, column in enumerate(columns):
        view.add_column(column, justify="left" if position == 0 else align, overflow="fold")
    for row in rows:
        view.add_row(*(str(cell) for cell in row))
    results.print(view, markup=False)


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
