"""The released LIMA set: ``{"conversations": [user, assistant, user, ...], "source": ...}``.

The texts alternate and the user is first. One training row has five turns, so it ends on a user turn;
it stays a dialogue. The 300 test prompts carry no source.
"""

from __future__ import annotations

from typing import Any

from lima.formats.rows import Conversation, Row, UnusableRow, items, message, refuse_weights, text
from lima.records import Example

SOURCES = {
    "stackexchange": "stackexchange",
    "wikihow": "wikihow",
    "writingprompts": "reddit",
    "nlp": "super-ni",
    "authors": "authored",
    "multi_turn": "dialogue",
    "": "lima",
}
"""Their names for a source, and ours."""
THEIR_SOURCES = {ours: theirs for theirs, ours in SOURCES.items()}


def read(row: Row) -> Conversation:
    """Texts in turn are the user's and the assistant's."""
    source = text(row, "source", default="")
    messages = []
    for position, utterance in enumerate(items(row, "conversations")):
        if not isinstance(utterance, str):
            raise UnusableRow("type", f"conversations[{position}] is a {type(utterance).__name__}")
        messages.append(message("user" if position % 2 == 0 else "assistant", utterance))
    return Conversation(messages, SOURCES.get(source, source))


def write(example: Example) -> dict[str, Any]:
    """The row of an example without a system message, which this format cannot hold."""
    if example.messages[0].role == "system":
        raise UnusableRow("system", "the format has no place for a system message")
    refuse_weights(example)
    return {
        "conversations": [message.content for message in example.messages],
        "source": THEIR_SOURCES.get(example.source, example.source),
    }
