"""Known answers, screen-outs of panels, places that go back, and the lead's decisions."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from starlette.testclient import TestClient
from tests.annotate.conftest import MakeSite, MakeStudy, Site, enter, field, form, on_both_databases

from lima.annotate import people
from lima.annotate.compare.adjudication import Adjudication, decided
from lima.annotate.compare.exchange import export_rows
from lima.annotate.compare.presentations import TO_STUDY, Presentation
from lima.annotate.compare.raters import rater_figures
from lima.annotate.compare.texts import Gold
from lima.files import read_jsonl, write_jsonl
from lima.records import Message

BACK = {"panel": "generic", "panel_return": "https://panel.example/done"}
ENDS = {"panel_screened": "https://panel.example/out", "panel_failed": "https://panel.example/failed"}


def gold(tmp_path: Path, count: int = 3) -> Path:
    path = tmp_path / "gold.jsonl"
    asked = (Message(role="user", content="Which is right?"),)
    rows = [Gold(messages=asked, a=f"gold right {n}.", b=f"gold wrong {n}.", label="a") for n in range(count)]
    write_jsonl(path, rows)
    return path


def work_through(browser: TestClient, right: bool, most: int = 30) -> list[str]:
    """Vote on what comes; answer the checks right or wrong. The pages seen."""
    seen = []
    for _ in range(most):
        page = browser.get("/work").text
        if 'name="item"' not in page:
            break
        seen.append(page)
        is_first_right = page.find("gold right") < page.find("gold wrong")
        choice = "first" if is_first_right == right else "second"
        reply = browser.post("/answer", data=form(page, pairwise=choice))
        seen.append(reply.text)
    return seen


@on_both_databases
def test_known_answers_are_asked_and_counted_but_never_exported(site: MakeSite, tmp_path: Path) -> None:
    here = site(8, overlap=0, gold=gold(tmp_path), gold_every=3)
    browser = here.rater()
    seen = work_through(browser, right=True)
    asked = sum("gold right" in page and "Saved." in page for page in seen)
    assert asked >= 3
    assert len(export_rows(here.base).preferences) == 8
    known = {text_id: row.label for text_id, row in here.work.texts.gold.items()}
    assert rater_figures(here.base, known)[1].gold == "3 of 3"
    assert "gold/" not in "".join(seen)


@on_both_databases
def test_missed_checks_end_the_work_and_give_the_places_back(site: MakeSite, tmp_path: Path) -> None:
    here = site(8, overlap=0, gold=gold(tmp_path), gold_every=2, gold_misses=2, **BACK, **ENDS)
    careless = here.browser()
    enter(careless, id="p1")
    seen = work_through(careless, right=False)
    assert "https://panel.example/failed" in seen[-1]
    assert careless.get("/work").status_code == 401
    assert export_rows(here.base).preferences == ()
    again = enter(here.browser(), id="p1")
    assert "this study ends here for you" in again
    assert "https://panel.example/failed" in again
    stranger = here.browser().get("/checked", params={"proof": "0" * 64})
    assert "https://panel.example/failed" not in stranger.text, "the code is for those who failed"
    careful = here.rater()
    work_through(careful, right=True)
    assert len(export_rows(here.base).preferences) == 8
    assert {row.rater for row in export_rows(here.base).preferences} == {"crowd:02"}


def test_a_changed_list_of_known_answers_harms_nobody(site: MakeSite, tmp_path: Path) -> None:
    """Rows that went since are no misses, and one that is open on a screen makes way."""
    here = site(8, overlap=0, gold=gold(tmp_path, 6), gold_every=1, gold_misses=2)
    browser = here.rater()
    seen = "".join(work_through(browser, right=True, most=5))
    while "gold right" not in (page := browser.get("/work").text):
        browser.post("/answer", data=form(page, pairwise="first"))
    seen += page
    work: Any = here.assignment
    kept = {text_id: row.label for text_id, row in here.work.texts.gold.items() if row.a not in seen}
    assert 0 < len(kept) <= len(here.work.texts.gold) - 3, "two were answered, and one is open"
    work.rules = replace(work.rules, gold=kept)
    assert "gold right" not in browser.get("/work").text
    later = "".join(work_through(browser, right=True))
    assert "gold right" in later, "one of those that are left was asked"
    assert people.raters_joined(here.base)[0].state == "active"


def test_a_script_is_told_to_leave(site: MakeSite, tmp_path: Path) -> None:
    here = site(4, overlap=0, gold=gold(tmp_path), gold_every=1, gold_misses=1)
    browser = here.rater()
    replies: list[Any] = []
    for _ in range(3):
        page = browser.get("/work").text
        choice = "second" if page.find("gold right") < page.find("gold wrong") else "first"
        sent = browser.post(
            "/answer", data=form(page, pairwise=choice), headers={"accept": "application/json"}
        )
        replies.append(sent.json())
        if "to" in replies[-1]:
            break
    assert replies[-1] == {"to": "/checked"}


def test_a_panels_rater_for_whom_nothing_is_left_is_screened_out(site: MakeSite) -> None:
    here = site(1, overlap=0, **BACK, **ENDS)
    first, second = here.browser(), here.browser()
    enter(first, id="p1")
    work_through(first, right=True)
    assert "https://panel.example/done" in first.get("/work").text
    assert "https://panel.example/out" in enter(second, id="p2")


def test_who_declines_is_screened_out_and_the_place_is_free_at_once(site: MakeSite) -> None:
    here = site(1, overlap=0, **BACK, **ENDS)
    first = here.browser()
    enter(first, id="p1")
    csrf = field(first.get("/pause").text, "csrf")
    left = first.post("/leave", data={"csrf": csrf})
    assert "https://panel.example/out" in left.text
    assert 'name="item"' in here.rater().get("/work").text


def disagree(here: Site) -> None:
    for choice in ("first", "second"):
        browser = here.rater()
        for _ in range(2):
            page = browser.get("/work").text
            left_first = page.find("left-") < page.find("right-")
            chosen = choice if left_first else {"first": "second", "second": "first"}[choice]
            browser.post("/answer", data=form(page, pairwise=chosen))


@on_both_databases
def test_the_leads_decisions_are_recorded_changed_and_exported(site: MakeSite) -> None:
    here = site(2, overlap=2, groups=("crowd",), overlap_votes=2)
    disagree(here)
    lead = here.lead()
    page = lead.get("/lead/disagreements").text
    values = {"csrf": field(page, "csrf"), "comparison": "cmp-000", "reason": "the left one is right"}
    assert lead.post("/lead/adjudicate", data=values | {"label": "b"}).status_code == 200
    page = lead.post("/lead/adjudicate", data=values | {"label": "a"}).text
    assert "decided: A" in page
    assert lead.post("/lead/adjudicate", data=values | {"label": "c"}).status_code == 422
    assert lead.post("/lead/adjudicate", data=values | {"label": "a", "comparison": "x"}).status_code == 404
    lead.post("/lead/export", data={"csrf": values["csrf"]})
    (row,) = read_jsonl(here.settings.place / "adjudications.jsonl", Adjudication)
    assert (row.comparison_id, row.label, row.reason) == ("cmp-000", "a", "the left one is right")
    assert len(export_rows(here.base).preferences) == 4  # a decision changes no vote
    again = site(folder=here.settings.study, overlap=2, groups=("crowd",), overlap_votes=2)
    assert decided(again.base) == decided(here.base), "a new database takes them over"


def test_a_closed_study_takes_no_answers(site: MakeSite) -> None:
    here = site(3, overlap=0)
    browser, lead = here.rater(), here.lead()
    page = browser.get("/work").text
    csrf = field(lead.get("/lead").text, "csrf")
    assert "The study is closed" in lead.post("/lead/close", data={"csrf": csrf}).text
    assert browser.post("/answer", data=form(page, pairwise="first")).status_code == 410
    assert browser.get("/work").status_code == 410
    assert "This study is closed" in lead.get("/lead").text


def habits(number: int, name: str, sees_left: bool) -> tuple[str, float]:
    """What a rater of some habit chooses on the screen, and how long it takes; the better answer is the left one."""
    generator = random.Random(f"{name}/{number}")
    honest = "first" if sees_left == (generator.random() < 0.85) else "second"
    return {
        "always a tie": ("tie", 20.0),
        "alternating": (("first", "second")[number % 2], 20.0),
        "three in turn": (("first", "second", "tie")[number % 3], 20.0),
        "random": (generator.choice(["first", "second", "tie"]), 20.0),
        "no time": (honest, 0.5),
        "always first": ("first", 20.0),
        "tires": (honest, 30.0 if number < 20 else 4.0),
    }.get(name, (honest, 15.0 + 10 * generator.random()))


EXPECTED = {
    "always a tie": "nearly always a tie",
    "alternating": "follows a pattern",
    "three in turn": "follows a pattern",
    "random": "agrees less than the others",
    "no time": "under 3 s an answer",
    "always first": "leans to one side",
    "tires": "speeds up: 30 s, later 4 s",
}


def test_every_bad_habit_shows_and_no_honest_rater_is_marked(site: MakeSite) -> None:
    size, names = 40, [*EXPECTED, *(f"honest {n}" for n in range(6))]
    here = site(size, overlap=size, overlap_votes=len(names), groups=("crowd",))
    found = {}
    for name in names:
        code = people.invite(here.base, "crowd", name, here.clock())
        person = people.accept(here.base, code, name, here.clock())
        assert isinstance(person, people.Participant)
        found[name] = person.id
        for number in range(size):
            shown = here.assignment.next(person)
            assert isinstance(shown, Presentation)
            choice, seconds = habits(number, name, shown.shown == "ab")
            here.clock.now += 60
            label = TO_STUDY[shown.shown][choice]
            read = lambda _, label=label: {"pairwise": label}  # noqa: E731
            here.assignment.answer(person, shown.token, read, attempt=0, seconds=seconds)
    figures = rater_figures(here.base, {})
    for name, rater_id in found.items():
        warnings = figures[rater_id].warnings
        if name in EXPECTED:
            assert EXPECTED[name] in warnings, (name, figures[rater_id])
        else:
            assert warnings == (), (name, figures[rater_id])


def test_repeats_that_differ_are_marked(site: MakeSite) -> None:
    """A rater who always takes the answer shown first contradicts itself when sides are swapped."""
    here = site(24, overlap=0, attention_every=4)
    browser = here.rater()
    while 'name="item"' in (page := browser.get("/work").text):
        browser.post("/answer", data=form(page, pairwise="first"))
    found = rater_figures(here.base, {})[1]
    assert found.checks.startswith("0 of ")
    assert "contradicts itself" in found.warnings


def test_one_rating_for_everything_is_marked_on_a_scale_of_ones_own(site: MakeSite, study: MakeStudy) -> None:
    folder = study(24)
    words = yaml.safe_load((folder / "protocol.yaml").read_text())
    tone = {"question": "How friendly is it?", "choices": {"1": "Rude.", "2": "Neutral.", "3": "Warm."}}
    (folder / "protocol.yaml").write_text(yaml.safe_dump(words | {"scales": {"tone": tone}}))
    here = site(folder=folder, tasks=("tone",))
    browser = here.rater("author")
    while 'name="item"' in (page := browser.get("/work").text):
        here.clock.now += 30
        browser.post("/answer", data=form(page, tone="3"))
    (found,) = here.work.console_values()["figures"].values()
    assert found.warnings == ("nearly always the same value: tone",)


def test_one_rating_for_everything_is_marked_and_only_on_a_scale(site: MakeSite) -> None:
    """Of two values one may be nearly always right; of six hardly."""
    here = site(24, tasks=("helpfulness", "safety"), rating_votes=2)
    for values in ("6", "12345"):
        browser, number = here.rater("author"), 0
        while 'name="item"' in (page := browser.get("/work").text):
            here.clock.now += 30
            browser.post("/answer", data=form(page, helpfulness=values[number % len(values)], safety="safe"))
            number += 1
    first, second = rater_figures(here.base, {}).values()
    assert first.warnings == ("nearly always the same value: helpfulness",)
    assert second.warnings == ()
