"""Which column of an export of messages is what: by the names that such columns have, and by the words in their cells.

Help desks and chat tools name their columns alike: conversation id, author type, body, created at, private.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from lima.curate.reading.times import time_columns

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
        "created at", "created", "created datetime", "sent at", "sent datetime", "timestamp", "date time", "datetime", "time", "date", "sent", "ts", "message date", "created time", "create time",
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
LETTERS: Mapping[str, str] = {"m": "user", "r": "assistant", "n": "note"}
"""How osTicket's thread entries tell messages of customers, responses and internal notes apart, where a column holds nothing else."""
TRUE, FALSE = frozenset(("true", "1", "yes", "y", "ja", "oui", "si", "sí", "x")), frozenset(("false", "0", "no", "n", "nein", "non", ""))
OURS = re.compile(r"\b(?:agent|staff|admin|outgoing|outbound|assistant)\b")
THEIRS = re.compile(r"\b(?:incoming|inbound|customer|user|client)\b")
HIDDEN = re.compile(r"\b(?:private|internal|note)\b")
OPEN = re.compile(r"\bpublic\b")
WRITER = re.compile(r"\b(?:author|sender|from|user|created by|autor|absender)\b(?! type)")
# fmt: on
SHOWN_VALUES = 6


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
    return key_of(row.get(given.get("conversation", usual)))


def key_of(value: object) -> str:
    """The key of a conversation as a text; empty where there is none."""
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


def columns_of(rows: Sequence[Row]) -> list[str]:
    """The columns of all rows: objects leave out what is empty, and the first note may come late."""
    return list(dict.fromkeys(str(name) for keys in dict.fromkeys(map(tuple, rows)) for name in keys))


def _names(rows: Sequence[Row]) -> dict[str, str]:
    return {folded(name): name for name in columns_of(rows)}


def message_columns(rows: Sequence[Row], given: Mapping[str, str], agents: Sequence[str]) -> MessageColumns:
    """The columns of messages: as given by part, else by their usual names and by what stands in them.

    Args:
        rows: all messages of an export.
        given: columns by part, where they are known.
        agents: values of the column of writers that stand for your side.
    """
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
        if {"user", "assistant"} <= {*meanings(rows, name).values()}:
            return name, ""
    begun = any(isinstance(row, Opening) for row in rows)
    for name in roles:
        for requester in requesters:
            if name != requester and any(
                (value := plain(row.get(name))) and value == plain(row.get(requester)) for row in rows
            ):
                return name, requester
    if begun and (name := next((name for name in roles if "assistant" in _sides_told(rows, name)), "")):
        return name, ""  # customers wrote the openings and nothing more
    return given.get("role", ""), given.get("requester", "")


def meanings(rows: Sequence[Row], name: str) -> dict[str, str]:
    """What the values of a column say of who wrote: by their words, or as truths of what the column's name asks."""
    values = {plain(row.get(name)) for row in rows if not isinstance(row, Opening)}
    asked = folded(name)
    if values and values <= TRUE | FALSE and (ours := bool(OURS.search(asked))) != bool(THEIRS.search(asked)):
        return {value: "assistant" if (value in TRUE) == ours else "user" for value in values}
    if "r" in values and values <= {*LETTERS, ""}:
        return {value: LETTERS[value] for value in values if value}
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


def _sides_told(rows: Sequence[Row], name: str) -> set[str]:
    """The sides that a column tells of; a "message" is an agent's beside a customer's alone."""
    return {side for value, side in meanings(rows, name).items() if value != "message"} & {
        "user",
        "assistant",
    }


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
    if {"n", "r"} <= values <= {*LETTERS, ""}:
        return NOTES | {"n"}
    return NOTES if values & NOTES else frozenset()


def is_private(row: Row, columns: MessageColumns) -> bool:
    """Whether any column says that customers do not see the message."""
    return any(_says_private(name, plain(row.get(name)), words) for name, words in columns.visibility.items())


def _says_private(column: str, value: str, words: frozenset[str]) -> bool:
    if value in words:  # first, because an osTicket note's "n" is a no elsewhere
        return True
    return bool(value) and value in TRUE | FALSE and (value in TRUE) == (not OPEN.search(folded(column)))


def unclear(rows: Sequence[Row], columns: MessageColumns) -> str:
    """What to say where it is not plain who wrote which message, with the settings that tell it."""
    if missing := _missing_side(rows, columns):
        return missing
    return (
        f"a row looks like one message of a conversation (column {columns.conversation!r}), but who wrote each message is not plain. "
        f"{held(rows, columns.role)}. Say which values are your side (align: --columns.agents VALUE ...; curate: "
        "--sources.NAME.columns.agents VALUE ...), where @example.com is all addresses there, and which column holds them (columns.role), if "
        "not this one; or, if a row holds a question and its answer, name both columns."
    )


def _missing_side(rows: Sequence[Row], columns: MessageColumns) -> str:
    """What to say where one side alone is known to have written; empty where that is not so."""
    names = _names(rows)
    roles = [columns.role] if columns.role else [names[known] for known in USUAL["role"] if known in names]
    for name in roles:
        sides = _sides_told(rows, name)
        if len(sides) == 1:
            whose, other = ("customers", "your side") if sides == {"user"} else ("your side", "customers")
            return (
                f"all messages are of {whose} (column {name!r}) and none is of {other}, so there is no question with its answer. Export the "
                f"messages of both. {held(rows, name)}: if some of these are {other}, say which values are your side: --columns.agents VALUE ..."
            )
    asked = next((names[known] for known in USUAL["requester"] if known in names), "")
    writers = [name for name in roles if name != asked and WRITER.search(folded(name))]
    if asked and writers and any(plain(row.get(asked)) for row in rows):
        return (
            f"no message is of who asked: no cell of column {writers[0]!r} is that of column {asked!r}. Export the messages of customers too, or, if "
            f"the two columns write names differently, say which values are your side: --columns.agents VALUE ... {held(rows, writers[0])}."
        )
    return ""


def held(rows: Sequence[Row], role: str = "") -> str:
    """What stands in the column of writers, as far as it is known."""
    names = _names(rows)
    usual = (names[known] for known in ("author", "sender", "from", "author id", "user id") if known in names)
    role = role or next(usual, "")
    values = list(dict.fromkeys(str(row[role]) for row in rows if row.get(role) is not None))
    shown = ", ".join(values[:SHOWN_VALUES]) + (", ..." if len(values) > SHOWN_VALUES else "")
    return f"Column {role!r} holds {shown}" if role else f"There are: {', '.join(names.values())}"


def plain(value: object) -> str:
    """A cell as roles are compared: ``End-User`` and ``end_user`` are one, and 1.0 is 1."""
    text = str("" if value is None else value).strip().casefold().removesuffix(".0")
    return text if "@" in text else re.sub(r"[\s_\-]+", " ", text)


def is_agent(value: str, agents: frozenset[str]) -> bool:
    """Whether a writer is on your side: by the value itself, or by the domain of the address."""
    return value in agents or any(value.endswith(one) for one in agents if one.startswith("@"))
