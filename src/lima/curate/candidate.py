"""What a source offers to the rules and the sampler: candidates, in groups from which one is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from lima.curate.text.words import words_of
from lima.records import Example, Reject


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


@dataclass
class Stratum:
    """A part of a source from which candidates are taken in order: an exchange, a category, a task."""

    name: str
    size: int
    """How many candidates it holds, as far as is known without decoding them."""
    candidates: Iterator[Candidate | Reject]
    """Best first; a row that cannot be decoded comes as its `Reject`."""
    limit: int | None = None
    """At most so many accepted examples come from it."""
