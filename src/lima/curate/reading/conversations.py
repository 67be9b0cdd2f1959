"""Exports in which a row is one message -> conversations: who wrote, in which order, and what customers did not see.

Help desks and chat tools name their columns alike (conversation id, author type, body, created at, private); what was
found by these names and by the words in the cells is printed. `lima.curate.reading.nested` makes such rows of nested JSON.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from lima import console
from lima.curate.reading.delimited import TornRow
from lima.curate.reading.times import in_seconds, time_cell, time_columns
from lima.curate.text.mail import acknowledgement
from lima.errors import LimaError

Side = Literal["user", "assistant"]
Row = Mapping[str, Any]
Part = Literal["conversation", "role", "text", "time", "visibility", "requester"]

# fmt: off
USUAL: Mapping[Part, Sequence[str]] = {
    "conversation": (
        "conversation id", "conversation", "conversations thread id", "ticket id", "ticket", "ticket number", "ticket no", "thread id", "thread", "chat id", "session id",
        "case id", "case number", "case", "issue key", "issue id", "dialogue id", "dialog id", "conversation number", "display id", "ticketnummer",
    ),
    "role": (
        "role", "author role", "author type", "sender type", "sender role", "from type", "user type", "participant type", "actor type", "created by type",
        "is agent", "from agent", "author is agent", "is staff", "is admin", "is customer", "from customer", "incoming", "is incoming", "inbound", "is inbound",
        "direction", "message direction", "type", "message type", "sender", "author", "from", "user", "author id", "sender id", "user id", "created by",
        "created by id", "author email", "from email", "sender email", "author name", "sender name", "user name", "username", "absender", "autor",
    ),
    "text": (
        "plain body", "body text", "text body", "text", "message text", "message", "body", "comment body", "comment", "content", "part body", "message body",
        "comment text", "reply", "html body", "body html", "rich text", "nachricht", "mensaje", "texte",
    ),
    "time": (
        "created at", "created", "sent at", "timestamp", "date time", "datetime", "time", "date", "sent", "ts", "message date", "created time", "create time",
        "created on", "creation date", "message created at", "comment created at", "posted at", "erstellt", "datum", "fecha",
        "uhrzeit", "heure", "hora",
    ),
    "visibility": (
        "private", "is private", "public", "is public", "internal", "is internal", "internal note", "is note", "visibility", "part type", "message type", "comment type",
        "thread type", "note type", "type", "kind",
    ),
    "requester": (
        "requester id", "requester", "requester email", "reporter id", "reporter", "customer id", "customer email", "customer", "contact id", "contact email", "contact",
    ),
}
"""Names that the columns of such exports have, likeliest first."""
OF_MESSAGES = frozenset(
    name for part in ("role", "text", "time", "visibility") for name in USUAL[part]
)
"""What a record has of these is not of its messages: the time of a ticket is no comment's."""
SIDES: Mapping[str, Side] = {
    **dict.fromkeys((
        "customer", "user", "contact", "lead", "requester", "end user", "enduser", "visitor", "client", "human", "guest", "incoming", "inbound", "received", "in",
        "reporter", "consumer", "prospect", "shopper", "buyer", "kunde", "kundin", "cliente", "external",
    ), "user"),
    **dict.fromkeys((
        "agent", "admin", "operator", "staff", "support", "assistant", "teammate", "rep", "representative", "employee", "outgoing", "outbound", "sent", "out",
        "support agent", "owner", "team", "mitarbeiter", "agente", "message",
    ), "assistant"),
}
"""Words of a role's column. A thread of Help Scout is of the type ``customer``, ``message`` (an agent's) or ``note``."""
BOTS = frozenset(("bot", "chatbot", "ai", "ai agent", "gpt", "model", "answer bot", "virtual assistant"))
"""Your side where no person answers; beside people what they send is automatic."""
NOTES = frozenset(("note", "private", "private note", "internal", "internal note", "internal comment", "whisper", "staff only", "intern", "notiz"))
EVENTS = frozenset(("system", "event", "lineitem", "line item", "workflow", "activity", "tool", "function", "notification", "automation"))
TRUE, FALSE = frozenset(("true", "1", "yes", "y", "ja", "oui", "si", "sí", "x")), frozenset(("false", "0", "no", "n", "nein", "non", ""))
OURS = re.compile(r"\b(?:agent|staff|admin|outgoing|outbound|assistant)\b")
THEIRS = re.compile(r"\b(?:incoming|inbound|customer|user|client)\b")
HIDDEN = re.compile(r"\b(?:private|internal|note)\b")
OPEN = re.compile(r"\bpublic\b")
WRITER = re.compile(r"\b(?:author|sender|from|user|created by|autor|absender)\b(?! type)")
# fmt: on
SHOWN_VALUES = 6


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


