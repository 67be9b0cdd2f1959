"""ShareGPT rows: ``{"id": ..., "conversations": [{"from": "human", "value": ...}, ...]}``."""

from __future__ import annotations

from typing import Any

from lima.formats.rows import Conversation, Row, UnusableRow, items, message, text
from lima.records import Example, Role

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
    system = text(row, "system", default="")
    messages = [message("system", system)] if system.strip() else []
    for position, entry in enumerate(items(row, "conversations")):
        if not isinstance(entry, dict):
            raise UnusableRow("type", f"conversations[{position}] is a {type(entry).__name__}")
        speaker = text(entry, "from")
        if speaker.lower() not in SPEAKERS:
            raise UnusableRow("role", f"conversations[{position}] is from {speaker!r}")
        messages.append(message(SPEAKERS[speaker.lower()], text(entry, "value")))
    return Conversation(messages, "sharegpt")


def write(example: Example) -> dict[str, Any]:
    """The row with our id, which ShareGPT rows carry too."""
    turns = [{"from": THEIR_SPEAKERS[m.role], "value": m.content} for m in example.messages]
    return {"id": example.id, "conversations": turns}
