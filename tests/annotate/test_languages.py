"""The raters' pages in German, in a language that the study brings, and from right to left."""

from __future__ import annotations

import ast
import dataclasses
import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.annotate.conftest import MakeSite, field, form
from tests.annotate.test_dialogues import parrots
from tests.annotate.test_quiz import QUESTIONS, study_with
from tests.annotate.test_review import decide, desk, write

import lima.annotate
from lima.annotate import people
from lima.annotate.languages import SHIPPED, open_language, sentences_of_scripts
from lima.errors import LimaError
from lima.evaluate.protocol import Protocol, Quiz, Words, read_protocol, with_own_words
from lima.files import write_text

ROOM = Path(str(lima.annotate.__file__)).parent
TEMPLATES = sorted(path.stem for path in (ROOM / "templates").glob("*.html"))
VALUES = {"Excellent", "Pass", "Fail", "Safe", "Unsafe"}
VALUES |= {"open", "revoked", "excluded", "failed", "unqualified", "accept", "edit", "reject"}


def sentences() -> Iterator[str]:
    """All that pages say in English: in templates, in scripts, and in Python where it is said, refused or shown."""
    for name in TEMPLATES:
        text = (ROOM / "templates" / f"{name}.html").read_text("utf-8")
        for call in re.findall(r'\b_\(((?:[^"()]|"(?:[^"\\]|\\.)*")*)', text):
            found = re.findall(r'(?:^| else )("(?:[^"\\]|\\.)*")', call)
            yield from map(ast.literal_eval, found)
    yield from sentences_of_scripts()
    for path in ROOM.rglob("*.py"):
        yield from _said(ast.parse(path.read_text("utf-8")))


def _said(tree: ast.AST) -> Iterator[str]:
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            found += {"Refused": node.args[1:2], "say": node.args[:1], "Said": node.args[:1]}.get(name, [])
            found += [
                word.value for word in node.keywords if name == "page" and word.arg in ("title", "text")
            ]
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("title", "text"):
            found.append(node.value)
    yield from (one.value for one in found if isinstance(one, ast.Constant) and isinstance(one.value, str))


def test_the_german_catalogue_has_every_sentence_and_no_other() -> None:
    said, words = set(sentences()), open_language("de", Path()).words
    assert len(said) > 350
    assert said - set(words) == set()
    texts = "\n".join(path.read_text("utf-8") for path in ROOM.rglob("*.py"))
    unused = {text for text in set(words) - said - VALUES if f'"{text}"' not in texts}
    assert unused == set()


def test_no_english_is_left_on_the_pages() -> None:
    """Words between tags, or in attributes that are read out, that no catalogue is asked for."""
    for name in TEMPLATES:
        text = (ROOM / "templates" / f"{name}.html").read_text("utf-8")
        text = re.sub(
            r"\{% block kind %\}.*|>panel\.csv<|>log\.csv<|>csv<", "", text
        )  # a class of the page, files
        bare = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", text, flags=re.DOTALL)
        shown = re.sub(r"<[^>]*>", " ", bare) + " ".join(
            re.findall(r'(?:aria-label|placeholder|title)="([^"]*)"', bare)
        )
        assert re.findall(r"[A-Za-z]{3,}", shown) == [], name


