"""Picking by hand, as the paper did with Reddit: candidates go to ``review.jsonl``, decisions come back.

The file is the record: the same raw files, seed and decisions give the same data sets again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lima import console
from lima.curate.candidate import Candidate
from lima.curate.marks import Marker
from lima.curate.text.personal import REGIONS
from lima.errors import LimaError
from lima.files import read_jsonl, write_json, write_jsonl
from lima.records import Example, Reject, Review

EDITED = "edited by hand"


class Reviews:
    """The decisions of a review file, and what is offered for the next ones, best first."""

    def __init__(self, path: Path, regions: Sequence[str] = REGIONS) -> None:
        self.path = path
        self._marker = Marker(regions)
        self._known: dict[str, Review] = {}
        self._offered: list[Review] = []
        self.waiting = 0
        """Offered candidates without a decision."""
        if path.exists() and path.stat().st_size:
            for review in read_jsonl(path, Review):
                self._add(review)

    @property
    def rejections(self) -> int:
        """How many candidates were turned down, so that as many more can be offered."""
        return sum(review.decision == "reject" for review in self._known.values())

    def pick(self, pool: Sequence[Candidate], quota: int) -> tuple[list[Candidate], list[Reject]]:
        """Offer the candidates; return those that were accepted, up to the quota, and why the others are not."""
        picked: list[Candidate] = []
        left: list[Reject] = []
        for candidate in pool:
            review = self._review(candidate.example)
            marks = self._marker.marks(candidate.example)
            review = review.model_copy(update={"marks": marks, "cuts": candidate.cuts})
            self._offered.append(review)
            if review.decision is None:
                self.waiting += 1
                left.append(_left(candidate, "undecided", f"it waits for a decision in {self.path.name}"))
            elif review.decision == "reject":
                left.append(_left(candidate, "rejected_by_hand", review.reason or "no reason given"))
            elif len(picked) >= quota:
                left.append(_left(candidate, "over_quota", f"{quota} better ones were accepted"))
            else:
                picked.append(_decided(candidate, review))
        return picked, left

    def write(self) -> None:
        """Write all rows: those offered now, by rank, then earlier ones that are no longer offered."""
        write_jsonl(self.path, self._rows())

    def write_tally(self, path: Path) -> bool:
        """Write and show how often the rules that mark suspect lines were right; False where nothing is decided."""
        from lima.statistics.marks import tally  # takes a second to import

        found = tally(self._rows())
        if not found:
            return False
        write_json(path, found)
        rows = [
            [rule, row["marked"], row["cut"], row["rejected"], row["accepted"], _share(row)]
            for rule, row in found.items()
        ]
        heads = ["marked for", "decided", "cut", "rejected", "kept", "right (95 %)"]
        console.table("Marks of the review", heads, rows)
        return True

    def _rows(self) -> list[Review]:
        offered = {review.candidate.id for review in self._offered}
        former = [review for identifier, review in self._known.items() if identifier not in offered]
        return [*self._offered, *former]

    def _add(self, review: Review) -> None:
        identifier = review.candidate.id
        if identifier in self._known:
            raise LimaError(f"{self.path}: two rows of {identifier}. Keep one.")
        if review.decision == "edit" and review.edited is None:
            raise LimaError(f"{self.path}: {identifier}: the decision is 'edit', but 'edited' is empty.")
        if review.edited is not None and review.edited.id != identifier:
            raise LimaError(f"{self.path}: {identifier}: 'edited' has another id ({review.edited.id}).")
        self._known[identifier] = review

    def _review(self, example: Example) -> Review:
        """The row of a candidate. A decision about another text does not count."""
        known = self._known.get(example.id)
        if known is None:
            return Review(candidate=example)
        if known.candidate.messages != example.messages:
            console.warn(f"{example.id}: its text has changed since it was decided; it is offered again.")
            return Review(candidate=example)
        return known


def _decided(candidate: Candidate, review: Review) -> Candidate:
    if review.decision != "edit":
        return candidate
    assert review.edited is not None, review
    meta = review.edited.meta
    if EDITED not in meta.transforms:
        meta = meta.model_copy(update={"transforms": (*meta.transforms, EDITED)})
    return replace(candidate, example=review.edited.model_copy(update={"meta": meta}))


def _left(candidate: Candidate, rule: str, reason: str) -> Reject:
    return Reject(id=candidate.id, rule=rule, reason=reason)


def _share(row: Mapping[str, Any]) -> str:
    right = row["right"]
    return f"{right['value']:.2f} [{right['low']:.2f}, {right['high']:.2f}]"
