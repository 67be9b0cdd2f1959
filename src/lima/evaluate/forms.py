"""How a judge is asked to give its verdict: a last line, one JSON object, or a token whose probability counts.

The sentence that says so stands in the place of ``$form`` in a prompt, and is written so that no part of it reads as a
verdict of its own form (`lima.evaluate.parse`).
"""

from __future__ import annotations

from typing import Any

from lima.evaluate.protocol import TASKS
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


def sentence(task: Task, form: VerdictForm) -> str:
    """What stands in the place of ``$form``."""
    what = "the grade" if task == "quality" else "your choice"
    offered = names(task)
    if task == "helpfulness":
        offered = "the digit of your rating"
    if form == "json":
        reasons = _REASONS.get(task, "your reasons in a few sentences")
        return (
            f'Reply with one JSON object and nothing else. It has two fields: first "reasons", {reasons}, a string; then '
            f'"verdict", which is {offered}.'
        )
    if task == "helpfulness" and form == "logprobs":
        return "Give no reasons. Reply with the digit of your rating alone."
    line = f'line of the form "Verdict: X", where {what} stands in the place of X: {offered}.'
    if form == "logprobs":
        return f"Give no reasons. Reply with one {line} Nothing else stands in your reply."
    begin = _BEGIN.get(task, "First give your reasons in a few sentences.")
    if task == "helpfulness":
        return (
            f"{begin} Then write the digit of your rating alone on a line, and the same digit once more, alone on the last "
            "line."
        )
    return f"{begin} Then end with one {line} Nothing else stands on this line."


def names(task: Task) -> str:
    """The values that are offered, as the prompt spells them: ``A, B or tie``.

    >>> names("pairwise"), names("quality")
    ('A, B or tie', 'fail, pass or excellent')
    """
    spelt = [_NAMES.get(value, value) for value in TASKS[task]]
    return f"{', '.join(spelt[:-1])} or {spelt[-1]}"


def fields(task: Task, form: VerdictForm) -> dict[str, Any]:
    """The request's fields that the form needs, in the terms of OpenAI's API."""
    if form == "logprobs":
        return {"logprobs": True, "top_logprobs": MOST_LIKELY}
    if form == "json":
        return {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "verdict", "strict": True, "schema": schema(task)},
            }
        }
    return {}


def schema(task: Task) -> dict[str, Any]:
    """The JSON schema of a reply; reasons come first, so that a verdict follows from them."""
    number = task == "helpfulness"
    values: list[int | str] = [int(v) if number else _NAMES.get(v, v) for v in TASKS[task]]
    properties = {
        "reasons": {"type": "string"},
        "verdict": {"type": "integer" if number else "string", "enum": values},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
