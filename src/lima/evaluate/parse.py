"""A judge's reply -> a verdict, or the reason why there is none. Strict: what is not offered is no verdict.

Only the last line speaks, and only a text of the judge's own: what merely repeats the prompt says nothing. A
verdict named in the reasoning, or inside an answer that the judge quotes, does not count; nor does a reply
that contradicts itself, was cut off, was refused or failed. None of these is ever a tie.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lima.evaluate.settings import VerdictForm
from lima.evaluate.thinking import without_thinking
from lima.records import Status
from lima.remote.log import ChatAnswer

PARSER = "5"
"""Version of the grammar below; part of a judge's identity."""

_DECORATION = r"(?:[\s*_`#.!|\[\]()\"'“”‘’「」【】{}$]|\\(?:boxed|text|textbf|mathbf|mathrm)\{)*"
"""Markdown, quotes, brackets and the box of models trained on mathematics: around a verdict they change nothing."""

_VERDICT = re.compile(
    rf"(?:\s*(?:[-•+]|\d+[.)])\s)?{_DECORATION}(?:final\s+)?verdict{_DECORATION}[:：]{_DECORATION}"
    rf"(?:(?:answer|response|assistant|option)\s+[\[(*]*)?([a-z]+|\d+)"
    rf"{_DECORATION}",
    re.IGNORECASE,
)
"""Also as the line of a list. A quotation (``>``) is no word of the judge's own."""
_UNSEEN = re.compile("[\x00\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad]")
"""Characters without a glyph, which some models put between a colon and a word."""
_DIGITS = re.compile(rf"{_DECORATION}(\d+){_DECORATION}")
_FENCE = re.compile(r"\s*(`{3,}|~{3,})\w*\s*")
_FRAME = re.compile(r"</?(?:answer|response|output|verdict)>", re.IGNORECASE)
"""Tags that some models set around what they say in the end."""
_RULE = re.compile(r"[\s*_=#~-]+")
"""A line across the page: it says nothing."""
_END = re.compile(
    r"(?:</s>|<eos>|\[EOS\]|<end_of_turn>|<\|\w{0,20}(?:end|eot|eom|eos|return)\w{0,20}\|>|<｜end▁of▁sentence｜>)"
    r"(?=[ \t]*(?:\Z|\n|[<\[]))",
    re.IGNORECASE,
)
"""Tokens that end a turn, which some servers leave in the text. What a model writes on after one is no word of its turn."""
_SPECIAL = re.compile(r"(?:<\|\w{1,40}\|>\s*)+\Z")
_REFUSAL = re.compile(
    r"\W*(i['’]?m sorry|i am sorry|sorry|i can(no|['’])?t|i cannot|i won['’]?t|i will not|i am unable|i['’]m unable|"
    r"as an ai)\b.{0,200}",
    re.IGNORECASE | re.DOTALL,
)
_WORD = re.compile(r"\w+")
_COINCIDENCE = 3
"""So few words may stand in the prompt by chance: they are no verdict either, but nobody is called an echo for them."""


ENOUGH_MASS = 0.5
"""Where the offered values have less of the probability than this together, the place is not that of the verdict."""


@dataclass(frozen=True)
class Verdict:
    """What a reply says: ``value`` is one of the offered values exactly when ``status`` is ``ok``."""

    status: Status
    value: str | None = None
    probabilities: Mapping[str, float] | None = None
    """Of every offered value, adding up to 1, where the reply tells the probabilities of the verdict's token."""
    beside: Mapping[str, Any] | None = None
    """Further fields of a reply in JSON: criteria, strength, both_bad."""


def read_verdict(
    answer: ChatAnswer | None,
    offered: Sequence[str],
    *,
    digits: bool = False,
    prompt: str = "",
    form: VerdictForm = "text",
    further: Mapping[str, Sequence[Any]] | None = None,
) -> Verdict:
    """The verdict in a reply of a judge.

    Args:
        answer: the reply; None when the request failed.
        offered: the values that the prompt offered, in lower case.
        digits: in the form ``text`` the verdict is a number alone on the last line (printed twice), not a ``Verdict:`` line.
        prompt: the text that the judge was sent. No part of it counts as a verdict.
        form: how the verdict was asked for. ``json``: the reply is one object with reasons and verdict, nothing else.
        further: fields beside the verdict of a reply in JSON, with the values of each.

    >>> read_verdict(ChatAnswer("B says [[A]], but is better.\\nVerdict: B", "stop"), ["a", "b", "tie"]).value
    'b'
    >>> read_verdict(ChatAnswer("Verdict: A\\nOn second thought, hm.", "stop"), ["a", "b", "tie"]).status
    'unparsable'
    """
    if answer is None or answer.ending == "error":
        return Verdict("error")
    if answer.refusal or answer.ending == "filter":
        return Verdict("refused")
    if answer.ending == "length":
        return Verdict("truncated")
    if is_echo(answer.content, prompt):
        return Verdict("echo" if len(_WORD.findall(answer.content)) > _COINCIDENCE else "unparsable")
    text = _first_turn(without_thinking(answer.content)).rpartition(prompt.strip() or "\0")[2]
    lines = _lines(text)
    beside: dict[str, Any] | None = None
    if form == "json":
        value, beside = _json_verdict("\n".join(lines), further or {})
    else:
        alone = digits and form == "text"
        value = _last_digit(lines) if alone else _last_verdict(lines, offered)
    if value is not None and value in offered and not (len(lines) > 1 and is_echo(text, prompt)):
        graded = _probabilities(answer, value, offered) if form == "logprobs" else None
        return Verdict("ok", value, graded, beside or None)
    return Verdict("refused" if _is_refusal(text) else "unparsable")


