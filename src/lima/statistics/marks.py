"""How often each rule that marks suspect passages was right, by what people then decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from lima.records import Example, Mark, Review
from lima.statistics.intervals import wilson


def is_cut(mark: Mark, edited: Example) -> bool:
    """Whether a person's edit took the marked passage out, or changed it."""
    return bool(mark.text) and (
        mark.turn >= len(edited.messages) or mark.text not in edited.messages[mark.turn].content
    )


def tally(reviews: Iterable[Review]) -> dict[str, dict[str, Any]]:
    """By rule: decided texts that it marked, and how often a person agreed: rejected the text, or cut the passage.

    A text counts once a rule. What was accepted, or edited elsewhere, is the rule's error.
    """
    counts: dict[str, Counter[str]] = {}
    for review in reviews:
        for rule in dict.fromkeys(mark.rule for mark in review.marks) if review.decision else ():
            counts.setdefault(rule, Counter())[_verdict(review, rule)] += 1
    return {rule: _row(counts[rule]) for rule in sorted(counts)}


def _verdict(review: Review, rule: str) -> str:
    if review.decision != "edit" or review.edited is None:
        return "rejected" if review.decision == "reject" else "accepted"
    marks = [mark for mark in review.marks if mark.rule == rule]
    return "cut" if any(is_cut(mark, review.edited) for mark in marks) else "accepted"


def _row(count: Counter[str]) -> dict[str, Any]:
    right = wilson(count["rejected"] + count["cut"], count.total())
    shares = {name: getattr(right, name, None) for name in ("value", "low", "high")}
    return {
        "marked": count.total(),
        **{name: count[name] for name in ("cut", "rejected", "accepted")},
        "right": shares,
    }
