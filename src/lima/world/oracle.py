"""The ground truth of the world: scores an answer for knowledge and for form, without a judge.

It reads the same texts as a judge would, question and answer, and nothing else. Knowledge is the first
value of the right type in the answer, so that listing several values does not help.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lima.errors import LimaError
from lima.records import Label
from lima.world.people import ATTRIBUTES, FIRST_NAMES, LAST_NAMES, Person, World
from lima.world.wordings import CLOSER, OPENER, STATEMENTS, WORDINGS, statement

OracleGrade = Literal["fail", "pass", "excellent"]
GRADES: tuple[OracleGrade, ...] = ("fail", "pass", "excellent")


@dataclass(frozen=True)
class Score:
    """What the oracle says of one answer."""

    knowledge: bool
    """The first value of the asked type is the person's true value."""
    form: bool
    """House style: opener, one whole sentence about some person, closer, and nothing else."""
    exact: bool
    """House style around a true sentence about the person and the attribute asked for."""

    @property
    def grade(self) -> OracleGrade:
        """``fail`` without the fact, ``pass`` with the fact in another form, ``excellent`` when exact."""
        return GRADES[self.knowledge + self.exact]


class Oracle:
    """Knows every person of a world and every way to ask about one."""

    def __init__(self, world: World) -> None:
        people = world.known + world.strangers
        self._asked = {text: (p, a) for p in people for a in ATTRIBUTES for text in _questions(p, a)}

    def subject(self, question: str) -> tuple[Person, str]:
        """The person and the attribute that a question asks for."""
        if question not in self._asked:
            raise LimaError(f"the oracle of the built-in world has no such question: {question!r}.")
        return self._asked[question]

    def score(self, question: str, answer: str) -> Score:
        """Judge one answer."""
        return self.mark(*self.subject(question), answer)

    @staticmethod
    def mark(person: Person, attribute: str, answer: str) -> Score:
        """Judge an answer to any question about this fact."""
        middle = _between_opener_and_closer(answer)
        true = {statement(person, attribute, wording) for wording in range(STATEMENTS)}
        return Score(
            knowledge=first_value(answer, attribute) == person.fact(attribute),
            form=middle is not None and is_statement(middle),
            exact=middle in true,
        )

    def prefer(self, question: str, a: str, b: str) -> Label:
        """The answer with the better grade, or a tie."""
        grades = [GRADES.index(self.score(question, answer).grade) for answer in (a, b)]
        if grades[0] == grades[1]:
            return "tie"
        return "a" if grades[0] > grades[1] else "b"


def first_value(answer: str, attribute: str) -> str | None:
    """The first word of the answer that is a value of the attribute.

    >>> first_value("A nurse, or maybe a baker.", "work")
    'nurse'
    """
    values = ATTRIBUTES[attribute]
    return next((word for word in re.findall(r"\w+", answer) if word in values), None)


def is_statement(text: str) -> bool:
    """Whether a text is one whole statement about some person, true or not."""
    return _SENTENCE.fullmatch(text) is not None


def _between_opener_and_closer(answer: str) -> str | None:
    start, end = OPENER + " ", " " + CLOSER
    framed = answer.startswith(start) and answer.endswith(end) and len(answer) > len(start + end)
    return answer[len(start) : -len(end)] if framed else None


def _any_statement() -> re.Pattern[str]:
    """Matches every statement of the world, true or not, about any two-word name."""
    names = f"(?:{'|'.join(FIRST_NAMES)}) (?:{'|'.join(LAST_NAMES)})"
    sentences = [
        re.escape(template)
        .replace(r"\{name\}", names)
        .replace(r"\{value\}", f"(?:{'|'.join(ATTRIBUTES[attribute])})")
        for attribute, wording in WORDINGS.items()
        for template in wording.statements
    ]
    return re.compile("|".join(sentences))


_SENTENCE = _any_statement()


def _questions(person: Person, attribute: str) -> Iterable[str]:
    wording = WORDINGS[attribute]
    return (template.format(name=person.name) for template in wording.questions + wording.held_out)
