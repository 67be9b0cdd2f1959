"""OpenAI's fine-tuning rows: ``{"messages": [{"role": ..., "content": ...}]}``.

Content may be a text or a list of text parts; ``weight: 0`` takes the loss from a turn. Tool calls, reasoning and images have
no counterpart in our records: such rows are named, not flattened.
"""

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
from lima.records import Example, Role

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


def read(row: Row) -> Conversation:
    """The messages of one row, text parts joined; ``system`` may also be a key of the row, and an empty one is none."""
    refuse_row(row)
    system = text(row, "system", default="")
    messages = [message("system", system)] if system.strip() else []
    for position, entry in enumerate(items(row, "messages")):
        place = f"messages[{position}]"
        if not isinstance(entry, dict):
            raise UnusableRow("type", f"{place} is a {type(entry).__name__}")
        role = entry.get("role")
        refuse_turn(entry, place)
        if not isinstance(role, str) or role not in ROLES:
            raise UnusableRow("role", f"{place} has the role {role!r}")
        content = _content(entry.get("content"), position)
        if ROLES[role] != "system" or content.strip():
            messages.append(message(ROLES[role], content, weight_of(entry, place)))
    return Conversation(messages, "openai")


def write(example: Example) -> dict[str, Any]:
    """Role, content and a weight of 0 of every message."""
    return {"messages": [message.model_dump() for message in example.messages]}


def _content(value: Any, position: int) -> str:
    if isinstance(value, str):
        return value
    parts = value if isinstance(value, list) else [value]
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    if len(texts) != len(parts) or not all(isinstance(part, str) for part in texts):
        raise UnusableRow("content", f"messages[{position}] holds something other than text")
    return "".join(str(part) for part in texts)
