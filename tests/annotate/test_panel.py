"""People whom a panel sends: an introduction first, always a way out, and ids that stand apart from the answers."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from tests.annotate.conftest import MakeSite, Site, enter, field, form, make_study, on_both_databases

from lima.annotate import people
from lima.annotate.compare.exchange import export_rows
from lima.annotate.people import raters_joined
from lima.evaluate.protocol import Protocol
from lima.files import write_text

PANEL = {
    "panel": "generic",
    "panel_return": "https://panel.example/done",
    "panel_screened": "https://panel.example/out",
    "panel_left": "https://panel.example/left",
}


def answer(browser: object, page: str) -> str:
    return browser.post("/answer", data=form(page, pairwise="first")).text  # type: ignore[attr-defined, no-any-return]


def lead_does(here: Site, path: str, **values: str) -> str:
    lead = here.lead()
    return lead.post(path, data={"csrf": field(lead.get("/lead").text, "csrf")} | values).text


def panel_rows(here: Site) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(here.lead().get("/lead/panel.csv").text)))


def test_an_introduction_comes_first_and_takes_no_place(site: MakeSite) -> None:
    here = site(1, overlap=0, **PANEL)
    for number in range(30):
        assert (
            "You are invited to judge answers"
            in here.browser().get("/panel", params={"id": f"x{number}"}).text
        )
    assert raters_joined(here.base) == []
    assert "question-0" in enter(here.browser(), id="p1")


@on_both_databases
def test_ids_stand_apart_from_the_answers_and_can_be_deleted(site: MakeSite) -> None:
    here = site(2, overlap=0, **PANEL)
    browser = here.browser()
    page = enter(browser, id="=cmd()", study="s7", session="t9")
    answer(browser, page)
    page = browser.get("/work").text
    answer(browser, page)
    assert "https://panel.example/done" in browser.get("/work").text
    (row,) = panel_rows(here)
    assert (row["rater"], row["participant"], row["study"], row["session"]) == (
        "crowd:01",
        "'=cmd()",
        "s7",
        "t9",
    )
    assert (row["way_out"], row["state"]) == ("completed", "active")
    assert row["arrived"].startswith("2027-")
    lead_does(here, "/lead/export")
    assert "cmd()" not in "".join(
        path.read_text() for path in here.settings.place.glob("[pgr][rea][ea]*s.jsonl") if path.is_file()
    )
    lead_does(here, "/lead/panel/forget")
    assert panel_rows(here) == []
    assert len(export_rows(here.base).preferences) == 2


def test_who_finds_the_rest_taken_can_end_with_a_code(site: MakeSite) -> None:
    here = site(2, overlap=0, **PANEL)
    first, second, third = (here.browser() for _ in range(3))
    answer(first, enter(first, id="p1"))
    enter(second, id="p2")
    waiting = first.get("/work").text
    assert "Look again" in waiting
    assert "https://panel.example/done" in waiting
    empty_handed = enter(third, id="p3")
    assert "Look again" in empty_handed
    assert "https://panel.example/out" in empty_handed


def test_leaving_midway_and_a_closed_study_have_a_way_back(site: MakeSite) -> None:
    here = site(3, overlap=0, **PANEL)
    first, second = here.browser(), here.browser()
    answer(first, enter(first, id="p1"))
    enter(second, id="p2")
    csrf = field(first.get("/pause").text, "csrf")
    assert "https://panel.example/left" in first.post("/leave", data={"csrf": csrf}).text
    late = form(second.get("/work").text, pairwise="first")
    lead_does(here, "/lead/close")
    said = second.post("/answer", data=late, headers={"accept": "application/json"}).json()["problem"]
    assert said.startswith("The study was closed before this arrived"), "it does not claim to be saved"
    page = second.get("/work").text
    assert "https://panel.example/out" in page
    assert "<h1>The study is closed</h1>" in page
    assert [row["way_out"] for row in panel_rows(here)] == ["left", "screened"]


def test_a_cap_and_a_list_keep_invented_ids_out(site: MakeSite, tmp_path: Path) -> None:
    capped = site(9, overlap=0, panel_most=2, **PANEL)
    pages = [enter(capped.browser(), id=f"x{number}") for number in range(5)]
    assert ["question-" in page for page in pages] == [True, True, False, False, False]
    assert "https://panel.example/out" in pages[-1]
    ids = tmp_path / "ids.txt"
    ids.write_text("p1\n p2 \n")
    listed = site(9, overlap=0, panel_ids=ids, folder=capped.settings.study, **PANEL)
    pages = [enter(listed.browser(), id=name) for name in ("p1", "p2", "p3")]
    assert ["question-" in page for page in pages] == [True, True, False]
    assert "not on the study" in pages[-1]


def test_the_lead_excludes_the_idle_of_a_panel_at_once(site: MakeSite) -> None:
    here = site(20, overlap=0, **PANEL)
    diligent = here.browser()
    answer(diligent, enter(diligent, id="p1"))
    invited = here.rater()
    for number in range(10):
        enter(here.browser(), id=f"x{number}")
    assert "Excluded raters of the panel: 10." in lead_does(here, "/lead/panel/exclude", fewest="1")
    states = [rater.state for rater in raters_joined(here.base)]
    assert states.count("excluded") == 10
    assert states.count("active") == 2
    assert "question-" in invited.get("/work").text


def test_what_the_protocol_says_is_read_agreed_to_and_at_hand(site: MakeSite, tmp_path: Path) -> None:
    folder = make_study(tmp_path / "texts", 3)
    protocol = Protocol(
        introduction="Ten **minutes**, 2 pounds.",
        consent="I am of age and agree.",
        instructions="Prefer *short* answers.",
    )
    write_text(folder / "protocol.yaml", protocol.to_yaml())
    here = site(folder=folder, overlap=0, **PANEL)
    browser = here.browser()
    welcome = browser.get("/panel", params={"id": "p1"}).text
    assert "<strong>minutes</strong>" in welcome
    assert "I am of age and agree." in welcome
    form = {"csrf": field(welcome, "csrf")}
    refused = browser.post("/panel", params={"id": "p1"}, data=form)
    assert refused.status_code == 422
    assert raters_joined(here.base) == []
    page = browser.post("/panel", params={"id": "p1"}, data=form | {"consent": "yes"}).text
    assert "Prefer <em>short</em> answers." in page


@pytest.mark.parametrize(
    "address",
    [
        "/panel",
        "/panel?id=",
        "/panel?id=%20",
        "/panel?id=" + "x" * 300,
        "/panel?id=%7B%7B%25PROLIFIC_PID%25%7D%7D",
        "/panel?id=${id}",
    ],
)
def test_an_address_without_a_person_is_refused_with_a_remedy(site: MakeSite, address: str) -> None:
    """A placeholder that was not filled in would let all people of a panel work as one."""
    here = site(2, overlap=0, **PANEL)
    came = here.browser().get(address)
    assert came.status_code == 422
    assert "from the panel&#39;s own page again" in came.text
    assert raters_joined(here.base) == []
    assert site(3, overlap=0).browser().get(address).status_code == 404, "where there is no panel"


def test_the_welcome_says_what_is_kept(site: MakeSite) -> None:
    here = site(1, overlap=0, **PANEL)
    assert "The id under which the panel sent you" in here.browser().get("/panel", params={"id": "p1"}).text
    code = people.invite(here.base, "crowd", "", here.clock())
    assert "The id under which" not in here.browser().get(f"/join/{code}").text


def test_a_browser_without_cookies_is_told_so(site: MakeSite) -> None:
    here = site(1, overlap=0, **PANEL)
    code = people.invite(here.base, "crowd", "", here.clock())
    for address in (f"/join/{code}", "/panel?id=p1"):
        browser = here.browser()
        csrf = field(browser.get(address).text, "csrf")
        browser.cookies.clear()
        refused = browser.post(address, data={"csrf": csrf})
        assert refused.status_code == 403
        assert "Allow cookies" in refused.text
