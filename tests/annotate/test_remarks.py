"""What people say beside an answer: a comment, that both are bad, or that they skip an item and why."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from starlette.testclient import TestClient
from tests.annotate.conftest import MakeSite, MakeStudy, Site, form, make_study, on_both_databases

from lima.annotate import migrate
from lima.annotate.compare.exchange import export_rows, export_to
from lima.annotate.database import Database, sqlite_url
from lima.annotate.settings import AnnotateSettings
from lima.files import read_jsonl
from lima.records import Grade, Preference

DATABASES = Path(__file__).parent / "databases"
ALL = ["comment", "skip", "call_both_bad"]


@pytest.fixture
def asking(site: MakeSite, study: MakeStudy) -> Callable[..., Site]:
    """Makes sites whose protocol allows everything, or what is named."""

    def make(size: int, may: list[str] = ALL, **settings: object) -> Site:
        folder = study(size)
        words = yaml.safe_load((folder / "protocol.yaml").read_text())
        (folder / "protocol.yaml").write_text(yaml.safe_dump(words | {"people_may": may}))
        return site(folder=folder, overlap=0, **settings)

    return make


def skip(rater: TestClient, page: str, reason: str = "not my subject") -> str:
    return rater.post("/skip", data=form(page, reason=reason)).text


def only_row(here: Site) -> Preference:
    (row,) = export_rows(here.base).preferences
    return row


@on_both_databases
def test_remarks_come_with_the_vote_and_back_again(asking: Callable[..., Site], site: MakeSite) -> None:
    here = asking(1)
    rater = here.rater()
    said = {"pairwise": "tie", "comment": " neither cites <b>sources</b>\n", "both_bad": "yes"}
    rater.post("/answer", data=form(rater.get("/work").text, **said))
    row = only_row(here)
    assert (row.label, row.both_bad, row.raw, row.status) == (
        "tie",
        True,
        "neither cites <b>sources</b>",
        "ok",
    )
    rater.post("/undo", data=form(rater.get("/saved").text))
    page = rater.get("/work").text  # what was said stands there, to be changed
    assert "neither cites &lt;b&gt;sources" in page
    assert re.search(r'name="both_bad" value="yes" checked', page)
    rater.post("/answer", data=form(page, pairwise="first", comment=""))
    assert (only_row(here).both_bad, only_row(here).raw) == (False, None)
    rater.post("/undo", data=form(rater.get("/saved").text))
    rater.post("/answer", data=form(rater.get("/work").text, **said))
    export_to(here.work.texts.study, here.base)
    again = site(folder=here.settings.study, overlap=0)
    assert export_rows(again.base) == export_rows(here.base)


@on_both_databases
def test_a_skipped_item_goes_to_somebody_else_with_the_reason_kept(
    asking: Callable[..., Site], site: MakeSite
) -> None:
    here = asking(1)
    first, other = here.rater(), here.rater()
    page = first.get("/work").text
    assert 'name="item"' not in other.get("/work").text
    assert "Say why" in skip(first, page, " ")
    for _ in range(2):  # pressed twice
        assert 'name="item"' not in skip(first, page)
    assert 'name="item"' not in first.get("/work").text
    other.post("/answer", data=form(other.get("/work").text, pairwise="first"))
    skipped, vote = export_rows(here.base).preferences
    assert (skipped.label, skipped.status, skipped.raw) == (None, "refused", "not my subject")
    assert (vote.rater, vote.status) == ("crowd:02", "ok")
    export_to(here.work.texts.study, here.base)
    again = site(folder=here.settings.study, overlap=0)
    assert export_rows(again.base) == export_rows(here.base)


def test_an_answer_in_another_tab_does_not_undo_a_skip(asking: Callable[..., Site]) -> None:
    here = asking(1)
    rater = here.rater()
    page = rater.get("/work").text
    skip(rater, page)
    late = rater.post("/answer", data=form(page, pairwise="first"), headers={"accept": "application/json"})
    assert late.json() == {"saved": False, "answer": {}, "attempt": 0}
    (row,) = export_rows(here.base).preferences
    assert (row.label, row.raw) == (None, "not my subject")


def test_a_skipped_rating_is_missing_on_every_scale(asking: Callable[..., Site]) -> None:
    here = asking(1, tasks=("quality", "safety"), groups=("author",))
    rater = here.rater("author")
    page = rater.get("/work").text
    assert "Both answers are bad" not in page
    skip(rater, page, "cut off")
    found = {row.scale: (row.value, row.status, row.raw) for row in export_rows(here.base).grades}
    assert found == dict.fromkeys(("quality", "safety"), (None, "refused", "cut off"))


def test_a_skipped_check_is_not_asked_again_and_no_vote(asking: Callable[..., Site]) -> None:
    here = asking(3, attention_every=1)
    rater = here.rater()
    rater.post("/answer", data=form(rater.get("/work").text, pairwise="first"))
    skip(rater, rater.get("/work").text)  # the same comparison, its sides swapped
    rater.post("/answer", data=form(rater.get("/work").text, pairwise="first"))
    assert [row.status for row in export_rows(here.base).preferences] == ["ok", "ok"]


def test_what_the_protocol_does_not_ask_for_is_neither_shown_nor_taken(asking: Callable[..., Site]) -> None:
    here = asking(1, may=[])
    rater = here.rater()
    page = rater.get("/work").text
    assert not re.search('/skip|name="comment"|both_bad', page)
    assert "no such page" in skip(rater, page)
    rater.post("/answer", data=form(page, pairwise="tie", comment="well", both_bad="yes"))
    assert (only_row(here).raw, only_row(here).both_bad) == (None, False)


def test_a_database_of_the_former_version_comes_forward_with_its_votes(tmp_path: Path) -> None:
    """The file was made by the code before remarks: answers, ratings, a check, an excluded rater, an open item."""
    folder = make_study(tmp_path / "study", 5)
    with sqlite3.connect(tmp_path / "x.sqlite") as connection:
        connection.executescript((DATABASES / "0003.sql").read_text())
    url = sqlite_url(tmp_path / "x.sqlite")
    base = Database(url)
    assert migrate.version(base) == "0003"
    settings = AnnotateSettings(study=folder, overlap=2, tasks=("pairwise", "quality"), attention_every=2)
    here = Site(settings, url)
    rows = export_rows(here.base)
    assert list(rows.preferences) == list(read_jsonl(DATABASES / "0003.preferences.jsonl", Preference))
    assert list(rows.grades) == list(read_jsonl(DATABASES / "0003.grades.jsonl", Grade))
    assert "crowd:02" in here.lead().get("/lead").text
    for one in (base, here.base):
        one.close()


def test_criteria_strength_and_reasons_are_asked_of_people(site: MakeSite, study: MakeStudy) -> None:
    folder = study(1)
    words = yaml.safe_load((folder / "protocol.yaml").read_text())
    own = {"criteria": {"facts": "Which has the facts right?"}, "strength": True, "reasons": True}
    (folder / "protocol.yaml").write_text(yaml.safe_dump(words | own))
    here = site(folder=folder, overlap=0)
    rater = here.rater()
    page = rater.get("/work").text
    assert "Which has the facts right?" in page
    assert re.search(r'<textarea name="comment" required', page)
    first_choice = page.index('<button class="choice"')  # it sends the form
    assert all(page.index(f'name="{name}"') < first_choice for name in ("criterion", "strength", "comment"))
    assert page.count('name="comment"') == 1
    said = {"pairwise": "first", "comment": "Because.", "strength": "clear", "criterion": "facts:second"}
    for name in ("comment", "strength", "criterion"):
        assert rater.post("/answer", data=form(page, **said) | {name: ""}).status_code == 422
    assert rater.post("/answer", data=form(page, **said) | {"criterion": "other:second"}).status_code == 422
    rater.post("/answer", data=form(page, **said))
    row = only_row(here)
    assert row.shown is not None
    assert (row.label, row.criteria, row.strength, row.raw) == (
        row.shown[0],
        {"facts": row.shown[1]},
        "clear",
        "Because.",
    )
    rater.post("/undo", data=form(rater.get("/saved").text))
    page = rater.get("/work").text
    assert re.search(r'<option value="facts:second" selected', page)
    assert re.search(r'<option value="clear" selected', page)
    rater.post("/answer", data=form(page, **said | {"pairwise": "tie", "strength": ""}))
    assert (only_row(here).label, only_row(here).strength) == ("tie", None)
    export_to(here.work.texts.study, here.base)
    again = site(folder=here.settings.study, overlap=0)
    assert only_row(again).criteria == only_row(here).criteria
