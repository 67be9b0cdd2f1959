"""What the lead's console shows of progress and writes into files, by the kind of work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lima.annotate.compare import adjudication, exchange, overview
from lima.annotate.dialogue import dialogue_files as talk_files
from lima.annotate.dialogue import dialogue_overview as talk_overview
from lima.annotate.pages import Parts
from lima.annotate.security import Refused
from lima.errors import LimaError
from lima.records import Record

STUDY_FILES = ("preferences.jsonl", "grades.jsonl", "raters.jsonl", "adjudications.jsonl")
TALK_FILES = ("dialogues", "examples", "items", "comparisons", "preferences", "grades", "raters")


@dataclass(frozen=True)
class Tile:
    """One figure of progress."""

    title: str
    done: int
    planned: int
    note: str


def tiles(app: Parts) -> list[Tile]:
    """How far the work is."""
    if app.desk is not None:
        return [_desk_tile(app, group) for group in app.groups]
    if app.talking is not None:
        return _talk_tiles(app)
    names = {"pairwise": "Comparisons", "rate": "Ratings"}
    rows = overview.group_progress(app.base, app.clock())
    return [
        Tile(f"{names[row.task]} · {row.group}", row.done, row.planned, f"{row.leased} on a screen now")
        for row in rows
    ]


def agreement(app: Parts) -> list[overview.AgreementRow]:
    """How far people agree so far; nothing where nobody is asked the same."""
    if app.talking is not None:
        plan = app.talking.talks.plan
        return talk_overview.agreement(app.base, plan) if plan.votes > 1 else []
    return overview.agreement(app.base, app.texts) if app.texts.comparisons else []


def names(app: Parts) -> tuple[str, ...]:
    """The files that can be downloaded."""
    if app.desk is not None:
        return ()
    return tuple(f"{name}.jsonl" for name in TALK_FILES) if app.talking else STUDY_FILES


def download(app: Parts, name: str) -> Iterable[Record] | None:
    """The rows of a file; None: there is no such file."""
    if name not in names(app):
        return None
    stem = name.removesuffix(".jsonl")
    if app.talking is not None:
        return getattr(_dialogues(app), stem)  # type: ignore[no-any-return]
    if stem == "adjudications":
        return adjudication.decided(app.base).values()
    return getattr(exchange.export_rows(app.base), stem)  # type: ignore[no-any-return]


def export(app: Parts) -> str:
    """Write the files, and say what was written; of a closed study's dialogues, also who was who.

    Raises:
        Refused: a file that was changed by hand cannot be read.
    """
    folder = app.texts.study.folder.name
    if app.desk is not None and app.files is not None:
        try:
            app.files.write(app.desk)
        except LimaError as error:
            raise Refused(409, f"Nothing was written. {error}") from error
        return (
            f"Wrote {app.files.review.name} and {app.files.authored.name}. Next: lima curate, with --review."
        )
    if app.talking is not None:
        rows = _dialogues(app)
        plan, study = app.talking.talks.plan, app.texts.study
        talk_files.export_to(study, rows, plan)
        if app.closed.is_set():
            talk_files.reveal(study, rows, plan, _names(app))
            return f"Wrote the dialogues, and key.jsonl says who was who. Next: lima report {folder}"
        return (
            f"Wrote {len(rows.dialogues)} dialogues, {len(rows.grades)} ratings and {len(rows.preferences)} "
            f"choices into {folder}. Close the study to write who was who; then: lima report {folder}"
        )
    written = exchange.export_to(app.texts.study, app.base)
    decisions = adjudication.write_decisions(app.texts.study, app.base)
    more = f", {decisions} decisions of yours" if decisions else ""
    return (
        f"Wrote {len(written.preferences)} verdicts and {len(written.grades)} ratings{more} into {folder}. "
        f"Next: lima report {folder}"
    )


def close(app: Parts) -> str:
    """Export once more. The study is closed already, so this writes also who was who in its dialogues."""
    return f"The study is closed. {export(app)}"


def _dialogues(app: Parts) -> talk_files.Rows:
    assert app.talking is not None
    return talk_files.rows_of(app.base, app.talking.talks.plan, _names(app))


def _names(app: Parts) -> list[str]:
    from lima.annotate.work import system_names

    return system_names(app.settings)


def _desk_tile(app: Parts, group: str) -> Tile:
    assert app.desk is not None
    found = app.desk.progress(group)
    decided = found["taken"] + found["rejected"]
    note = f"{found['taken']} taken, {found['rejected']} rejected, {found['split']} wait for you"
    return Tile(f"Decided · group {group}", decided, decided + found["open"] + found["split"], note)


def _talk_tiles(app: Parts) -> list[Tile]:
    assert app.talking is not None
    plan = app.talking.talks.plan
    held, under_way, chosen = talk_overview.progress(app.base, plan)
    openings = len(plan.openings) * plan.votes
    return [
        Tile("Dialogues", held, openings * plan.systems, f"{under_way} under way"),
        Tile("Choices", chosen, openings, f"between {plan.systems} systems"),
    ]