def _first_turn(text: str) -> str:
    """The text before the first token that ends a turn.

    >>> _first_turn("Verdict: A<|im_end|>\\n<|im_start|>user\\nVerdict: B")
    'Verdict: A'
    """
    return _END.split(text, maxsplit=1)[0]


def _lines(text: str) -> list[str]:
    """The lines that say something, without what cannot be seen."""
    spoken = _FRAME.sub("\n", _SPECIAL.sub("", _UNSEEN.sub("", text))).splitlines()
    return [line for line in spoken if not (_RULE.fullmatch(line) or _FENCE.fullmatch(line)) and line.strip()]


def _json_verdict(text: str, further: Mapping[str, Sequence[Any]]) -> tuple[str | None, dict[str, Any]]:
    """The verdict of a reply that is one JSON object of reasons, verdict and what else was asked for, each named once."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any] | None:
        return dict(pairs) if len(dict(pairs)) == len(pairs) else None

    try:
        found = json.loads(text, object_pairs_hook=once, strict=False)
    except (ValueError, RecursionError):
        return None, {}
    needed = {"verdict", *further}
    if not isinstance(found, dict) or not needed <= found.keys() <= {"reasons", *needed}:
        return None, {}
    beside = {name: found[name] for name in further}
    value = found["verdict"]
    whole = isinstance(value, int) and not isinstance(value, bool)
    known = all(type(x) in (str, bool) and x in further[name] for name, x in beside.items())
    return (str(value).strip().lower() if known and (whole or isinstance(value, str)) else None), beside


def _probabilities(answer: ChatAnswer, value: str, offered: Sequence[str]) -> dict[str, float] | None:
    """Of the offered values, at the token with which the verdict begins; None where the reply does not tell them.

    A token stands for the value that it begins, where it begins one alone: ``t`` for ``tie``.
    """
    text = "".join(token.text for token in answer.tokens)
    place = _place(text, value)
    position = 0
    for token in answer.tokens:
        if place is not None and position <= place < position + len(token.text):
            masses = dict.fromkeys(offered, 0.0)
            for spelt, logprob in {token.text: token.logprob, **token.likely}.items():
                meant = _begun(spelt, offered)
                if meant is not None and math.isfinite(logprob) and logprob <= 0.01:
                    masses[meant] += math.exp(logprob)
            mass = sum(masses.values())
            told = mass >= ENOUGH_MASS and masses[value] > 0
            return {name: round(part / mass, 6) for name, part in masses.items()} if told else None
        position += len(token.text)
    return None


def _place(text: str, value: str) -> int | None:
    """Where the last line with this verdict spells it, counted in characters of the text."""
    found, start = None, 0
    for line in _first_turn(text).splitlines(keepends=True):
        shown = _SPECIAL.sub("", line)
        match = _VERDICT.fullmatch(shown.rstrip("\n"))
        if match and match[1].lower() == value:
            found = start + match.start(1)
        start += len(line)
    return found


def _begun(token: str, offered: Sequence[str]) -> str | None:
    """The value that a token spells or begins, if it is one alone."""
    word = token.strip(" \t\n*_`#.:：[]()\"'“”‘’").lower()
    meant = [value for value in offered if word and value.startswith(word)]
    return meant[0] if len(meant) == 1 else None  # 1 may be the beginning of 10


def is_echo(text: str, prompt: str) -> bool:
    """Whether a text is a part of the prompt, or all of it, whatever its marks and spaces.

    >>> is_echo("> *Which* answer?", "Which answer is better?"), is_echo("", "Which answer?")
    (True, False)
    """
    if not prompt:
        return False
    words, whole = _WORD.findall(text.casefold()), prompt.casefold()
    if not words or any(word not in whole for word in words):  # nearly always decided here: joining is slow
        return False
    return " ".join(words) in " ".join(_WORD.findall(whole))


def _last_verdict(lines: Sequence[str], offered: Sequence[str]) -> str | None:
    """The verdict on the last line, unless another line gives another one."""
    found = [match[1].lower() if (match := _VERDICT.fullmatch(line)) else None for line in lines]
    given = {value for value in found if value in offered}
    return found[-1] if found and len(given) == 1 else None


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
