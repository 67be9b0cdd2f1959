"""Dialogues: the same opening with every system, blind, each turn rated, and a study in the end."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient
from tests.annotate.conftest import MakeSite, Site, field, on_both_databases

from lima.annotate.dialogue.dialogues import all_dialogues
from lima.annotate.dialogue.streams import ReplyStreams
from lima.annotate.tables import choices, dialogues, events, turns
from lima.errors import LimaError
from lima.evaluate.protocol import read_protocol
from lima.files import read_jsonl, write_jsonl, write_text
from lima.records import Comparison, Dialogue, Example, Grade, Item, Key, Message, Preference
from lima.report.report import report
from lima.report.settings import ReportSettings


class Parrot:
    """A system that repeats what it heard under its own colour; it counts how often it was asked."""

    def __init__(self, colour: str, *, broken: int = 0, slow: float = 0.0) -> None:
        self.name = f"{colour}-parrot"
        self.colour, self.broken, self.slow, self.asked = colour, broken, slow, 0

    def __call__(self) -> Parrot:
        return self

    def fits(self, messages: Sequence[Message]) -> bool:
        return True

    def say(self, messages: Sequence[Message], attempt: int) -> Generator[str, None, None]:
        self.asked += 1
        if self.asked <= self.broken:
            raise LimaError(f"{self.name}: no answer.")
        yield f"{self.colour}: "
        time.sleep(self.slow)
        yield from messages[-1].content.split(" ")


def parrots(tmp_path: Path, site: MakeSite, *backends: Any, openings: int = 2, **settings: Any) -> Site:
    tmp_path.mkdir(exist_ok=True)
    path = tmp_path / "openings.jsonl"
    rows = [
        Example(id=f"open-{n}", source="test", messages=(Message(role="user", content=f"opening-{n}"),))
        for n in range(openings)
    ]
    write_jsonl(path, rows)
    chosen = backends or (Parrot("red"), Parrot("blue"))
    return site(
        folder=tmp_path / "dialogues",
        dialogue=tuple(f"runs/{speaker.name}" for speaker in chosen),
        openings=path,
        backends=chosen,
        **{"pace": 0} | settings,
    )


def answer_of(browser: TestClient, number: int = 0) -> str:
    page = browser.get("/dialogue").text
    where: dict[str, str | int] = {"item": field(page, "item"), "number": number}
    return browser.get("/dialogue/stream", params=where).text


def post(browser: TestClient, action: str, **values: Any) -> Any:
    page = browser.get("/dialogue").text
    form = {"csrf": field(page, "csrf")}
    if 'name="item"' in page:
        form["item"] = field(page, "item")
    return browser.post(f"/dialogue/{action}", data=form | values)


def hold(browser: TestClient, *more: str, value: str = "pass") -> None:
    """One dialogue from its opening to its end."""
    for number, text in enumerate(("", *more)):
        if number:
            post(browser, "say", number=number, text=text)
        assert answer_of(browser, number)
        assert post(browser, "rate", number=number, value=value).status_code == 200
    assert post(browser, "finish").status_code == 200


@on_both_databases
def test_two_systems_become_a_study_that_the_report_reads(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, openings=2)
    browser = here.rater("author")
    for opening in range(2):
        hold(browser, "and then?", value="excellent")
        hold(browser, value="fail")
        page = browser.get("/dialogue").text
        assert "Which dialogue served you better" in page
        chosen = browser.post(
            "/dialogue/choose",
            data={
                "csrf": field(page, "csrf"),
                "opening": f"open-{opening}",
                "best": "0" if opening else "tie",
            },
        )
        assert chosen.status_code == 200
    assert "That was the last one" in browser.get("/dialogue").text
    lead = here.lead()
    csrf = field(lead.get("/lead").text, "csrf")
    lead.post("/lead/export", data={"csrf": csrf})
    folder = here.settings.place
    assert not (folder / "key.jsonl").exists()
    assert "parrot" not in "".join(path.read_text() for path in folder.glob("*.jsonl"))
    closed = lead.post("/lead/close", data={"csrf": csrf})
    assert "key.jsonl says who was who" in closed.text
    assert browser.get("/dialogue").status_code == 410
    grades = list(read_jsonl(folder / "grades.jsonl", Grade))
    assert Counter(row.value for row in grades) == {"excellent": 4, "fail": 2}
    labels = [row.label for row in read_jsonl(folder / "preferences.jsonl", Preference)]
    assert sorted(str(label) for label in labels) == ["a", "tie"]
    assert len(list(read_jsonl(folder / "dialogues.jsonl", Dialogue))) == 4
    systems = {key.id: key for key in read_jsonl(folder / "key.jsonl", Key)}
    for item in read_jsonl(folder / "items.jsonl", Item):
        origin = systems[item.id].content
        assert origin is not None
        assert origin.system == f"{item.content.partition(':')[0]}-parrot"  # what it said shows who it was
    for pair in read_jsonl(folder / "comparisons.jsonl", Comparison):
        assert {systems[pair.id].a.system, systems[pair.id].b.system} == {"red-parrot", "blue-parrot"}  # type: ignore[union-attr]
    report(ReportSettings(study=folder))
    assert "red-parrot" in (folder / "report.html").read_text()


def test_nothing_names_a_system(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site)
    browser = here.rater()
    hold(browser)
    seen = browser.get("/dialogue").text + here.lead().get("/lead").text
    assert "parrot" not in seen
    with here.base.read() as connection:
        assert "parrot" not in str(connection.execute(sa.text("SELECT * FROM facts")).all())


def test_a_message_that_is_sent_twice_is_there_once(site: MakeSite, tmp_path: Path) -> None:
    speaker = Parrot("red")
    here = parrots(tmp_path, site, speaker, Parrot("blue"))
    browser = here.rater()
    answer_of(browser)
    asked = speaker.asked
    for _ in range(3):
        post(browser, "say", number=1, text="once")
    answers = {answer_of(browser, 1) for _ in range(3)}
    assert len(answers) == 1
    with here.base.read() as connection:
        said = connection.scalars(sa.select(turns.c.said).where(turns.c.number == 1)).all()
        noted = connection.scalars(sa.select(events.c.kind).where(events.c.kind == "reply")).all()
    assert said == ["once"]
    assert len(noted) == 2
    assert speaker.asked - asked in (0, 1)


def test_two_pages_read_one_answer_as_it_grows(site: MakeSite, tmp_path: Path) -> None:
    speakers = Parrot("red", slow=0.3), Parrot("blue", slow=0.3)
    here = parrots(tmp_path, site, *speakers)
    browser = here.rater()
    browser.get("/dialogue")
    found: list[str] = []
    readers = [threading.Thread(target=lambda: found.append(answer_of(browser))) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert found[0] == found[1]
    assert sum(speaker.asked for speaker in speakers) == 1


def test_a_dead_system_is_shown_and_asked_again(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, Parrot("red", broken=1), Parrot("blue", broken=1))
    browser = here.rater()
    answer_of(browser)
    page = browser.get("/dialogue").text
    assert 'data-state="failed"' in page
    assert post(browser, "say", number=1, text="more").status_code == 409
    for _ in range(2):  # a double click
        post(browser, "again", number=0, attempt=0)
    assert "opening-" in answer_of(browser)


def test_a_system_that_never_answers_holds_nobody_up(site: MakeSite, tmp_path: Path) -> None:
    """Its dialogue is finished without an answer, and what was said before counts."""
    dead, red = Parrot("blue", broken=99), Parrot("red")
    here = parrots(tmp_path, site, red, dead, openings=1)
    browser = here.rater()
    for _ in range(2):
        answer_of(browser)
        if 'data-state="failed"' not in browser.get("/dialogue").text:
            post(browser, "rate", number=0, value="pass")
            red.broken = 99
            post(browser, "say", number=1, text="and then?")
            answer_of(browser, 1)
        assert 'data-state="failed"' in browser.get("/dialogue").text
        assert post(browser, "finish", example="yes").status_code == 200
    page = browser.get("/dialogue").text
    assert "(no answer came)" in page
    assert "and then?" not in page, "what got no answer is left out"
    form = {"csrf": field(page, "csrf"), "opening": "open-0", "best": "tie"}
    assert browser.post("/dialogue/choose", data=form).status_code == 200
    lead = here.lead()
    lead.post("/lead/close", data={"csrf": field(lead.get("/lead").text, "csrf")})
    folder = here.settings.place
    lengths = sorted(len(row.messages) for row in read_jsonl(folder / "dialogues.jsonl", Dialogue))
    assert lengths == [1, 2]
    (pair,) = read_jsonl(folder / "comparisons.jsonl", Comparison)
    assert "**No answer came.**" in (pair.a, pair.b)
    assert len(list(read_jsonl(folder / "items.jsonl", Item))) == 1
    assert len(list(read_jsonl(folder / "grades.jsonl", Grade))) == 1
    (good,) = read_jsonl(folder / "examples.jsonl", Example)
    assert [message.role for message in good.messages] == ["user", "assistant"]
    report(ReportSettings(study=folder))


def test_a_system_that_takes_too_long_has_failed(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, Parrot("red", slow=3.0), Parrot("blue", slow=3.0), answer_seconds=0.1)
    browser = here.rater()
    started = time.monotonic()
    answer_of(browser)
    assert time.monotonic() - started < 2.5
    assert 'data-state="failed"' in browser.get("/dialogue").text


def test_a_new_server_goes_on_where_the_old_one_died(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, Parrot("red", slow=0.5), Parrot("blue", slow=0.5))
    browser = here.rater()
    page = browser.get("/dialogue").text
    here.work.streams._growing.clear()
    assert "waiting" in page
    assert "opening-" in answer_of(browser)


@on_both_databases
def test_a_finished_dialogue_stays_as_it_is(site: MakeSite, tmp_path: Path) -> None:
    """From tabs that were left open, and from a study that was closed while its files could not be written."""
    here = parrots(tmp_path, site, Parrot("red", broken=1), Parrot("blue", broken=1), openings=1)
    browser = here.rater()
    answer_of(browser)
    page = browser.get("/dialogue").text
    stale = {"csrf": field(page, "csrf"), "item": field(page, "item"), "number": 0, "attempt": 0}
    assert post(browser, "finish").status_code == 200
    assert browser.post("/dialogue/again", data=stale).status_code == 409
    assert browser.post("/dialogue/rate", data=stale | {"value": "pass"}).status_code == 409
    assert browser.post("/dialogue/say", data=stale | {"number": 1, "text": "more"}).status_code == 409
    lead = here.lead()
    csrf = field(lead.get("/lead").text, "csrf")
    key = here.settings.place / "key.jsonl"
    key.mkdir(parents=True)  # nothing can be written there
    closed = lead.post("/lead/close", data={"csrf": csrf})
    assert closed.status_code == 409
    assert "Not everything was written" in closed.text
    assert "key" in closed.text
    key.rmdir()
    for _ in range(2):
        assert "key.jsonl says who was who" in lead.post("/lead/export", data={"csrf": csrf}).text
        assert "key: null" not in (here.settings.place / "protocol.yaml").read_text()
        assert key.is_file()


def test_a_rating_that_is_sent_again_is_one_step(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site)
    browser = here.rater()
    answer_of(browser)
    for _ in range(3):
        post(browser, "rate", number=0, value="pass")
    post(browser, "rate", number=0, value="fail")
    with here.base.read() as connection:
        kinds = Counter(connection.scalars(sa.select(events.c.kind)))
    assert kinds["rate"] == 2


def test_another_message_from_another_tab_is_told_to_be_late(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site)
    browser = here.rater()
    answer_of(browser)
    assert post(browser, "say", number=1, text="first tab").status_code == 200
    assert post(browser, "say", number=1, text="first tab").status_code == 200
    assert post(browser, "say", number=1, text="second tab").status_code == 409
    assert "first tab" in browser.get("/dialogue").text


def test_rows_of_an_excluded_rater_leave_the_files(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, openings=1)
    lead = here.lead()
    csrf = field(lead.get("/lead").text, "csrf")
    for place in ("0", "1"):
        browser = here.rater()
        hold(browser)
        hold(browser)
        choice = {"csrf": field(browser.get("/dialogue").text, "csrf"), "opening": "open-0", "best": place}
        assert browser.post("/dialogue/choose", data=choice).status_code == 200
        lead.post("/lead/export", data={"csrf": csrf})
        if place == "0":
            lead.post("/lead/raters/1/exclude", data={"csrf": csrf})
    lead.post("/lead/close", data={"csrf": csrf})
    folder = here.settings.place
    assert {row.rater for row in read_jsonl(folder / "preferences.jsonl", Preference)} == {"crowd:02"}
    assert {row.rater for row in read_jsonl(folder / "grades.jsonl", Grade)} == {"crowd:02"}
    report(ReportSettings(study=folder))


def test_a_new_database_does_not_take_the_place_of_dialogues(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, openings=1)
    browser = here.rater()
    hold(browser)
    lead = here.lead()
    lead.post("/lead/export", data={"csrf": field(lead.get("/lead").text, "csrf")})
    with pytest.raises(LimaError, match="holds dialogues, and the database is new"):
        parrots(tmp_path, site, openings=1)


class Odd(Parrot):
    """Half of a surrogate pair, as a broken server sends it."""

    def say(self, messages: Sequence[Message], attempt: int) -> Generator[str, None, None]:
        yield "hi \ud800\0 there"


def test_what_cannot_be_stored_is_replaced_and_the_page_goes_on(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, Odd("red"), Odd("blue"))
    browser = here.rater()
    assert "hi ?" in answer_of(browser)
    assert post(browser, "rate", number=0, value="fail").status_code == 200


def test_people_who_wait_for_one_system_lose_no_patience(site: MakeSite, tmp_path: Path) -> None:
    slow = [Parrot("red", slow=0.3), Parrot("blue", slow=0.3)]
    here = parrots(tmp_path, site, *slow, openings=8, answer_seconds=0.9)
    crowd = [here.rater() for _ in range(6)]
    answers: list[str] = []
    threads = [threading.Thread(target=lambda b=b: answers.append(answer_of(b))) for b in crowd]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer for answer in answers if "opening-" not in answer] == []


def test_others_dialogues_cannot_be_read_or_changed(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site)
    first, second = here.rater(), here.rater()
    item = field(first.get("/dialogue").text, "item")
    csrf = field(second.get("/dialogue").text, "csrf")
    assert second.get("/dialogue/stream", params={"item": item, "number": 0}).status_code == 404
    for action in ("say", "rate", "finish", "again"):
        values = {"csrf": csrf, "item": item, "number": 0, "attempt": 0, "value": "pass", "text": "x"}
        assert second.post(f"/dialogue/{action}", data=values).status_code == 404


def test_a_dialogue_ends_only_when_every_answer_is_rated(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, most_turns=2)
    browser = here.rater()
    answer_of(browser)
    assert post(browser, "finish").status_code == 409
    assert post(browser, "rate", number=0, value="great").status_code == 422
    post(browser, "rate", number=0, value="pass")
    post(browser, "rate", number=0, value="excellent")
    post(browser, "say", number=1, text="more")
    answer_of(browser, 1)
    assert post(browser, "say", number=2, text="too many").status_code == 409
    post(browser, "rate", number=1, value="pass")
    assert post(browser, "finish", example="yes").status_code == 200
    with here.base.read() as connection:
        row = connection.execute(sa.select(dialogues).where(dialogues.c.state == "finished")).one()
    assert row.example


def test_a_rater_who_leaves_gives_the_opening_to_another(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, openings=1)
    first, second = here.rater(), here.rater()
    page = first.get("/dialogue").text
    assert "All places of this study are taken" in second.get("/dialogue").text
    lead = here.lead()
    rater = field(page, "csrf")
    assert rater
    lead.post("/lead/raters/1/exclude", data={"csrf": field(lead.get("/lead").text, "csrf")})
    assert "opening-0" in second.get("/dialogue").text


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "[x](javascript:alert(1))", "<svg onload=x>"])
def test_what_a_system_says_cannot_run(site: MakeSite, tmp_path: Path, text: str) -> None:
    here = parrots(tmp_path, site)
    browser = here.rater()
    answer_of(browser)
    post(browser, "say", number=1, text=text)
    answer_of(browser, 1)
    page = browser.get("/dialogue").text
    item = field(page, "item")
    html = browser.get("/dialogue/state", params={"item": item, "number": 1}).json()["html"]
    for shown in (page, html):
        assert "<script>alert" not in shown
        assert "<svg" not in shown
        assert 'href="javascript' not in shown


def order_met(here: Site, openings: int) -> list[list[int]]:
    plan = here.work.streams.dialogues.plan
    return [plan.order("crowd:01", f"open-{n}") for n in range(openings)]


def test_the_order_of_systems_depends_on_no_public_fact(site: MakeSite, tmp_path: Path) -> None:
    """Two servers with the same settings, openings and raters draw different orders, and each keeps its own."""
    one = parrots(tmp_path / "one", site, openings=24)
    other = parrots(tmp_path / "other", site, openings=24)
    assert order_met(one, 24) != order_met(other, 24)
    kept = order_met(one, 24)
    one.reopen()
    assert order_met(one, 24) == kept


def choose(browser: TestClient, best: str) -> str:
    page = browser.get("/dialogue").text
    form = {"csrf": field(page, "csrf"), "opening": field(page, "opening"), "best": best}
    return browser.post("/dialogue/choose", data=form).text


def test_the_last_choice_can_be_taken_back(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, openings=2)
    browser = here.rater()
    hold(browser)
    hold(browser)
    said = choose(browser, "1")
    assert "Dialogue B is significantly better." in said
    back = {"csrf": field(said, "csrf"), "opening": field(said, "opening")}
    assert "Which dialogue served you better" in browser.post("/dialogue/undo", data=back).text
    assert "Neither dialogue" in choose(browser, "tie")
    with here.base.read() as connection:
        kinds = [row.kind for row in connection.execute(sa.select(events).order_by(events.c.id))]
        assert [row.best for row in connection.execute(sa.select(choices))] == [None]
    assert [kind for kind in kinds if "choose" in kind] == ["choose", "unchoose", "choose"]
    browser.get("/dialogue")  # the next opening is begun
    assert browser.post("/dialogue/undo", data=back).status_code == 409


GERMAN = """# von Hand
pairwise:
  question: Welches Gespräch hat Ihnen mehr geholfen?  # wörtlich so
  choices: {a: Gespräch A war besser., b: Gespräch B war besser., tie: Keines war besser.}
