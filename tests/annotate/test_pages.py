"""The pages over HTTP: what raters see and send, and that no response tells what must stay hidden."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from anyio import CapacityLimiter, to_thread
from starlette.testclient import TestClient
from tests.annotate.conftest import MakeSite, MakeStudy, Site, enter, field, form, on_both_databases

from lima.annotate.app import THREADS
from lima.annotate.compare.exchange import export_rows
from lima.annotate.pages import templates
from lima.annotate.tables import presentations
from lima.errors import LimaError
from lima.evaluate.protocol import OwnScale, read_protocol
from lima.files import write_text

JSON = {"accept": "application/json"}


def order(page: str) -> list[str]:
    """The answers as they stand on the page, such as ``["right-3", "left-3"]``."""
    return re.findall(r"(?:left|right|single)-\d+", page)


def vote(browser: TestClient, choice: str = "first") -> str:
    """Answer the item in hand; the page that showed it."""
    page = browser.get("/work").text
    reply = browser.post("/answer", data=form(page, pairwise=choice), headers=JSON)
    assert reply.json()["saved"], reply.text
    return page


@on_both_databases
def test_a_choice_on_the_screen_becomes_a_label_of_the_study(site: MakeSite) -> None:
    here = site(8, overlap=0)
    rater = here.rater()
    expected = {}
    for number in range(8):
        choice = ["first", "second", "tie"][number % 3]
        left_first = order(page := vote(rater, choice))[0].startswith("left")
        frame = {"first": "a" if left_first else "b", "second": "b" if left_first else "a", "tie": "tie"}
        expected[re.findall(r"question-(\d+)", page)[0]] = frame[choice]
    rows = export_rows(here.base).preferences
    assert {str(int(row.comparison_id[4:])): row.label for row in rows} == expected
    assert {row.shown for row in rows} == {"ab", "ba"}


def test_ratings_are_stored_by_scale(site: MakeSite) -> None:
    here = site(2, tasks=("quality", "helpfulness", "safety"))
    rater = here.rater("author")
    page = rater.get("/work").text
    answer = form(page, quality="excellent", helpfulness="5", safety="unsafe")
    assert rater.post("/answer", data=answer, headers=JSON).json()["saved"]
    rows = export_rows(here.base).grades
    assert [(row.scale, row.value) for row in rows] == [
        ("helpfulness", 5),
        ("quality", "excellent"),
        ("safety", "unsafe"),
    ]
    assert {row.rater for row in rows} == {"author:01"}


def test_scales_of_the_study_s_own_are_asked_and_stored(site: MakeSite, study: MakeStudy) -> None:
    folder = study(2)
    own = {"tone": OwnScale(question="How friendly is it?", choices={"0": "Rude.", "10": "Warm."})}
    protocol = read_protocol(folder / "protocol.yaml").model_copy(update={"scales": own})
    write_text(folder / "protocol.yaml", protocol.to_yaml())
    here = site(folder=folder, tasks=("tone", "quality"))
    rater = here.rater("author")
    page = rater.get("/work").text
    assert "How friendly is it?" in page
    odd = rater.post("/answer", data=form(page, quality="pass", tone="7"), headers=JSON)
    assert (odd.status_code, odd.json()) == (422, {"problem": "Choose a value for tone."})
    reply = rater.post("/answer", data=form(page, quality="pass", tone="10"), headers=JSON).json()
    assert reply["answer"] == {"tone": "10", "quality": "pass"}
    rows = export_rows(here.base).grades
    assert [(row.scale, row.value) for row in rows] == [("quality", "pass"), ("tone", 10)]
    with pytest.raises(LimaError, match="no task 'taste'"):
        site(folder=folder, tasks=("taste",))


@pytest.mark.parametrize("choices", [{}, {"pairwise": "a"}, {"pairwise": "third"}, {"quality": "pass"}])
def test_an_answer_that_was_not_offered_is_refused(site: MakeSite, choices: dict[str, str]) -> None:
    rater = site().rater()
    reply = rater.post("/answer", data=form(rater.get("/work").text, **choices), headers=JSON)
    assert reply.status_code == 422
    assert reply.json() == {"problem": "Choose one of the three answers."}


def test_without_scripts_the_forms_lead_through_save_undo_and_next(site: MakeSite) -> None:
    rater = site().rater()
    page = rater.get("/work").text
    saved = rater.post("/answer", data=form(page, pairwise="tie")).text
    assert "Saved." in saved
    assert "Neither answer is significantly better than the other." in saved
    assert order(saved) == order(page)
    again = rater.post("/undo", data=form(saved)).text
    assert order(again) == order(page)
    assert field(again, "attempt") == "1"
    rater.post("/answer", data=form(again, pairwise="first"))
    following = rater.get("/work").text
    assert order(following) != order(page)
    rater.post("/answer", data=form(following, pairwise="first"))
    too_late = rater.post("/undo", data=form(again))
    assert too_late.status_code == 409


def test_two_tabs_and_a_double_click_make_one_vote(site: MakeSite) -> None:
    here = site()
    rater = here.rater()
    one, other = rater.get("/work").text, rater.get("/work").text
    assert field(one, "item") == field(other, "item")
    replies = [
        rater.post("/answer", data=form(page, pairwise=choice), headers=JSON).json()
        for page, choice in ((one, "first"), (one, "first"), (other, "second"))
    ]
    assert [reply["answer"] for reply in replies] == [{"pairwise": "first"}] * 3
    assert len(export_rows(here.base).preferences) == 1


def test_progress_and_the_end_are_told(site: MakeSite) -> None:
    rater = site(2, overlap=0).rater()
    assert "0 of 2" in rater.get("/work").text
    vote(rater)
    assert "1 of 2" in rater.get("/work").text
    vote(rater)
    assert "You answered 2 items" in rater.get("/work").text


def test_who_waits_for_others_is_told_when_to_come_back(site: MakeSite) -> None:
    here = site(1, overlap=0)
    here.rater().get("/work")
    assert "Look again in 30 min." in here.rater().get("/work").text


@pytest.mark.parametrize(
    ("sent", "stored"), [("12.5", 12.5), ("", 60.0), ("1e9", 60.0), ("-3", 0.0), ("nan", 60.0)]
)
def test_time_is_what_the_browser_measured_within_what_the_server_saw(
    site: MakeSite, sent: str, stored: float
) -> None:
    here = site()
    rater = here.rater()
    page = rater.get("/work").text
    here.clock.now += 60
    rater.post("/answer", data=form(page, pairwise="first", seconds=sent))
    assert export_rows(here.base).preferences[0].seconds == stored


def everything(here: Site) -> list[str]:
    """Every response that raters get in the course of a study, headers included."""
    texts: list[str] = []
    for group in ("crowd", "crowd", "author"):
        rater = here.rater(group)
        for path in ("/work", "/pause", "/saved", "/nowhere"):
            reply = rater.get(path)
            texts.append(f"{reply.headers}\n{reply.text}")
        for _ in range(4):
            page = vote(rater, "second")
            saved = rater.get("/saved").text
            json_reply = rater.post("/answer", data=form(page, pairwise="second"), headers=JSON).text
            texts += [page, saved, json_reply]
    return texts


def test_no_response_names_a_study_id_a_rater_or_a_side(site: MakeSite) -> None:
    here = site(6, overlap=6)
    for text in everything(here):
        assert not re.search(r"cmp-\d|item-\d{3}", text), "the study's ids link pages to files"
        assert not re.search(r"(crowd|author):\d", text), "rater ids"
        assert not re.search(r"\b(ab|ba)\b", text), "the order drawn"


def test_a_page_is_the_same_whatever_others_said(site: MakeSite, study: Callable[[int], object]) -> None:
    """Two studies that differ only in the votes of other raters look alike to the next one."""

    def seen(choice: str, folder: object) -> str:
        here = site(folder=folder, overlap=3, groups=("crowd",))
        other = here.rater()
        for _ in range(3):
            vote(other, choice)
        rater = here.rater()
        return re.sub(r'name="(item|csrf)" value="[^"]*"', "", rater.get("/work").text)

    folder = study(3)
    assert seen("first", folder) == seen("second", folder)


def test_the_page_of_one_order_mirrors_that_of_the_other(site: MakeSite) -> None:
    """Apart from the texts' places nothing tells which file side is on which side of the screen."""
    here = site(1, overlap=1, overlap_votes=30, groups=("crowd",))
    pages: dict[str, set[str]] = {"left": set(), "right": set()}
    for _ in range(12):
        page = here.rater().get("/work").text
        blank = re.sub(r'name="(item|csrf)" value="[^"]*"', "", re.sub("left|right", "text", page))
        pages[order(page)[0][:-2]].add(re.sub(r"0 of \d+", "", blank))
    assert pages["left"] == pages["right"]
    assert len(pages["left"]) == 1


