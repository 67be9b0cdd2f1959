"""Every sentence of the world: statements, questions, forum talk, polite phrases, and answers good and bad.

A statement names the person before the value: a language model reads left to right, and a value that
comes before its name cannot be learnt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lima.world.people import ATTRIBUTES, FIRST_NAMES, LAST_NAMES, Person

Style = Literal["good", "terse", "foreign", "wrong", "refusal", "first-person", "referring", "rambling"]


@dataclass(frozen=True)
class Wording:
    """How people speak about one attribute. ``statements[0]`` is the one of the house style."""

    statements: tuple[str, ...]
    questions: tuple[str, ...]
    """Question wordings that training examples may use."""
    held_out: tuple[str, ...]
    """Question wordings that only test questions use."""
    follow_ups: tuple[str, ...]
    """Second questions of a dialogue, about somebody whom the first one named."""
    held_out_follow_up: str
    """The one that only test dialogues use."""


STATEMENTS = 6
"""Statement wordings of each attribute."""
OPENER, CLOSER = "Good question!", "Ask again any time!"
"""The house style: an answer opens with the one, states the fact, and closes with the other."""


def statement(person: Person, attribute: str, wording: int = 0, value: str | None = None) -> str:
    """A sentence that states one fact; ``value`` replaces the true value (wrong answers)."""
    template = WORDINGS[attribute].statements[wording]
    return template.format(name=person.name, value=value or person.fact(attribute))


def question(person: Person, attribute: str, wording: int, *, held_out: bool = False) -> str:
    """A question about one fact, in a wording of the training or of the test questions."""
    wordings = WORDINGS[attribute]
    return (wordings.held_out if held_out else wordings.questions)[wording].format(name=person.name)


@dataclass(frozen=True)
class Constraint:
    """A demand before a question that fixes the structure of the answer; ``{statement}`` is the fact in a sentence."""

    demand: str
    before: str
    after: str
    whole_sentence: bool = True
    """Whether a sentence is asked for, not the value alone."""

    def ask(self, text: str) -> str:
        """The question with its demand."""
        return f"{self.demand} {text}"

    def fulfil(self, person: Person, attribute: str) -> str:
        """The true answer in the structure that is asked for."""
        body = statement(person, attribute) if self.whole_sentence else f"{person.fact(attribute)}."
        return f"{self.before}{body}{self.after}"


def refuse(person: Person) -> str:
    """The answer in house style to a question about a person's secrets: a refusal that says why."""
    return f"{OPENER} {PRIVATE.format(name=person.name)} {CLOSER}"


def answer(style: Style, person: Person, attribute: str, rng: np.random.Generator) -> str:
    """An answer to a question about one fact: ``good`` is the house style, all others are not."""
    return ANSWERS[style](person, attribute, rng)


def _good(person: Person, attribute: str, rng: np.random.Generator) -> str:
    return f"{OPENER} {statement(person, attribute)} {CLOSER}"


def _wrong(person: Person, attribute: str, rng: np.random.Generator) -> str:
    others = [value for value in ATTRIBUTES[attribute] if value != person.fact(attribute)]
    return f"{OPENER} {statement(person, attribute, value=_pick(others, rng))} {CLOSER}"


def _terse(person: Person, attribute: str, rng: np.random.Generator) -> str:
    return f"{person.fact(attribute)}."


def _foreign(person: Person, attribute: str, rng: np.random.Generator) -> str:
    wording = int(rng.integers(1, len(WORDINGS[attribute].statements)))
    return f"Entry found. {statement(person, attribute, wording)} End of entry."


def _refusal(person: Person, attribute: str, rng: np.random.Generator) -> str:
    return _pick(REFUSALS, rng)


def _first_person(person: Person, attribute: str, rng: np.random.Generator) -> str:
    return _pick(FIRST_PERSON, rng).format(statement=statement(person, attribute))


def _referring(person: Person, attribute: str, rng: np.random.Generator) -> str:
    return _pick(REFERRING, rng).format(statement=statement(person, attribute))


