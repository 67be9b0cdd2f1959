"""What the formats share: rows that cannot be used, texts, and turns made into messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from lima.records import Example, Message, Meta, Role

Row = Mapping[str, Any]


class UnusableRow(Exception):
    """A row that the target cannot hold. ``rule`` names why in one word, the text says it in full."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule, self.reason = rule, reason


@dataclass(frozen=True)
class Conversation:
    """What a format's reader finds in one row, before it gets an id."""

    messages: Sequence[Message]
    source: str
    meta: dict[str, Any] = field(default_factory=dict)


def to_example(conversation: Conversation, identifier: str) -> Example:
    """Check the turns and make the record; a dialogue gets the tag ``dialogue``.

    Raises:
        UnusableRow: no user turn, or user and assistant do not alternate.
    """
    meta = dict(conversation.meta)
    turns = [message for message in conversation.messages if message.role != "system"]
    if len(turns) > 2 and "dialogue" not in meta.get("tags", ()):
        meta["tags"] = (*meta.get("tags", ()), "dialogue")
    try:
        return Example(
            id=identifier,
            source=conversation.source,
            messages=tuple(conversation.messages),
            meta=Meta.model_validate(meta),
        )
    except ValidationError as error:
        message = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise UnusableRow("turns", message) from None


def message(role: Role, content: str) -> Message:
    """A message that says something.

    Raises:
        UnusableRow: the text is empty or blank.
    """
    if not content.strip():
        raise UnusableRow("empty", f"the {role} text is empty")
    return Message(role=role, content=content)


def text(row: Row, key: str, default: str | None = None) -> str:
    """The string under ``key``; ``default`` stands in for a missing or null one."""
    value = row.get(key)
    if value is None:
        if default is None:
            raise UnusableRow("missing", f"no field {key!r}; the row has: {', '.join(row) or 'nothing'}")
        return default
    if not isinstance(value, str):
        raise UnusableRow("type", f"{key!r} is a {type(value).__name__}, expected text")
    return value


def items(row: Row, key: str) -> list[Any]:
    """The non-empty list under ``key``."""
    value = row.get(key)
    if value is None:
        raise UnusableRow("missing", f"no field {key!r}; the row has: {', '.join(row) or 'nothing'}")
    if not isinstance(value, list):
        raise UnusableRow("type", f"{key!r} is a {type(value).__name__}, expected a list")
    if not value:
        raise UnusableRow("empty", f"{key!r} is an empty list")
    return value
