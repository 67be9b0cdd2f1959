"""Opens a study of dialogues: its openings, its systems, its place in the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from lima import console
from lima.annotate import facts
from lima.annotate.database import Database
from lima.annotate.dialogue import pages
from lima.annotate.dialogue.dialogues import DialoguePlan, RaterDialogues
from lima.annotate.dialogue.files import protocol_of
from lima.annotate.dialogue.streams import ReplyStreams
from lima.annotate.dialogue.work import DialogueWork
from lima.annotate.settings import DialogueSettings
from lima.errors import LimaError
from lima.evaluate.protocol import Protocol
from lima.evaluate.study import Study, answers_of
from lima.files import read_jsonl, sha256, text_hash, write_text
from lima.records import Example

if TYPE_CHECKING:  # it brings torch
    from lima.generate.systems.chat_backends import ChatPartner

LONGEST_ID = 200
SERVED_AT_ONCE = 16
"""Answers under way at a system behind an address."""
HERE_AT_ONCE = 8
"""Answers that one model in this process writes at once, in one batch; memory for as many conversations is set aside."""


def describe(settings: DialogueSettings) -> None:
    """Print how many dialogues there are to hold.

    Raises:
        LimaError: as `read_plan`.
    """
    plan = read_plan(settings)
    row = [len(plan.openings), plan.systems, plan.votes, len(plan.openings) * plan.systems * plan.votes]
    console.table(f"plan of {settings.study}", ["openings", "systems", "raters each", "dialogues"], [row])


def open_work(
    settings: DialogueSettings,
    base: Database,
    clock: Callable[[], float],
    backends: Sequence[Callable[[], ChatPartner]] = (),
) -> DialogueWork:
    """Claim the database and make the systems ready: each is loaded when somebody first talks with it.

    ``backends`` make the systems in place of those that the settings name.

    Raises:
        LimaError: as `read_plan`, or the database belongs to other dialogues, or is new and the folder holds some.
    """
    assert settings.study is not None
    assert settings.openings is not None
    protocol = protocol_of(Study(settings.study))
    study = _answers_of(Study(settings.study), protocol)
    systems = text_hash(*settings.dialogue)  # no name stands in the database
    planned = settings.model_dump(mode="json", include={"dialogue_votes", "seed"})
    identity = {
        facts.TEXTS: sha256(settings.openings),
        facts.PLAN: {"systems": systems, **planned, **facts.of_pilot(protocol)},
    }
    facts.claim(base, study.folder, identity, lambda _: _refuse_other_dialogues(study))
    plan = replace(read_plan(settings), secret=facts.drawn_once(base, "order"))
    makers = list(backends) or [partial(_load, one, settings.answer_seconds) for one in settings.dialogue]
    streams = ReplyStreams(
        RaterDialogues(base, plan, clock),
        makers,
        patience=settings.answer_seconds,
        at_once=[SERVED_AT_ONCE if "://" in one else HERE_AT_ONCE for one in settings.dialogue],
        pace=settings.pace,
    )
    groups = settings.groups or protocol.plan.groups
    return DialogueWork(study, streams, _names(settings), protocol, groups, (pages.router,))


def _answers_of(study: Study, protocol: Protocol) -> Study:
    """The study that dialogues are written to. A pilot's is whole: its folder gets the words too."""
    found = answers_of(study, protocol)
    if protocol.pilot and not found.protocol.exists():
        found.folder.mkdir(parents=True, exist_ok=True)
        write_text(found.protocol, study.protocol.read_text("utf-8"))
    return found


def read_plan(settings: DialogueSettings) -> DialoguePlan:
    """Who holds dialogues about what.

    Raises:
        LimaError: no openings there, or an id that is too long for the database.
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
    return DialoguePlan(
        openings,
        systems=len(settings.dialogue),
        votes=settings.dialogue_votes,
        most_turns=settings.most_turns,
        lease_seconds=60 * settings.lease_minutes,
    )


def _load(system: str, timeout: float) -> ChatPartner:
    from lima.generate.settings import ChatSettings
    from lima.generate.systems.chat_backends import open_system

    return open_system(system, ChatSettings(system=system, timeout=timeout), talks=HERE_AT_ONCE)


def _names(settings: DialogueSettings) -> tuple[str, ...]:
    """The names for the key: a folder's own, or the model's behind an address."""
    from lima.generate.jobs import default_name

    names = tuple(default_name(system) for system in settings.dialogue)
    return names if len(set(names)) == len(names) else settings.dialogue


def _refuse_other_dialogues(study: Study) -> None:
    """An export of this empty database would take the place of dialogues that another one holds."""
    path = study.folder / "dialogues.jsonl"
    if path.exists() and path.stat().st_size:
        raise LimaError(
            f"{path} holds dialogues, and the database is new. Bring the old database back (lima database import), or "
            "name another study folder."
        )
