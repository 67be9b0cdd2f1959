"""Study rows -> the text that a judge model reads: a prompt file with the protocol's words and the answers.

A prompt file is plain text with ``$placeholders``. ``$question`` and ``$choices`` come from the study's
protocol, so that people and models read the same words; ``$mark`` is a hash of the texts that an answer
cannot foresee, so that it cannot fake the end of its own block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from lima.errors import LimaError
from lima.evaluate.forms import Beside, numeric, sentence
from lima.evaluate.protocol import TASKS, Display, Words
from lima.evaluate.settings import Task, VerdictForm
from lima.files import text_hash
from lima.records import Comparison, Item, Message, Shown

FOLDER = Path(__file__).parent / "prompts"
PAIRWISE_FIELDS = frozenset({"conversation", "answer_a", "answer_b"})
ITEM_FIELDS = frozenset({"conversation", "answer"})
OPTIONAL_FIELDS = frozenset({"question", "choices", "mark", "form", "display"})
SEEN: dict[Display, str] = {
    "rendered": "People who answer this see the texts rendered (Markdown, code, tables, formulas), not as the source that "
    "stands here: marks of Markdown are formatting to them.",
    "written": "People who answer this see the texts as they stand here, as source, not rendered.",
}
"""What stands in the place of ``$display``: how people see the same texts (``protocol.yaml``)."""


@dataclass(frozen=True)
class Prompt:
    """A prompt file with a study's words in it, ready for texts."""

    text: str
    """The file as it stands."""
    parts: tuple[str, ...]
    """Literal text at even places, names of placeholders at odd ones."""
    fixed: tuple[str, ...] = ()
    """What stands in the places of ``$form`` and ``$display``, where the file has them."""

    def fill(self, **values: str) -> str:
        """Put texts in the places of their names; what looks like a placeholder inside a text stays as it is."""
        filled = list(self.parts)
        filled[1::2] = [values[name] for name in self.parts[1::2]]
        return "".join(filled)


def read_prompt(
    task: Task,
    words: Words,
    path: Path | None = None,
    *,
    form: VerdictForm = "text",
    display: Display = "rendered",
    beside: Beside | None = None,
) -> Prompt:
    """The built-in prompt of a task, or the user's file, with the protocol's words.

    Raises:
        LimaError: missing file, a placeholder that is unknown or left out, or no ``$form`` for a verdict in another
            form than text.
    """
    place = path or FOLDER / f"{_built_in(task, words)}.txt"
    try:
        text = place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise LimaError(f"{place}: cannot read the prompt file.") from None
    template = Template(text)
    if not template.is_valid():
        raise LimaError(f"{place}: a '$' that begins no placeholder. Write '$$' for the character.")
    needed = PAIRWISE_FIELDS if task == "pairwise" else ITEM_FIELDS
    found = set(template.get_identifiers())
    if missing := sorted(needed - found):
        raise LimaError(f"{place}: the placeholder ${missing[0]} is missing (task {task}).")
    if unknown := sorted(found - needed - OPTIONAL_FIELDS):
        known = ", ".join(f"${name}" for name in sorted(needed | OPTIONAL_FIELDS))
        raise LimaError(f"{place}: unknown placeholder ${unknown[0]}. There are: {known}.")
    if form != "text" and "form" not in found:
        raise LimaError(f"{place}: --verdict {form} needs the placeholder $form, which says how to answer.")
    said = {"form": sentence(task, form, words, beside), "display": SEEN[display]}
    fixed = tuple(said[name] for name in said if name in found)
    return Prompt(text, _parts(template, words, said), fixed)


def _built_in(task: Task, words: Words) -> str:
    """The prompt of a task; a scale of the study's own is asked like helpfulness or like quality."""
    if task in TASKS:
        return task
    return "helpfulness" if numeric(tuple(words.choices)) else "quality"


def _parts(template: Template, words: Words, said: Mapping[str, str]) -> tuple[str, ...]:
    choices = "\n".join(f"- {value}: {meaning}" for value, meaning in words.choices.items())
    fixed = {"question": words.question, "choices": choices, "$": "$", **said}
    parts, end = [""], 0
    for match in template.pattern.finditer(template.template):
        name = match["named"] or match["braced"] or "$"
        parts[-1] += template.template[end : match.start()]
        end = match.end()
        if name in fixed:
            parts[-1] += fixed[name]
        else:
            parts += [name, ""]
    parts[-1] += template.template[end:]
    return tuple(parts)


def pairwise_text(prompt: Prompt, row: Comparison, shown: Shown) -> str:
    """The prompt for one pair; ``shown`` "ba" shows side b as Answer A."""
    first, second = (row.a, row.b) if shown == "ab" else (row.b, row.a)
    return prompt.fill(
        conversation=conversation_text(row.messages),
        answer_a=first,
        answer_b=second,
        mark=text_hash(row.id, row.a, row.b, length=8),
    )


def item_text(prompt: Prompt, row: Item) -> str:
    """The prompt for one answer."""
    return prompt.fill(
        conversation=conversation_text(row.messages),
        answer=row.content,
        mark=text_hash(row.id, row.content, length=8),
    )


def conversation_text(messages: Sequence[Message]) -> str:
    """One message as it is; several with the speaker's name before each."""
    if len(messages) == 1:
        return messages[0].content
    return "\n\n".join(f"{message.role.capitalize()}: {message.content}" for message in messages)