quality:
  question: Genügt die Antwort?
  choices: {fail: Nein., pass: Ja., excellent: "Ja, sehr."}
"""


def test_a_protocol_in_other_words_is_shown_and_stays(site: MakeSite, tmp_path: Path) -> None:
    protocol = tmp_path / "dialogues" / "protocol.yaml"
    write_text(protocol, GERMAN)
    here = parrots(tmp_path, site, openings=1)
    browser = here.rater()
    assert "Genügt die Antwort?" in browser.get("/dialogue").text
    assert "Ja, sehr." in browser.get("/dialogue").text
    hold(browser)
    hold(browser)
    page = browser.get("/dialogue").text
    assert "Welches Gespräch hat Ihnen mehr geholfen?" in page
    assert "Gespräch A war besser." in page
    choose(browser, "0")
    lead = here.lead()
    lead.post("/lead/close", data={"csrf": field(lead.get("/lead").text, "csrf")})
    assert protocol.read_text().endswith(GERMAN)
    written = read_protocol(protocol)
    assert (written.systems, written.comparisons, written.items) == (2, 1, 2)
    assert written.key
    report(ReportSettings(study=here.settings.place))


def test_answers_appear_at_one_pace(site: MakeSite, tmp_path: Path) -> None:
    """One system is done at once, the other after 1.2 seconds: both show their 17 characters at 10 a second."""
    here = parrots(tmp_path, site, Parrot("rot"), Parrot("blu", slow=1.2), openings=1, pace=10)
    browser, took = here.rater(), []
    for _ in range(2):
        began = time.monotonic()
        assert len(answer_of(browser)) > 10
        took.append(time.monotonic() - began)
        post(browser, "rate", number=0, value="pass")
        post(browser, "finish")
    assert min(took) > 1.5
    assert abs(took[0] - took[1]) < 0.9


def test_a_system_behind_an_address_answers_several_at_once(site: MakeSite, tmp_path: Path) -> None:
    slow = Parrot("red", slow=1.0)
    here = parrots(tmp_path, site, slow, openings=4)
    streams = ReplyStreams(here.work.streams.dialogues, [slow], at_once=[4])
    people_there = [here.rater() for _ in range(4)]
    began = time.monotonic()
    for browser in people_there:
        browser.get("/dialogue")
    with here.base.read() as connection:
        open_ones = all_dialogues(connection)
    replies = [streams.begin(one, 0) for one in open_ones]
    while not all(reply.over for reply in replies):
        time.sleep(0.01)
    assert time.monotonic() - began < 4 * 1.0
