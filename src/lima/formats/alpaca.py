"""Alpaca rows: ``{"instruction": ..., "input": ..., "output": ...}``, one exchange a row.

A non-empty input follows its instruction after a blank line, as the bare text that a person would type.
``system`` and ``history`` (pairs of earlier turns) are the common extensions.
"""

from __future__ import annotations

from typing import Any

from lima.formats.rows import Conversation, Row, UnusableRow, message, text
from lima.records import Example


def read(row: Row) -> Conversation:
    """Instruction and input become one user turn."""
    instruction, extra = text(row, "instruction"), text(row, "input", default="")
    system = text(row, "system", default="")
    messages = [message("system", system)] if system.strip() else []
    for position, pair in enumerate(row.get("history") or []):
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
            raise UnusableRow("type", f"history[{position}] is not a pair of texts")
        messages += [message("user", pair[0]), message("assistant", pair[1])]
    messages.append(message("user", f"{instruction}\n\n{extra}" if extra.strip() else instruction))
    messages.append(message("assistant", text(row, "output")))
    return Conversation(messages, "alpaca")


def write(example: Example) -> dict[str, Any]:
    """One exchange; earlier turns of a dialogue go to ``history``."""
    turns = [turn.content for turn in example.turns]
    if example.is_prompt:
        raise UnusableRow("prompt", "the conversation ends on a user turn, so there is no output")
    row: dict[str, Any] = {"instruction": turns[-2], "input": "", "output": turns[-1]}
    if len(turns) > 2:
        row["history"] = [list(pair) for pair in zip(turns[:-2:2], turns[1:-2:2], strict=True)]
    if example.messages[0].role == "system":
        row["system"] = example.messages[0].content
    return row
