"""A judge's reply -> a verdict, or the reason why there is none. Strict: what is not offered is no verdict.

Only the last line speaks. A verdict named in the reasoning, or inside an answer that the judge quotes,
does not count; nor does a reply that was cut off, refused or failed. None of these is ever a tie.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lima.records import Status
from lima.remote.log import Answer

PARSER = "1"
"""Version of the grammar below; part of a judge's identity."""

_DECORATION = r"[\s*_`#.\[\]()]*"
"""Markdown and brackets around a verdict that change nothing."""

_VERDICT = re.compile(rf"{_DECORATION}verdict{_DECORATION}:{_DECORATION}([a-z]+){_DECORATION}", re.IGNORECASE)
_DIGITS = re.compile(rf"{_DECORATION}(\d+){_DECORATION}")
_REFUSAL = re.compile(
    r"\W*(i['’]?m sorry|i am sorry|sorry|i can(no|['’])?t|i cannot|i won['’]?t|i will not|i am unable|i['’]m unable|"
    r"as an ai)\b.{0,200}",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Verdict:
    """What a reply says: ``value`` is one of the offered values exactly when ``status`` is ``ok``."""

    status: Status
    value: str | None = None


def read_verdict(answer: Answer | None, offered: Sequence[str], *, digits: bool = False) -> Verdict:
    """The verdict in a reply of a judge.

    Args:
        answer: the reply; None when the request failed.
        offered: the values that the prompt offered, in lower case.
        digits: the verdict is a digit alone on the last line (printed twice), not a ``Verdict:`` line.

    >>> read_verdict(Answer("B says [[A]], but is better.\\nVerdict: B", "stop"), ["a", "b", "tie"])
    Verdict(status='ok', value='b')
    >>> read_verdict(Answer("Verdict: A\\nOn second thought, hm.", "stop"), ["a", "b", "tie"])
    Verdict(status='unparsable', value=None)
    """
    if answer is None:
        return Verdict("error")
    if answer.refusal or answer.finish_reason == "content_filter":
        return Verdict("refused")
    if answer.finish_reason == "length":
        return Verdict("truncated")
    lines = [line for line in answer.content.splitlines() if line.strip()]
    value = _last_digit(lines) if digits else _last_verdict(lines)
    if value in offered:
        return Verdict("ok", value)
    return Verdict("refused" if _is_refusal(answer.content) else "unparsable")


def _last_verdict(lines: Sequence[str]) -> str | None:
    match = _VERDICT.fullmatch(lines[-1]) if lines else None
    return match[1].lower() if match else None


def _last_digit(lines: Sequence[str]) -> str | None:
    """The number alone on the last line, unless the line before holds another number alone.

    Judges that print it once are read as well: the repetition is there to catch a judge that wavers.
    """
    numbers = [match[1] if (match := _DIGITS.fullmatch(line)) else None for line in lines[-2:]]
    if not numbers or numbers[-1] is None:
        return None
    wavers = len(numbers) == 2 and numbers[0] not in (None, numbers[1])
    return None if wavers else numbers[-1]


def _is_refusal(text: str) -> bool:
    """A short text that opens with a refusal; longer ones are reasoning that went astray."""
    return _REFUSAL.fullmatch(text.strip()) is not None
