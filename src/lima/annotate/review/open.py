"""Opens the review queue: candidates and written examples from their files into the database."""

from __future__ import annotations

from collections.abc import Callable

from lima import console
from lima.annotate import facts
from lima.annotate.database import Database
from lima.annotate.review import lead_pages, pages
from lima.annotate.review.files import ReviewFiles
from lima.annotate.review.house_style import read_house
from lima.annotate.review.queue import ReviewQueue
from lima.annotate.review.work import ReviewWork
from lima.annotate.settings import ReviewSettings
from lima.commands import command
from lima.errors import LimaError


def describe(settings: ReviewSettings) -> None:
    """Print where decisions go.

    Raises:
        LimaError: no folder of --review.
    """
    assert settings.review is not None
    if not settings.review.parent.is_dir():
        raise LimaError(
            f"{settings.review.parent}: no such folder. Make the candidates: "
            f"{command('curate', 'RECIPE', '--input', 'RAW', '--out', 'DATA', '--review', settings.review)}"
        )
    files = ReviewFiles(settings.review, settings.authored)
    console.note(f"decisions go to {files.review}, written examples to {files.authored}")


def open_work(settings: ReviewSettings, base: Database, clock: Callable[[], float]) -> ReviewWork:
    """Claim the database and read the files into it; they are written again after every decision.

    Raises:
        LimaError: a file cannot be read, or the database belongs to something else.
    """
    assert settings.review is not None
    identity = {facts.TEXTS: "", facts.PLAN: {"review": True}}
    facts.claim(base, settings.review.parent, identity, lambda connection: None)
    files = ReviewFiles(settings.review, settings.authored)
    house = read_house(settings.train, settings.test)
    if new := files.load(base, clock()):
        console.note(f"{new} texts are new to the queue")
    queue = ReviewQueue(
        base,
        clock,
        reviewers=settings.reviewers,
        lease_seconds=60 * settings.lease_minutes,
        changed=lambda: files.keep_up(queue),
    )
    queue.catch_up()
    return ReviewWork(queue, house, files, (pages.router, lead_pages.router), settings.language)
