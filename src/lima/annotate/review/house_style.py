"""Live checks of an example that somebody writes: length, tone, likeness to what is there, test prompts (section 2.2).

The checks are those of `lima curate`: what passes here is not dropped there. Style is compared with the set so far:
a feature that nearly all of its answers have, and this one lacks, is worth a second look.
"""

from __future__ import annotations

import statistics
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lima.annotate.languages import Said
from lima.curate.candidate import Candidate
from lima.curate.card.style import FEATURES, shares
from lima.curate.choose.duplicates import Duplicates, DuplicateSettings, Leaks, LeakSettings
from lima.curate.rules import house_style
from lima.curate.sources.authored import Authored
from lima.curate.text.clean import prose_of
from lima.files import read_jsonl
from lima.records import Example

Level = Literal["good", "look", "stop"]
SHORTEST, LONGEST = 200, 8_000
"""Characters of an answer: outside of these it is worth a second look. (The paper's authored answers have 334
tokens on average, which is about 1,500 characters.)"""
USUAL, RARE = 0.7, 0.1
"""A feature of more than, or less than, this share of the set's answers is part of its style."""
FEWEST_FOR_STYLE = 10
COMPARED = {
    "opens by acknowledging": Said("opens by acknowledging"),
    "says you": Said("says you"),
    "has a list": Said("has a list"),
    "has several paragraphs": Said("has several paragraphs"),
    "ends with a question": Said("ends with a question"),
}
"""Features of `lima curate`'s card, as the page says them."""


@dataclass(frozen=True)
class StyleFinding:
    """One line beside the form."""

    level: Level
    text: str


class HouseStyle:
    """The set so far and the test prompts, ready to compare with."""

    def __init__(self, train: Iterable[Example], test: Sequence[Example]) -> None:
        self._train = [example for example in train if not example.is_prompt]
        self._tests = list(test)
        self._leaks = Leaks(LeakSettings(), self._tests)
        self._lock = threading.Lock()
        self._cache: tuple[tuple[str, ...], Duplicates] | None = None

    def look_at(self, example: Example, others: Sequence[Example]) -> list[StyleFinding]:
        """What is worth knowing of an example; ``others``: what the author's group wrote before."""
        of_the_house = example.source == "authored"  # other sources have a tone of their own
        answer = example.messages[-1].content if of_the_house and not example.is_prompt else ""
        found = [self._duplicate(example, others), self._leak(example)]
        if answer:
            written = [other for other in others if not other.is_prompt]
            found += [_length(answer), _whole(example, answer), *self._style(answer, written)]
        return [finding for finding in found if finding is not None]

    def _duplicate(self, example: Example, others: Sequence[Example]) -> StyleFinding | None:
        if not example.messages[0].content.strip():
            return None
        with self._lock:
            problem = self._known(others).find(example)
        if problem is None:
            return StyleFinding("good", Said("Nothing like it is there yet."))
        return StyleFinding("stop", Said("Too close to what is there: {problem}.", problem=problem[1]))

    def _known(self, others: Sequence[Example]) -> Duplicates:
        """The index, made anew when the others have changed."""
        names = tuple(f"{other.id}:{hash(other.messages)}" for other in others)
        if self._cache is None or self._cache[0] != names:
            index = Duplicates(DuplicateSettings())
            for example in (*self._train, *others):
                index.add(example)
            self._cache = (names, index)
        return self._cache[1]

    def _leak(self, example: Example) -> StyleFinding | None:
        """Says that a test prompt is near, never which: the two groups do not read each other's texts."""
        if not self._tests:
            return None
        if self._leaks.find(example):
            return StyleFinding("stop", Said("Too close to a test prompt. Choose another question."))
        return StyleFinding("good", Said("No test prompt is near."))

    def _style(self, answer: str, others: Sequence[Example]) -> list[StyleFinding]:
        answers = [example.messages[-1].content for example in (*self._train, *others)]
        acknowledges = FEATURES["opens by acknowledging"](answer)
        found = [
            StyleFinding("good", Said("It first acknowledges the question."))
            if acknowledges
            else StyleFinding(
                "look",
                Said("It does not open by acknowledging the question, as many answers of the house do."),
            )
        ]
        if len(answers) < FEWEST_FOR_STYLE:
            return found
        for name, share in shares(answers).items():
            has = FEATURES[name](answer)
            values = {"share": f"{share:.0%}", "feature": COMPARED.get(name, "")}
            if name in COMPARED and share >= USUAL and not has:
                found.append(
                    StyleFinding("look", Said("{share} of the set: {feature}. This one does not.", **values))
                )
            elif name in COMPARED and share <= RARE and has:
                found.append(
                    StyleFinding("look", Said("Only {share} of the set: {feature}. This one does.", **values))
                )
        usual = statistics.median(map(len, answers))
        found.append(
            StyleFinding(
                "good",
                Said("The set's answers have a median of {number} characters.", number=f"{usual:,.0f}"),
            )
        )
        return found


def read_house(train: Sequence[Path], test: Sequence[Path]) -> HouseStyle:
    """The house's style from the files of ``--train`` and ``--test``; raises `lima.errors.InputError`."""
    return HouseStyle(_read(train), _read(test))


def _read(paths: Sequence[Path]) -> list[Example]:
    return [example for path in paths for example in read_jsonl(path, Example)]


def _length(answer: str) -> StyleFinding:
    size = len(answer)
    if size < SHORTEST:
        return StyleFinding(
            "look", Said("Short: {size} characters, under {least}.", size=size, least=SHORTEST)
        )
    if size > LONGEST:
        return StyleFinding(
            "look",
            Said(
                "Long: {size} characters, over {most}; a training text is cut at 2,048 tokens.",
                size=f"{size:,}",
                most=f"{LONGEST:,}",
            ),
        )
    return StyleFinding("good", Said("{size} characters.", size=f"{size:,}"))


def _whole(example: Example, answer: str) -> StyleFinding | None:
    candidate = Candidate(example, answer, prose_of(answer))
    problem = house_style(candidate, Authored().rules)
    return (
        StyleFinding("stop", Said("lima curate would drop it: {problem}.", problem=problem))
        if problem
        else None
    )


def is_stopped(findings: Iterable[StyleFinding]) -> bool:
    """Whether the example would not reach the data."""
    return any(finding.level == "stop" for finding in findings)