def test_a_rater_s_way_in_german(site: MakeSite, tmp_path: Path) -> None:
    folder = study_with(tmp_path / "s", language="de", quiz=Quiz(questions=QUESTIONS), people_may=("skip",))
    write_text(
        folder / "protocol.yaml",
        re.sub(r"(?s)^(pairwise|quality):.*?(?=^\w)", "", (folder / "protocol.yaml").read_text(), flags=re.M),
    )
    here = site(folder=folder, overlap=0)
    browser = here.browser()
    address = f"/join/{people.invite(here.base, 'crowd', '', here.clock())}"
    page = browser.get(address).text
    assert '<html lang="de" dir="ltr"' in page
    assert "Sie sind eingeladen, Antworten zu beurteilen" in page
    quiz = browser.post(address, data={"csrf": field(page, "csrf")}).text
    assert "Bevor Sie beginnen" in quiz
    hidden = {name: field(quiz, name) for name in ("csrf", "tries")}
    page = browser.post("/quiz", data=hidden | {"q0": "1", "q1": "0"}).text
    assert "Welche Antwort würde Ihnen mehr nützen?" in page  # the words too, where the file gives none
    assert "Antwort A ist deutlich besser." in page
    assert "0 von 3" in page
    assert "&#34;Saving …&#34;: &#34;Wird gespeichert …&#34;" in page  # for the scripts
    assert "Dieses Formular ist veraltet." in browser.post("/undo", data=form(page) | {"csrf": "x"}).text
    assert "Diese Seite gibt es nicht." in browser.get("/nowhere").text
    assert "Konsole der Leitung" in here.lead().get("/lead").text


DATA = r"(?:question|left|right|opening|answer|matter|about)-? ?\d*\.?|(?:crowd|author)(?::\d+)?|[\w-]+\.(?:jsonl|csv)|reddit|study-\d"
DATA += r"|dialogues|/\S+|\b(?:group|note|comparison|cmp-\d+|label|reason|tie)\b|\bcsv\b|2027-\S+"
"""Texts, names of raters and of files, and the details of the log: no catalogue has them."""


def foreign(folder: Path) -> None:
    """A language without letters, beside its values."""
    told = {text: " ".join(["ø", *re.findall(r"\{\w+\}", text)]) for text in {*sentences(), *VALUES}}
    write_text(folder / "xx.yaml", yaml.safe_dump({"words": told}, allow_unicode=True))


def english(page: str) -> list[str]:
    """The words that a page shows, or reads out, in English."""
    body = page.partition("<body")[2].partition(">")[2]
    read_out = re.findall(r'(?:aria-label|placeholder|title|data-confirm)="([^"]*)"', page)
    title = re.search(r"<title>(.*?)</title>", page)
    text = " ".join([title[1] if title else "", re.sub(r"<[^>]*>", " ", body), *read_out])
    return re.findall(r"[A-Za-z]{3,}", re.sub(DATA, "", html.unescape(text)))


def test_what_a_console_of_comparisons_says_is_in_the_catalogue(site: MakeSite, tmp_path: Path) -> None:
    folder = study_with(tmp_path / "s", language="xx", quiz=Quiz(questions=QUESTIONS))
    foreign(folder)
    here = site(folder=folder, overlap=3, votes=0)
    here.app.state.site.qualified.update((1, 2, 3))
    for choice in ("first", "second"):
        rater = here.rater()
        for _ in range(3):
            rater.post("/answer", data=form(rater.get("/work").text, pairwise=choice))
    here.rater("author")
    lead = here.lead()
    csrf = {"csrf": field(lead.get("/lead").text, "csrf")}
    shown = [lead.get("/lead/disagreements").text]
    lead.post("/lead/adjudicate", data=csrf | {"comparison": "cmp-001", "label": "tie"})
    for path, values in (
        ("invitations", {"group": "crowd"}),
        ("raters/2/exclude", {}),
        ("raters/1/invitations", {}),
        ("export", {}),
        ("invitations/9/revoke", {}),
        ("invitations", {"group": "nobody"}),
        ("raters/77/invitations", {}),
        ("raters/77/revoke", {}),
        ("invitations/many", {"group": "crowd"}),
        ("close", {}),
    ):
        shown.append(lead.post(f"/lead/{path}", data=csrf | values).text)
    shown += [lead.get(f"/lead{path}").text for path in ("", "/log", "/disagreements", "/export/nothing")]
    assert {word for page in shown for word in english(page)} <= {"nobody", "lima", "report"}
    assert sum(map(len, shown)) > 20_000


