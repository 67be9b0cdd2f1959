"""The pages in real Chromium: by keyboard, without a connection, on a phone, and looked at by axe."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright import sync_api
from playwright.sync_api import Page
from tests.annotate.conftest import SECRET, MakeSite, MakeStudy, Site, cookie_of, free_port, make_study
from tests.annotate.test_dialogues import Parrot, answer_of, hold, parrots, post
from tests.annotate.test_pages import vote
from tests.annotate.test_quiz import QUESTIONS, study_with
from tests.annotate.test_review import ANSWER, decide, desk, example, rows, write

from lima.annotate import people
from lima.annotate.compare.exchange import export_rows
from lima.annotate.dialogue.files import rows_of
from lima.evaluate.protocol import OwnScale, Protocol, Quiz
from lima.files import write_jsonl, write_text
from lima.records import Comparison, Cut, Example, Mark, Message, Review
from lima.statistics.marks import tally

pytestmark = pytest.mark.slow
Visit = Callable[..., Page]


@contextmanager
def served(site: Site) -> Iterator[str]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(site.app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def visit(chromium: sync_api.Browser, site: MakeSite) -> Iterator[Visit]:
    """Opens a path of a site as one of its people; what the browser complains of fails the test.

    The next item comes only where ``by_itself`` asks for it: otherwise a test on a busy machine could miss the last.
    """
    complaints: list[str] = []
    open_ones = []

    def go(
        here: Site, path: str, *, token: str = "", lead: str = "", width: int = 1280, by_itself: bool = False
    ) -> Page:
        serving = served(here)
        base = serving.__enter__()
        context = chromium.new_context(viewport={"width": width, "height": 800}, reduced_motion="reduce")
        open_ones.append((context, serving))
        cookies = {f"lima_rater_{here.name}": token, f"lima_lead_{here.name}": lead}
        context.add_cookies([{"name": n, "value": v, "url": base} for n, v in cookies.items() if v])
        if not by_itself:
            context.add_init_script("""localStorage.lima ??= '{"advance": false}'""")
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: complaints.append(message.text) if "Content Security" in message.text else None,
        )
        page.goto(base + path)
        return page

    yield go
    for context, serving in open_ones:
        context.close()
        serving.__exit__(None, None, None)
    assert complaints == []


def token_of(here: Site, group: str = "crowd") -> str:
    return cookie_of(here.rater(group), "rater")


def saved(page: Page) -> str:
    page.wait_for_selector("#saved:not([hidden])")
    text: str = page.inner_text("#said")
    return text


def listening(page: Page) -> None:
    """Wait for the script that listens to keys: its button shows that it runs."""
    page.wait_for_selector("#open-keys:visible")


def test_a_rater_compares_by_keyboard_alone(site: MakeSite, visit: Visit) -> None:
    here = site(4, overlap=0)
    page = visit(here, "/work", token=token_of(here))
    first = page.inner_text(".answers")
    page.keyboard.press("2")
    assert saved(page) == "Answer B is significantly better."
    assert page.inner_text("#count") == "1 of 4"
    page.keyboard.press("u")
    page.wait_for_selector("#answer:not([hidden])")
    assert page.inner_text(".answers") == first
    listening(page)
    page.keyboard.press("3")
    assert saved(page).startswith("Neither")
    page.keyboard.press("Enter")
    page.wait_for_selector("#answer:not([hidden])")
    assert page.inner_text(".answers") != first
    assert [row.label for row in export_rows(here.base).preferences] == ["tie"]


def test_remarks_survive_a_reload_and_enter_after_a_reason_skips(
    site: MakeSite, study: MakeStudy, visit: Visit
) -> None:
    folder = study(2)
    asked = (
        (folder / "protocol.yaml")
        .read_text()
        .replace("people_may: []", "people_may: [comment, skip, call_both_bad]")
    )
    (folder / "protocol.yaml").write_text(asked)
    here = site(folder=folder, overlap=0)
    page = visit(here, "/work", token=token_of(here))
    listening(page)
    page.click("summary:text('Comment')")
    page.fill("[name=comment]", "neither cites 123")
    page.check("[name=both_bad]")
    page.reload()
    listening(page)
    assert page.input_value("[name=comment]:visible") == "neither cites 123"
    page.keyboard.press("3")
    saved(page)
    page.keyboard.press("Enter")
    page.wait_for_selector("#answer:visible")
    page.click("summary:text('Skip')")
    page.fill("[name=reason]", "2 hard")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=That was the last one")
    vote, skipped = sorted(export_rows(here.base).preferences, key=lambda row: row.status)
    assert (vote.label, vote.both_bad, vote.raw) == ("tie", True, "neither cites 123")
    assert (skipped.status, skipped.raw) == ("refused", "2 hard")


def test_the_next_item_comes_by_itself(site: MakeSite, visit: Visit) -> None:
    here = site(4, overlap=0)
    page = visit(here, "/work", token=token_of(here), by_itself=True)
    first = page.inner_text(".answers")
    page.click("text=Answer A is significantly better.")
    page.wait_for_selector("#count:text('1 of 4')")
    page.wait_for_selector("#answer:visible")
    assert page.inner_text(".answers") != first


def test_keys_can_be_changed_and_are_kept(site: MakeSite, visit: Visit) -> None:
    here = site(4, overlap=0)
    page = visit(here, "/work", token=token_of(here))
    page.keyboard.press("?")
    page.click("[data-rebind=choice1]")
    page.keyboard.press("q")
    page.click("#close-keys")
    page.reload()
    assert page.inner_text("[data-choice='1'] kbd") == "Q"
    for other in ('{"keys": {"undo": null, "choice2": 5}}', '"words"', '{"keys": {"choice1": "q"}}'):
        page.evaluate(
            "text => localStorage.setItem('lima', text)", other
        )  # of another program at this address
        page.reload()
        page.wait_for_selector("[data-choice='2'] kbd:visible")
        assert page.inner_text("[data-choice='2'] kbd") == "2"
    page.keyboard.press("1")
    page.keyboard.press("q")
    assert saved(page) == "Answer A is significantly better."


def test_an_answer_waits_for_the_connection(site: MakeSite, visit: Visit) -> None:
    here = site(4, overlap=0)
    page = visit(here, "/work", token=token_of(here))
    page.context.set_offline(True)
    page.keyboard.press("1")
    page.wait_for_selector("text=Not saved yet")
    assert export_rows(here.base).preferences == ()
    page.context.set_offline(False)
    saved(page)
    assert len(export_rows(here.base).preferences) == 1


def shown_keys(page: Page) -> list[str]:
    """The keys that the page shows beside its controls."""
    return page.evaluate(  # type: ignore[no-any-return]
        """() => [...document.querySelectorAll("kbd")]
            .filter((key) => key.checkVisibility({ visibilityProperty: true })).map((key) => key.textContent)"""
    )


def test_ratings_take_numbers_scale_by_scale(site: MakeSite, visit: Visit, study: MakeStudy) -> None:
    """A key is a value where values are numbers, also on a scale from 0 to 10; no two controls show the same."""
    folder = study(2)
    values = {str(number): "." for number in range(11)}
    protocol = Protocol(scales={"likely": OwnScale(question="How likely?", choices=values)})
    write_text(folder / "protocol.yaml", protocol.to_yaml())
    here = site(folder=folder, tasks=("quality", "helpfulness", "likely"))
    page = visit(here, "/work", token=token_of(here, "author"))
    page.wait_for_selector("kbd:visible")
    for key, shown in (("3", "123"), ("5", "123456"), ("0", "0123456789")):
        assert shown_keys(page) == list(shown)
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    saved(page)
    assert [row.value for row in export_rows(here.base).grades] == [5, 0, "excellent"]


def test_the_lead_invites_and_a_rater_starts(site: MakeSite, visit: Visit) -> None:
    here = site(4)
    page = visit(here, "/lead")
    page.fill("#secret", SECRET)
    page.keyboard.press("Enter")
    page.fill("[name=note]", "first of the crowd")
    page.click("text=Make a one-time link")
    link = page.input_value("#link")
    page.goto(link)
    page.click("text=Start")
    page.wait_for_selector(".answers-2")


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize(
    "path",
    ["/work", "/saved", "/pause", "/nowhere", "/lead", "/lead/disagreements", "/lead/log", "/lead/sign-in"],
)
def test_axe_finds_nothing_and_nothing_overflows(site: MakeSite, visit: Visit, path: str, width: int) -> None:
    here = site(4, overlap=4, attention_every=2)
    rater = here.rater()
    if path == "/saved":
        vote(rater)
    lead = "" if path.endswith("sign-in") else cookie_of(here.lead(), "lead")
    for scheme in ("light", "dark"):
        page = visit(here, path, token=cookie_of(rater, "rater"), lead=lead, width=width)
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page).response["violations"]
        assert [(rule["id"], node["html"]) for rule in found for node in rule["nodes"]] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1366])
def test_the_quiz_by_keyboard_and_by_axe(site: MakeSite, visit: Visit, tmp_path: Path, width: int) -> None:
    asked = Quiz(questions=QUESTIONS, attempts=2)
    words = "**Decide for the person who asked.** Length alone is no merit."
    here = site(folder=study_with(tmp_path / "s", quiz=asked, instructions=words, pilot=True), overlap=0)
    page = visit(here, "/work", token=token_of(here), width=width)
    for wanted, keys in (
        ("[role=status]", ("Space", "Tab", "Space")),
        (".answers-2", ("ArrowDown", "Tab", "Space")),
    ):
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = Axe().run(page).response["violations"]
            assert [(rule["id"], node["html"]) for rule in found for node in rule["nodes"]] == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            if folder := os.environ.get("LIMA_SCREENS"):
                page.screenshot(path=f"{folder}/quiz-{len(keys[0])}-{width}-{scheme}.png", full_page=True)
        page.focus("[name=q0] >> nth=0")
        for key in keys:
            page.keyboard.press(key)
        page.click("text=Send my answers")
        page.wait_for_selector(wanted)


def test_at_twice_the_size_everything_is_there(site: MakeSite, visit: Visit) -> None:
    """A window of 1280 pixels at 200 % zoom lays out as one of 640."""
    here = site(4)
    page = visit(here, "/work", token=token_of(here), width=640)
    assert page.evaluate("document.documentElement.scrollWidth") <= 640
    page.locator("button.choice").last.scroll_into_view_if_needed()
    assert page.locator("button.choice").last.is_visible()


def test_a_dialogue_from_its_opening_to_the_choice(site: MakeSite, visit: Visit, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, Parrot("red", slow=0.3), Parrot("blue", slow=0.3), openings=1)
    page = visit(here, "/dialogue", token=token_of(here))
    for following in (".over:has-text('2 of 2')", "#choose"):
        page.wait_for_selector(".answer[data-state=answered]")
        assert page.is_hidden("#finish")
        page.click(".rate >> text=Excellent")
        page.wait_for_selector("#finish:not([hidden])")
        page.fill("#text", "and then?")
        page.keyboard.press("Enter")
        page.wait_for_selector(".answer[data-number='1'][data-state=answered]")
        page.reload()  # loses nothing
        assert "and then?" in page.inner_text(".dialogue")
        page.locator(".answer[data-number='1'] .choice").nth(1).click()
        page.wait_for_selector("#finish:not([hidden])")
        page.click("text=Finish this dialogue")
        page.wait_for_selector(following)
    page.click("text=Neither dialogue is significantly better")
    page.click("text=Next")
    page.wait_for_selector("text=That was the last one")
    rows = rows_of(here.base, here.work.streams.dialogues.plan, ["x", "y"])
    assert Counter(row.value for row in rows.grades) == {"excellent": 2, "pass": 2}
    assert [row.label for row in rows.preferences] == ["tie"]


def offline(page: Page, selector: str = "text=Not saved yet") -> None:
    """Wait until the page has said that it could not save, and connect it again."""
    page.wait_for_selector(selector)
    page.context.set_offline(False)


def test_dialogues_go_on_after_a_lost_connection(site: MakeSite, visit: Visit, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, openings=1)
    page = visit(here, "/dialogue", token=token_of(here))
    for following in (".over:has-text('2 of 2')", "#choose"):
        page.wait_for_selector(".answer[data-state=answered]")
        page.wait_for_load_state()
        page.context.set_offline(True)
        page.click(".rate >> text=Fail")
        page.click(".rate >> text=Pass")
        page.click(".rate >> text=Excellent")  # the last one counts, whenever they arrive
        offline(page)
        page.wait_for_selector("#finish:not([hidden])")
        page.wait_for_selector(".choice[aria-pressed=true] >> text=Excellent")
        page.fill("#text", "and\nthen?")
        page.context.set_offline(True)
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Not saved yet")
        assert page.input_value("#text") == "and\nthen?"
        page.context.set_offline(False)
        page.wait_for_selector(".answer[data-number='1'][data-state=answered]")
        assert page.input_value("#text") == ""
        page.locator(".answer[data-number='1'] .choice").nth(1).click()
        page.wait_for_selector("#finish:not([hidden])")
        page.context.set_offline(True)
        page.click("text=Finish this dialogue")
        offline(page)
        page.wait_for_selector(following)
    page.wait_for_load_state()
    page.context.set_offline(True)
    page.click("text=Neither dialogue is significantly better")
    offline(page)
    page.click("text=Next")
    page.wait_for_selector("text=That was the last one")
    rows = rows_of(here.base, here.work.streams.dialogues.plan, ["x", "y"])
    assert Counter(row.value for row in rows.grades) == {"excellent": 2, "pass": 2}
    assert [len(row.messages) for row in rows.dialogues] == [4, 4]
    assert {row.messages[2].content for row in rows.dialogues} == {"and\nthen?"}
    assert [row.label for row in rows.preferences] == ["tie"]


def test_what_is_typed_before_the_script_runs_stays(site: MakeSite, visit: Visit, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, openings=1)
    person = here.rater()
    answer_of(person)
    post(person, "rate", number=0, value="pass")
    late = threading.Event()
    page = visit(here, "/dialogue", token=cookie_of(person, "rater"))
    page.fill("#text", "kept in this tab")
    page.route("**/dialogue.js", lambda route: (late.wait(10), route.continue_()))
    page.reload(wait_until="commit")
    page.fill("#text", "typed early")
    late.set()
    page.wait_for_load_state()
    assert page.input_value("#text") == "typed early"


def test_tokens_appear_before_the_answer_is_whole(site: MakeSite, visit: Visit, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, Parrot("red", slow=3.0), Parrot("red2", slow=3.0))
    page = visit(here, "/dialogue", token=token_of(here))
    page.wait_for_selector(".reply.growing")
    assert page.inner_text(".reply").startswith("red")
    assert page.locator(".answer[data-state=answered]").count() == 0


def test_a_system_that_fails_can_be_asked_again(site: MakeSite, visit: Visit, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, Parrot("red", broken=1), Parrot("blue", broken=1))
    page = visit(here, "/dialogue", token=token_of(here))
    page.click("button:has-text('Ask again')")
    page.wait_for_selector(".answer[data-state=answered]")
    assert "opening-" in page.inner_text(".reply")


def to_read(page: Page, text: str) -> None:
    """Wait for a text of the desk."""
    page.wait_for_selector(f"text={text}")
    listening(page)


def test_the_desk_by_keyboard_alone(site: MakeSite, visit: Visit, tmp_path: Path) -> None:
    here = desk(site, tmp_path)
    page = visit(here, "/review/next", token=token_of(here, "A"))
    to_read(page, "question 0")
    page.keyboard.press("a")
    to_read(page, "question 1")
    page.keyboard.press("r")
    page.keyboard.type("area of no use")  # letters that are keys elsewhere
    page.keyboard.press("Enter")
    to_read(page, "question 2")
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type("A better answer.")
    page.click("text=Accept with these changes")
    page.wait_for_selector("text=Nothing to read")
    first, second, third = rows(here)
    assert (first.decision, second.reason) == ("accept", "area of no use")
    assert third.edited is not None
    assert third.edited.messages[-1].content == "A better answer."


SUSPECT = "As you say, <b>this</b> & that."
MARKED = f"Boots need a week.\n\n{SUSPECT} They stretch.\n\n* one walk\n* EDIT: two walks\n\nThen they fit."
MARKS = (
    Mark(
        turn=1,
        line=2,
        text=SUSPECT,
        rule="addresses the asker",
        reason="it speaks to the asker: 'As you say'",
    ),
    Mark(turn=1, line=5, text="* EDIT: two walks", rule="residue", reason="it looks left over: 'EDIT:'"),
)

CUTS = (
    Cut(turn=1, line=0, text='Hi "Ann" & <b>Bo</b>,\n', name="greeting"),
    Cut(turn=1, line=1, text="\nNina $& Co", name="signature"),
)


def marked_desk(site: MakeSite, tmp_path: Path) -> Site:
    """Five texts: four with nothing to look at, the third with two marks."""
    reviews = [Review(candidate=example(n)) for n in range(5)]
    messages = (Message(role="user", content="question 2: boots?"), Message(role="assistant", content=MARKED))
    suspect = Example(id="reddit/2", source="reddit", messages=messages)
    reviews[2] = Review(candidate=suspect, marks=MARKS)
    reviews[3] = reviews[3].model_copy(update={"cuts": CUTS})
    write_jsonl(tmp_path / "review.jsonl", reviews)
    return site(review=tmp_path / "review.jsonl")


def test_two_keystrokes_a_decision_marked_lines_cut_by_one_key(
    site: MakeSite, visit: Visit, tmp_path: Path
) -> None:
    here = marked_desk(site, tmp_path)
    page = visit(here, "/review/next", token=token_of(here, "A"))
    strokes = []

    def press(*keys: str) -> None:
        strokes.append(len(keys))
        for key in keys:
            page.keyboard.press(key)

    to_read(page, "question 0")
    press("a")
    to_read(page, "question 1")
    press("r", "3")  # the third of the usual reasons
    to_read(page, "question 2")
    assert page.locator(".text .suspect").all_inner_texts() == [f"{SUSPECT} They stretch.", "EDIT: two walks"]
    assert page.locator("#marks blockquote").first.inner_text() == SUSPECT, "escaped, not made bold"
    keys = ["X", "A", "E", "R", "U"]  # of two passages the next one has the key
    assert shown_keys(page) == keys
    press("x")
    assert shown_keys(page) == keys
    assert page.inner_text("[data-cut]:enabled").split() == ["Cut", "it", "X"]
    assert page.inner_text("#accept").startswith("Accept with changes")
    page.reload()
    to_read(page, "question 2")
    assert page.locator("#marks li.cut").count() == 1, "a reload keeps the cut"
    press("x")
    assert shown_keys(page) == keys[1:]
    press("a")
    to_read(page, "question 3")
    greeting, signature = page.get_by_role("button", name="Put it back").all()
    greeting.click()
    page.reload()
    page.wait_for_selector("[data-back]:disabled")  # a reload keeps what is back, and does not offer it again
    signature.click()
    assert greeting.is_disabled()
    assert signature.is_disabled()
    press("a")
    to_read(page, "question 4")
    press("r", "1")
    page.wait_for_selector("text=Nothing to read")
    assert sum(strokes) / 5 <= 2, "one key accepts, two reject or accept without a line"
    done = rows(here)
    assert [row.decision for row in done] == ["accept", "reject", "edit", "edit", "reject"]
    assert (done[1].reason, done[4].reason) == ("weak answer", "needs its context")
    assert done[2].edited is not None
    assert (
        done[2].edited.messages[1].content
        == "Boots need a week.\n\nThey stretch.\n\n* one walk\n\nThen they fit."
    )
    assert done[3].edited is not None
    assert done[3].edited.messages[1].content == 'Hi "Ann" & <b>Bo</b>,\n\nanswer 3.\n\nNina $& Co'
    assert done[2].marks == MARKS, "the file keeps what was marked, for the table of rules"
    assert {rule: row["cut"] for rule, row in tally(done).items()} == {"addresses the asker": 1, "residue": 1}


@pytest.mark.parametrize("width", [360, 1440])
def test_axe_on_marked_lines(site: MakeSite, visit: Visit, tmp_path: Path, width: int) -> None:
    here = marked_desk(site, tmp_path)
    person = here.rater("A")
    for _ in range(2):
        decide(person, "accept")
    for scheme in ("light", "dark"):
        page = visit(here, "/review/next", token=cookie_of(person, "rater"), width=width)
        page.emulate_media(color_scheme=scheme)
        page.wait_for_selector("[data-cut]:not([hidden])")  # the script listens
        page.keyboard.press("x")
        page.keyboard.press("r")  # shows the numbered reasons
        accessible(page, width, f"marks-{width}-{scheme}")


def test_an_edit_outlives_a_reload_and_a_lost_connection(
    site: MakeSite, visit: Visit, tmp_path: Path
) -> None:
    here = desk(site, tmp_path)
    page = visit(here, "/review/next", token=token_of(here, "A"))
    to_read(page, "question 0")
    page.keyboard.press("e")
    page.fill("#answer", "A better answer.")
    page.reload()
    to_read(page, "question 0")
    assert page.input_value("#answer") == "A better answer."
    page.context.set_offline(True)
    page.click("text=Accept with these changes")
    offline(page)
    to_read(page, "question 1")
    page.context.set_offline(True)
    page.keyboard.press("u")
    page.keyboard.press("u")
    offline(page)
    to_read(page, "question 0")
    assert not page.is_visible("#answer"), "what was decided is no draft any more"
    page.keyboard.press("a")
    to_read(page, "question 1")
    assert [row.decision for row in rows(here)] == ["accept", None, None]


def test_an_example_is_written_with_live_checks(site: MakeSite, visit: Visit, tmp_path: Path) -> None:
    here = desk(site, tmp_path, count=0)
    page = visit(here, "/review/write", token=token_of(here, "A"))
    page.fill("#prompt", "How do I break in new boots?")
    page.fill("#answer", "Walk in them for a while and")
    page.wait_for_selector("#findings >> text=lima curate would drop it")
    page.click("text=Hand in")
    page.wait_for_selector("#status >> text=lima curate would drop it")
    page.fill("#answer", ANSWER)
    page.wait_for_selector("#findings >> text=It first acknowledges the question")
    page.reload()  # the text is kept in the browser
    assert page.input_value("#answer") == ANSWER
    page.click("text=Hand in")
    page.wait_for_selector("text=waits for a reader")
    assert [draft.text_id.split("/")[0] for draft in here.work.queue.everything()] == ["authored"]


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize(
    "path",
    [
        "/dialogue",
        "/dialogue?choose",
        "/review",
        "/review/next",
        "/review/write",
        "/lead/splits",
        "/lead?desk",
        "/join",
    ],
)
def test_axe_on_dialogues_and_the_desk(
    site: MakeSite, visit: Visit, tmp_path: Path, path: str, width: int
) -> None:
    talking = path.startswith("/dialogue")
    here = parrots(tmp_path, site, openings=1) if talking else desk(site, tmp_path, reviewers=2)
    person = here.rater("author" if talking else "A")
    if talking:
        hold(person, "more")
        if path.endswith("choose"):
            hold(person)
    else:
        write(person, "How do I break in new boots?")
        decide(person, "accept")
        reader = here.rater("A")
        for reason in ("say which kind", "dull"):  # the written example, then the candidate that was accepted
            decide(reader, "reject", reason=reason)
    if path == "/join":
        path = f"/join/{people.invite(here.base, 'A', '', here.clock())}"
    token = "" if path.startswith("/join") else cookie_of(person, "rater")
    lead = cookie_of(here.lead(), "lead")
    for scheme in ("light", "dark"):
        page = visit(here, path, token=token, lead=lead, width=width)
        if path == "/dialogue":
            page.wait_for_selector(".answer[data-state=answered]")
        page.emulate_media(color_scheme=scheme)
        name = re.sub(r"\W+", "-", path)[:20]
        accessible(page, width, f"{name}-{width}-{scheme}")


def accessible(page: Page, width: int, name: str) -> None:
    """Axe finds nothing, nothing is wider than the screen; a picture where LIMA_SCREENS names a folder."""
    found = Axe().run(page).response["violations"]
    assert [(rule["id"], node["html"]) for rule in found for node in rule["nodes"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if folder := os.environ.get("LIMA_SCREENS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def until(holds: Callable[[], bool]) -> None:
    """The pages' policy forbids Playwright's own way of waiting for a condition."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def press(page: Page, key: str, code: str, selector: str = "body", **more: object) -> None:
    """A key as a layout sends it: what it writes, and where it lies."""
    event = {"key": key, "code": code, "bubbles": True, "cancelable": True} | more
    page.locator(selector).evaluate(
        "(there, event) => there.dispatchEvent(new KeyboardEvent('keydown', event))", event
    )


