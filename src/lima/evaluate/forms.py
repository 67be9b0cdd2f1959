"""How a judge is asked to give its verdict: a last line, one JSON object, or a token whose probability counts.

The sentence that says so stands in the place of ``$form`` in a prompt, and is written so that no part of it reads as a
verdict of its own form (`lima.evaluate.parse`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lima.evaluate.protocol import TASKS, Protocol, Words
from lima.evaluate.settings import Task, VerdictForm

MOST_LIKELY = 20
"""Tokens whose probabilities are asked for in each place: what OpenAI and vLLM give at most."""
FEWER_LIKELY = 5
"""What other servers give at most (Azure, Together)."""
REPEATS = 5
"""Verdicts on each item and order where a server gives no probabilities, and none else are asked for."""

_NAMES = {"a": "A", "b": "B"}
_BEGIN: dict[str, str] = {"pairwise": "First compare the two answers in a few sentences."}
_REASONS: dict[str, str] = {"pairwise": "your comparison in a few sentences"}


@dataclass(frozen=True)
class Beside:
    """What a comparison asks beside the verdict (``protocol.yaml``)."""

    criteria: Mapping[str, str] = field(default_factory=dict)
    strength: bool = False
    both_bad: bool = False

    @classmethod
    def of(cls, protocol: Protocol, task: Task, form: VerdictForm) -> Beside:
        """What is asked of a judge: only a reply in JSON has a place for it."""
        if task != "pairwise" or form != "json":
            return cls()
        return cls(protocol.criteria, protocol.strength, "call_both_bad" in protocol.people_may)

    @property
    def fields(self) -> dict[str, tuple[Any, ...]]:
        """The values of each further field of the reply, by its name."""
        found: dict[str, tuple[Any, ...]] = dict.fromkeys(self.criteria, ("A", "B", "tie"))
        found |= {"strength": ("slight", "clear")} if self.strength else {}
        return found | ({"both_bad": (True, False)} if self.both_bad else {})

    @property
    def words(self) -> str:
        """How the prompt asks for them."""
        asked = [f'"{name}": {question} A, B or tie' for name, question in self.criteria.items()]
        asked += (
            ['"strength": how much better the chosen answer is, slight or clear'] if self.strength else []
        )
        asked += ['"both_bad": whether both answers are bad, true or false'] if self.both_bad else []
        return f" Further fields: {'; '.join(asked)}." if asked else ""


def sentence(task: Task, form: VerdictForm, words: Words | None = None, beside: Beside | None = None) -> str:
    """What stands in the place of ``$form``; ``words`` give the values of a scale of the study's own."""
    values = offered(task, words)
    what = "the grade" if task not in TASKS or task == "quality" else "your choice"
    kind = "digit" if max(map(len, values)) == 1 else "number"
    choices = f"the {kind} of your rating" if numeric(values) else names(values)
    if form == "json":
        reasons = _REASONS.get(task, "your reasons in a few sentences")
        return (
            f'Reply with one JSON object and nothing else. It has these fields: first "reasons", {reasons}, a string; then '
            f'"verdict", which is {choices}.{(beside or Beside()).words}'
        )
    line = f'line of the form "Verdict: X", where {what} stands in the place of X: {choices}.'
    if form == "logprobs":
        return f"Give no reasons. Reply with one {line} Nothing else stands in your reply."
    begin = _BEGIN.get(task, "First give your reasons in a few sentences.")
    if numeric(values):
        return (
            f"{begin} Then write {choices} alone on a line, and the same {kind} once more, alone on the last "
            "line."
        )
    return f"{begin} Then end with one {line} Nothing else stands on this line."


def offered(task: Task, words: Words | None = None) -> tuple[str, ...]:
    """The values that a judge chooses among."""
    return TASKS[task] if words is None or task in TASKS else tuple(words.choices)


def numeric(values: Sequence[str]) -> bool:
    """Whether a rating is a number, alone on the last line."""
    return all(value.isdigit() for value in values)


def names(values: Sequence[str]) -> str:
    """The values, as the prompt spells them: ``A, B or tie``.

    >>> names(["a", "b", "tie"]), names(["fail", "pass", "excellent"])
    ('A, B or tie', 'fail, pass or excellent')
    """
    spelt = [_NAMES.get(value, value) for value in values] if "tie" in values else list(values)
    return f"{', '.join(spelt[:-1])} or {spelt[-1]}"


def fields(
    task: Task, form: VerdictForm, words: Words | None = None, beside: Beside | None = None
) -> dict[str, Any]:
    """The request's fields that the form needs, in the terms of OpenAI's API."""
    if form == "logprobs":
        return {"logprobs": True, "top_logprobs": MOST_LIKELY}
    if form == "json":
        return {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "verdict", "strict": True, "schema": schema(task, words, beside)},
            }
        }
    return {}


def schema(task: Task, words: Words | None = None, beside: Beside | None = None) -> dict[str, Any]:
    """The JSON schema of a reply; reasons come first, so that a verdict follows from them."""
    chosen = offered(task, words)
    number = numeric(chosen)
    spelt = _NAMES if task == "pairwise" else {}
    values: list[int | str] = [int(v) if number else spelt.get(v, v) for v in chosen]
    properties: dict[str, Any] = {
        "reasons": {"type": "string"},
        "verdict": {"type": "integer" if number else "string", "enum": values},
    }
    for name, further in (beside or Beside()).fields.items():
        properties[name] = (
            {"type": "boolean"} if name == "both_bad" else {"type": "string", "enum": list(further)}
        )
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
