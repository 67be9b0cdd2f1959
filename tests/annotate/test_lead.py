"""What the lead takes out: links for many, rows as CSV, and a log of what was done."""

from __future__ import annotations

import csv
import io

import pytest
from tests.annotate.conftest import MakeSite, field, form

from lima.annotate.lead.spreadsheet import names_of


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
