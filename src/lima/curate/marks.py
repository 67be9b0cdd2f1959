"""Suspect lines of candidates, for the person who picks by hand: what to look at, and how often each rule was right.

A mark is a suspicion, not a verdict: a rule that is wrong half of the time still saves reading. Decisions show how often it is (`lima.statistics.marks`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

from lima.curate.choose.duplicates import Duplicates, DuplicateSettings
from lima.curate.text.blocks import Phrases, sentences
from lima.curate.text.formulas import FENCED_CODE
from lima.curate.text.personal import REGIONS, find_personal
from lima.curate.text.phrases import FINISHED, HOLLOW, OTHERS, SITE
from lima.curate.text.prompts import ADDRESSING
from lima.records import Example, Mark

RESIDUE = re.compile(
    r"""
    https?:// | www\.\w | &(?: \#\d+ | \#x[0-9a-f]+ | [a-z]+ ); | \\(?: newcommand | require | def ) \b
    | \[ (?: edit | deleted | removed | citation\ needed | link | image | source | \d{1,2} ) \]
    | \( (?: emphasis \s (?: mine | added ) | pdf | link ) \) | \^ \( | ^ [\s>*]* [^\w\s`$|>*#]{1,3} \s* $
    | ^ \W* (?: edit | update | eta | tl;?dr ) \b \s? \d* \s* [:\-] | </? (?: p | br | div | span | a | b | i | em | strong ) \b [^>]* >
    | \b (?: hope \s (?: this | that | it ) \s helps | thanks \s in \s advance ) \b
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""Addresses, markup, labels and formulas that cleaning takes out of forum posts; other sources have them too."""
NEAR = DuplicateSettings(jaccard=0.4)
"""Below what is dropped as a near-duplicate: whether two such texts are one is for a person to say."""

Finder = Callable[[str], Iterator[tuple[str, str]]]
"""Suspect passages of an answer: each with the reason in words."""


def _phrases(patterns: Phrases | re.Pattern[str], why: str) -> Finder:
    """Sentences that hold a match, outside of code."""

    def find(text: str) -> Iterator[tuple[str, str]]:
        prose = FENCED_CODE.sub(lambda code: "\n" * code.group().count("\n"), text)
        for line in prose.split("\n"):
            for sentence in sentences(line):
                if found := patterns.search(sentence):
                    yield sentence.strip(), f"{why}: {' '.join(found.group().split())!r}"

    return find


def _dangling(text: str) -> Iterator[tuple[str, str]]:
    last = text.rstrip().rpartition("\n")[2]
    if last and not FINISHED.search(text):
        yield (sentences(last) or [last])[-1].strip(), "its last line breaks off"
    elif last.endswith((":", ";", ",")):
        yield last.strip(), "its last line announces what does not come"


def _announcing(text: str) -> Iterator[tuple[str, str]]:
    """A line that ends with a colon right before a heading: what it announced is gone."""
    lines = [line for line in text.split("\n") if line.strip()]
    for line, behind in pairwise(lines):
        if line.endswith(":") and behind.startswith("#"):
            yield line.strip(), "nothing follows its colon"


ANSWER_RULES: Mapping[str, Sequence[Finder]] = {
    "addresses the asker": (_phrases(ADDRESSING, "it speaks to the asker"),),
    "refers to others": (_phrases(OTHERS, "it refers to others"), _phrases(SITE, "it speaks of the site")),
    "dangling end": (_dangling,),
    "residue": (_phrases(RESIDUE, "it looks left over"),),
    "hole": (_phrases(HOLLOW, "it points to what is gone"), _announcing),
}
PROMPT_RULES: Mapping[str, Sequence[Finder]] = {name: ANSWER_RULES[name] for name in ("residue", "hole")}


class Marker:
    """Marks the suspect lines of one candidate after the other; each is compared with those before it."""

    def __init__(self, regions: Sequence[str] = REGIONS) -> None:
        self._regions = tuple(regions)
        self._known = Duplicates(NEAR)

    def marks(self, example: Example) -> tuple[Mark, ...]:
        """By turn, in the order of the text."""
        found: list[Mark] = []
        for turn, message in enumerate(example.messages):
            if message.role != "system":
                rules = ANSWER_RULES if message.role == "assistant" else PROMPT_RULES
                found += _marks_of_turn(turn, message.content, rules, self._regions)
        if near := self._known.find(example):
            turn = len(example.messages) - 1
            found.append(Mark(turn=turn, line=0, text="", rule="near-duplicate", reason=near[1]))
        self._known.add(example)
        return tuple(found)


def _marks_of_turn(
    turn: int, text: str, rules: Mapping[str, Sequence[Finder]], regions: Sequence[str]
) -> list[Mark]:
    found: dict[tuple[str, str], Mark] = {}
    for rule, finders in rules.items():
        for passage, reason in (one for finder in finders for one in finder(text)):
            mark = Mark(turn=turn, line=_line_of(text, passage), text=passage, rule=rule, reason=reason)
            found.setdefault((rule, passage), mark)
    for one in find_personal(text, regions=regions):
        line = text.count("\n", 0, one.start)
        passage = text.split("\n")[line].strip()
        mark = Mark(
            turn=turn,
            line=line,
            text=passage,
            rule="personal data",
            reason=f"it may hold personal data: {one.kind}",
        )
        found.setdefault(("personal data", passage), mark)
    return sorted(found.values(), key=lambda mark: mark.line)


def _line_of(text: str, passage: str) -> int:
    return text.count("\n", 0, max(0, text.find(passage)))
