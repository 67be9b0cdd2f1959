"""Study rows -> the text that a judge model reads: a prompt file with the protocol's words and the answers.

A prompt file is plain text with ``$placeholders``. ``$question`` and ``$choices`` come from the study's
protocol, so that people and models read the same words; ``$mark`` is a hash of the texts that an answer
cannot foresee, so that it cannot fake the end of its own block.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import Template

from lima.errors import LimaError
from lima.evaluate.protocol import Words
from lima.evaluate.settings import Task
from lima.files import text_hash
from lima.records import Comparison, Item, Message, Shown

FOLDER = Path(__file__).parent / "prompts"
PAIRWISE_FIELDS = frozenset({"conversation", "answer_a", "answer_b"})
ITEM_FIELDS = frozenset({"conversation", "answer"})
OPTIONAL_FIELDS = frozenset({"question", "choices", "mark"})


def read_template(task: Task, path: Path | None = None) -> Template:
    """The built-in prompt of a task, or the user's file.

    Raises:
        LimaError: missing file, or a placeholder that is unknown or left out.
    """
    place = path or FOLDER / f"{task}.txt"
    try:
        template = Template(place.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise LimaError(f"{place}: cannot read the prompt file.") from None
    needed = PAIRWISE_FIELDS if task == "pairwise" else ITEM_FIELDS
    if not template.is_valid():
        raise LimaError(f"{place}: a '$' that begins no placeholder. Write '$$' for the character.")
    found = set(template.get_identifiers())
    if missing := sorted(needed - found):
        raise LimaError(f"{place}: the placeholder ${missing[0]} is missing (task {task}).")
    if unknown := sorted(found - needed - OPTIONAL_FIELDS):
        known = ", ".join(f"${name}" for name in sorted(needed | OPTIONAL_FIELDS))
        raise LimaError(f"{place}: unknown placeholder ${unknown[0]}. There are: {known}.")
    return template


def pairwise_text(template: Template, words: Words, row: Comparison, shown: Shown) -> str:
    """The prompt for one pair; ``shown`` "ba" shows side b as Answer A."""
    first, second = (row.a, row.b) if shown == "ab" else (row.b, row.a)
    return template.substitute(
        _words(words),
        conversation=conversation_text(row.messages),
        answer_a=first,
        answer_b=second,
        mark=text_hash(row.id, row.a, row.b, length=8),
    )


def item_text(template: Template, words: Words, row: Item) -> str:
    """The prompt for one answer."""
    return template.substitute(
        _words(words),
        conversation=conversation_text(row.messages),
        answer=row.content,
        mark=text_hash(row.id, row.content, length=8),
    )


def conversation_text(messages: Sequence[Message]) -> str:
    """One message as it is; several with the speaker's name before each."""
    if len(messages) == 1:
        return messages[0].content
    return "\n\n".join(f"{message.role.capitalize()}: {message.content}" for message in messages)


def _words(words: Words) -> dict[str, str]:
    choices = "\n".join(f"- {value}: {meaning}" for value, meaning in words.choices.items())
    return {"question": words.question, "choices": choices}
