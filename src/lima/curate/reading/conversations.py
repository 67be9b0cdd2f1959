"""Exports in which a row is one message -> conversations: who wrote, in which order, and what customers did not see.

Help desks and chat tools name their columns alike (conversation id, author type, body, created at, private); what was
found by these names and by the words in the cells is printed. `lima.curate.reading.nested` makes such rows of nested JSON.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from lima import console
from lima.curate.reading.delimited import TornRow
from lima.curate.reading.message_columns import (
    SHOWN_VALUES,
    Chatted,
    MessageColumns,
    Opening,
    Row,
    Side,
    columns_of,
    folded,
    held,
    is_agent,
    is_private,
    key_of,
    meanings,
    message_columns,
    plain,
    unclear,
)
from lima.curate.reading.times import in_seconds, time_cell
from lima.curate.text.mail import acknowledgement
from lima.errors import LimaError


@dataclass(frozen=True)
class Turn:
    """What one person wrote at once."""

    side: Side
    text: str
    """Empty where it was a picture alone, or a bot's: what stands there is missing."""
    name: str | None = ""
    """Whose it is, if known; None of a chat, whose messages are no mails: they have no signatures and quote nobody."""


class Talk(dict[str, Any]):
    """A conversation: its columns, each as the first message that fills it has it, and its ``turns`` in the order of time."""

    turns: tuple[Turn, ...] = ()


@dataclass
class _Reader:
    """Tells of each message whose it is."""

    columns: MessageColumns
    agents: frozenset[str]
    sides: dict[str, str]
    """What a value of the role's column stands for: ``user``, ``assistant``, ``note`` or ``event``; none where the requester tells."""
    counts: Counter[str] = field(default_factory=Counter)
    neither: dict[str, None] = field(default_factory=dict)
    """Values of the role's column that say nothing known."""

    def kind(self, row: Row) -> str:
        """``user``, ``assistant``, or the rule by which the message is left out."""
        return self._who(row) if _text(row, self.columns) else "empty"

    def side(self, row: Row) -> Side | None:
        """Whose turn a message is that is left out and that the other side read or was shown; None where it is nobody's."""
        who = self._who(row)
        if who == "automatic":
            return None if acknowledgement(_text(row, self.columns)) else "assistant"
        known = who == "user" or (who == "assistant" and row.get(self.columns.role) not in (None, ""))
        return who if known else None  # type: ignore[return-value]  # one of the two

    def _who(self, row: Row) -> str:
        if is_private(row, self.columns):
            return "private-note"
        if isinstance(row, Opening):
            return "user"
        value = plain(row.get(self.columns.role))
        if self.agents:
            return "assistant" if is_agent(value, self.agents) else "user"
        if not self.sides:
            return "user" if value == plain(row.get(self.columns.requester)) else "assistant"
        found = self.sides.get(value, "event")
        if value and value not in self.sides:
            self.neither[value] = None
        return "private-note" if found == "note" else found


def read_talks(
    rows: Sequence[Row], path: Path, given: Mapping[str, str], agents: Sequence[str]
) -> Iterator[tuple[str, Talk | TornRow]]:
    """Yield ``(key, conversation)`` of messages, and ``(key/number, TornRow)`` of each message that is none of a conversation's.

    Args:
        rows: messages in the order of the file.
        path: for messages.
        given: columns by part, where they are known.
        agents: values of the role's column that stand for your side; ``@example.com`` for all addresses there.

    Raises:
        LimaError: who wrote is not plain; the text names the flags that say so.
    """
    names = columns_of(rows)
    if unknown := [name for name in given.values() if name not in names]:
        raise LimaError(f"{path}: no column {unknown[0]!r}. There are: {', '.join(names)}.")
    columns = message_columns(rows, given, agents)
    reader = _reader(rows, columns, agents, path)
    talks: dict[str, list[tuple[float, Row, str]]] = {}
    times, order, timed = _times(rows, columns, path)
    seen: set[tuple[object, ...]] = set()
    for place in order:
        kind, key = reader.kind(rows[place]), key_of(rows[place].get(columns.conversation))
        message = (key, kind, times and times[place], _text(rows[place], columns))
        if times and kind in ("user", "assistant") and message in seen:
            kind = "repeated"
        seen.add(message)
        reader.counts[kind] += 1
        talks.setdefault(key, []).append((times[place] if times else 0.0, rows[place], kind))
    _say(reader, path, timed)
    for key, messages in talks.items():
        yield from _talk(key, sorted(messages, key=lambda message: message[0]), reader)


def _talk(
    key: str, messages: Sequence[tuple[float, Row, str]], reader: _Reader
) -> Iterator[tuple[str, Talk | TornRow]]:
    talk, turns = Talk(), []
    for number, (_, row, kind) in enumerate(messages, start=1):
        if not key:
            yield f"without/{number}", TornRow("the column of its conversation is empty", "no-conversation")
            continue
        if kind not in ("user", "assistant"):
            yield f"{key}/{number}", TornRow(LEFT_OUT[kind], kind)
            if kind in ("empty", "automatic") and (missing := reader.side(row)):
                turns.append(Turn(missing, ""))
            continue
        for name, value in row.items():
            if talk.get(name) in (None, ""):
                talk[name] = value
        turns.append(Turn(kind, _text(row, reader.columns), _name(row)))  # type: ignore[arg-type]  # one of the two
    if any(turn.text for turn in turns):
        talk.turns = tuple(turns)
        yield key, talk


