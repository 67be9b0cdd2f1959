"""What each claim must reach in the built-in world, and whether it does: limits on intervals, not on points.

The limits were fixed after a pilot and before this world was built, those of quality with diversity (W15) before the first run of their
pools. None is changed by what comes out: a missed one
stays in the table, and so does one that the runs cannot decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lima.statistics.estimates import ALIKE, Result, Undefined

State = Literal["met", "missed", "undecided"]


@dataclass(frozen=True)
class Band:
    """A limit on one figure."""

    id: str
    words: str
    sense: Literal["at least", "at most"]
    limit: float

    def judge(self, result: Result) -> State:
        """``met`` or ``missed`` where the whole interval lies on one side of the limit, else ``undecided``.

        Where all units gave the same figure there is no interval, and the figure itself is judged. A single unit decides nothing.
        """
        if isinstance(result, Undefined) or (result.low is None and result.note != ALIKE):
            return "undecided"
        ends = (result.value,) if result.low is None or result.high is None else (result.low, result.high)
        inside = [end >= self.limit if self.sense == "at least" else end <= self.limit for end in ends]
        return "met" if all(inside) else "undecided" if any(inside) else "missed"

    @property
    def wanted(self) -> str:
        """Such as ``at least 0.9``."""
        return f"{self.sense} {self.limit:g}"


@dataclass(frozen=True)
class Check:
    """A band and what came out."""

    band: Band
    result: Result
    arm: str = ""
    """Of which arm, where a band is checked on several."""

    @property
    def state(self) -> State:
        """Whether the interval lies in the band."""
        return self.band.judge(self.result)


@dataclass(frozen=True)
class Conclusion:
    """What an experiment says: its figures in a sentence, and its checks.

    The sentence says what was measured and nothing about what it shows: that is for the checks alone to say.
    """

    checks: Sequence[Check]
    sentence: str

    @property
    def verdict(self) -> str:
        """The sentence, and what the checks say."""
        return f"{self.sentence} {self.ruling}"

    @property
    def ruling(self) -> str:
        """Such as ``Missed: W6. Not decided: W5.``"""
        if not self.checks:
            return "No band was set."
        if all(check.state == "met" for check in self.checks):
            return "All bands met."
        parts = [f"{words}: {', '.join(found)}." for words, found in self._not_met() if found]
        return " ".join(parts)

    def _not_met(self) -> list[tuple[str, list[str]]]:
        words: dict[str, State] = {"Missed": "missed", "Not decided": "undecided"}
        return [
            (word, sorted({check.band.id for check in self.checks if check.state == state}))
            for word, state in words.items()
        ]


BASE_FORM = Band("W1", "the base's answers in right form", "at most", 0.05)
BASE_EXACT = Band("W1", "the base's answers exact", "at most", 0.05)
BASE_CLOZE = Band("W2", "facts that the base completes", "at least", 0.9)
FORM = Band("W3", "right form with 32 examples", "at least", 0.9)
SCRATCH_FORM = Band("W4", "right form without pretraining", "at least", 0.9)
SCRATCH_KNOWLEDGE = Band("W4", "right facts without pretraining", "at most", 0.06)
PLATEAU = Band("W5", "exact with 512 minus with 64 examples", "at most", 0.2)
QUALITY = Band("W6", "exact with 128 clean minus with 512 noisy examples", "at least", 0.3)
DIVERSITY = Band("W7", "rank correlation of attributes covered and exact", "at least", 0.8)
UNCOVERED = Band("W7", "exact on uncovered attributes", "at most", 0.05)
NO_PARAPHRASE = Band("W8", "right facts without paraphrases in pretraining", "at most", 0.15)
NO_QUESTIONS = Band(
    "W9", "loss of right facts without questions and answers in pretraining", "at least", 0.25
)
PERPLEXITY = Band("W10", "rise of the other author's NLL from its minimum to the end", "at least", 0.2)
EXACT_RISES = Band("W10", "rise of exact answers meanwhile", "at least", 0.0)
VALUES_STAY = Band("W11", "fact tokens that are the base's first choice", "at least", 0.95)
END_SHIFTS = Band("W11", "end-of-turn tokens beyond the base's first three", "at least", 0.95)
UNKNOWN = Band("W12", "loss of exact answers by examples about unknown facts", "at least", 0.08)
TRANSFER_ECHO = Band("W13", "exact on uncovered attributes, forum repeats the fact", "at least", 0.4)
TRANSFER_TERSE = Band("W13", "exact on uncovered attributes, forum is terse", "at most", 0.05)
AWARE = Band(
    "W15", "exact by likeness to ten good answers minus by the middle random choice", "at least", 0.0
)
ADVERSE = Band("W15", "exact by the middle random choice minus by the longest answers", "at least", 0.0)
BEST_AND_APART = Band(
    "W15", "exact by votes and diversity minus by the middle random choice", "at least", 0.0
)
BEST_AND_APART_LONGEST = Band(
    "W15", "exact by votes and diversity minus by the longest answers", "at least", 0.0
)
DIALOGUE = Band("W16", "rise of exact second answers by 30 dialogues", "at least", 0.0)
OVERFIT = Band("W14", "exact with the gentle minus with the overfitting recipe", "at least", 0.0)
