"""What goes through the pipeline: raw and decoded candidates in their strata, and the counts of what became of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lima import console
from lima.curate.text.words import words_of
from lima.records import Example, Message, Meta, Reject

Problem = tuple[str, str]
"""Why a candidate is dropped: the rule's name, and the reason in words."""


@dataclass(frozen=True)
class Candidate:
    """An example that the rules have still to judge."""

    example: Example
    answer: str = ""
    """The text that the rules of length and of words judge; empty for a bare prompt."""
    prose: str = ""
    """The answer without its code."""
    holes: int = 0
    """Places in the answer that point to an image or link which cleaning left out."""
    title: str | None = None
    """The title that must stand alone; None where the source has no such thing."""
    misfit: str | None = None
    """Why the answer does not fit the prompt, where no other could be had."""
    recency: int = 0
    """A number that grows with time, such as the post's; 0 where nothing is known."""
    choose: Callable[[Candidate], Candidate | Reject] | None = None
    """Chooses the prompt where that costs as much as cleaning the answer; called once the rules have passed the rest."""
    group: str = ""
    """Candidates of one group go to the same split: for instance the same asker and answerer."""

    @property
    def id(self) -> str:
        """The example's id."""
        return self.example.id

    @property
    def rank(self) -> tuple[float, int, int]:
        """Of two that are nearly the same the greater stays: score, then length in words, then the newer one."""
        score = self.example.meta.score
        return (-math.inf if score is None else score, len(words_of(self.answer)), self.recency)


def single_turn(
    identifier: str, source: str, prompt: str, answer: str | None, meta: Mapping[str, Any]
) -> Example:
    """A prompt with its answer, or a bare one."""
    messages = [Message(role="user", content=prompt)]
    if answer is not None:
        messages.append(Message(role="assistant", content=answer))
    return Example(
        id=identifier, source=source, messages=tuple(messages), meta=Meta.model_validate(dict(meta))
    )


class RawCandidate(Protocol):
    """A candidate that is not decoded yet. What it says of its texts is certain; None where only decoding can tell."""

    @property
    def id(self) -> str:
        """The id of the example that it may become."""
        ...

    def title(self) -> str | None:
        """Its title."""
        ...

    def longest(self) -> int | None:
        """An upper bound on the characters of the cleaned answer."""
        ...

    def decode(self) -> Candidate | Reject:
        """The candidate, or the reason why there is none."""
        ...


Item = RawCandidate | Candidate | Reject
Step = Callable[[Item], Item]
"""One step of the pipeline: it returns the candidate, changed or not, or the `Reject` that it became."""


@dataclass
class Stratum:
    """A part of a source from which candidates are taken in order: an exchange, a category, a task."""

    name: str
    size: int
    """How many candidates it holds, as far as is known without decoding them."""
    candidates: Iterator[Item]
    """Best first; raw ones, or decoded, or the `Reject` of a row that cannot be."""
    limit: int | None = None
    """At most this many accepted examples come from it."""


@dataclass
class Count:
    """Candidates of one stratum: ``read = sum(dropped_unread) + eligible``, ``decoded = sum(rejected) + accepted``."""

    read: int = 0
    """Candidates in the raw file, such as questions."""
    dropped_unread: Counter[str] = field(default_factory=Counter)
    """Dropped by their header, by rule; they were never decoded."""
    eligible: int = 0
    decoded: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    """Decoded and dropped, by rule; each has its line in ``rejected.jsonl``."""
    accepted: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    """Further figures of the raw file, such as answers with a low score."""

    def add(self, other: Count) -> None:
        """Add another stratum's counts."""
        for name in ("read", "eligible", "decoded", "accepted"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("dropped_unread", "rejected", "notes"):
            getattr(self, name).update(getattr(other, name))

    def as_json(self) -> dict[str, Any]:
        """The counts in the order of the path, rules by name."""
        return {
            "read": self.read,
            "dropped_unread": dict(sorted(self.dropped_unread.items())),
            "eligible": self.eligible,
            "decoded": self.decoded,
            "not_needed": self.eligible - self.decoded,
            "rejected": dict(sorted(self.rejected.items())),
            "accepted": self.accepted,
            "notes": dict(sorted(self.notes.items())),
        }


class Funnel:
    """The counts of a whole curation, kept by source and stratum."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, Count]] = {}

    def at(self, source: str, stratum: str) -> Count:
        """The counts of one stratum; they start at zero."""
        return self._counts.setdefault(source, {}).setdefault(stratum, Count())

    def total(self, source: str) -> Count:
        """The counts of a source over its strata."""
        total = Count()
        for count in self._counts.get(source, {}).values():
            total.add(count)
        return total

    def as_json(self, sources: Iterable[str]) -> dict[str, Any]:
        """Totals and strata of every source; strata by name, so that equal runs give equal bytes."""
        return {
            source: {
                **self.total(source).as_json(),
                "strata": {
                    name: count.as_json() for name, count in sorted(self._counts.get(source, {}).items())
                },
            }
            for source in sources
        }

    def show(self, sources: Iterable[str], rules: Iterable[str]) -> None:
        """Print the funnel: one column a source, one line a step, rules in the given order."""
        names = list(sources)
        totals, order = [self.total(name) for name in names], {rule: n for n, rule in enumerate(rules)}
        rows: list[list[object]] = [["read", *(t.read for t in totals)]]
        for rule in sorted({rule for t in totals for rule in t.dropped_unread}):
            rows.append([f"  by header: {rule}", *(_minus(t.dropped_unread[rule]) for t in totals)])
        rows.append(["eligible", *(t.eligible for t in totals)])
        rows.append(["decoded", *(t.decoded for t in totals)])
        tripped = {rule for t in totals for rule in t.rejected}
        for rule in sorted(tripped, key=lambda rule: (order.get(rule, len(order)), rule)):
            rows.append([f"  by rule: {rule}", *(_minus(t.rejected[rule]) for t in totals)])
        rows.append(["accepted", *(t.accepted for t in totals)])
        console.table("Funnel (candidates)", ["step", *names], rows)


def _minus(number: int) -> str:
    return f"-{number}" if number else "0"
