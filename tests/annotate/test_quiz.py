"""The quiz before the first item, and the pilot whose answers do not count."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.annotate.conftest import MakeSite, Site, enter, field, form, make_study, on_both_databases
from tests.annotate.test_dialogues import hold, parrots

from lima.annotate import quiz
from lima.annotate.facts import database_path
from lima.annotate.people import Participant, raters_joined
from lima.errors import LimaError
from lima.evaluate.protocol import Protocol, Quiz, QuizQuestion, read_protocol
from lima.files import write_text

QUESTIONS = (
    QuizQuestion(
        question="Is `2 + 2` **four**?", choices=("no", "yes"), right="yes", why="Count on your fingers."
    ),
    QuizQuestion(
        question="Which is longer?\n\n- a mile\n- an inch", choices=("a mile", "an inch"), right="a mile"
    ),
)
RIGHT, HALF, WRONG = {"q0": "1", "q1": "0"}, {"q0": "0", "q1": "0"}, {"q0": "0", "q1": "1"}


def study_with(folder: Path, **protocol: Any) -> Path:
    made = make_study(folder, 3)
    write_text(made / "protocol.yaml", Protocol(systems=2, comparisons=3, items=3, **protocol).to_yaml())
    return made


def send(browser: TestClient, page: str, chosen: dict[str, str]) -> str:
    hidden = {name: field(page, name) for name in ("csrf", "tries")}
    return browser.post("/quiz", data=hidden | chosen).text


@on_both_databases
def test_the_quiz_comes_first_and_is_passed_once(site: MakeSite, tmp_path: Path) -> None:
    here = site(folder=study_with(tmp_path / "s", quiz=Quiz(questions=QUESTIONS)), overlap=0)
    browser = here.rater()
    page = browser.get("/work").text
    assert "Before you begin" in page
    assert "<strong>four</strong>" in page  # as the texts of the study are shown
    assert "question-" not in page
    assert "question-" in send(browser, page, RIGHT)
    assert "question-" in browser.get("/quiz").text  # back to the work
    assert quiz.last_tries(here.base)[1].passed
    assert "quiz 2 of 2" in here.lead().get("/lead").text


def test_nothing_else_answers_before_the_quiz_is_passed(site: MakeSite, tmp_path: Path) -> None:
    here = site(folder=study_with(tmp_path / "s", quiz=Quiz(questions=QUESTIONS)), overlap=0)
    browser = here.rater()
    csrf = field(browser.get("/work").text, "csrf")
    sent = browser.post("/answer", data={"csrf": csrf, "item": "x", "attempt": "0", "pairwise": "first"})
    assert "Before you begin" in sent.text
    asked = browser.get("/work", headers={"accept": "application/json"})
    assert asked.json() == {"to": "/quiz"}
    assert "Stop for good" in browser.get("/pause").text  # the way out is there at any time


@pytest.mark.parametrize("own", ["", "https://p.example/quiz"])
def test_what_was_missed_is_marked_and_the_last_try_ends_the_work(
    site: MakeSite, tmp_path: Path, own: str
) -> None:
    panel = {
        "panel_unqualified": own or None,
        "panel": "generic",
        "panel_return": "https://p.example/done",
        "panel_screened": "https://p.example/out",
    }
    asked = Quiz(questions=QUESTIONS, attempts=2)
    here = site(folder=study_with(tmp_path / "s", quiz=asked), overlap=0, panel_most=1, **panel)
    browser = here.browser()
    again = send(browser, enter(browser, id="p1"), HALF)
    assert "Right answers: 1 of 2; needed: 2" in again
    assert "Question 1 · not right" in again
    assert "Count on your fingers." in again
    assert "Question 2 · not right" not in again
    ended = send(browser, again, WRONG)
    assert "This study ends here" in ended
    assert (own or "https://p.example/out") in ended
    assert [row.state for row in raters_joined(here.base)] == ["unqualified"]
    back = enter(browser, id="p1")
    assert "ended for you with its quiz" in back
    assert (own or "https://p.example/out") in back
    assert "Before you begin" in enter(here.browser(), id="p2")  # who failed takes no place of --panel-most


def test_an_incomplete_or_foreign_form_is_no_try(site: MakeSite, tmp_path: Path) -> None:
    here = site(folder=study_with(tmp_path / "s", quiz=Quiz(questions=QUESTIONS)), overlap=0)
    browser = here.rater()
    page = browser.get("/quiz").text
    assert "Answer every question" in send(browser, page, {"q0": "1"})
    assert "Answer every question" in send(browser, page, RIGHT | {"q1": "7"})
    assert browser.post("/quiz", data=RIGHT | {"csrf": "forged", "tries": "0"}).status_code == 403
    assert quiz.last_tries(here.base) == {}


@on_both_databases
def test_several_tabs_have_one_try_between_them(site: MakeSite, tmp_path: Path) -> None:
    here = site(folder=study_with(tmp_path / "s", quiz=Quiz(questions=QUESTIONS)), overlap=0)
    here.rater()
    person, asked = Participant(1, "crowd:01", "crowd"), Quiz(questions=QUESTIONS)
    made: list[object] = []

    def tab(given: tuple[str, str]) -> None:
        made.append(quiz.attempt(here.base, person, asked, given, number=0, now=here.clock()))

    tabs = [threading.Thread(target=tab, args=(("yes", one),)) for one in ("a mile", "an inch") * 3]
    for one in tabs:
        one.start()
    for one in tabs:
        one.join()
    assert sum(one is not None for one in made) == 1
    assert len(quiz.tries_of(here.base, person)) == 1


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("- {question: q, choices: [a, b], right: c}", "right must be one of the choices"),
        ("- {question: q, choices: [a, a], right: a}", "choices must differ"),
        ("- {question: q, choices: [a], right: a}", "choices"),
        ("- {question: q, choices: [a, b], right: a}\n  pass_mark: 2", "cannot be reached"),
    ],
)
def test_a_quiz_that_nobody_could_pass_is_refused(tmp_path: Path, lines: str, said: str) -> None:
    path = tmp_path / "protocol.yaml"
    path.write_text(f"quiz:\n  questions:\n  {lines}\n", encoding="utf-8")
    with pytest.raises(LimaError, match=said):
        read_protocol(path)


def vote(here: Site) -> None:
    browser = here.rater()
    page = browser.get("/work").text
    here.clock.now += 36
    assert browser.post("/answer", data=form(page, pairwise="first")).status_code == 200


def test_a_pilot_counts_nowhere_and_the_study_begins_anew(site: MakeSite, tmp_path: Path) -> None:
    folder = study_with(tmp_path / "s", pilot=True)
    here = site(folder=folder, overlap=0)
    assert database_path(here.settings.place).name == "pilot.sqlite"
    vote(here)
    lead = here.lead()
    console = lead.get("/lead").text
    assert "This is a pilot" in console
    assert "Answers left: 2. At the raters&#39; usual 36 s an answer that is 1 min of work" in console
    said = lead.post("/lead/export", data={"csrf": field(console, "csrf")}).text
    assert "Wrote into pilot:" in said
    assert len((folder / "pilot" / "preferences.jsonl").read_text().splitlines()) == 1
    assert not (folder / "preferences.jsonl").exists()
    write_text(folder / "protocol.yaml", Protocol(systems=2, comparisons=3, items=3).to_yaml())
    study = site(folder=folder, overlap=0)
    assert database_path(study.settings.place).name == "annotations.sqlite"
    assert raters_joined(study.base) == []
    assert "trial" not in study.browser().get("/join/x").text


def test_a_pilot_s_database_is_not_the_study_s(tmp_path: Path, site: MakeSite) -> None:
    folder = study_with(tmp_path / "s", pilot=True)
    here = site(folder=folder, overlap=0)
    write_text(folder / "protocol.yaml", Protocol(systems=2, comparisons=3, items=3).to_yaml())
    with pytest.raises(LimaError, match="pilot: True there, None here"):
        here.reopen()


def test_the_invitation_says_that_it_is_a_pilot_and_has_a_quiz(site: MakeSite, tmp_path: Path) -> None:
    here = site(folder=study_with(tmp_path / "s", pilot=True, quiz=Quiz(questions=QUESTIONS)), overlap=0)
    from lima.annotate import people

    code = people.invite(here.base, "crowd", "", here.clock())
    page = here.browser().get(f"/join/{code}").text
    assert "does not count" in page
    assert "begins with a short quiz" in page


def test_dialogues_have_a_pilot_of_their_own(site: MakeSite, tmp_path: Path) -> None:
    folder = tmp_path / "dialogues"
    folder.mkdir()
    write_text(folder / "protocol.yaml", "pilot: true\n")
    here = parrots(tmp_path, site, openings=1)
    assert database_path(here.settings.place).name == "pilot.sqlite"
    browser = here.rater("author")
    hold(browser)
    hold(browser)
    here.work.export(closed=False)
    assert len((folder / "pilot" / "dialogues.jsonl").read_text().splitlines()) == 2
    assert sorted(path.name for path in folder.glob("*.jsonl")) == []
    words = read_protocol(folder / "pilot" / "protocol.yaml").pairwise
    assert words.choices["a"] == "Dialogue A is significantly better."
