"""What each claim must reach in the built-in world, fixed after a pilot and before this world was built.

No band is changed by what comes out: a missed one stays in the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Band:
    """A limit on one figure."""

    id: str
    words: str
    sense: Literal["at least", "at most"]
    limit: float

    def holds(self, value: float) -> bool:
        """Whether a value lies in the band."""
        return value >= self.limit if self.sense == "at least" else value <= self.limit

    @property
    def wanted(self) -> str:
        """Such as ``at least 0.9``."""
        return f"{self.sense} {self.limit:g}"


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
DIALOGUE = Band("W16", "rise of exact second answers by 30 dialogues", "at least", 0.0)
OVERFIT = Band("W14", "exact with the gentle minus with the overfitting recipe", "at least", 0.0)