def test_the_names_of_items_differ_between_raters(site: MakeSite) -> None:
    here = site(1, overlap=1)
    names = {field(here.rater().get("/work").text, "item") for _ in range(2)}
    assert len(names) == 2


def test_the_key_is_opened_by_nobody(site: MakeSite) -> None:
    """The study's files with names are folders here: opening one would fail (see `conftest.make_study`)."""
    here = site(3, overlap=0)
    vote(here.rater())
    lead = here.lead()
    exported = lead.post("/lead/export", data={"csrf": field(lead.get("/lead").text, "csrf")})
    assert ": 1 verdicts, 0 ratings" in exported.text


def test_a_lost_open_item_is_closed_and_another_comes(site: MakeSite) -> None:
    here = site(2, overlap=0)
    slow, quick = here.rater(), here.rater()
    kept = slow.get("/work").text
    here.clock.now += 1801
    for _ in range(2):
        vote(quick)
    assert "All places of this study are taken" in slow.get("/work").text
    late = slow.post("/answer", data=form(kept, pairwise="first"), headers=JSON).json()
    assert late["saved"]
    with here.base.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).where(presentations.c.state == "surplus")) == 1
    assert len(export_rows(here.base).preferences) == 2


def test_the_plan_counts_no_more_comparisons_than_there_are(site: MakeSite) -> None:
    page = site(8, overlap=50).lead().get("/lead").text
    assert "Plan: comparisons for every group (crowd, author): 8, each with 2 votes a group." in page
    assert "every other comparison" not in page
    assert "every other comparison: 1." in site(9, overlap=3).lead().get("/lead").text


