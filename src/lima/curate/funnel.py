"""What became of every candidate: counts by source, stratum and rule, as JSON and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lima import console
from lima.curate.rules import RULES


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
        self.read += other.read
        self.eligible += other.eligible
        self.decoded += other.decoded
        self.accepted += other.accepted
        self.dropped_unread.update(other.dropped_unread)
        self.rejected.update(other.rejected)
        self.notes.update(other.notes)

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

    def show(self, sources: Iterable[str]) -> None:
        """Print the funnel: one column a source, one line a step."""
        names = list(sources)
        totals = [self.total(name) for name in names]
        rows: list[list[object]] = [["read", *(t.read for t in totals)]]
        for rule in sorted({rule for t in totals for rule in t.dropped_unread}):
            rows.append([f"  by header: {rule}", *(_minus(t.dropped_unread[rule]) for t in totals)])
        rows.append(["eligible", *(t.eligible for t in totals)])
        rows.append(["decoded", *(t.decoded for t in totals)])
        for rule in _in_order({rule for t in totals for rule in t.rejected}):
            rows.append([f"  by rule: {rule}", *(_minus(t.rejected[rule]) for t in totals)])
        rows.append(["accepted", *(t.accepted for t in totals)])
        console.table("Funnel (candidates)", ["step", *names], rows)


def _minus(number: int) -> str:
    return f"-{number}" if number else "0"


def _in_order(rules: set[str]) -> list[str]:
    known = [rule for rule in RULES if rule in rules]
    return known + sorted(rules - set(known))
