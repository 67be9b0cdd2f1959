"""What the formats share: rows that cannot be used, texts, and turns made into messages."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from lima.records import Example, Message, Meta, Role

Row = Mapping[str, Any]
WEIGHTS = ("weight", "train", "training", "loss")
MASKS = ("mask", "masked", "loss_mask", "train_on")
"""Fields that say where loss is, with meanings that differ between tools: a mask of 1 is learnt in one and left out in another."""
MEDIA = ("image", "images", "video", "videos", "audio", "audios", "files")
OF_TURNS = (
    *("tool_calls", "function_call", "tool_call_id", "reasoning_content", "reasoning", "thinking", "refusal"),
    *("train_detail", "prefix", "channel", *MEDIA),
)
"""Fields of a turn without which its text means something else."""
OF_ROWS = ("tools", "functions", "chat_template_kwargs", "chosen", "rejected", *MEDIA)
"""Fields of a row, likewise."""
VERDICTS = ("label", "kto_tag")
"""Fields of a row that say whether its answer is a good one, where they are true or false."""
NOTHING: tuple[Any, ...] = (None, False, "", "[]", "{}", "null", [], {})
"""Values with which such a field means nothing."""


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


def message(role: Role, content: str, weight: Literal[0, 1] = 1) -> Message:
    """A message that says something.

    Raises:
        UnusableRow: nothing in the text can be seen.
    """
    found = Message(role=role, content=content, weight=weight if role == "assistant" else 1)
    if found.is_blank:
        raise UnusableRow("empty", f"the {role} text is empty")
    return found


def weight_of(turn: Row, place: str) -> Literal[0, 1]:
    """Whether a turn is learnt: ``weight`` of OpenAI, Mistral and OpenHermes, ``train`` or ``training`` of Axolotl, ``loss`` of
    ChatGLM and ms-swift.

    Raises:
        UnusableRow: a weight between, which the records cannot hold.
    """
    given = [turn[key] for key in WEIGHTS if turn.get(key) is not None]
    if any(value not in (0, 1) for value in given):
        raise UnusableRow("weight", f"{place} has the weight {given[0]!r}; a turn is learnt (1) or not (0)")
    return 1 if all(given) else 0


def refuse_row(row: Row) -> None:
    """Refuse a row with a field that changes the meaning of its texts and has no place in the records.

    Raises:
        UnusableRow: there is one, and it says something.
    """
    _refuse(row, OF_ROWS, "the row")
    _refuse_masks(row, "the row")
    if found := [name for name in ("weight", "train", "training") if row.get(name) == 0]:
        raise UnusableRow(
            "weight", f"the row has {found[0]!r} {row[found[0]]!r}: nothing of it is to be learnt"
        )
    if found := [name for name in VERDICTS if isinstance(row.get(name), bool)]:
        raise UnusableRow(
            "meaning",
            f"the row has {found[0]!r}, which calls its answer good or bad; keep the good ones, without it",
        )


def refuse_turn(turn: Row, place: str) -> None:
    """As `refuse_row`, for one turn."""
    _refuse(turn, OF_TURNS, place)
    _refuse_masks(turn, place)


def _refuse_masks(row: Row, place: str) -> None:
    if found := [name for name in MASKS if row.get(name) is not None]:
        raise UnusableRow(
            "meaning", f"{place} has {found[0]!r}; say with a turn's 'weight', 0 or 1, whether it is learnt"
        )


def _refuse(row: Row, fields: Collection[str], place: str) -> None:
    found = [name for name in fields if row.get(name) not in NOTHING]
    if found:
        raise UnusableRow(
            "meaning",
            f"{place} has {found[0]!r}, which an Example cannot hold; put it into the text, or take it out",
        )


def refuse_weights(example: Example) -> None:
    """For formats that have no place for weights.

    Raises:
        UnusableRow: a turn has the weight 0.
    """
    if not all(turn.weight for turn in example.messages):
        raise UnusableRow("weight", "the format has no place for a turn without loss (weight 0)")


def text(row: Row, key: str, default: str | None = None) -> str:
    """The string under ``key``; ``default`` stands in for a missing or null one."""
    value = row.get(key)
    if value is None:
        if default is None:
            raise _missing(row, key)
        return default
    if not isinstance(value, str):
        raise UnusableRow("type", f"{key!r} is a {type(value).__name__}, expected text")
    return value


def items(row: Row, key: str) -> list[Any]:
    """The non-empty list under ``key``."""
    value = row.get(key)
    if value is None:
        raise _missing(row, key)
    if not isinstance(value, list):
        raise UnusableRow("type", f"{key!r} is a {type(value).__name__}, expected a list")
    if not value:
        raise UnusableRow("empty", f"{key!r} is an empty list")
    return value


def _missing(row: Row, key: str) -> UnusableRow:
    if key in row:
        return UnusableRow("missing", f"{key!r} is null")
    return UnusableRow("missing", f"no field {key!r}; the row has: {', '.join(row) or 'nothing'}")
