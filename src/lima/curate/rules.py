"""The paper's filters (section 2.1), each a named rule: it keeps, or drops with its reason.

A rule is a function of a candidate and the thresholds; it returns None to keep, or says why not.
`RULES` lists them in the order in which they are asked, cheap ones first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pydantic import Field

from lima.curate.candidate import Candidate, Problem, RawCandidate
from lima.curate.text.blocks import holds_any, words_of
from lima.curate.text.clean import Cleaned
from lima.curate.text.language import detect
from lima.curate.text.phrases import (
    ASKER_OF_SITE,
    FINISHED,
    FIRST_PERSON,
    FORMULA,
    HOLLOW,
    MACHINE,
    META_STRONG,
    META_WEAK,
    NUMERAL_AFTER,
    NUMERAL_BEFORE,
    OTHERS,
    OWN,
    PLACEHOLDER,
    QUOTED_LINE,
    REFUSAL,
    SITE,
    SPEAKER,
    SPOKEN,
    TOPIC_BEHIND,
    VERB_AFTER,
    WORK_BEHIND,
)
from lima.curate.text.prompts import (
    BODY_WORD,
    DEMONSTRATIVE,
    EMPTY_PRONOUN,
    GERUND,
    INSIDE_WORDS_MIN,
    PAUSE,
    POINTER,
    PRONOUN,
    PRONOUN_WORDS_MAX,
    QUESTION_END,
    QUESTION_START,
    QUOTED,
    REQUEST,
    SUBJECT,
    TOPIC_WORDS_MIN,
    VERSUS,
)
from lima.settings import Settings

OPENING_CHARACTERS = 250
"""A refusal is looked for in this many characters from the start."""


class RuleSettings(Settings):
    """Thresholds of the rules. ``None`` or ``False`` switches a rule off."""

    score_min: int | None = 10
    """Answers (or posts) with a lower score are dropped. [paper: 10]"""
    length_min: int | None = 1200
    """Shortest answer, in characters of the cleaned text. [paper: 1200]"""
    length_max: int | None = 4096
    """Longest answer, in characters of the cleaned text. [paper: 4096]"""
    first_person: bool = True
    """Drop answers in the first person ("I", "my") outside code. [paper]"""
    refers_to_others: bool = True
    """Drop answers that refer to other answers ("as mentioned"). [paper]"""
    own_text_after: int | None = 300
    """After this many characters of the answer, "as mentioned above" is about the answer itself. [ours]"""
    refers_to_site: bool = True
    """Drop answers that speak of the site ("stack exchange", upvotes, edits). [paper]"""
    meta_words_max: float | None = Field(default=1, ge=0)
    """On a meta site: an answer with more words about asking and answering per hundred words is about the site itself. Strong ones
    ("tag", "moderator") count twice, and one of them in the title is enough. [ours]"""
    self_contained_title: bool = True
    """Keep only questions that can be understood from the title alone. [paper; the heuristic is ours]"""
    title_words_min: int = 3
    """Fewest words of a self-contained title; one that does not begin like a question needs one more. [ours]"""
    prompt_length_max: int | None = 2000
    """Longest prompt in characters. [ours; the longest of the released set's forum prompts has 997]"""
    fits_prompt: bool = True
    """Drop answers that quote or address the question's text where it cannot be the prompt. [ours]"""
    quoted_words_min: int = Field(default=5, ge=1)
    """This many of the description's words in a row make a quotation of it. [ours]"""
    shared_names_min: int | None = 2
    """An answer that uses this many names of the description's code works on that code. [ours]"""
    your_nouns_min: int | None = 2
    """An answer that says "your" of this many things from the description that the title does not mention ("your manuals") speaks to the asker. [ours]"""
    title_missing_max: float = Field(default=0.4, ge=0, le=1)
    """A description that lacks more of its title's words takes the title along. [ours]"""
    trim: bool = True
    """Cut sentences that only point to a removed address, closing formulas and the like from answers. Every cut is named in
    ``meta.transforms``. [ours]"""
    hollow: bool = True
    """Drop answers that lost a part with a removed image or link ("see the picture below"). [ours]"""
    language: str | None = None
    """Keep only answers in this language, such as ``en`` (ISO 639-1). [ours; the paper's data are English]"""
    refusal: bool = False
    """Drop answers that begin with a refusal ("I'm sorry, but I cannot", "As an AI"). [ours]"""
    house_style: bool = False
    """Drop authored answers that look unfinished or machine-made, or whose ``refusal`` mark is wrong. [ours]"""


Rule = Callable[[Candidate, RuleSettings], str | None]
RawRule = Callable[[RawCandidate, RuleSettings], str | None]


def first_problem(candidate: Candidate, settings: RuleSettings) -> Problem | None:
    """The name and the reason of the first rule that drops the candidate, or None."""
    for name, rule in RULES.items():
        reason = rule(candidate, settings)
        if reason is not None:
            return name, reason
    return None


def raw_problem(candidate: RawCandidate, settings: RuleSettings) -> Problem | None:
    """As `first_problem`, where the raw row already settles it: most candidates need not be decoded."""
    for name, rule in RAW_RULES.items():
        reason = rule(candidate, settings)
        if reason is not None:
            return name, reason
    return None


def description_problem(description: Cleaned, settings: RuleSettings) -> str | None:
    """Why the body of a question cannot be the prompt, so that its title is taken instead."""
    if settings.prompt_length_max is not None and len(description.text) > settings.prompt_length_max:
        return f"{len(description.text)} characters, over {settings.prompt_length_max}"
    if settings.hollow and description.images:
        return "it shows an image"
    if settings.hollow and description.holes:
        return f"{description.holes} places point to a link"
    patterns = (
        (settings.hollow, HOLLOW),
        (settings.refers_to_site, SITE),
        (settings.refers_to_site, ASKER_OF_SITE),
    )
    for active, pattern in patterns:
        if active and (found := pattern.search(description.prose)):
            return _quote(description.prose, found)
    return None


def score(candidate: Candidate, settings: RuleSettings) -> str | None:
    """The votes of its readers are the first sign of a good answer."""
    if settings.score_min is None:
        return None
    found = candidate.example.meta.score
    if found is None:
        return "it has no score"
    return f"score {found} is below {settings.score_min}" if found < settings.score_min else None


def length_min(candidate: Candidate, settings: RuleSettings) -> str | None:
    """Short answers teach short answers."""
    if (
        settings.length_min is None
        or candidate.example.is_prompt
        or len(candidate.answer) >= settings.length_min
    ):
        return None
    return f"{len(candidate.answer)} characters, under {settings.length_min}"


def raw_length_min(candidate: RawCandidate, settings: RuleSettings) -> str | None:
    """`length_min` by the bound that a raw answer gives."""
    longest = None if settings.length_min is None else candidate.longest()
    if settings.length_min is None or longest is None or longest >= settings.length_min:
        return None
    return f"at most {longest} characters, under {settings.length_min}"


def length_max(candidate: Candidate, settings: RuleSettings) -> str | None:
    """Long answers would be trimmed in training, and lose their end."""
    if settings.length_max is None or len(candidate.answer) <= settings.length_max:
        return None
    return f"{len(candidate.answer)} characters, over {settings.length_max}"


def self_contained_title(candidate: Candidate, settings: RuleSettings) -> str | None:
    """Whether the title asks a question that a stranger understands without the body: see `title_problem`."""
    return _title_problem(candidate.title, settings)


def raw_title(candidate: RawCandidate, settings: RuleSettings) -> str | None:
    """`self_contained_title` by the raw title."""
    return _title_problem(candidate.title(), settings)


def _title_problem(title: str | None, settings: RuleSettings) -> str | None:
    if title is None or not settings.self_contained_title:
        return None
    return title_problem(title, settings.title_words_min)


def title_problem(title: str, words_min: int) -> str | None:
    """Why a title cannot stand alone; None for one that can.

    It is a question (it ends in "?" or begins like one) of at least ``words_min`` words, or asks in another form ("Remove
    stains from a glass", "Difference between ale and bitter"), which needs `TOPIC_WORDS_MIN`. Nothing in it points outside:
    "this" without anything before it to point to, "the following", "my code", a bare "it" in a short title, a note of the
    site in brackets. What stands in quotation marks is not looked at.

    >>> title_problem("Why is this so?", 3)
    "the title points outside itself: 'this'"
    """
    title = " ".join(title.split())
    number = len(words_of(title))
    if number < words_min:
        return f"the title has {number} words, under {words_min}"
    if not _asks(title, number, words_min):
        return "the title is no question"
    plain = QUOTED.sub("“”", title) if '"' in title or "“" in title or "`" in title or "'" in title else title
    pointer = _pointer(plain)
    if pointer is None and number <= PRONOUN_WORDS_MAX and not EMPTY_PRONOUN.search(plain):
        found = PRONOUN.search(plain)
        pointer = found.group() if found else None
    return f"the title points outside itself: {pointer!r}" if pointer else None


def _asks(title: str, number: int, words_min: int) -> bool:
    if QUESTION_START.match(title):
        return True
    if number <= words_min:
        return False
    if QUESTION_END.search(title) or VERSUS.search(title):
        return True
    return number >= TOPIC_WORDS_MIN and bool(
        REQUEST.match(title) or SUBJECT.match(title) or GERUND.match(title)
    )


def _pointer(title: str) -> str | None:
    found = POINTER.search(title)
    while found is not None and DEMONSTRATIVE.fullmatch(found.group()) and _inside(title, found):
        title = title[: found.start()] + "that" + title[found.end() :]
        found = POINTER.search(title)
    return found.group() if found else None


def _inside(title: str, found: re.Match[str]) -> bool:
    """Whether a "this" has something before it in the title that it points to, or a name behind it."""
    before, behind = title[: found.start()], title[found.end() :]
    if behind.startswith(" “”"):
        return True
    if BODY_WORD.match(behind):
        return False
    place = max((stop.end() for stop in PAUSE.finditer(before)), default=0)
    return "“”" in before[:place] or len(words_of(before[:place])) >= INSIDE_WORDS_MIN


def first_person(candidate: Candidate, settings: RuleSettings) -> str | None:
    """An assistant has no past of its own.

    Roman numerals, symbols and "I/O" are not the first person, and what others say in quotation marks is not the author's.
    """
    own = candidate.prose
    first = FIRST_PERSON.search(own) if settings.first_person else None
    if first is None:
        return None
    if _is_author_s(own, first) and not _is_numeral(own, first):
        return _quote(own, first)
    for pattern in (QUOTED_LINE, FORMULA, SPOKEN):
        own = pattern.sub(" ", own)
    for found in FIRST_PERSON.finditer(own):
        if not _is_numeral(own, found):
            return _quote(own, found)
    return None


def _is_author_s(text: str, found: re.Match[str]) -> bool:
    """Whether there is nothing before a word that could make it another's, or mathematics: so it is mostly, and that is cheap to see."""
    line = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
    return not line.startswith(">") and not holds_any(line, ('"', "“")) and "$" not in text


def refers_to_others(candidate: Candidate, settings: RuleSettings) -> str | None:
    """An answer must stand without its neighbours on the page; what it said itself and the people it speaks of do not count."""
    found = OTHERS.search(candidate.prose) if settings.refers_to_others else None
    while found is not None and _is_own(candidate, found, settings.own_text_after):
        found = OTHERS.search(candidate.prose, found.end())
    return _quote(candidate.prose, found) if found else None


def _is_own(candidate: Candidate, found: re.Match[str], own_text_after: int | None) -> bool:
    """Whether what looks like another's words is about the answer's own text, or its topic."""
    text, words = candidate.prose, found.group()
    if "@" in words:
        name = words[words.index("@") :]
        asked = candidate.example.messages[0].content
        return name in asked or bool(TOPIC_BEHIND.match(text[found.end() :]))
    if WORK_BEHIND.match(text[found.end() :]):
        return True
    if (speaker := SPEAKER.match(words)) and text.count(speaker.group(1)) > 1:
        return True
    return own_text_after is not None and found.start() >= own_text_after and bool(OWN.fullmatch(words))


def refers_to_site(candidate: Candidate, settings: RuleSettings) -> str | None:
    """Votes, edits and comments mean nothing outside the site."""
    if not settings.refers_to_site:
        return None
    if found := SITE.search(candidate.prose):
        return _quote(candidate.prose, found)
    return _about_its_site(candidate, settings.meta_words_max) if _is_of_meta_site(candidate) else None


def _is_of_meta_site(candidate: Candidate) -> bool:
    return candidate.example.source == "stackexchange" and (candidate.example.meta.category or "").endswith(
        ".meta"
    )


def _about_its_site(candidate: Candidate, words_max: float | None) -> str | None:
    """On a site about a site most texts are about that site, and mean nothing elsewhere."""
    if words_max is None:
        return None
    title = candidate.title or candidate.example.messages[0].content
    text = f"{title}\n{candidate.prose}"
    strong, weak = (
        [found.group().casefold() for found in words.finditer(text)] for words in (META_STRONG, META_WEAK)
    )
    few = 2 * len(strong) + len(weak) <= words_max * len(text.split()) / 100
    if few and not META_STRONG.search(title):
        return None
    return f"it is about its site: {', '.join(list(dict.fromkeys([*strong, *weak]))[:4])}"


def hollow(candidate: Candidate, settings: RuleSettings) -> str | None:
    """Cleaning removes images and addresses; what spoke of them points to nothing now."""
    if settings.hollow and candidate.holes:
        return f"{candidate.holes} places point to an image or a link"
    found = HOLLOW.search(candidate.prose) if settings.hollow else None
    return _quote(candidate.prose, found) if found else None


def fits_prompt(candidate: Candidate, settings: RuleSettings) -> str | None:
    """An answer to text that the prompt does not show; `stackexchange.pairs` finds these when it chooses the prompt."""
    return candidate.misfit if settings.fits_prompt else None


def prompt_length_max(candidate: Candidate, settings: RuleSettings) -> str | None:
    """A prompt leaves room for its answer."""
    length = sum(len(message.content) for message in candidate.example.prompt)
    if settings.prompt_length_max is None or length <= settings.prompt_length_max:
        return None
    return f"the prompt has {length} characters, over {settings.prompt_length_max}"


def language(candidate: Candidate, settings: RuleSettings) -> str | None:
    """The answer's prose, or a bare prompt, in the wanted language; short texts are given the benefit of the doubt.

    Raises:
        LimaError: the package py3langid is missing.
    """
    if settings.language is None:
        return None
    text = candidate.prose or candidate.example.messages[-1].content
    found = detect(text)
    return f"its language is {found!r}" if found not in (None, settings.language) else None


def refusal(candidate: Candidate, settings: RuleSettings) -> str | None:
    """A refusal that nobody marked teaches to refuse."""
    found = REFUSAL.search(_opening(candidate)) if settings.refusal else None
    return _quote(_opening(candidate), found) if found else None


def house_style(candidate: Candidate, settings: RuleSettings) -> str | None:
    """Authors have one style (paper, section 2.2): whole answers, no formula of a machine, refusals marked as such."""
    if not settings.house_style or candidate.example.is_prompt:
        return None
    if found := PLACEHOLDER.search(candidate.prose) or MACHINE.search(candidate.prose):
        return _quote(candidate.prose, found)
    if not FINISHED.search(candidate.answer):
        return f"it ends in the middle: ...{candidate.answer[-25:]!r}"
    marked = bool((candidate.example.meta.model_extra or {}).get("refusal"))
    refuses = REFUSAL.search(_opening(candidate))
    if refuses and not marked:
        return f"{_quote(_opening(candidate), refuses)} but it is not marked as a refusal"
    return None


def _opening(candidate: Candidate) -> str:
    return candidate.prose[:OPENING_CHARACTERS]


RULES: Mapping[str, Rule] = {
    "score": score,
    "self_contained_title": self_contained_title,
    "length_min": length_min,
    "length_max": length_max,
    "first_person": first_person,
    "refers_to_others": refers_to_others,
    "refers_to_site": refers_to_site,
    "hollow": hollow,
    "fits_prompt": fits_prompt,
    "prompt_length_max": prompt_length_max,
    "language": language,
    "refusal": refusal,
    "house_style": house_style,
}
RAW_RULES: Mapping[str, RawRule] = {"self_contained_title": raw_title, "length_min": raw_length_min}
"""What rules know of a raw row, in the same order. The first one of `RULES`, the score, was asked of the header."""

TEXT_RULES = (
    "self_contained_title", "first_person", "refers_to_others", "refers_to_site", "hollow", "fits_prompt", "refusal", "house_style",
)  # fmt: skip
"""The rules that a reader can judge: they look at words, not at numbers."""

UNFILTERED: Mapping[str, bool | None] = {
    name: False if field.annotation is bool else None
    for name, field in RuleSettings.model_fields.items()
    if field.annotation is bool or str(field.annotation).endswith("None")
}
"""Every rule switched off: the paper's unfiltered set (section 5)."""


def _is_numeral(text: str, found: re.Match[str]) -> bool:
    """Whether an "I" counts or names something: "World War I", "Type I error", "I/O", "I & II"."""
    if found.group() != "I":
        return False
    start = found.start()
    before, after = text[max(0, start - 20) : start], text[start + 1 : start + 17]
    if after[:1] in ("'", "’"):
        return False
    named = NUMERAL_BEFORE.search(before) and not VERB_AFTER.match(after)
    return bool(named or NUMERAL_AFTER.match(after))


def _quote(text: str, found: re.Match[str]) -> str:
    """The words that were found, with a little of their surroundings."""
    start, end = max(0, found.start() - 25), found.end() + 25
    return f"it says {' '.join(found.group().split())!r}: ...{' '.join(text[start:end].split())}..."
