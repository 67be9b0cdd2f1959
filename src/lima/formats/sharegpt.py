"""ShareGPT rows: ``{"id": ..., "conversations": [{"from": "human", "value": ...}, ...]}``."""

from __future__ import annotations

from typing import Any

from lima.formats.rows import (
    Conversation,
    Row,
    UnusableRow,
    items,
    message,
    refuse_row,
    refuse_turn,
    text,
    weight_of,
)
from lima.records import Example, Message, Role

SPEAKERS: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "bard": "assistant",
    "bing": "assistant",
    "system": "system",
}
THEIR_SPEAKERS: dict[Role, str] = {"user": "human", "assistant": "gpt", "system": "system"}


def read(row: Row) -> Conversation:
    """The turns of one row; ``system`` may also be a key of the row."""
    refuse_row(row)
    system = text(row, "system", default="")
    messages = [message("system", system)] if system.strip() else []
    for position, entry in enumerate(items(row, "conversations")):
        place = f"conversations[{position}]"
        if not isinstance(entry, dict):
            raise UnusableRow("type", f"{place} is a {type(entry).__name__}")
        refuse_turn(entry, place)
        speaker, said = text(entry, "from"), text(entry, "value")
        role = SPEAKERS.get(speaker.lower())
        if role is None:
            raise UnusableRow("role", f"{place} is from {speaker!r}")
        if role != "system" or said.strip():
            messages.append(message(role, said, weight_of(entry, place)))
    return Conversation(messages, "sharegpt")


def write(example: Example) -> dict[str, Any]:
    """The row with our id, which ShareGPT rows carry too; a turn without loss has the weight 0."""
    turns = [{"from": THEIR_SPEAKERS[m.role], "value": m.content} | _weight(m) for m in example.messages]
    return {"id": example.id, "conversations": turns}


def _weight(turn: Message) -> dict[str, Any]:
    return {} if turn.weight else {"weight": 0}
