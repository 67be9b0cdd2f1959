"""Answers in the database and rows in the study's files are the same thing twice."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from tests.annotate.conftest import MakeSite, Site, field, form, on_both_databases

from lima.annotate.compare.exchange import export_rows, export_to, read_rows
from lima.annotate.tables import iso, now, presentations, raters, slots, units
from lima.evaluate.study import add_preferences
from lima.files import read_jsonl
from lima.formats.imported import ImportedStudy, asked, pair_key
from lima.formats.studies import write_study
from lima.records import Comparison, Grade, Preference, Rater


def answered(site: MakeSite) -> Site:
    here = site(5, overlap=2, tasks=("pairwise", "quality", "helpfulness"))
    for group in ("crowd", "author"):
        rater = here.rater(group)
        while 'name="item"' in (page := rater.get("/work").text):
            here.clock.now += 7
            rater.post("/answer", data=form(page, pairwise="first", quality="pass", helpfulness="4"))
    return here


def content(here: Site) -> list[tuple[object, ...]]:
    """Who said what of which text, and which planned vote it fills; names given by chance left out."""
    columns = (
        raters.c.name,
        raters.c.grp,
        units.c.task,
        units.c.text_id,
        presentations.c.shown,
        presentations.c.state,
    )
    more = (
        presentations.c.answer,
        presentations.c.seconds,
        presentations.c.opened_at,
        presentations.c.answered_at,
        slots.c.done,
    )
    query = (
        sa.select(*columns, *more)
        .join(presentations, presentations.c.rater_id == raters.c.id)
        .join(units, units.c.id == presentations.c.unit_id)
        .outerjoin(slots, slots.c.showing_id == presentations.c.id)
        .order_by(raters.c.name, units.c.task, units.c.text_id)
    )
    with here.base.read() as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_the_files_hold_every_answer_and_leave_judges_alone(site: MakeSite) -> None:
    here = answered(site)
    study = here.work.texts.study
    judge = Rater(id="judge:m@1", kind="judge")
    verdict = Preference(id="j", comparison_id="cmp-000", rater="judge:m@1", shown="ab", label="a")
    add_preferences(study, judge, [verdict])
    for _ in range(2):  # an export again changes nothing
        export_to(study, here.base)
        rows = list(read_jsonl(study.preferences, Preference))
        # the crowd: 5 comparisons; the authors: the 2 shared ones; and the judge's
        assert len(rows) == 5 + 2 + 1
        assert len(list(read_jsonl(study.grades, Grade))) == 5 * 2
        assert [rater.id for rater in read_jsonl(study.raters, Rater)] == [
            "author:01",
            "crowd:01",
            "judge:m@1",
        ]


@on_both_databases
def test_an_export_in_an_empty_database_gives_the_same_content(site: MakeSite) -> None:
    here = answered(site)
    export_to(here.work.texts.study, here.base)
    again = site(folder=here.settings.study, overlap=2, tasks=here.settings.tasks)
    assert content(again) == content(here)
    assert export_rows(again.base) == export_rows(here.base)


def test_a_published_study_is_rated_anew_and_its_rows_stay(site: MakeSite, tmp_path: Path) -> None:
    """Votes of other people, under ids of their own, are neither taken for planned ones nor changed by an export."""
    published = ImportedStudy(
        [Comparison(id=f"tulu/{n}", messages=asked(f"{n}?"), a="yes", b="no") for n in range(3)],
        [pair_key(f"tulu/{n}", f"prompt-{n}", "one", "other") for n in range(3)],
        [Preference(id=f"crowd:al/{n}", comparison_id=f"tulu/{n}", rater="crowd:al", shown="ab", label="b",
                    raw="b-is-clearly-better") for n in range(3)],
        [Rater(id="crowd:al", kind="crowd", description="an evaluator of Tulu")],
        ["one", "other"],
    )  # fmt: skip
    write_study(published, tmp_path / "tulu")
    here = site(folder=tmp_path / "tulu", groups=("crowd",), overlap=0)
    rater = here.rater()
    while 'name="item"' in (page := rater.get("/work").text):
        rater.post("/answer", data=form(page, pairwise="tie"))
    export_to(here.work.texts.study, here.base)
    rows = list(read_jsonl(here.work.texts.study.preferences, Preference))
    assert [row for row in rows if row.rater == "crowd:al"] == list(published.preferences)
    assert [row.label for row in rows if row.rater == "crowd:01"] == ["tie"] * 3
    assert published.raters[0] in read_jsonl(here.work.texts.study.raters, Rater)


def test_what_has_no_time_no_number_or_no_label_does_not_stop_an_import(site: MakeSite) -> None:
    here = answered(site)
    rows = export_to(here.work.texts.study, here.base)
    odd = Rater(id="crowd:anna", kind="crowd")
    votes = [
        row.model_copy(update={"id": f"anna/{row.comparison_id}", "rater": odd.id, "seconds": None})
        for row in rows.preferences[:3]
    ]
    repeat = votes[0].model_copy(update={"id": "anna/again", "repeat": 1})
    missing = votes[1].model_copy(update={"id": "anna/none", "label": None, "status": "error", "repeat": 2})
    add_preferences(here.work.texts.study, odd, [*votes, repeat, missing])
    again = site(folder=here.settings.study, overlap=2, tasks=("pairwise", "quality", "helpfulness"))
    assert again.rater().cookies  # a new name beside one without a number
    assert "crowd:anna" in again.lead().get("/lead").text


def test_a_new_rater_gets_a_new_name_after_an_import(site: MakeSite) -> None:
    here = answered(site)
    export_to(here.work.texts.study, here.base)
    again = site(folder=here.settings.study, overlap=2, tasks=here.settings.tasks)
    again.rater("crowd")
    assert "crowd:02" in {rater.id for rater in export_rows(again.base).raters}


def test_answers_of_an_excluded_rater_leave_the_files(site: MakeSite) -> None:
    here = answered(site)
    export_to(here.work.texts.study, here.base)
    lead = here.lead()
    csrf = field(lead.get("/lead").text, "csrf")
    lead.post("/lead/raters/1/exclude", data={"csrf": csrf})
    lead.post("/lead/export", data={"csrf": csrf})
    rows = list(read_jsonl(here.work.texts.study.preferences, Preference))
    assert {row.rater for row in rows} == {"author:01"}


def test_only_rows_of_people_are_read(site: MakeSite) -> None:
    here = answered(site)
    study = here.work.texts.study
    export_to(study, here.base)
    add_preferences(
        study,
        Rater(id="oracle:x", kind="oracle"),
        [Preference(id="o", comparison_id="cmp-000", rater="oracle:x", shown="ab", label="a")],
    )
    assert {row.rater for row in read_rows(study).preferences} == {"crowd:01", "author:01"}


def test_times_keep_their_milliseconds_both_ways() -> None:
    for at in (0.0, 1_800_000_000.0, 1_800_000_000.001, 1_795_764_321.987, now()):
        assert datetime.fromisoformat(iso(at)).timestamp() == at
    assert iso(1_800_000_000.25) == "2027-01-15T08:00:00.250+00:00"
    assert iso(1_800_000_000.0) == "2027-01-15T08:00:00+00:00"


def test_people_note_the_plan_under_which_they_began(site: MakeSite) -> None:
    here = answered(site)
    export_to(here.work.texts.study, here.base)
    noted = {rater.id: rater.settings for rater in read_jsonl(here.work.texts.study.raters, Rater)}
    assert noted == {key: {"plan": here.work.texts.plan.hash} for key in ("author:01", "crowd:01")}
    assert here.work.texts.plan.hash != here.work.texts.protocol.plan.hash  # --overlap says something else
