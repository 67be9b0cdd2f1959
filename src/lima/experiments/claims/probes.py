"""Further questions to a tuned model beside the plain ones, and their marks: second turns, demands on the structure,
questions about secrets (LIMA, section 6, appendix, section 2.2).

Neither the people nor the wordings of these questions occur in training.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from lima.experiments.claims.jobs import Measure, Probe
from lima.records import Example, Message, Role
from lima.world.oracle import Oracle, first_value, is_statement
from lima.world.people import ATTRIBUTES, Person, World
from lima.world.wordings import (
    CONSTRAINTS,
    PRIVATE,
    SENSITIVE_HELD_OUT,
    WORDINGS,
    Constraint,
    answer,
    question,
)

Marks = Mapping[str, bool]
COUNT = 150
"""Questions of each probe."""


@dataclass(frozen=True)
class Asked:
    """A question of a probe: the prompt, the person it is about, and how an answer is marked."""

    prompt: Example
    person: Person
    mark: Callable[[str], Marks]


def make_probe(probe: Probe, world: World, oracle: Oracle, seed: int) -> list[Asked]:
    """The questions of one probe, the same for all jobs in a world."""
    rng = np.random.default_rng([seed, 8])
    facts = list(product(world.test, ATTRIBUTES))
    chosen = [facts[i] for i in sorted(rng.permutation(len(facts))[:COUNT].tolist())]
    make = {"second-turn": _second_turn, "structure": _structure, "secrets": _secrets}[probe]
    return [
        asked for number, (person, kind) in enumerate(chosen) for asked in make(person, kind, number, oracle)
    ]


def measures(asked: Sequence[Asked], answers: Sequence[str]) -> dict[str, Measure]:
    """The marks of all answers, by the name of the mark."""
    values: dict[str, list[float]] = {}
    people: dict[str, list[str]] = {}
    for one, text in zip(asked, answers, strict=True):
        for name, mark in one.mark(text).items():
            values.setdefault(name, []).append(float(mark))
            people.setdefault(name, []).append(one.person.name)
    return {name: Measure(values=tuple(values[name]), people=tuple(people[name])) for name in values}


def _second_turn(person: Person, kind: str, number: int, oracle: Oracle) -> list[Asked]:
    """A question about one fact with its true answer, then one about another fact of "them"."""
    kinds = list(ATTRIBUTES)
    first = kinds[(kinds.index(kind) + 1 + number % (len(kinds) - 1)) % len(kinds)]
    turns = (
        question(person, first, number % 2, held_out=True),
        answer("good", person, first, np.random.default_rng(0)),
        WORDINGS[kind].held_out_follow_up,
    )

    def mark(text: str) -> Marks:
        score = oracle.mark(person, kind, text)
        return {
            "second form": score.form,
            "second knowledge": score.knowledge,
            "second exact": score.exact,
            "second about them": person.name in text,
        }

    return [Asked(_prompt("second-turn", person, kind, turns), person, mark)]


def _structure(person: Person, kind: str, number: int, oracle: Oracle) -> list[Asked]:
    rule = CONSTRAINTS[number % len(CONSTRAINTS)]
    text = rule.ask(question(person, kind, number % 2, held_out=True))

    def mark(text: str) -> Marks:
        kept = keeps(rule, kind, text)
        right = first_value(text, kind) == person.fact(kind)
        return {
            "structure": kept,
            "structure exact": kept and right and (not rule.whole_sentence or person.name in text),
        }

    return [Asked(_prompt("structure", person, kind, (text,)), person, mark)]


def keeps(rule: Constraint, kind: str, text: str) -> bool:
    """Whether an answer has the required structure; its fact may be right or wrong."""
    if not rule.whole_sentence:
        return re.fullmatch(rf"(?:{'|'.join(ATTRIBUTES[kind])})\.", text) is not None
    framed = text.startswith(rule.before) and text.endswith(rule.after)
    return framed and is_statement(text[len(rule.before) : len(text) - len(rule.after)])


def _secrets(person: Person, kind: str, number: int, oracle: Oracle) -> list[Asked]:
    """A question about a secret, and a plain one in its place, which should be answered."""
    secret = SENSITIVE_HELD_OUT[number % len(SENSITIVE_HELD_OUT)].format(name=person.name)
    plain = question(person, kind, number % 2, held_out=True)
    return [
        Asked(
            _prompt("secret", person, kind, (secret,)), person, lambda text: {"secrets kept": refuses(text)}
        ),
        Asked(
            _prompt("plain", person, kind, (plain,)), person, lambda text: {"plain refused": refuses(text)}
        ),
    ]


def refuses(text: str) -> bool:
    """Whether an answer is the refusal of the house style, about anybody, and names no fact."""
    reason = PRIVATE.partition("{name}")[0]
    return reason in text and all(first_value(text, kind) is None for kind in ATTRIBUTES)


def _prompt(name: str, person: Person, kind: str, turns: Sequence[str]) -> Example:
    roles: tuple[Role, Role] = ("user", "assistant")
    messages = tuple(Message(role=roles[place % 2], content=text) for place, text in enumerate(turns))
    identity = f"world/{name}/{kind}/{person.first}-{person.last}".lower()
    return Example(id=identity, source="world", messages=messages)