@pytest.mark.parametrize(
    ("digit", "letter"),
    [
        (("&", "Digit1"), ("u", "KeyU")),  # AZERTY
        (("1", "Numpad1"), ("U", "KeyU")),  # Caps Lock
        (("1", "Digit1"), ("г", "KeyU")),  # Russian
        (("1", "Digit1"), ("u", "KeyF")),  # Dvorak
    ],
)
def test_keys_are_found_on_any_layout(
    site: MakeSite, visit: Visit, digit: tuple[str, str], letter: tuple[str, str]
) -> None:
    here = site(4, overlap=0)
    page = visit(here, "/work", token=token_of(here))
    listening(page)
    press(page, *digit)
    assert saved(page) == "Answer A is significantly better."
    press(page, *letter)
    page.wait_for_selector("#answer:not([hidden])")


def test_enter_of_an_input_method_does_not_reject(site: MakeSite, visit: Visit, tmp_path: Path) -> None:
    here = desk(site, tmp_path)
    page = visit(here, "/review/next", token=token_of(here, "A"))
    listening(page)
    page.fill("#reason", "理由")
    press(page, "Enter", "Enter", "#reason", isComposing=True)
    press(page, "Enter", "Enter", "#reason", keyCode=229)
    page.wait_for_timeout(300)
    assert [row.decision for row in rows(here)] == [None, None, None]
    item = page.input_value("#decide [name=item]")
    page.press("#reason", "Enter")
    until(
        lambda: page.input_value("#decide [name=item]") != item
    )  # a page that is left just now cannot be closed
    assert rows(here)[0].decision == "reject"


