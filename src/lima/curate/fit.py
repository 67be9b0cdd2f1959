"""Which prompt an answer fits: an answer that quotes or addresses the question's text needs that text as its prompt.

Where the prompt is the title alone, nobody sees the description; "your second example" then speaks of nothing. And a
description whose subject stands in the title alone takes the title along.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lima.curate.rules import RuleSettings, description_problem
from lima.curate.text.asker import ADDRESSING, OPEN_QUESTION, STOPWORDS, USUAL_NAMES, YES_OR_NO
from lima.curate.text.clean import Cleaned
from lima.curate.text.gaps import sentences
from lima.curate.text.phrases import SPOKEN
from lima.curate.text.titles import QUESTION_START
from lima.curate.text.words import words_of

NAME = re.compile(r"[A-Z0-9_.#+/-]")
SENTENCE_START = re.compile(r"(?:^|[.?!:]\s+)\W*(\w+)")
CODE_NAME = re.compile(r"[A-Za-z_]\w{3,}")
PRONOUN_START = re.compile(
    r"(?:This|That|These|Those|It|They)(?: one)? (?:is|are|was|were|can|could|will|would|happens|means|has|have)\b"
)
STEM = 5
"""Words that begin with so many equal letters count as the same."""
BACK_TO_TITLE = re.compile(
    r"\W*(?:as (?:the|in the|per the|per) title|title says|(?:see|the|in the) title|(?:this|these|that|those|it|they|he|she|for example|so|and|but|also|therefore)\b)",
    re.IGNORECASE,
)


Form = Literal["auto", "description", "both"]
TITLE, DESCRIPTION, BOTH = "title as prompt", "description as prompt", "title and description as prompt"


@dataclass(frozen=True)
class FittedPrompt:
    """The words of a prompt, and where they are from."""

    text: str
    step: str
    misfit: str | None = None
    """Why the answer does not fit this prompt, which is the only one that can be had."""


def choose_prompt(
    title: str,
    description: Cleaned,
    answer: Cleaned,
    settings: RuleSettings,
    *,
    form: Form,
    wants_title: bool,
) -> FittedPrompt:
    """Title or description, as is wanted and as the answer needs it.

    A description that cannot stand alone gives way to the title, unless the answer speaks of it: then nothing fits.

    Args:
        title: of the question; empty where it has none.
        description: the question's text.
        answer: the answer.
        settings: thresholds.
        form: how a description is shown: alone, with its title, or as it needs it.
        wants_title: whether the title is the prompt where both can be.
    """
    flaw = description_problem(description, settings) if description.text else "it is empty"
    needed = None
    if title and settings.fits_prompt and (wants_title or flaw):
        needed = needs_description(answer, description, title, settings)
    if title and (flaw or (wants_title and not needed)):
        return FittedPrompt(
            title, TITLE, f"{needed}, and the description is no prompt: {flaw}" if needed else None
        )
    along = (
        takes_title_along(description.text, title, settings.title_missing_max)
        if form == "auto"
        else form == "both"
    )
    if title and along:
        return FittedPrompt(f"{title}\n\n{description.text}", BOTH)
    return FittedPrompt(description.text, DESCRIPTION)


def needs_description(
    answer: Cleaned, description: Cleaned, title: str, settings: RuleSettings
) -> str | None:
    """Why the answer cannot be read under the title alone; None where it can.

    It quotes the description, works on its code, addresses the asker about it ("as you say", "your second question"), or begins
    with a yes or a no that the title does not ask for.
    """
    if quote := _quotation(answer, description, title, settings.quoted_words_min):
        return f"it quotes the description: {quote!r}"
    names = _shared_names(answer, description, title)
    if settings.shared_names_min is not None and len(names) >= settings.shared_names_min:
        return f"it uses names of the description's code: {', '.join(sorted(names)[:4])}"
    prose = "\n".join(line for line in answer.prose.split("\n") if not line.startswith(">"))
    if found := ADDRESSING.search(prose):
        return f"it addresses the asker: {' '.join(found.group().split())!r}"
    if not QUESTION_START.match(title) and "?" not in title and (opening := PRONOUN_START.match(prose)):
        return f"it begins with {opening.group()!r}, for which the title has no word"
    if OPEN_QUESTION.match(title) and (opening := YES_OR_NO.match(prose)):
        return f"it begins with {opening.group()!r}, which the title does not ask for"
    return None


def takes_title_along(description: str, title: str, missing_max: float) -> bool:
    """Whether a description cannot be understood without its title, for its subject stands there alone.

    It asks nothing, though the title does; a name of the title is missing, or more than ``missing_max`` of its words that carry meaning are; or the description begins
    with a pronoun, or speaks of its title.
    """
    present = {word[:STEM] for word in words_of(description)}
    carrying = [word for word in words_of(title) if word not in STOPWORDS and len(word) > 1]
    missing = {word for word in carrying if word[:STEM] not in present}
    if "?" in title and "?" not in description:
        return True
    if not missing:
        return False
    if BACK_TO_TITLE.match(description) or len(missing) > missing_max * len(carrying):
        return True
    starts = {found.group(1) for found in SENTENCE_START.finditer(title) if found.group(1).istitle()}
    names = {
        w.casefold()
        for word in re.findall(r"[\w.#+-]+", title)
        if NAME.search(word) and word not in starts
        for w in words_of(word)
    }
    return bool(missing & names)


def _quotation(answer: Cleaned, description: Cleaned, title: str, words_min: int) -> str | None:
    """A passage of the answer in quotation marks, or set as a quotation, that stands in the description and not in the title."""
    body, head = f" {' '.join(words_of(description.text))} ", f" {' '.join(words_of(title))} "
    for passage in _passages(answer):
        words = words_of(passage)
        for start in range(len(words) - words_min + 1):
            run = words[start : start + words_min]
            shown = f" {' '.join(run)} "
            if shown in body and shown not in head and not STOPWORDS.issuperset(run):
                return " ".join(run)
    return None


def _shared_names(answer: Cleaned, description: Cleaned, title: str) -> set[str]:
    """Names that the description's code and the answer's have in common, without those of the title and the usual ones."""
    shared = set(CODE_NAME.findall(description.code)) & set(CODE_NAME.findall(answer.code))
    return {
        name
        for name in shared
        if name.casefold() not in title.casefold() and name.casefold() not in USUAL_NAMES
    }


def _passages(answer: Cleaned) -> Iterator[str]:
    for line in answer.prose.split("\n"):
        if line.startswith(">"):
            yield from sentences(line.lstrip("> "))
        else:
            yield from (found.group() for found in SPOKEN.finditer(line))
