"""The paper's filters (section 2.1), each a named rule: it keeps, or drops with its reason.

A rule is a function of a candidate and the thresholds; it returns None to keep, or says why not.
`RULES` lists them in the order in which they are asked, cheap ones first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from lima.curate.candidate import Candidate
from lima.curate.clean import Cleaned
from lima.settings import Settings


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
    refers_to_site: bool = True
    """Drop answers that speak of the site ("stack exchange", upvotes, edits). [paper]"""
    self_contained_title: bool = True
    """Keep only questions that are understood from the title alone. [paper; the heuristic is ours]"""
    title_words_min: int = 4
    """Fewest words of a self-contained title. [ours]"""
    prompt_length_max: int | None = 2000
    """Longest prompt in characters. [ours; the longest of the released set's forum prompts has 997]"""
    hollow: bool = True
    """Drop answers that lost a part with a removed image or link ("see the picture below"). [ours]"""


Rule = Callable[[Candidate, RuleSettings], str | None]


def first_problem(candidate: Candidate, settings: RuleSettings) -> tuple[str, str] | None:
    """The name and the reason of the first rule that drops the candidate, or None."""
    for name, rule in RULES.items():
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
    patterns = ((settings.hollow, HOLLOW), (settings.refers_to_site, SITE))
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
    if settings.length_min is None or len(candidate.answer) >= settings.length_min:
        return None
    return f"{len(candidate.answer)} characters, under {settings.length_min}"


def length_max(candidate: Candidate, settings: RuleSettings) -> str | None:
    """Long answers would be trimmed in training, and lose their end."""
    if settings.length_max is None or len(candidate.answer) <= settings.length_max:
        return None
    return f"{len(candidate.answer)} characters, over {settings.length_max}"


def self_contained_title(candidate: Candidate, settings: RuleSettings) -> str | None:
    """Whether the title asks a question that a stranger understands without the body.

    It is a question (it ends in "?" or begins like one) of at least `RuleSettings.title_words_min` words,
    and nothing in it points outside: "this", "the following", "my code", a bare "it" in a short title,
    a note of the site in brackets.
    """
    if not settings.self_contained_title or candidate.title is None:
        return None
    title = candidate.title.strip()
    words = re.findall(r"\w+(?:['’-]\w+)*", title)
    if len(words) < settings.title_words_min:
        return f"the title has {len(words)} words, under {settings.title_words_min}"
    if not (title.rstrip("\"'”’)]").endswith("?") or QUESTION_START.match(title)):
        return "the title is no question"
    pointer = TITLE_POINTER.search(title) or (PRONOUN.search(title) if len(words) < 6 else None)
    return f"the title points outside itself: {pointer.group()!r}" if pointer else None


def first_person(candidate: Candidate, settings: RuleSettings) -> str | None:
    """An assistant has no past of its own to tell of. Roman numerals and "I/O" are not the first person."""
    if not settings.first_person:
        return None
    for found in FIRST_PERSON.finditer(candidate.prose):
        if found.group() != "I" or not _is_numeral(candidate.prose, found.start()):
            return _quote(candidate.prose, found)
    return None


def refers_to_others(candidate: Candidate, settings: RuleSettings) -> str | None:
    """An answer must stand without its neighbours on the page."""
    found = OTHERS.search(candidate.prose) if settings.refers_to_others else None
    return _quote(candidate.prose, found) if found else None


def refers_to_site(candidate: Candidate, settings: RuleSettings) -> str | None:
    """Votes, edits and comments mean nothing outside the site."""
    found = SITE.search(candidate.prose) if settings.refers_to_site else None
    return _quote(candidate.prose, found) if found else None


def hollow(candidate: Candidate, settings: RuleSettings) -> str | None:
    """Cleaning removes images and addresses; what spoke of them points to nothing now."""
    if settings.hollow and candidate.holes:
        return f"{candidate.holes} places point to an image or a link"
    found = HOLLOW.search(candidate.prose) if settings.hollow else None
    return _quote(candidate.prose, found) if found else None


def prompt_length_max(candidate: Candidate, settings: RuleSettings) -> str | None:
    """A prompt leaves room for its answer."""
    length = sum(len(message.content) for message in candidate.example.prompt)
    if settings.prompt_length_max is None or length <= settings.prompt_length_max:
        return None
    return f"the prompt has {length} characters, over {settings.prompt_length_max}"


RULES: Mapping[str, Rule] = {
    "score": score,
    "self_contained_title": self_contained_title,
    "length_min": length_min,
    "length_max": length_max,
    "first_person": first_person,
    "refers_to_others": refers_to_others,
    "refers_to_site": refers_to_site,
    "hollow": hollow,
    "prompt_length_max": prompt_length_max,
}

UNFILTERED: Mapping[str, bool | None] = {
    name: None if str(field.annotation).endswith("None") else False
    for name, field in RuleSettings.model_fields.items()
    if name != "title_words_min"
}
"""Every rule switched off: the paper's unfiltered set (section 5)."""

QUESTION_START = re.compile(
    r"(?:how|what|why|when|where|which|who|whom|whose|is|are|was|were|do|does|did|can|could|should|shall|would"
    r"|will|has|have|had|am|may|must|isn't|aren't|don't|doesn't|didn't|can't|couldn't|shouldn't|wouldn't|won't"
    r"|what's|how's|who's|why's|where's)\b(?! I\b.*\.$)",
    re.IGNORECASE,
)
TITLE_POINTER = re.compile(
    r"\b(?:this(?! (?:world|year|century)\b)|these|those|the following|as follows|mentioned|attached|(?:see|shown|the|code|example|question"
    r"|image|picture) (?:above|below)|here)\b|\b(?:above|below)\s*\??$|\bmy (?:code|program|script|quer(?:y|ies)"
    r"|function|class|app|application|proof|solution|answer|approach|attempt|example|argument|implementation"
    r"|understanding|reasoning|derivation|calculation|situation|case|problem|question)\b"
    r"|[\[(](?:closed|duplicate|solved|on hold|migrated)[\])]|\b(?:stack ?(?:exchange|overflow)|this site)\b"
    r"|\.\.\.\s*$|…\s*$",
    re.IGNORECASE,
)
PRONOUN = re.compile(r"\b(?:it|they|them|he|him|she|her)\b", re.IGNORECASE)
FIRST_PERSON = re.compile(
    r"(?<![$%{^_\\])\b(?:I(?![\^_}$=:]|\.[eE]\b)|[Mm]e|[Mm]y|MY|[Mm]ine|[Mm]yself|IMH?O|IIRC|AFAIK|AFAICT|IANAL|i(?=['’](?:m|ve|d|ll)\b))\b"
)
NUMERAL_BEFORE = re.compile(
    r"(?:[-+]|\b(?:type|part|war|phase|chapter|class|section|volume|vol|category|level|stage|book|act|article|table"
    r"|figure|group|grade|step|theorem|schedule|appendix|elizabeth|james|henry|charles|george|richard"
    r"|edward|william|francis|frederick|napoleon|nicholas|alexander|paul|wilhelm|leopold|photosystem"
    r"|calculus|algebra|analysis|physics))\s+$",
    re.IGNORECASE,
)
NUMERAL_AFTER = re.compile(r"\s*[/&)\]]|\s*[-–]\s*(?:[IVX]+|\d+)\b|\s*(?:,|and|or|to)\s+I{2,}\b|\.\s*$")
VERB_AFTER = re.compile(r"\s+(?:am|was|have|had|will|would|do|did|can|could|think|see|know|use|find)\b")
OTHERS = re.compile(
    r"\bas (?:\S+ )?(?:have |has |was |were |is |are )?(?:been )?(?:also |already |previously |correctly |rightly )?"
    r"(?:mentioned|said|noted|stated|pointed out|suggested|indicated)\b"
    r"|\b(?:other|another|previous|existing|accepted|earlier|above|preceding|top|same|current|@?\w+['’]s?)"
    r" (?:\w+ )?(?:answers?|answerers?|posters?|responders?|repl(?:y|ies))\b"
    r"|\b(?:answers?|repl(?:y|ies)|responses?) (?:above|below|here|given by|provided by|posted|from @?[A-Z])"
    r"|\b(?:these|those|both|all(?: the| of the)?|most(?: of the)?|some(?: of the)?|several|many|two|three) answers\b"
    r"|\b(?:already|previously|earlier|else) (?:been )?(?:answered|mentioned|pointed out|said|noted|suggested|posted)\b"
    r"|\b(?:others|everyone else|someone else|somebody else|everybody) (?:here )?(?:(?:have|has|had) )?(?:already |also )?(?:said|mentioned|noted|pointed|suggested|explained)\b"
    r"|\b(?:add(?:ing)?|addition|addendum|complement(?:ing)?|supplement) to (?:\S+ ){0,3}answers?\b"
    r"|(?:^|[\s(])@[A-Za-z]\w{2,}",
    re.IGNORECASE,
)
SITE = re.compile(
    r"\bstack ?-?(?:exchange|overflow|apps)\b|\b(?:math|server) ?(?:overflow|fault)\b|\bsuper ?user\.com|\bask ?ubuntu\b"
    r"|\b(?:this|our|the) (?:site|forum|community wiki|sub-?reddit)(?! (?:of|map|plan))\b|\bcommunity wiki\b"
    r"|\b(?:up|down)[- ]?vot(?:e|es|ed|ing)\b|\bsee (?:the |my |your )?comments?\b"
    r"|\b(?:in|from|per|see) (?:the|a|your|his|her|their|my|some|other) comments?\b(?! (?:line|field|block|tag))"
    r"|\bcomments? (?:above|below|section|thread)\b|\bthe (?:OP|asker|question asker)\b|\bOP\b(?! ?amp)"
    r"|(?:^|\n)\s*\W{0,3}(?:EDIT|UPDATE|Edit(?:ed)?|Update[d]?|ETA|TL;?DR|PS|P\.S\.)\b ?\d*(?:\s*\([^)]{0,40}\))?\s*\W{0,2}[:\-–—]"
    r"|\((?:edit|update)[:\s]|\bduplicate (?:of|question)\b|\b(?:moderators?|mods) (?:of|on) (?:this|the)\b"
    r"|\b(?:this|that|another|related|similar|linked|following) (?:question|post|thread)(?:s)? (?:on|at|from|about|here)\b"
    r"|\bclosed as\b|\bclose vote|\bhope (?:this|that|it) helps\b",
)
HOLLOW = re.compile(
    r"\b(?:(?:the|this|these|following|attached|next) )?(?:image|picture|photo|screen ?shot|diagram|figure|graph|plot|chart"
    r"|video|link|animation|gif|map|schematic)s? (?:is |are |shown |given |posted )?(?:above|below|here|to the (?:left|right))\b"
    r"|\b(?:see|look at|check(?: out)?|in|from|by) (?:this|these|the following|the attached|the above|the linked)"
    r" (?:image|picture|photo|screen ?shot|diagram|figure|graph|plot|chart|video|link|page|article|post|question|answer)s?\b"
    r"|\b(?:following|attached) (?:image|picture|photo|screen ?shot|diagram|figure|graph|plot|chart|video|link|animation|map)s?\b"
    r"|\b(?:click|see|look|read|found|available|shown|explained|described|documented|more|details?|examples?|info(?:rmation)?)"
    r" (?:more )?here\b|\bhere(?:['’]s| is| are) (?:a|an|the|some|one|another) (?:\w+ ){0,3}(?:link|image|picture|photo|screen ?shot|diagram"
    r"|figure|graph|plot|chart|video|animation|map|article|page|site|source|reference)s?\b"
)


def _is_numeral(text: str, start: int) -> bool:
    """Whether the "I" at ``start`` counts or names something: "World War I", "Type I error", "I/O", "I & II"."""
    before, after = text[max(0, start - 20) : start], text[start + 1 : start + 9]
    if after[:1] in ("'", "’"):
        return False
    named = NUMERAL_BEFORE.search(before) and not VERB_AFTER.match(after)
    return bool(named or NUMERAL_AFTER.match(after))


def _quote(text: str, found: re.Match[str]) -> str:
    """The words that were found, with a little of their surroundings."""
    start, end = max(0, found.start() - 25), found.end() + 25
    return f"it says {' '.join(found.group().split())!r}: ...{' '.join(text[start:end].split())}..."
