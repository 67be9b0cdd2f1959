"""What a real base is asked: 200 prompts with demands that a program checks, 300 statements of common knowledge, examples of structure.

All are our own wording, none from a public set; they are files to read and to add to (`prompts.yaml`, `knowledge.tsv`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from lima.files import text_hash
from lima.records import Example, Message, Meta, Role

HERE = Path(__file__).parent


@dataclass(frozen=True)
class VerifiedPrompt:
    """A question, or a dialogue that ends in one, and the demands that its answer should keep."""

    example: Example
    demands: Mapping[str, Any]
    """Name of a verifier (`lima.experiments.real.verifiers.VERIFIERS`) -> what it takes."""


@dataclass(frozen=True)
class Statement:
    """A piece of common knowledge: a sentence without its end, the same as a question, the right end and three wrong ones."""

    id: str
    cloze: str
    question: str
    right: tuple[str, ...]
    """The first completes the sentence; any of them answers the question."""
    wrong: tuple[str, ...]

    @property
    def prompt(self) -> Example:
        """The question, to be answered by a system."""
        return _example(self.id, (self.question,))


@cache
def verified_prompts() -> tuple[VerifiedPrompt, ...]:
    """All of them, in the order of the file. An id is made from the words, so inserting a line changes no other id."""
    rows = yaml.safe_load((HERE / "prompts.yaml").read_text(encoding="utf-8"))
    return tuple(_verified(row["ask"], row["demands"]) for row in rows)


@cache
def structured_examples() -> tuple[Example, ...]:
    """Answered examples whose prompts fix the structure of the answer (LIMA, section 2.2)."""
    rows = yaml.safe_load((HERE / "structured.yaml").read_text(encoding="utf-8"))
    return tuple(_example(_id("structured", row["ask"]), (row["ask"], row["answer"])) for row in rows)


@cache
def statements() -> tuple[Statement, ...]:
    """The lines of ``knowledge.tsv``: sentence, question, right ends with bars between them, three wrong ones."""
    found = []
    for line in (HERE / "knowledge.tsv").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            cloze, question, right, *wrong = line.split("\t")
            assert len(wrong) == 3, line
            ends = tuple(right.split("|"))
            found.append(Statement(_id("knowledge", cloze), cloze, question, ends, tuple(wrong)))
    return tuple(found)


def spread(rows: tuple[Any, ...], count: int) -> list[Any]:
    """``count`` of them, evenly from all: neighbours in a file are alike.

    >>> spread((0, 1, 2, 3, 4, 5), 3)
    [0, 2, 4]
    """
    count = min(count, len(rows))
    return [rows[place * len(rows) // count] for place in range(count)]


def _verified(ask: str | list[str], demands: Mapping[str, Any]) -> VerifiedPrompt:
    turns = (ask,) if isinstance(ask, str) else tuple(ask)
    return VerifiedPrompt(_example(_id("verified", *turns), turns), demands)


def _example(identity: str, turns: tuple[str, ...]) -> Example:
    roles: tuple[Role, Role] = ("user", "assistant")
    messages = tuple(Message(role=roles[place % 2], content=text.strip()) for place, text in enumerate(turns))
    return Example(id=identity, source="lima", messages=messages, meta=Meta())


def _id(kind: str, *texts: str) -> str:
    return f"{kind}/{text_hash(*texts, length=8)}"