LEFT_OUT = {
    "private-note": "a note that the customer did not see",
    "event": "the tool wrote it, or neither side",
    "empty": "a message without words",
    "repeated": "the same message of the same time once more, as exports in pages that overlap have it",
    "automatic": "a bot sent it, between messages of people",
}


def _reader(rows: Sequence[Row], columns: MessageColumns, agents: Sequence[str], path: Path) -> _Reader:
    ours = frozenset(plain(name) for name in agents)
    sides = meanings(rows, columns.role) if columns.role and not columns.requester else {}
    if ours and not columns.role:
        raise LimaError(
            f"{path}: no column of writers holds any of columns.agents: {', '.join(agents)}. {held(rows)}."
        )
    opened = {"user"} if any(isinstance(row, Opening) for row in rows) else set()
    if not ours and not columns.requester and not {"user", "assistant"} <= {*sides.values()} | opened:
        raise LimaError(f"{path}: {unclear(rows, columns)}")
    return _Reader(columns, ours, sides)


def _say(reader: _Reader, path: Path, timed: str) -> None:
    columns, counts = reader.columns, reader.counts
    who = f"role = {columns.role!r}" + (
        f", a customer where it is {columns.requester!r}" * bool(columns.requester)
    )
    words = {
        kind: sorted(value for value, meant in reader.sides.items() if meant == kind)
        for kind in ("user", "assistant")
    }
    named = (("customers", words["user"]), ("your side", words["assistant"]))
    sides = [f"{side}: {', '.join(told)}" for side, told in named if told]
    sides += [f"neither: {', '.join(list(reader.neither)[:SHOWN_VALUES])}"] if reader.neither else []
    found = [f"conversation = {columns.conversation!r}", who + (f" ({'; '.join(sides)})" if sides else "")]
    found += [f"text = {' or '.join(map(repr, columns.texts[:2]))}", timed]
    telling = [*columns.visibility, *([columns.role] if "note" in reader.sides.values() else [])]
    found += [
        f"notes by {' or '.join(map(repr, telling))}" if telling else "no column tells of private notes"
    ]
    left = [f"{counts[rule]:,} {rule}" for rule in LEFT_OUT if counts[rule]]
    console.note_once(
        f"{path}: a row is one message: {', '.join(found)}. {counts['user']:,} messages of customers, {counts['assistant']:,} of your side"
        + (f"; left out: {', '.join(left)}" if left else "")
        + " (choose others with --columns.NAME; of lima curate with --sources.NAME.columns.NAME)"
    )


def _text(row: Row, columns: MessageColumns) -> str:
    if isinstance(row, Opening):
        return row.text.strip()
    values = (row.get(name) for name in columns.texts)
    told = (
        str(value).strip() for value in values if isinstance(value, str | int) and not isinstance(value, bool)
    )
    return next(filter(None, told), "")


def _name(row: Row) -> str | None:
    """The name of who wrote, so that a last line of it alone is known as a signature."""
    if isinstance(row, Chatted):
        return None
    names = {folded(name): value for name, value in row.items()}
    known = ("author name", "sender name", "user name", "from name", "agent name", "name")
    return next((value for name in known if isinstance(value := names.get(name), str)), "")


def _times(
    rows: Sequence[Row], columns: MessageColumns, path: Path
) -> tuple[Sequence[float] | None, Sequence[int], str]:
    """The time of each row, the order in which equal times stand, and what is to be said of them.

    A message without a time has that of the one before it in its conversation; the first of one stands before the others.
    Of exports with the newest first the order is turned. None where no column holds times.
    """
    cells = [time_cell(row, columns.time, columns.clock) for row in rows]
    keys = [row.get(columns.conversation) for row in rows]
    told = [cell for cell in cells if cell]
    read, remark = in_seconds(told, [key for key, cell in zip(keys, cells, strict=True) if cell])
    order = range(len(rows))
    if read is None:
        odd = next((cell for cell in told if in_seconds([told[0], cell])[0] is None), told[0])
        console.warn(
            f"{path}: {odd!r} in column {columns.time!r} is no time, or of another form than the others, so messages stay in the order of "
            "the file. Write all as 2026-05-03 10:00:00, or name another column: --columns.time NAME."
        )
    if not read:
        return None, order, "in the order of the file"
    values, times, last = iter(read), [], dict[object, float]()
    for key, cell in zip(keys, cells, strict=True):
        last[key] = next(values) if cell else last.get(key, float("-inf"))
        times.append(last[key])
    newest_first = read[0] > read[-1] and all(a >= b for a, b in pairwise(read))
    named = f"time = {columns.time!r}" + f" and {columns.clock!r}" * bool(columns.clock)
    return times, order[:: -1 if newest_first else 1], named + f" ({remark})" * bool(remark)