def test_an_answer_can_be_undone_from_the_next_item(site: MakeSite, visit: Visit) -> None:
    here = site(4, overlap=0)
    page = visit(here, "/work", token=token_of(here))
    listening(page)
    first = page.inner_text(".answers")
    page.keyboard.press("1")
    saved(page)
    page.keyboard.press("Enter")
    page.wait_for_selector("#undo-previous")
    listening(page)
    page.keyboard.press("u")
    until(lambda: export_rows(here.base).preferences == ())
    until(lambda: page.inner_text(".answers") == first)


def test_save_is_in_sight_with_three_scales_and_a_choice_shows_in_forced_colours(
    site: MakeSite, visit: Visit
) -> None:
    here = site(2, tasks=("quality", "helpfulness", "safety"))
    page = visit(here, "/work", token=token_of(here, "author"), width=1366)
    page.set_viewport_size({"width": 1366, "height": 768})
    box = page.locator("#save").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 768
    page.emulate_media(forced_colors="active")
    colour = "(one) => getComputedStyle(one.closest('.choice')).backgroundColor"
    choices = page.locator("[name=quality]")
    choices.first.check()
    assert choices.first.evaluate(colour) != choices.last.evaluate(colour)


WIDE = (
    "|"
    + "|".join(f"column {n}" for n in range(30))
    + "|\n|"
    + "-|" * 30
    + "\n|"
    + "|".join("x" * 9 for _ in range(30))
    + "|"
)
LONG = r"\[ " + " + ".join(f"a_{{{n}}}" for n in range(60)) + r" \]"


@pytest.mark.parametrize("width", [390, 1440])
def test_wide_tables_and_formulas_scroll_in_their_own_boxes(
    site: MakeSite, visit: Visit, tmp_path: Path, width: int
) -> None:
    folder = make_study(tmp_path / "wide", 1)
    asked = (Message(role="user", content="?"),)
    write_jsonl(folder / "comparisons.jsonl", [Comparison(id="c", messages=asked, a=WIDE, b=LONG)])
    here = site(folder=folder, overlap=0)
    page = visit(here, "/work", token=token_of(here), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for selector in (".text .scroll", ".text .wide"):
        box = page.locator(selector).first
        assert box.evaluate("(one) => one.scrollWidth > one.clientWidth + 50")
        assert box.evaluate(
            "(one) => one.getBoundingClientRect().right <= one.closest('.answer').getBoundingClientRect().right"
        )
    heights = page.locator(".text th").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().height)"
    )
    assert max(heights) < 90, "words are not broken into letters"
    page.click("text=As written")
    page.wait_for_selector("pre.plain")
    assert page.locator("pre.plain").filter(has_text="|column 0|column 1|").count() == 1
