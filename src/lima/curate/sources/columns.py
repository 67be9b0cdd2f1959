"""The columns of a table -> which of them is the prompt, the answer, the key ..., by the names that they often have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lima.curate.reading.jira import holds_comments
from lima.curate.reading.message_columns import folded, is_message
from lima.curate.reading.nested import flat, message_rows
from lima.formats.convert import chat_format

# fmt: off
USUAL: Mapping[str, Sequence[str]] = {
    "prompt": (
        "prompt", "question", "instruction", "query", "request", "customer message", "ticket description", "description",
        "issue", "input", "user", "frage", "anfrage", "beschreibung", "demande", "pregunta", "domanda", "pergunta", "vraag", "pytanie", "вопрос", "質問", "问题", "subject", "betreff", "summary",
    ),
    "answer": (
        "answer", "response", "reply", "output", "completion", "agent response", "agent reply", "public reply", "first reply",
        "solution", "resolution", "resolution notes", "close notes", "assistant", "antwort", "lösung", "réponse", "respuesta", "risposta", "resposta", "antwoord", "odpowiedź", "ответ", "回答", "答案",
    ),
    "id": (
        "id", "ticket", "ticket id", "ticket number", "case number", "issue key", "key", "number", "ticketnummer",
    ),
    "score": ("score", "rating", "stars", "votes", "csat", "bewertung"),
    "category": ("category", "team", "topic", "queue", "product", "group", "kategorie"),
}
# fmt: on
"""Names that columns have in people's tables and in the exports of help desks, likeliest first; a subject only where nothing says more."""


def folded_names(row: Mapping[str, Any]) -> dict[str, str]:
    """The columns by their names in lower case, words apart."""
    return {folded(name): str(name) for name in row}


def usual_columns(row: Mapping[str, Any], *, given: Mapping[str, str]) -> dict[str, str]:
    """Which column is what, by a row of the table: as given, else the first of its usual names.

    An instruction beside an input is what stands before the prompt, not the prompt.

    >>> usual_columns({"Instruction": "", "Input": "", "Output": ""}, given={})
    {'prompt': 'Input', 'answer': 'Output', 'instruction': 'Instruction'}
    """
    names = folded_names(row)
    found = {
        part: name
        for part, usual in USUAL.items()
        if (name := given.get(part) or next((names[known] for known in usual if known in names), None))
    }
    if "prompt" not in given and found.get("prompt") == names.get("instruction") and "input" in names:
        found |= {"prompt": names["input"], "instruction": names["instruction"]}
    return found


def messages_in(row: dict[str, Any], path: Path, given: Mapping[str, str]) -> list[dict[str, Any]] | None:
    """What a row holds of conversations: the messages of a whole one, or itself, one message; None where it is neither.

    A row with a question and its answer is no message, whatever lists stand beside them. Jira's issues are: their resolution
    is a word.
    """
    named = {part: name for part, name in given.items() if name in row}
    both = {"prompt", "answer"}
    if chat_format(row) or both <= named.keys():
        return None
    usual = usual_columns(row, given=named)
    if both <= usual.keys() and "conversation" not in given and not holds_comments(row):
        return None
    if (told := message_rows(row, path)) is not None:
        return told
    answered = "answer" in usual and "conversation" not in given
    return None if answered or not is_message({**row, **(one := flat(row))}, given) else [one]
