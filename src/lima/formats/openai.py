"""OpenAI's fine-tuning rows: ``{"messages": [{"role": ..., "content": ...}]}``.

Content may be a text or a list of text parts. Tool calls and images have no counterpart in our records:
such rows are named, not flattened.
"""

from __future__ import annotations

from typing import Any

from lima.formats.rows import Conversation, Row, UnusableRow, items, message
from lima.records import Example, Role

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


def read(row: Row) -> Conversation:
    """The messages of one row, text parts joined."""
    messages = []
    for position, entry in enumerate(items(row, "messages")):
        if not isinstance(entry, dict):
            raise UnusableRow("type", f"messages[{position}] is a {type(entry).__name__}")
        role = entry.get("role")
        if not isinstance(role, str) or role not in ROLES or entry.get("tool_calls"):
            raise UnusableRow("role", f"messages[{position}] has the role {role!r} or calls a tool")
        messages.append(message(ROLES[role], _content(entry.get("content"), position)))
    return Conversation(messages, "openai")


def write(example: Example) -> dict[str, Any]:
    """Role and content of every message."""
    return {"messages": [{"role": m.role, "content": m.content} for m in example.messages]}


def _content(value: Any, position: int) -> str:
    if isinstance(value, str):
        return value
    parts = value if isinstance(value, list) else [value]
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    if len(texts) != len(parts) or not all(isinstance(part, str) for part in texts):
        raise UnusableRow("content", f"messages[{position}] holds something other than text")
    return "".join(str(part) for part in texts)