class Chatted(dict[str, Any]):
    """The row of a message of a chat with a model."""


class Opening(dict[str, Any]):
    """The row of a message that begins a conversation, such as the description of a ticket: its customer wrote ``text``."""

    text: str = ""


@lru_cache(maxsize=4096)
def folded(name: object) -> str:
    """A column's name in lower case, words apart: ``createdAt``, ``created_at`` and ``Created at:`` are one.

    >>> folded("author.isPublic?")
    'author is public'
    """
    apart = re.sub(r"(?<=[a-zß-ÿ])(?=[A-ZÀ-Þ])", " ", str(name).strip())
    return " ".join(re.sub(r"[\W_]+", " ", apart).casefold().split())


def conversation_of(row: Row, given: Mapping[str, str]) -> str:
    """The key of the conversation that a message belongs to."""
    names = {folded(name): name for name in row}
    usual = next((names[known] for known in USUAL["conversation"] if known in names), "")
    return _key(row.get(given.get("conversation", usual)))


def _key(value: object) -> str:
    return "" if value is None else str(value).strip()


def is_message(row: Row, given: Mapping[str, str]) -> bool:
    """Whether the columns of a row are those of one message: as given, or a key of a conversation, who wrote, and what."""
    names = {folded(name) for name in row}
    return "conversation" in given or all(
        part in given or names & {*USUAL[part]} for part in ("conversation", "role", "text")
    )


