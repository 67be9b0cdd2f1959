"""Rows of four chat formats <-> conversations: the released LIMA set, OpenAI's fine-tuning rows, ShareGPT and Alpaca.

Tool calls, reasoning and images have no counterpart in our records: such rows are named, not flattened.
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
    refuse_weights,
    text,
    weight_of,
)
from lima.records import Example, Message, Role

SOURCES = {
    "stackexchange": "stackexchange",
    "wikihow": "wikihow",
    "writingprompts": "reddit",
    "nlp": "super-ni",
    "authors": "authored",
    "multi_turn": "dialogue",
    "": "lima",
}
"""What the released set calls a source, and what we do."""
THEIR_SOURCES = {ours: theirs for theirs, ours in SOURCES.items()}
ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
"""Of OpenAI's rows."""
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
"""Of ShareGPT's."""
THEIR_SPEAKERS: dict[Role, str] = {"user": "human", "assistant": "gpt", "system": "system"}


def read_lima(row: Row) -> Conversation:
    """``{"conversations": [user, assistant, user, ...], "source": ...}``: texts in turn are the user's and the assistant's.

    One training row has five turns, so it ends on a user turn; it stays a dialogue. The 300 test prompts carry no source.
    """
    source = text(row, "source", default="")
    messages = []
    for position, utterance in enumerate(items(row, "conversations")):
        if not isinstance(utterance, str):
            raise UnusableRow("type", f"conversations[{position}] is a {type(utterance).__name__}")
        messages.append(message("user" if position % 2 == 0 else "assistant", utterance))
    return Conversation(messages, SOURCES.get(source, source))


def write_lima(example: Example) -> dict[str, Any]:
    """The row of an example without a system message, which this format cannot hold."""
    if example.messages[0].role == "system":
        raise UnusableRow("system", "the format has no place for a system message")
    refuse_weights(example)
    return {
        "conversations": [message.content for message in example.messages],
        "source": THEIR_SOURCES.get(example.source, example.source),
    }


def read_openai(row: Row) -> Conversation:
    """``{"messages": [{"role": ..., "content": ...}]}``; content is a text or a list of text parts, which are joined."""
    messages = _system(row)
    for position, entry in enumerate(items(row, "messages")):
        place = f"messages[{position}]"
        if not isinstance(entry, dict):
            raise UnusableRow("type", f"{place} is a {type(entry).__name__}")
        role = entry.get("role")
        refuse_turn(entry, place)
        if not isinstance(role, str) or role not in ROLES:
            raise UnusableRow("role", f"{place} has the role {role!r}")
        messages += _turn(ROLES[role], _content(entry.get("content"), place), entry, place)
    return Conversation(messages, "openai")


def write_openai(example: Example) -> dict[str, Any]:
    """Role, content and a weight of 0 of every message."""
    return {"messages": [message.model_dump() for message in example.messages]}


def read_sharegpt(row: Row) -> Conversation:
    """``{"conversations": [{"from": "human", "value": ...}, ...]}``."""
    messages = _system(row)
    for position, entry in enumerate(items(row, "conversations")):
        place = f"conversations[{position}]"
        if not isinstance(entry, dict):
            raise UnusableRow("type", f"{place} is a {type(entry).__name__}")
        refuse_turn(entry, place)
        speaker, said = text(entry, "from"), text(entry, "value")
        role = SPEAKERS.get(speaker.lower())
        if role is None:
            raise UnusableRow("role", f"{place} is from {speaker!r}")
        messages += _turn(role, said, entry, place)
    return Conversation(messages, "sharegpt")


def write_sharegpt(example: Example) -> dict[str, Any]:
    """The row with our id, which ShareGPT rows carry too; a turn without loss has the weight 0."""
    turns = [
        {"from": THEIR_SPEAKERS[turn.role], "value": turn.content} | ({} if turn.weight else {"weight": 0})
        for turn in example.messages
    ]
    return {"id": example.id, "conversations": turns}


def read_alpaca(row: Row) -> Conversation:
    """``{"instruction": ..., "input": ..., "output": ...}``, one exchange; ``system`` and ``history`` are common extensions.

    A non-empty input follows its instruction after a blank line, as a person would type it; Alpaca's own ``<noinput>`` and
    ``<nooutput>`` are nothing.
    """
    messages = _system(row)
    instruction, extra = text(row, "instruction"), _said(text(row, "input", default=""))
    history = row.get("history") or []
    if not isinstance(history, list):
        raise UnusableRow("type", f"'history' is a {type(history).__name__}, expected a list")
    for position, pair in enumerate(history):
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
            raise UnusableRow("type", f"history[{position}] is not a pair of texts")
        messages += [message("user", pair[0]), message("assistant", pair[1])]
    asked = [part for part in (instruction, extra) if part.strip()]
    messages.append(message("user", "\n\n".join(asked)))
    messages.append(message("assistant", _said(text(row, "output"))))
    return Conversation(messages, "alpaca")


def write_alpaca(example: Example) -> dict[str, Any]:
    """One exchange; earlier turns of a dialogue go to ``history``."""
    turns = [turn.content for turn in example.turns]
    if example.is_prompt:
        raise UnusableRow("prompt", "the conversation ends on a user turn, so there is no output")
    refuse_weights(example)
    row: dict[str, Any] = {"instruction": turns[-2], "input": "", "output": turns[-1]}
    if len(turns) > 2:
        row["history"] = [list(pair) for pair in zip(turns[:-2:2], turns[1:-2:2], strict=True)]
    if example.messages[0].role == "system":
        row["system"] = example.messages[0].content
    return row


def _system(row: Row) -> list[Message]:
    """The system message under a key of the row itself, if it says anything."""
    refuse_row(row)
    system = text(row, "system", default="")
    return [message("system", system)] if system.strip() else []


def _turn(role: Role, content: str, entry: Row, place: str) -> list[Message]:
    """The message; an empty system message is none."""
    if role == "system" and not content.strip():
        return []
    return [message(role, content, weight_of(entry, place))]


def _content(value: Any, place: str) -> str:
    if isinstance(value, str):
        return value
    parts = value if isinstance(value, list) else [value]
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    if len(texts) != len(parts) or not all(isinstance(part, str) for part in texts):
        raise UnusableRow("content", f"{place} holds something other than text")
    return "".join(str(part) for part in texts)


def _said(value: str) -> str:
    return "" if value.strip().lower() in ("<noinput>", "<nooutput>") else value
