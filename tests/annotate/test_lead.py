"""What the lead takes out: links for many, rows as CSV, and a log of what was done."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from tests.annotate.conftest import MakeSite, Site, enter, field, form, make_study, on_both_databases

from lima.annotate import people
from lima.annotate.compare.exchange import export_rows
from lima.annotate.lead.spreadsheet import as_csv, names_of


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Ann\r\n\r\n  Bob \r\n", ["Ann", "Bob"]),
        ('name,email\nAnn,a@example.org\n"Lee, Bob",b@example.org\n', ["Ann", "Lee, Bob"]),
        ("name\n", []),
        ("", []),
    ],
)
def test_names_are_the_first_column(text: str, names: list[str]) -> None:
    assert names_of(text) == names


def test_many_links_are_made_at_once_and_each_lets_one_person_in(site: MakeSite) -> None:
    here = site(2)
    lead = here.lead()
    csrf = field(lead.get("/lead").text, "csrf")
    made = lead.post(
        "/lead/invitations/many", data={"csrf": csrf, "group": "author", "names": "name\nAnn\n=Bob()\n"}
    )
    assert made.headers["content-disposition"] == 'attachment; filename="links.csv"'
    rows = read(made.text)
    assert [row["name"] for row in rows] == ["Ann", "'=Bob()"]  # no formula in a spreadsheet
    path = rows[0]["link"].removeprefix("http://127.0.0.1")
    ann = here.browser()
    ann.post(path, data={"csrf": field(ann.get(path).text, "csrf")})
    assert ann.get("/work").status_code == 200
    assert here.browser().get(path).status_code == 410
    console = lead.get("/lead").text
    assert "used by author:01" in console
    assert "=Bob()" in console
    for names in ("", "name\n", "\n".join(["x"] * 2_001), "x" * 201):
        refused = lead.post("/lead/invitations/many", data={"csrf": csrf, "group": "crowd", "names": names})
        assert refused.status_code == 422


def test_rows_come_as_csv_too(site: MakeSite) -> None:
    here = site(2, overlap=0)
    rater = here.rater()
    rater.post("/answer", data=form(rater.get("/work").text, pairwise="tie"))
    lead = here.lead()
    (row,) = read(lead.get("/lead/export/preferences.csv").text)
    assert (row["rater"], row["label"], row["raw"]) == ("crowd:01", "tie", "")
    (person,) = read(lead.get("/lead/export/raters.csv").text)
    assert person["settings"].startswith('{"plan":')
    assert lead.get("/lead/export/grades.csv").text.strip() == ""
    for name in ("passwords.csv", "preferences.txt", ".csv"):
        assert lead.get(f"/lead/export/{name}").status_code == 404


def test_the_log_names_what_the_lead_did(site: MakeSite) -> None:
    here = site(2)
    here.rater()
    lead = here.lead()
    csrf = field(lead.get("/lead").text, "csrf")
    lead.post("/lead/invitations", data={"csrf": csrf, "group": "crowd", "note": "for <b>Ann</b>"})
    lead.post("/lead/raters/1/exclude", data={"csrf": csrf})
    decision = {"csrf": csrf, "comparison": "cmp-001", "label": "a", "reason": "it is right"}
    lead.post("/lead/adjudicate", data=decision)
    lead.post("/lead/export", data={"csrf": csrf})
    rows = read(lead.get("/lead/log.csv").text)
    assert [(row["did"], row["whom"]) for row in rows] == [
        ("exported", ""),
        ("decided", ""),
        ("excluded", "crowd:01"),
        ("made a link", ""),
        ("signed in", ""),
        ("made a link", ""),
    ]
    assert "cmp-001" in rows[1]["details"]
    assert "it is right" in rows[1]["details"]
    page = lead.get("/lead/log").text
    assert "for &lt;b&gt;Ann&lt;/b&gt;" in page
    assert here.rater().get("/lead/log").status_code == here.browser().get("/lead/log.csv").status_code == 401


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff20"])
def test_no_cell_is_a_formula(sign: str) -> None:
    (row,) = read(as_csv(("comment",), [(f"{sign}cmd|' /C calc'!A0",)]))
    assert row["comment"] == f"'{sign}cmd|' /C calc'!A0"


def bytes_of(here: Site) -> bytes:
    """All that the database's files hold."""
    folder = Path(str(here.base.engine.url.database)).parent
    return b"".join(path.read_bytes() for path in sorted(folder.glob("annotations-*")))


