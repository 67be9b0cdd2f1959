"""What of a judge's request its server takes: a field that it refuses by name is left out, and the judge is another one.

The first question of a run is asked as all others are, and its logged attempt tells: so a later run, and ``--reparse``,
come to the same judge without a call. What was left out is part of the judge's identity.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from lima import console
from lima.evaluate.forms import FEWER_LIKELY, REPEATS
from lima.evaluate.identity import Judge
from lima.remote.log import Attempt, ChatAnswer, read_json_reply

PROBABILITIES = ("logprobs", "top_logprobs")
OTHER_NAME = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""One field under its two names: a limit stays a limit."""
_ABOUT_LENGTH = re.compile(
    r"context (length|window|size)|too (long|many tokens)|maximum context", re.IGNORECASE
)


def taken(judge: Judge, attempt: Attempt, answer: ChatAnswer | None) -> Judge | None:
    """The judge as its server takes it, by what became of the first question; None where nothing has to change."""
    if attempt.refused_for_good:
        field = refused_field(attempt.raw, judge.parameters) or _asks_nothing(attempt.raw, judge.parameters)
        return None if field is None else _without(judge, field)
    graded = judge.settings.verdict == "logprobs" and "logprobs" in judge.parameters
    spoken = answer is not None and answer.content and not answer.refusal
    if graded and answer is not None and spoken and not answer.tokens:
        console.warn("the server gives no probabilities of tokens")
        return _repeated(judge)
    return None


def refused_field(raw: str, sent: dict[str, Any]) -> str | None:
    """The field of the request that an error names, if it is about one.

    >>> refused_field('{"error": {"message": "bad", "param": "response_format.type"}}', {"response_format": 1})
    'response_format'
    >>> refused_field("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'.", {"max_tokens": 9, "seed": 1})
    'max_tokens'
    >>> refused_field("maximum context length is 4096, reduce max_tokens", {"max_tokens": 9})
    """
    if _ABOUT_LENGTH.search(raw):
        return None
    value = read_json_reply(raw)
    error = value.get("error") if isinstance(value, dict) else None
    named = error.get("param") if isinstance(error, dict) else None
    if isinstance(named, str) and re.split(r"[.\[]", named)[0] in sent:
        return re.split(r"[.\[]", named)[0]
    places = {name: re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", raw) for name in sent}
    found = {name: place.start() for name, place in places.items() if place}
    return min(found, key=lambda name: found[name]) if found else None


NEUTRAL = {"frequency_penalty": 0.0, "presence_penalty": 0.0, "top_p": 1.0}
"""Fields that ask for nothing with these values: sent so that a server fills in nothing of its own."""


def _asks_nothing(raw: str, sent: dict[str, Any]) -> str | None:
    """A field to leave out where a server calls a parameter unsupported and names none that is sent: one that asks for nothing."""
    if not re.search(
        r"un(supported|known|recognized|expected)|not (supported|permitted)", raw, re.IGNORECASE
    ):
        return None
    return next((name for name, value in NEUTRAL.items() if sent.get(name) == value), None)


def _without(judge: Judge, field: str) -> Judge:
    value = judge.parameters[field]
    if field == "top_logprobs" and value > FEWER_LIKELY:
        console.warn(f"the server refuses top_logprobs {value}: {FEWER_LIKELY} are asked for")
        return replace(
            judge,
            parameters=judge.parameters | {field: FEWER_LIKELY},
            dropped={**judge.dropped, field: value},
        )
    if field in PROBABILITIES:
        console.warn("the server refuses to give the probabilities of tokens")
        return _repeated(judge)
    rest = {name: old for name, old in judge.parameters.items() if name != field}
    other = OTHER_NAME.get(field, "")
    renamed = bool(other) and other not in judge.dropped
    said = f"it is sent as {other}" if renamed else "it is left out, which is part of this judge's name"
    console.warn(f"the server refuses the field {field!r} ({value!r}): {said}")
    more = {other: value} if renamed else {}
    return replace(judge, parameters=rest | more, dropped={**judge.dropped, field: value})


def _repeated(judge: Judge) -> Judge:
    """The same judge without probabilities: repeats at a temperature at which they differ."""
    gone = {name: value for name, value in judge.parameters.items() if name in PROBABILITIES}
    rest = {name: value for name, value in judge.parameters.items() if name not in PROBABILITIES}
    if rest.get("temperature") == 0:
        rest["temperature"] = 1.0
    repeats = max(REPEATS, judge.settings.repeats)
    console.warn(
        f"each question is asked {repeats} times instead, at temperature {rest.get('temperature', 'unknown')}"
    )
    settings = judge.settings.model_copy(update={"repeats": repeats})
    return replace(judge, settings=settings, parameters=rest, dropped={**judge.dropped, **gone})