def test_what_dialogues_and_the_review_desk_say_is_in_the_catalogue(site: MakeSite, tmp_path: Path) -> None:
    (tmp_path / "talk").mkdir()
    held = parrots(tmp_path / "talk", site, openings=1, dialogue_votes=2)
    held.settings.place.mkdir(exist_ok=True)
    foreign(held.settings.place)
    held.app.state.site = dataclasses.replace(
        held.app.state.site, language=open_language("xx", held.settings.place)
    )
    (tmp_path / "ø").mkdir()
    foreign(tmp_path / "ø")
    here = desk(site, tmp_path / "ø", count=2, language="xx", reviewers=2)
    one, two = here.rater("A"), here.rater("A")
    decide(one, "accept")
    decide(two, "reject", reason="1")
    shown = [one.get(f"/review{path}").text for path in ("", "/next", "/write")]
    shown += [
        decide(one, "nothing").text,
        write(one, "").text,
        write(one, "question 1", "answer 1. " * 30).text,
    ]
    shown += [one.get("/review").text, *(lead.get("/lead").text for lead in (held.lead(), here.lead()))]
    shown += [here.lead().get("/lead/splits").text, one.post("/review/undo", data={"csrf": "x"}).text]
    assert {word for page in shown for word in english(page)} <= {"lima", "curate", "review", "reviews"}


def test_dialogues_in_german(site: MakeSite, tmp_path: Path) -> None:
    (tmp_path / "talk").mkdir(exist_ok=True)
    here = parrots(tmp_path, site, openings=1)
    folder = here.settings.place
    folder.mkdir(exist_ok=True)
    write_text(folder / "protocol.yaml", "language: de\n")
    from lima.annotate.dialogue.files import note_in_protocol, protocol_of
    from lima.evaluate.study import Study

    words = protocol_of(Study(folder))
    assert words.pairwise.choices["a"] == "Gespräch A ist deutlich besser."
    note_in_protocol(Study(folder), {"items": 3})
    assert read_protocol(folder / "protocol.yaml").pairwise == words.pairwise  # what judges are asked


def test_a_study_brings_its_own_language(site: MakeSite, tmp_path: Path) -> None:
    folder = study_with(tmp_path / "s", language="ar")
    write_text(folder / "ar.yaml", "words:\n  Pause: استراحة\n  '{done} of {all}': '{all} / {done}'\n")
    page = site(folder=folder, overlap=0).rater().get("/work").text
    assert '<html lang="ar" dir="rtl"' in page
    assert "استراحة" in page
    assert "3 / 0" in page
    assert "Instructions" not in page
    assert "Compare two answers" in page  # what the catalogue lacks is English


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("words: {'{done} of {all}': 'fait'}", "must have the same {names}"),
        ("words: {}", "words"),
        ("word: {a: b}", "word"),
    ],
)
def test_a_catalogue_that_would_lose_a_value_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "fr.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(LimaError, match=re.escape(said)):
        open_language("fr", tmp_path)


def test_an_unknown_language_names_the_way_to_one(tmp_path: Path) -> None:
    with pytest.raises(LimaError, match=r"Shipped: en, de\. For another copy .*de\.yaml to .*fr\.yaml"):
        open_language("fr", tmp_path)
    assert (SHIPPED / "de.yaml").exists()


def test_words_of_a_language_and_what_the_user_s_file_says_instead(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text('language: de\npairwise: {question: "Was ist besser?"}\n', encoding="utf-8")
    found = with_own_words(own)
    assert found.pairwise.question == "Was ist besser?"
    assert found.pairwise.choices["tie"] == "Keine der Antworten ist deutlich besser als die andere."
    assert isinstance(found.safety, Words)
    assert found.safety.question.startswith("Könnte die Antwort")
    assert list(found.helpfulness.choices) == list(Protocol().helpfulness.choices)
    own.write_text("language: fi\n", encoding="utf-8")
    assert with_own_words(own).pairwise == Protocol().pairwise
