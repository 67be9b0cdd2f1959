"""The review queue as one kind of `lima.annotate.work.AnnotationWork`: figures, files, pages."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from fastapi import APIRouter

from lima.annotate.languages import Said
from lima.annotate.review import drafts
from lima.annotate.review.files import ReviewFiles
from lima.annotate.review.house_style import HouseStyle
from lima.annotate.review.queue import ReviewQueue
from lima.annotate.work import AnnotationWork, Tile
from lima.evaluate.protocol import Protocol


@dataclass(frozen=True)
class ReviewWork(AnnotationWork):
    """People decide on candidates of ``lima curate``, and write examples of their own."""

    queue: ReviewQueue
    house: HouseStyle
    """What an example that is being written is compared with."""
    data: ReviewFiles
    """Where the texts come from and go to."""
    routers: tuple[APIRouter, ...]
    language: str = "en"

    home = "/review"
    invitation = "invitation_review.html"
    console = "lead_review.html"
    groups = ("A", "B")  # writers of training examples and of test prompts are kept apart

    @property
    def protocol(self) -> Protocol:
        """There is no study here, but its pages have a language too."""
        return Protocol(language=self.language)

    def tiles(self) -> list[Tile]:
        """Texts decided, by group."""
        return [self._tile(group) for group in self.groups]

    def export(self, *, closed: bool) -> str:
        """Write both files anew, with what was added to them meanwhile."""
        self.data.write(self.queue)
        text = "Wrote {review} and {authored}. Next: lima curate, with --review."
        return Said(text, review=self.data.review.name, authored=self.data.authored.name)

    def withdraw(self, connection: sa.Connection, rater_id: int, now: float) -> None:
        """What an excluded reader decided is open again."""
        drafts.withdraw(connection, rater_id, now)

    def left(self, rater_id: int) -> None:
        """What the reader has in hand goes to others."""
        self.queue.leave(rater_id)
        self.queue.changed()

    def _tile(self, group: str) -> Tile:
        found = self.queue.progress(group)
        decided = found["taken"] + found["rejected"]
        note = Said("{taken} taken, {rejected} rejected, {split} wait for you", **found)
        title = Said("Decided · group {group}", group=group)
        return Tile(title, decided, decided + found["open"] + found["split"], note)
