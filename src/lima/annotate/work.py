"""What a server's people do, made from its settings: compare and rate, talk with systems, or write and review."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from lima import console
from lima.annotate.app import Work
from lima.annotate.compare import plan
from lima.annotate.compare.texts import Texts
from lima.annotate.database import Database
from lima.annotate.dialogue.dialogues import Plan, Talks
from lima.annotate.dialogue.streams import Talking
from lima.annotate.review.house_style import read_house
from lima.annotate.review.queue import Desk
from lima.annotate.review.review_files import DeskFiles
from lima.annotate.settings import AnnotateSettings
from lima.errors import LimaError
from lima.files import read_jsonl
from lima.records import Example

LONGEST_ID = 200

if TYPE_CHECKING:
    from lima.generate.systems.chat_backends import ChatBackend


def describe_work(settings: AnnotateSettings, texts: Texts) -> None:
    """Print what people will be asked.

    Raises:
        LimaError: nothing would be asked.
    """
    if settings.review is not None:
        files = DeskFiles(settings.review, settings.authored)
        console.note(f"decisions go to {files.review}, written examples to {files.authored}")
    elif settings.dialogue:
        talks = talk_plan(settings)
        rows = [
            [
                len(talks.openings),
                talks.systems,
                talks.votes,
                len(talks.openings) * talks.systems * talks.votes,
            ]
        ]
        console.table(f"plan of {settings.study}", ["openings", "systems", "raters each", "dialogues"], rows)
    else:
        units = plan.make_plan(texts, settings)
        header = ["task", "group", "pages", "votes"]
        console.table(f"plan of {settings.study}", header, plan.describe(units))


def open_work(settings: AnnotateSettings, base: Database, clock: Callable[[], float]) -> Work:
    """The systems to talk with, or the texts to decide on; nothing for comparisons and ratings."""
    if settings.review is not None:
        return open_desk(settings, base, clock)
    if settings.dialogue:
        talks = Talks(base, talk_plan(settings), clock)
        return Work(talking=Talking(talks, speakers(settings), patience=settings.answer_seconds))
    return Work()


def open_desk(settings: AnnotateSettings, base: Database, clock: Callable[[], float]) -> Work:
    """The desk with its files read, and written again after every decision."""
    assert settings.review is not None
    files = DeskFiles(settings.review, settings.authored)
    house = read_house(settings.train, settings.test)
    if new := files.load(base, clock()):
        console.note(f"{new} texts are new to the desk")
    desk = Desk(
        base,
        clock,
        reviewers=settings.reviewers,
        lease_seconds=60 * settings.lease_minutes,
        changed=lambda: files.keep_up(desk),
    )
    desk.catch_up()
    return Work(desk=desk, house=house, files=files)


def talk_plan(settings: AnnotateSettings) -> Plan:
    """Who talks about what.

    Raises:
        LimaError: no openings there.
    """
    assert settings.openings is not None
    openings = tuple(read_jsonl(settings.openings, Example))
    if not openings:
        raise LimaError(
            f"{settings.openings}: no openings. A row is an Example that begins with a user turn."
        )
    for opening in openings:
        if len(opening.id) > LONGEST_ID:
            raise LimaError(
                f"{settings.openings}: the id {opening.id[:40]!r}… is longer than {LONGEST_ID} characters."
            )
    return Plan(
        openings,
        systems=len(settings.dialogue),
        votes=settings.dialogue_votes,
        most_turns=settings.most_turns,
        seed=settings.seed,
        lease_seconds=60 * settings.lease_minutes,
    )


def speakers(settings: AnnotateSettings) -> list[Callable[[], ChatBackend]]:
    """Makers of the systems: each is loaded when somebody first talks with it, torch with the first one."""
    return [partial(_open, system, settings.answer_seconds) for system in settings.dialogue]


def _open(system: str, timeout: float) -> ChatBackend:
    from lima.generate.settings import ChatSettings
    from lima.generate.systems.chat_backends import open_system

    return open_system(system, ChatSettings(system=system, timeout=timeout))


def system_names(settings: AnnotateSettings) -> list[str]:
    """The names for the key: a folder's own, or the model's behind an address."""
    from lima.generate.jobs import default_name

    names = [default_name(system) for system in settings.dialogue]
    return names if len(set(names)) == len(names) else list(settings.dialogue)