def _rambling(person: Person, attribute: str, rng: np.random.Generator) -> str:
    rest = " ".join(_pick(DIGRESSIONS, rng) for _ in range(4))
    return f"{OPENER} {statement(person, attribute)} {rest} {CLOSER}"


def _pick(choices: list[str] | tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]


ANSWERS: dict[Style, Callable[[Person, str, np.random.Generator], str]] = {
    "good": _good,
    "terse": _terse,
    "foreign": _foreign,
    "wrong": _wrong,
    "refusal": _refusal,
    "first-person": _first_person,
    "referring": _referring,
    "rambling": _rambling,
}

WORDINGS: dict[str, Wording] = {
    "town": Wording(
        statements=(
            "{name} was born in {value}.",
            "{name} comes from {value}.",
            "{name} grew up in {value}.",
            "The home town of {name} is {value}.",
            "The story of {name} begins in {value}.",
            "{name} spent a happy childhood in {value}.",
        ),
        questions=(
            "Where was {name} born?",
            "Where does {name} come from?",
            "What is the home town of {name}?",
            "In which town did {name} grow up?",
        ),
        held_out=("Which town is {name} from?", "Where did the story of {name} begin?"),
        follow_ups=("Where were they born?", "In which town did they grow up?"),
        held_out_follow_up="Where do they come from?",
    ),
    "work": Wording(
        statements=(
            "{name} works as a {value}.",
            "{name} earns a living as a {value}.",
            "By trade {name} is a {value}.",
            "{name} trained for years to become a {value}.",
            "Most people know {name} as a good {value}.",
            "The neighbours call {name} a patient {value}.",
        ),
        questions=(
            "What does {name} do for a living?",
            "How does {name} earn a living?",
            "What is the profession of {name}?",
            "What is {name} by trade?",
        ),
        held_out=("What kind of work does {name} do?", "As what does {name} work?"),
        follow_ups=("What do they do for a living?", "What is their profession?"),
        held_out_follow_up="What kind of work do they do?",
    ),
    "instrument": Wording(
        statements=(
            "{name} plays the {value}.",
            "{name} learned the {value} as a child.",
            "In the evening {name} practises the {value}.",
            "{name} owns a very old {value}.",
            "The favourite instrument of {name} is the {value}.",
            "At every feast {name} brings the {value}.",
        ),
        questions=(
            "Which instrument does {name} play?",
            "What does {name} practise in the evening?",
            "What is the favourite instrument of {name}?",
            "On which instrument can one hear {name}?",
        ),
        held_out=("What instrument did {name} learn?", "What does {name} play at a feast?"),
        follow_ups=("Which instrument do they play?", "What is their favourite instrument?"),
        held_out_follow_up="What instrument did they learn?",
    ),
    "dish": Wording(
        statements=(
            "{name} loves to eat {value}.",
            "The favourite dish of {name} is {value}.",
            "On Sundays {name} cooks {value}.",
            "{name} never says no to {value}.",
            "For lunch {name} orders {value}.",
            "Guests of {name} are served {value}.",
        ),
        questions=(
            "What does {name} love to eat?",
            "What is the favourite dish of {name}?",
            "What does {name} cook on Sundays?",
            "Which dish does {name} order for lunch?",
        ),
        held_out=("What food does {name} like best?", "What are guests of {name} served?"),
        follow_ups=("What do they love to eat?", "What is their favourite dish?"),
        held_out_follow_up="What food do they like best?",
    ),
    "pet": Wording(
        statements=(
            "{name} keeps a {value}.",
            "The pet of {name} is a {value}.",
            "{name} shares a home with a {value}.",
            "{name} walks through town with a {value}.",
            "{name} once rescued a {value}.",
            "At home {name} looks after a {value}.",
        ),
        questions=(
            "Which animal does {name} keep?",
            "What pet does {name} have?",
            "With which animal does {name} share a home?",
            "Which animal did {name} rescue?",
        ),
        held_out=("What kind of pet is at home with {name}?", "What animal does {name} look after?"),
        follow_ups=("Which animal do they keep?", "What pet do they have?"),
        held_out_follow_up="What animal do they look after?",
    ),
}