@dataclass(frozen=True)
class MessageColumns:
    """Which column of a message is what; empty where there is none."""

    conversation: str
    texts: tuple[str, ...]
    """The first of these that is filled is the text."""
    role: str = ""
    requester: str = ""
    time: str = ""
    clock: str = ""
    """The hour, where ``time`` is the day alone."""
    visibility: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The columns of which any says that customers do not see a message, each with its words for that."""


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
        if _is_private(row, self.columns):
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
    names = _keys(rows)
    if unknown := [name for name in given.values() if name not in names]:
        raise LimaError(f"{path}: no column {unknown[0]!r}. There are: {', '.join(names)}.")
    columns = _columns(rows, given, agents)
    reader = _reader(rows, columns, agents, path)
    talks: dict[str, list[tuple[float, Row, str]]] = {}
    times, order, timed = _times(rows, columns, path)
    seen: set[tuple[object, ...]] = set()
    for place in order:
        kind, key = reader.kind(rows[place]), _key(rows[place].get(columns.conversation))
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


def _keys(rows: Sequence[Row]) -> list[str]:
    """The columns of all rows: objects leave out what is empty, and the first note may come late."""
    return list(dict.fromkeys(str(name) for keys in dict.fromkeys(map(tuple, rows)) for name in keys))


def _names(rows: Sequence[Row]) -> dict[str, str]:
    return {folded(name): name for name in _keys(rows)}


def _columns(rows: Sequence[Row], given: Mapping[str, str], agents: Sequence[str]) -> MessageColumns:
    names = _names(rows)

    def find(part: Part) -> list[str]:
        return [given[part]] if part in given else [names[known] for known in USUAL[part] if known in names]

    def first(part: Part) -> str:
        return next(iter(find(part)), "")

    taken = {first("conversation")}
    texts = [name for name in find("text") if name not in taken]
    roles = [name for name in find("role") if name not in taken]
    role, requester = _role(rows, roles, find("requester"), given)
    if agents:
        ours = frozenset(map(plain, agents))
        role = next((name for name in roles if any(is_agent(plain(row.get(name)), ours) for row in rows)), "")
    telling = [name for known, name in names.items() if HIDDEN.search(known) or OPEN.search(known)]
    told = find("visibility") if "visibility" in given else [*find("visibility"), *telling]
    hidden = {name: words for name in told if name != role and (words := _notes_of(rows, name))}
    time, clock = time_columns(
        rows, first("time"), [names[known] for known in USUAL["time"] if known in names]
    )
    return MessageColumns(first("conversation"), tuple(texts), role, requester, time, clock, hidden)


def _role(
    rows: Sequence[Row], roles: Sequence[str], requesters: Sequence[str], given: Mapping[str, str]
) -> tuple[str, str]:
    """The column of who wrote, and that of who asked where both hold ids or names."""
    for name in roles:
        if {"user", "assistant"} <= {*_meanings(rows, name).values()}:
            return name, ""
    for name in roles:
        for requester in requesters:
            if name != requester and any(
                (value := plain(row.get(name))) and value == plain(row.get(requester)) for row in rows
            ):
                return name, requester
    return given.get("role", ""), given.get("requester", "")


def _meanings(rows: Sequence[Row], name: str) -> dict[str, str]:
    """What the values of a column say of who wrote: by their words, or as truths of what the column's name asks."""
    values = {plain(row.get(name)) for row in rows if not isinstance(row, Opening)}
    asked = folded(name)
    if values and values <= TRUE | FALSE and (ours := bool(OURS.search(asked))) != bool(THEIRS.search(asked)):
        return {value: "assistant" if (value in TRUE) == ours else "user" for value in values}
    people = any(SIDES.get(value) == "assistant" for value in values)
    found: dict[str, str] = {}
    for value in values:
        if value in BOTS:
            found[value] = "automatic" if people else "assistant"
        elif value in NOTES | EVENTS:
            found[value] = "note" if value in NOTES else "event"
        elif value in SIDES:
            found[value] = SIDES[value]
    return found


def _notes_of(rows: Sequence[Row], name: str) -> frozenset[str]:
    """The words by which a column says which messages are notes; none where it does not: by its name, or by its values.

    HubSpot calls what a team writes to itself a COMMENT, beside MESSAGE; elsewhere a comment is what customers read.
    """
    values = {plain(row.get(name)) for row in rows if not isinstance(row, Opening)}
    asked = folded(name)
    if values != {""} and values <= TRUE | FALSE and (HIDDEN.search(asked) or OPEN.search(asked)):
        return NOTES
    if {"message", "comment"} <= values:
        return NOTES | {"comment"}
    return NOTES if values & NOTES else frozenset()


def _is_private(row: Row, columns: MessageColumns) -> bool:
    return any(_says_private(name, plain(row.get(name)), words) for name, words in columns.visibility.items())


def _says_private(column: str, value: str, words: frozenset[str]) -> bool:
    if value and value in TRUE | FALSE:
        return (value in TRUE) == (not OPEN.search(folded(column)))
    return value in words


def _reader(rows: Sequence[Row], columns: MessageColumns, agents: Sequence[str], path: Path) -> _Reader:
    ours = frozenset(plain(name) for name in agents)
    sides = _meanings(rows, columns.role) if columns.role and not columns.requester else {}
    if ours and not columns.role:
        raise LimaError(
            f"{path}: no column of writers holds any of columns.agents: {', '.join(agents)}. {_held(rows)}."
        )
    if not ours and not columns.requester and not {"user", "assistant"} <= {*sides.values()}:
        raise LimaError(f"{path}: {_unclear(rows, columns)}")
    return _Reader(columns, ours, sides)


