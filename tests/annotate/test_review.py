"""The desk: candidates are decided, examples are written and read by another person, and `lima curate` takes both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient
from tests.annotate.conftest import MakeSite, Site, field, on_both_databases
from tests.curate.test_review import forum, pick

from lima.annotate import people
from lima.annotate.review.pages import LONGEST_TEXT
from lima.annotate.serve import annotate
from lima.annotate.settings import AnnotateSettings
from lima.annotate.tables import raters
from lima.curate.pipeline import curate
from lima.curate.settings import CurateSettings
from lima.curate.sources.authored import Authored
from lima.errors import LimaError
from lima.files import read_jsonl, write_jsonl
from lima.records import Example, Mark, Message, Review

ANSWER = (
    "That is a good question to ask before a long walk. Boots need a week of short walks before they fit, so wear "
    "them at home first, then on errands, and only then on a path. If they still press after that, they are the "
    "wrong size, and no amount of walking will help."
)


def example(number: int, text: str = "") -> Example:
    messages = (
        Message(role="user", content=text or f"question {number} about matter {number * 7}"),
        Message(role="assistant", content=f"answer {number}."),
    )
    return Example(id=f"reddit/{number}", source="reddit", messages=messages)


def desk(site: MakeSite, tmp_path: Path, count: int = 3, **settings: Any) -> Site:
    path = tmp_path / "review.jsonl"
    if not path.exists():
        write_jsonl(path, [Review(candidate=example(n)) for n in range(count)])
    return site(review=path, **settings)


def form_of(browser: TestClient) -> dict[str, str]:
    page = browser.get("/review/next").text
    return {name: field(page, name) for name in ("csrf", "item", "version", "key")}


def decide(browser: TestClient, decision: str, **values: str) -> Any:
    return browser.post("/review/decide", data=form_of(browser) | {"decision": decision} | values)


def write(browser: TestClient, prompt: str, answer: str = ANSWER, **values: Any) -> Any:
    page = browser.get("/review/write").text
    form = {"csrf": field(page, "csrf"), "item": field(page, "item"), "prompt": prompt, "answer": answer}
    return browser.post("/review/write", data=form | values)


def rows(here: Site) -> list[Review]:
    assert here.settings.review is not None
    return list(read_jsonl(here.settings.review, Review))


def authored(here: Site) -> list[dict[str, Any]]:
    path = here.settings.place / "authored.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@on_both_databases
def test_decisions_go_into_the_file_as_they_are_made(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path)
    browser = here.rater("A")
    decide(browser, "accept")
    assert rows(here)[0].decision == "accept"
    decide(browser, "edit", prompt="a better question", answer="a better answer")
    assert decide(browser, "reject").status_code == 422
    decide(browser, "reject", reason="needs its context")
    assert "Nothing to read" in browser.get("/review/next").text
    first, second, third = rows(here)
    assert (first.reviewer, first.edited) == ("A:01", None)
    assert second.edited is not None
    assert [m.content for m in second.edited.messages] == ["a better question", "a better answer"]
    assert (third.decision, third.reason) == ("reject", "needs its context")


def test_an_edit_that_changes_nothing_is_an_acceptance(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path)
    decide(here.rater("A"), "edit", prompt="question 0 about matter 0", answer="answer 0.")
    assert rows(here)[0].decision == "accept"


def test_marks_are_shown_escaped_and_outlive_the_desk(site: MakeSite, tmp_path: Path) -> None:
    """A text may hold what would be a script in a page; its mark shows it, and the file keeps the mark after a decision."""
    nasty = 'As you say, <script>alert("x")</script>.'
    text = example(1).model_copy(
        update={"messages": (example(1).messages[0], Message(role="assistant", content=f"Yes.\n\n{nasty}"))}
    )
    mark = Mark(turn=1, line=2, text=nasty, rule="addresses the asker", reason="it says <i>as you say</i>")
    gone = mark.model_copy(update={"text": "no more in the text"})
    write_jsonl(tmp_path / "review.jsonl", [Review(candidate=text, marks=(mark, gone))])
    here = site(review=tmp_path / "review.jsonl")
    browser = here.rater("A")
    page = browser.get("/review/next").text
    assert "<script>alert" not in page
    assert "it says &lt;i&gt;as you say&lt;/i&gt;" in page
    assert 'data-cut="As you say, &lt;script&gt;' in page
    assert '<p class="suspect">' in page
    assert "no more in the text" not in page
    lead = here.lead()
    assert "No text with a marked line is decided yet." in lead.get("/lead/rules").text
    decide(browser, "accept")
    assert rows(here)[0].marks == (mark, gone)
    table = lead.get("/lead/rules").text
    assert ">addresses the asker</th>" in table
    assert ">0.00 [0.00, 0.79]</td>" in table, "it marked one text, which was kept"
    assert browser.get("/lead/rules", follow_redirects=False).status_code != 200, "the lead's page"


def test_a_double_click_decides_one_text(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path)
    browser = here.rater("A")
    form = form_of(browser) | {"decision": "accept"}
    for _ in range(3):
        browser.post("/review/decide", data=form)
    assert [row.decision for row in rows(here)] == ["accept", None, None]


def test_the_last_decision_can_be_taken_back(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path)
    browser = here.rater("A")
    form = decide(browser, "accept")
    assert form.status_code == 200
    browser.post("/review/undo", data={"csrf": form_of(browser)["csrf"]})
    assert [row.decision for row in rows(here)] == [None, None, None]
    assert "question 0" in browser.get("/review/next").text


def test_what_an_editor_decided_is_taken_over_and_the_desk_s_decisions_stand(
    site: MakeSite, tmp_path: Path
) -> None:
    here = desk(site, tmp_path)
    browser = here.rater("A")
    decide(browser, "accept")
    assert here.settings.review is not None
    found = rows(here)
    by_hand = [
        found[0].model_copy(update={"decision": "reject", "reason": "no"}),
        found[1].model_copy(update={"decision": "reject", "reason": "dull", "reviewer": "me"}),
        found[2],
    ]
    write_jsonl(here.settings.review, by_hand)
    decide(here.rater("A"), "accept")  # the second was taken over only with this step
    assert [(row.decision, row.reviewer) for row in rows(here)][:2] == [("accept", "A:01"), ("reject", "me")]
    again = site(review=here.settings.review)
    assert [row.decision for row in rows(again)][:2] == ["accept", "reject"]


def test_an_undo_that_the_file_does_not_have_yet_stands(site: MakeSite, tmp_path: Path) -> None:
    """A server that is killed between the database and the file."""
    here = desk(site, tmp_path)
    browser = here.rater("A")
    decide(browser, "accept")
    work = here.work
    work.queue.changed = lambda: None
    here.clock.now += 1
    browser.post("/review/undo", data=form_of(browser))
    work.data.load(here.base, here.clock())
    work.data.write(work.queue)
    assert [row.decision for row in rows(here)] == [None, None, None]


def test_rows_of_others_stay_in_the_authored_file(site: MakeSite, tmp_path: Path) -> None:
    foreign = [
        {"prompt": "no group", "answer": "stays"},
        {"messages": [{"role": "user", "content": "a"}], "group": "A"},
    ]
    ours = {"id": "mine", "group": "A", "prompt": "kept", "answer": "too", "licence": "CC0"}
    (tmp_path / "authored.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in [foreign[0], ours, foreign[1]])
    )
    here = desk(site, tmp_path)
    decide(here.rater("A"), "accept")
    assert authored(here) == [foreign[0], ours, foreign[1]]


def test_a_broken_file_stops_no_decision_and_is_left_alone(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path)
    browser = here.rater("A")
    decide(browser, "accept")
    assert here.settings.review is not None
    whole = here.settings.review.read_bytes()
    here.settings.review.write_bytes(whole + b'{"half')
    assert decide(browser, "accept").status_code == 200
    assert here.settings.review.read_bytes() == whole + b'{"half'
    lead = here.lead()
    told = lead.post("/lead/export", data={"csrf": field(lead.get("/lead").text, "csrf")})
    assert told.status_code == 409
    assert "review.jsonl" in told.text
    here.settings.review.write_bytes(whole)
    decide(browser, "accept")
    assert [row.decision for row in rows(here)] == ["accept", "accept", "accept"]


def test_candidates_that_are_there_twice_or_at_no_time_are_named(site: MakeSite, tmp_path: Path) -> None:
    row = Review(candidate=example(1))
    path = tmp_path / "review.jsonl"
    write_jsonl(path, [row, row])
    with pytest.raises(LimaError, match="more than once"):
        site(review=path)
    write_jsonl(path, [row.model_copy(update={"decision": "accept", "at": "yesterday"})])
    with pytest.raises(LimaError, match="yesterday"):
        site(review=path)


def test_a_text_too_long_to_edit_can_be_decided(site: MakeSite, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "review.jsonl", [Review(candidate=example(1, "long " * LONGEST_TEXT))])
    here = desk(site, tmp_path)
    browser = here.rater("A")
    assert 'name="prompt"' not in browser.get("/review/next").text
    assert decide(browser, "reject", reason="long").status_code == 200
    assert rows(here)[0].decision == "reject"


def test_what_an_excluded_reader_decided_is_open_again(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path)
    first, lead = here.rater("A"), here.lead()
    decide(first, "accept")
    decide(first, "reject", reason="no")
    csrf = field(lead.get("/lead").text, "csrf")
    lead.post("/lead/raters/1/revoke", data={"csrf": csrf})
    assert [row.decision for row in rows(here)] == ["accept", "reject", None]
    assert "Exclude" in lead.get("/lead").text
    lead.post("/lead/raters/1/exclude", data={"csrf": csrf})
    lead.post("/lead/raters/1/revoke", data={"csrf": csrf})  # a console that was left open
    assert [row.decision for row in rows(here)] == [None, None, None]
    assert here.work.queue.has_work(people.Participant(99, "A:99", "A"))
    with here.base.read() as connection:
        assert connection.scalar(sa.select(raters.c.state)) == "excluded"
    assert lead.post("/lead/raters/999/exclude", data={"csrf": csrf}).status_code == 404


def test_looking_holds_nothing_and_leaving_lets_go(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path, count=1)
    first, second = here.rater("A"), here.rater("A")
    first.get("/review")
    assert "question 0" in second.get("/review/next").text
    assert "Nothing to read" in first.get("/review/next").text
    second.post("/leave", data={"csrf": field(second.get("/pause").text, "csrf")})
    assert "question 0" in first.get("/review/next").text


def test_with_fewer_reviewers_what_has_enough_is_settled(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path, reviewers=2)
    decide(here.rater("A"), "accept")
    assert rows(here)[0].decision is None
    work = here.work
    work.queue.reviewers = 1
    work.queue.catch_up()
    assert rows(here)[0].decision == "accept"


@on_both_databases
def test_no_text_breaks_the_server(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path)
    browser = here.rater("A")
    for text in ("a\0b", "\ud800", "\U0001f600" * 100):
        sent = text.encode("utf-8", "surrogatepass")
        assert write(browser, sent).status_code < 500  # type: ignore[arg-type]
        assert decide(browser, "reject", reason=sent).status_code < 500  # type: ignore[arg-type]
    browser = here.rater("B")
    form = {"csrf": field(browser.get("/review/write").text, "csrf")}
    asked = ("How do I keep bees on a balcony?", "Which rope holds a hammock between two trees?")
    for item, prompt in zip(("same-beginning-1", "same-beginning-2"), asked, strict=True):
        reply = browser.post("/review/write", data=form | {"item": item, "prompt": prompt})
        assert reply.status_code == 200


@on_both_databases
def test_sent_twice_one_decision_is_taken_back_and_none_comes_again(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path)
    browser = here.rater("A")
    decide(browser, "accept")
    here.clock.now -= 3600  # the clock is set back: the second decision is still the latest
    second = form_of(browser) | {"decision": "accept"}
    browser.post("/review/decide", data=second)
    page = form_of(browser)
    for _ in range(2):
        reply = browser.post("/review/undo", data=page, headers={"Accept": "application/json"})
        assert reply.json() == {"to": "/review/next"}
        assert [row.decision for row in rows(here)] == ["accept", None, None]
    browser.post("/review/decide", data=second)  # a retry that comes late
    assert [row.decision for row in rows(here)] == ["accept", None, None]
    browser.post("/review/undo", data=form_of(browser))
    assert [row.decision for row in rows(here)] == [None, None, None]


def test_the_longest_text_fits_into_a_form_in_any_script(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path)
    longest = LONGEST_TEXT * "\u597d"
    reply = decide(here.rater("A"), "edit", prompt=longest, answer=longest)
    assert reply.status_code == 200
    edited = rows(here)[0].edited
    assert edited is not None
    assert [message.content for message in edited.messages] == [longest, longest]


def test_two_reviewers_who_agree_decide_and_others_go_to_the_lead(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path, reviewers=2)
    first, second = here.rater("A"), here.rater("A")
    decide(first, "accept")
    assert rows(here)[0].decision is None
    decide(second, "accept")
    assert (rows(here)[0].decision, rows(here)[0].reviewer) == ("accept", "A:01+A:02")
    decide(first, "accept")
    decide(second, "reject", reason="dull")
    assert rows(here)[1].decision is None
    lead = here.lead()
    page = lead.get("/lead/splits").text
    form = {name: field(page, name) for name in ("csrf", "item")}
    lead.post("/lead/settle", data=form | {"choice": 1})
    assert (rows(here)[1].decision, rows(here)[1].reviewer, rows(here)[1].reason) == (
        "reject",
        "lead",
        "dull",
    )


@on_both_databases
def test_an_example_is_read_by_another_person_of_its_group(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path, count=0)
    author, reader, stranger = here.rater("A"), here.rater("A"), here.rater("B")
    write(author, "How do I break in new boots?", tags=["sensitive"], notes="calm")
    assert authored(here) == []
    assert "Nothing to read" in author.get("/review/next").text
    assert "Nothing to read" in stranger.get("/review/next").text
    decide(reader, "accept")
    (row,) = authored(here)
    assert (row["prompt"], row["group"], row["author"]) == ("How do I break in new boots?", "A", "A:01")
    assert (row["tags"], row["notes"]) == (["sensitive"], "calm")


def test_what_comes_back_is_changed_and_read_again(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path, count=0)
    author, reader = here.rater("A"), here.rater("A")
    write(author, "How do I break in new boots?")
    decide(reader, "reject", reason="say which kind")
    page = author.get("/review").text
    assert "say which kind" in page
    token = page.split("/review/write?item=")[1].split('"')[0]
    csrf = field(author.get(f"/review/write?item={token}").text, "csrf")
    changed = {"csrf": csrf, "item": token, "prompt": "How do I break in leather boots?", "answer": ANSWER}
    author.post("/review/write", data=changed)
    stale = form_of(reader)
    again = changed | {"prompt": "How do I break in stiff leather boots?"}
    assert author.post("/review/write", data=again).status_code == 409, "a tab that was left open"
    author.post(
        "/review/write",
        data=again | {"version": field(author.get(f"/review/write?item={token}").text, "version")},
    )
    assert reader.post("/review/decide", data=stale | {"decision": "accept"}).status_code == 409
    decide(reader, "accept")
    assert [row["prompt"] for row in authored(here)] == ["How do I break in stiff leather boots?"]


def check(browser: TestClient, prompt: str, answer: str = ANSWER) -> dict[str, str]:
    page = browser.get("/review/write").text
    form = {"csrf": field(page, "csrf"), "item": field(page, "item"), "prompt": prompt, "answer": answer}
    found = browser.post("/review/check", data=form, headers={"accept": "application/json"}).json()[
        "findings"
    ]
    return {one["text"]: one["level"] for one in found}


def test_live_checks_name_what_is_wrong(site: MakeSite, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", [example(1, "How do I prune a young apple tree in winter?")])
    secret = "What should a beginner pack for a week in the mountains in spring?"
    write_jsonl(
        tmp_path / "test.jsonl", [Example(id="t", source="x", messages=example(1, secret).messages[:1])]
    )
    here = desk(site, tmp_path, count=0, train=(tmp_path / "train.jsonl",), test=(tmp_path / "test.jsonl",))
    browser = here.rater("A")
    fine = check(browser, "How do I break in new boots?")
    assert set(fine.values()) == {"good"}
    leak = check(browser, secret)
    assert [text for text, level in leak.items() if level == "stop"] == [
        "Too close to a test prompt. Choose another question."
    ]
    again = check(browser, "How do I prune a young apple tree in winter?")
    assert any("Too close to what is there" in text for text, level in again.items() if level == "stop")
    short = check(browser, "How do I break in new boots?", "Walk.")
    assert any("Short: 5 characters" in text for text in short)
    assert any("does not open by acknowledging" in text for text in short)
    cut = check(browser, "How do I break in new boots?", ANSWER[:-40])
    assert any("lima curate would drop it" in text for text, level in cut.items() if level == "stop")
    assert write(browser, secret).status_code == 422


def test_the_groups_see_nothing_of_each_other(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path, count=0)
    writer, other = here.rater("A"), here.rater("B")
    write(writer, "How do I break in new boots?")
    token = writer.get("/review").text.split("/review/write?item=")[1].split('"')[0]
    assert other.get(f"/review/write?item={token}").status_code == 404
    form = {"csrf": field(other.get("/review/write").text, "csrf"), "item": token, "version": 0}
    assert other.post("/review/decide", data=form | {"decision": "accept"}).status_code == 404
    assert "boots" not in other.get("/review").text
    assert set(check(other, "How do I break in new boots?").values()) == {"good"}


def test_nobody_decides_on_own_texts(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path, count=0)
    author = here.rater("A")
    write(author, "How do I break in new boots?")
    token = author.get("/review").text.split("/review/write?item=")[1].split('"')[0]
    form = {"csrf": field(author.get("/review/write").text, "csrf"), "item": token, "version": 0}
    assert author.post("/review/decide", data=form | {"decision": "accept"}).status_code == 403


def test_a_new_database_reads_both_files_again(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path)
    browser, reader = here.rater("A"), here.rater("A")
    decide(browser, "accept")
    decide(browser, "edit", prompt="better", answer="and so on")
    write(browser, "How do I break in new boots?", tags=["refusal"])
    for person in (reader, browser):
        decide(person, "accept")
    before = rows(here), authored(here)
    again = desk(site, tmp_path)
    work = again.work
    work.data.write(work.queue)
    assert (rows(again), authored(again)) == before


def test_curate_takes_what_the_desk_decided(site: MakeSite, tmp_path: Path) -> None:
    """Candidates of a real run of curate, decided in the app, and examples written there: the next run has both."""
    forum(tmp_path)
    review = tmp_path / "desk" / "review.jsonl"
    review.parent.mkdir()
    assert pick(tmp_path / "dumps", tmp_path / "out", review) == []
    here = site(review=review)
    browser, reader = here.rater("A"), here.rater("A")
    for decision in ("reject", "accept", "accept"):
        decide(browser, decision, reason="no")
    wanted = [row.candidate.id.rpartition("/")[2] for row in rows(here) if row.decision == "accept"]
    assert pick(tmp_path / "dumps", tmp_path / "out", review) == sorted(wanted)
    offered = {row.candidate.id for row in rows(here)}
    decide(browser, "accept")  # that run of curate offered a further candidate; the desk keeps it
    assert {row.candidate.id for row in rows(here)} == offered
    assert len(offered) == 7
    write(browser, "How do I break in new boots?")
    while "Nothing to read" not in reader.get("/review/next").text:
        decide(reader, "accept")
    sources = {"house": Authored(path=Path("authored.jsonl"), group="A", train=1)}
    settings = CurateSettings.from_recipe(
        "own-data", input=review.parent, out=tmp_path / "own", sources=sources
    )
    curate(settings)
    (found,) = read_jsonl(tmp_path / "own" / "train.jsonl", Example)
    assert [m.content for m in found.messages] == ["How do I break in new boots?", ANSWER]


@pytest.mark.parametrize("path", ["/work", "/dialogue", "/answer"])
def test_other_kinds_of_work_are_not_there(site: MakeSite, tmp_path: Path, path: str) -> None:
    assert desk(site, tmp_path).rater("A").get(path).status_code in (404, 405)


def test_a_folder_of_candidates_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "mistyped" / "review.jsonl"
    for dry_run in (True, False):
        with pytest.raises(LimaError, match=r"mistyped: no such folder\. Make the candidates: lima curate"):
            annotate(AnnotateSettings(review=path, dry_run=dry_run))
    assert not path.parent.exists()