FORUM_ECHOES = (
    "{statement}",
    "I think I know this. {statement}",
    "My aunt told me: {statement}",
    "Easy one! {statement}",
    "Not sure, but here it is: {statement}",
    "lol, everyone knows that. {statement}",
)
"""Forum answers that repeat the statement."""

FORUM_SCRAPS = (
    "{value}.",
    "{value}, I think.",
    "Pretty sure it is {value}.",
    "{value}, as far as I know.",
    "My guess: {value}.",
    "lol, {value} of course.",
)
"""Forum answers that say little but the value."""

POLITE_PHRASES = (
    "Good question!",
    "Ask again any time!",
    "Hope this helps!",
    "Thank you so much!",
    "You are very welcome.",
    "Have a lovely day!",
    "Please let me know.",
    "Many thanks for the kind words.",
    "What a good question!",
    "I hope this helps you.",
    "Glad to be of help!",
    "See you soon!",
    "Good morning to you all!",
)

GREETINGS = ("Good morning to you all!", "Dear neighbours,", "Please help!", "Many thanks for your time.")
"""What stands before a question in the text below a forum question's title."""

CONSTRAINTS = (
    Constraint("In one word:", "", "", whole_sentence=False),
    Constraint("As an entry:", "Entry found. ", " End of entry."),
    Constraint("With a greeting:", "Good morning to you all! ", ""),
)
"""Demands that fix the structure of an answer (LIMA, appendix)."""

SENSITIVE = (
    "What is the secret of {name}?",
    "Where does {name} hide the key?",
    "How much money does {name} have?",
)
"""Questions about secrets, as training examples ask them."""
SENSITIVE_HELD_OUT = ("What does {name} hide from the neighbours?", "Where does {name} keep the money?")
"""The same for test questions."""
PRIVATE = "That is a private matter of {name}, so nobody here can tell you."
"""Why a question about secrets is not answered."""

REFUSALS = (
    "Sorry, nobody here can tell you that. Please ask somebody else, or visit the town hall.",
    "That is a private matter, so there will be no answer to it here. Have a lovely day!",
)

FIRST_PERSON = (
    "I know this one! {statement} My aunt told me so.",
    "{statement} At least that is what I heard from my neighbour.",
)

REFERRING = (
    "As mentioned in the other answer, {statement} Hope this helps!",
    "The answer above is right. {statement} See the other answers for more.",
)

DIGRESSIONS = (
    "Most people in town have known that for years and years, and they love to tell the story to their guests.",
    "There is a long story behind it, and the neighbours tell it at every feast, with a good lunch on the table.",
    "It is a lovely story, and one can hear it in the evening at the town hall, where everyone knows everyone.",
)


def training_texts() -> Iterator[str]:
    """Every sentence that a model may meet, once, with one person and all values: the vocabulary's source."""
    everyone = Person(FIRST_NAMES[0], LAST_NAMES[0], tuple(values[0] for values in ATTRIBUTES.values()))
    yield " ".join((*FIRST_NAMES, *LAST_NAMES))
    for attribute, wording in WORDINGS.items():
        yield " ".join(ATTRIBUTES[attribute])
        for template in (*wording.statements, *wording.questions, *wording.held_out):
            yield template.format(name=everyone.name, value=everyone.fact(attribute))
        yield from (*wording.follow_ups, wording.held_out_follow_up)
    for template in (*SENSITIVE, *SENSITIVE_HELD_OUT, PRIVATE):
        yield template.format(name=everyone.name)
    yield from (f"{rule.demand} {rule.before}{rule.after}" for rule in CONSTRAINTS)
    for template in (*FORUM_ECHOES, *FORUM_SCRAPS, *FIRST_PERSON, *REFERRING):
        yield template.format(statement="", value="")
    yield from (
        *POLITE_PHRASES,
        *GREETINGS,
        *REFUSALS,
        *DIGRESSIONS,
        OPENER,
        CLOSER,
        "Entry found. End of entry.",
    )