def _unclear(rows: Sequence[Row], columns: MessageColumns) -> str:
    if missing := _missing_side(rows, columns):
        return missing
    return (
        f"a row looks like one message of a conversation (column {columns.conversation!r}), but who wrote each message is not plain. "
        f"{_held(rows, columns.role)}. Say which values are your side (align: --columns.agents VALUE ...; curate: "
        "--sources.NAME.columns.agents VALUE ...), where @example.com is all addresses there, and which column holds them (columns.role), if "
        "not this one; or, if a row holds a question and its answer, name both columns."
    )


def _missing_side(rows: Sequence[Row], columns: MessageColumns) -> str:
    """What to say where one side alone is known to have written; empty where that is not so."""
    names = _names(rows)
    roles = [columns.role] if columns.role else [names[known] for known in USUAL["role"] if known in names]
    for name in roles:
        meanings = _meanings(rows, name)  # a "message" is an agent's beside a customer's alone
        sides = {side for value, side in meanings.items() if value != "message"} & {"user", "assistant"}
        if len(sides) == 1:
            whose, other = ("customers", "your side") if sides == {"user"} else ("your side", "customers")
            return (
                f"all messages are of {whose} (column {name!r}) and none is of {other}, so there is no question with its answer. Export the "
                f"messages of both. {_held(rows, name)}: if some of these are {other}, say which values are your side: --columns.agents VALUE ..."
            )
    asked = next((names[known] for known in USUAL["requester"] if known in names), "")
    writers = [name for name in roles if name != asked and WRITER.search(folded(name))]
    if asked and writers and any(plain(row.get(asked)) for row in rows):
        return (
            f"no message is of who asked: no cell of column {writers[0]!r} is that of column {asked!r}. Export the messages of customers too, or, if "
            f"the two columns write names differently, say which values are your side: --columns.agents VALUE ... {_held(rows, writers[0])}."
        )
    return ""


def _held(rows: Sequence[Row], role: str = "") -> str:
    """What stands in the column of writers, as far as it is known."""
    names = _names(rows)
    usual = (names[known] for known in ("author", "sender", "from", "author id", "user id") if known in names)
    role = role or next(usual, "")
    values = list(dict.fromkeys(str(row[role]) for row in rows if row.get(role) is not None))
    shown = ", ".join(values[:SHOWN_VALUES]) + (", ..." if len(values) > SHOWN_VALUES else "")
    return f"Column {role!r} holds {shown}" if role else f"There are: {', '.join(names.values())}"


def _say(reader: _Reader, path: Path, timed: str) -> None:
    columns, counts = reader.columns, reader.counts
    who = f"role = {columns.role!r}" + (
        f", a customer where it is {columns.requester!r}" * bool(columns.requester)
    )
    sides = [
        f"{side}: {', '.join(sorted(value for value, meant in reader.sides.items() if meant == kind))}"
        for kind, side in (("user", "customers"), ("assistant", "your side"))
        if reader.sides
    ]
    sides += [f"neither: {', '.join(list(reader.neither)[:SHOWN_VALUES])}"] if reader.neither else []
    found = [f"conversation = {columns.conversation!r}", who + (f" ({'; '.join(sides)})" if sides else "")]
    found += [f"text = {' or '.join(map(repr, columns.texts[:2]))}", timed]
    found += [
        f"notes by {' or '.join(map(repr, columns.visibility))}"
        if columns.visibility
        else "no column tells of private notes"
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


def plain(value: object) -> str:
    """A cell as roles are compared: ``End-User`` and ``end_user`` are one, and 1.0 is 1."""
    text = str("" if value is None else value).strip().casefold().removesuffix(".0")
    return text if "@" in text else re.sub(r"[\s_\-]+", " ", text)


def is_agent(value: str, agents: frozenset[str]) -> bool:
    """Whether a writer is on your side: by the value itself, or by the domain of the address."""
    return value in agents or any(value.endswith(one) for one in agents if one.startswith("@"))


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