def test_the_lead_reads_what_raters_disagree_on(site: MakeSite) -> None:
    here = site(3, overlap=3, groups=("crowd",))
    one, other = here.rater(), here.rater()
    for number in range(3):
        left_first = order(vote(one, "first"))[0].startswith("left")
        # The other rater gets the items in the same order; it agrees on the first and takes the other side after.
        page = other.get("/work").text
        same_side = order(page)[0].startswith("left") == left_first
        choice = "first" if same_side == (number == 0) else "second"
        other.post("/answer", data=form(page, pairwise=choice))
    page = here.lead().get("/lead/disagreements").text
    assert "votes for both sides: 2." in page
    assert page.count("crowd:01: ") == page.count("crowd:02: ") == 2


def test_progress_moves_on_an_attention_check_too(site: MakeSite) -> None:
    """A bar that stands still would tell a check from an item."""
    here = site(4, overlap=0, attention_every=2)
    rater = here.rater()
    counts = [re.findall(r"(\d+) of \d+", vote(rater))[0] for _ in range(6)]
    assert counts == ["0", "1", "2", "3", "4", "5"]


def test_a_panels_rater_comes_in_by_address_and_returns_with_the_code(site: MakeSite) -> None:
    back = "https://app.prolific.com/submissions/complete?cc=ABC123"
    here = site(3, overlap=0, panel="prolific", panel_return=back, per_rater=1)
    browser = here.browser()
    assert browser.get("/panel").status_code == 422
    ids = {"PROLIFIC_PID": "5f1", "STUDY_ID": "2", "SESSION_ID": "3"}
    page = enter(browser, **ids)
    assert order(page)
    browser.post("/answer", data=form(page, pairwise="first"))
    assert f'href="{back}"' in browser.get("/work").text
    again = here.browser()
    assert f'href="{back}"' in enter(again, **ids), "the same person, on another device"
    assert "crowd:02" not in here.lead().get("/lead").text


def test_few_requests_are_at_work_at_a_time(site: MakeSite) -> None:
    with site().browser() as browser:
        assert browser.portal is not None
        limiter = browser.portal.call(_limiter)
    assert limiter.total_tokens == THREADS


async def _limiter() -> CapacityLimiter:
    return to_thread.current_default_thread_limiter()


def test_a_running_server_keeps_its_templates() -> None:
    """An upgrade of lima in place would mix two versions of a page with one of its values."""
    assert not templates().auto_reload
