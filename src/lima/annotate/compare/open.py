"""Opens a study to compare and rate: its texts, its plan, its place in the database."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from lima import console
from lima.annotate import facts
from lima.annotate.compare import adjudication, lead_pages, pages, plan
from lima.annotate.compare.assignment import Assignment, Rules
from lima.annotate.compare.exchange import PLAN_HASH, import_rows, read_rows
from lima.annotate.compare.texts import Texts, read_texts
from lima.annotate.compare.work import CompareWork
from lima.annotate.database import Database
from lima.annotate.settings import RatingSettings
from lima.evaluate.sample import note_sample


def describe(settings: RatingSettings) -> None:
    """Print the planned votes by task and group.

    Raises:
        LimaError: no study there, or nothing would be asked.
    """
    rows = plan.describe(plan.make_plan(read_texts(settings), settings))
    console.table(f"plan of {settings.study}", ["task", "group", "pages", "votes"], rows)


def open_work(settings: RatingSettings, base: Database, clock: Callable[[], float]) -> CompareWork:
    """Store the plan in an empty database, with the answers of people from the study's files already.

    Raises:
        LimaError: as `describe`, or the database belongs to other texts or another plan.
    """
    texts = read_texts(settings)

    def begin(connection: sa.Connection) -> None:
        note_sample(texts.answers, texts.sample)
        plan.store(connection, plan.make_plan(texts, settings))
        console.note(
            f"first start: planning the votes on {len({*texts.comparisons, *texts.items} - texts.left_out):,} texts"
        )
        taken_over = import_rows(connection, read_rows(texts.answers), clock())
        adjudication.take_over(connection, texts.answers)
        if taken_over:
            console.note(f"took over {taken_over:,} answers of people from the study's files")

    identity = {
        facts.TEXTS: texts.hash,
        facts.PLAN: plan.plan_fields(texts, settings),
        PLAN_HASH: texts.plan.hash,
    }
    facts.claim(base, texts.study.folder, identity, begin)
    assignment = Assignment(base, rules_of(settings, texts), clock)
    return CompareWork(texts, assignment, (pages.router, lead_pages.router))


def rules_of(settings: RatingSettings, texts: Texts) -> Rules:
    """How comparisons and ratings are given out."""
    return Rules(
        lease_seconds=60 * settings.lease_minutes,
        per_rater=settings.per_rater,
        attention_every=settings.attention_every,
        seed=settings.seed,
        gold={text_id: gold.label for text_id, gold in texts.gold.items()},
        gold_every=settings.gold_every,
        gold_misses=settings.gold_misses,
    )
