"""Alpaca rows: ``{"instruction": ..., "input": ..., "output": ...}``, one exchange a row.

A non-empty input follows its instruction after a blank line, as the bare text that a person would type.
``system`` and ``history`` (pairs of earlier turns) are the common extensions.
"""

from __future__ import annotations

from typing import Any

from lima.formats.rows import (
    Conversation,
    Row,
    UnusableRow,
    message,
    refuse_row,
    refuse_weights,
    text,
)
from lima.records import Example


def read(row: Row) -> Conversation:
    """Instruction and input become one user turn; Alpaca's own ``<noinput>`` and ``<nooutput>`` are nothing."""
    refuse_row(row)
    instruction, extra = text(row, "instruction"), _said(text(row, "input", default=""))
    system = text(row, "system", default="")
    messages = [message("system", system)] if system.strip() else []
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


def write(example: Example) -> dict[str, Any]:
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


def _said(value: str) -> str:
    return "" if value.strip().lower() in ("<noinput>", "<nooutput>") else value