@on_both_databases
def test_the_personal_data_of_one_rater_can_be_deleted(site: MakeSite, database: str) -> None:
    """Her name in notes and events and the panel's ids go, from the file too; her answers and the others' names stay."""
    here = site(3, overlap=0, panel="generic", panel_return="https://panel.example/done")
    ann, bob = people.invite_all(here.base, "crowd", ["Ann Quiverfull", "Bob Oddington"], here.clock())
    for code in (ann, bob):
        browser = here.browser()
        browser.post(f"/join/{code}", data={"csrf": field(browser.get(f"/join/{code}").text, "csrf")})
    page = enter(panelist := here.browser(), id="panelist-77", study="s", session="session-88")
    panelist.post("/answer", data=form(page, pairwise="first"))
    lead = here.lead()
    csrf = field(lead.get("/lead").text, "csrf")
    lead.post("/lead/raters/1/invitations", data={"csrf": csrf})  # a way back, which carries the note too
    for rater in (1, 3):
        assert lead.post(f"/lead/raters/{rater}/forget", data={"csrf": csrf}).status_code == 200
    seen = "".join(lead.get(path).text for path in ("/lead", "/lead/log", "/lead/log.csv", "/lead/panel.csv"))
    assert "Quiverfull" not in seen
    assert "panelist-77" not in seen
    assert "Bob Oddington" in seen
    assert "deleted the personal data of" in seen
    if database == "sqlite":
        kept = bytes_of(here)
        assert b"Oddington" in kept
        assert [word for word in (b"Quiverfull", b"panelist-77", b"session-88") if word in kept] == []
    assert [row.rater for row in export_rows(here.base).preferences] == ["crowd:03"]
    assert panelist.get("/work").status_code == 200, "whoever works goes on"
    assert lead.post("/lead/raters/99/forget", data={"csrf": csrf}).status_code == 404
    assert here.rater().post("/lead/raters/1/forget", data={"csrf": csrf}).status_code == 401


def test_a_page_shows_all_that_one_rater_did(site: MakeSite, tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s", 3)
    words = (folder / "protocol.yaml").read_text().replace("people_may: []", "people_may: [comment, skip]")
    (folder / "protocol.yaml").write_text(words)
    here = site(folder=folder, overlap=3, overlap_votes=3, votes=0, attention_every=2, groups=("crowd",))
    first, second = here.rater(), here.rater()
    while 'name="item"' in (page := second.get("/work").text):
        second.post("/answer", data=form(page, pairwise="tie"))
    page = first.get("/work").text
    first.post("/answer", data=form(page, pairwise="tie", comment="<b>neither</b> cites"))
    page = first.get("/work").text
    first.post("/answer", data=form(page, pairwise="first"))
    page = first.get("/work").text  # the repeat of the first
    first.post("/answer", data=form(page, pairwise="second"))
    page = first.get("/work").text
    first.post("/skip", data=form(page, reason="too hard for me"))
    lead = here.lead()
    assert '<a href="/lead/raters/1">crowd:01</a>' in lead.get("/lead").text
    shown = lead.get("/lead/raters/1").text
    rows = [
        re.findall(r"<td[^>]*>(.*?)</td>", row)
        for row in re.findall(r'<tr><td class="when">(.*?</td>)</tr>', shown, re.S)
    ]
    said = [(row[-4], row[-3], row[-2], row[-1]) for row in rows]
    assert said == [
        ("skipped", "", "", "too hard for me"),
        ("B", "", "repeat: another", ""),
        ("A", "0 of 1", "", ""),
        ("neither", "1 of 1", "", "&lt;b&gt;neither&lt;/b&gt; cites"),
    ]
    assert "left-" not in shown
    assert lead.get("/lead/raters/99").status_code == 404
    assert first.get("/lead/raters/1").status_code == 401
