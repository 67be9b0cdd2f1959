"""What is decided from raw rows is what cleaning and the rules would decide."""

from __future__ import annotations

import os
from html import escape as escape_html
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.curate.dump import LONG, answer, question, row

from lima.curate.candidate import Candidate, Count, Problem
from lima.curate.rules import RAW_RULES, RULES, RuleSettings, first_problem, raw_problem
from lima.curate.sources.base import Context
from lima.curate.stackexchange.pairs import Exchange, RawPair, longest_text
from lima.curate.stackexchange.source import StackExchange
from lima.curate.text.blocks import Style
from lima.curate.text.clean import clean
from lima.records import Example, Message, Meta

PAPER = RuleSettings()
CONTEXT = Context(
    name="forum", path=Path(), scratch=Path(), seed=0, style="markdown",
    count=lambda stratum: Count(), reject=lambda reject: None,
)  # fmt: skip
OPENERS = (
    "<p>", "<ul>", "<ol>", '<ol start="998">', "<li>", "<blockquote>", "<pre>", '<pre class="lang-c">', "<code>", "<h1>",
    "<h2>", "<tr>", "<td>", "<table>", "<sup>", "<sub>", "<br>", "<hr>", "<a href='x'>", "<img src=x>", "<s>", "<dd>",
)  # fmt: skip
CLOSERS = (
    "</p>", "</ul>", "</ol>", "</li>", "</blockquote>", "</pre>", "</code>", "</h1>", "</h2>", "</tr>", "</td>", "</table>",
    "</sup>", "</sub>", "</a>", "</s>", "</dd>",
)  # fmt: skip
TEXTS = (
    "a",
    "some words",
    "\n",
    " ",
    "a\nb",
    "```",
    "`",
    "x & y",
    "&nGt;",
    "é",
    "…",
    "http://x.y/z",
    "()",
    "1 < 2",
    '"',
)
HTML = st.lists(
    st.sampled_from(OPENERS) | st.sampled_from(CLOSERS) | st.sampled_from(TEXTS), max_size=40
).map("".join)


def escaped(html: str) -> bytes:
    """As a dump writes a body."""
    return escape_html(html, quote=True).replace("&#x27;", "'").replace("\n", "&#xA;").encode()


@settings(max_examples=400, deadline=None)
@given(HTML, st.sampled_from(["markdown", "lima"]))
def test_no_text_is_longer_than_the_bound(html: str, style: Style) -> None:
    assert len(clean(html, style).text) <= longest_text(escaped(html))


def test_the_bound_decides_most_short_answers() -> None:
    html = "<p>Some words of an answer.</p>\n\n" * 20
    assert len(clean(html).text) <= longest_text(escaped(html)) <= 1.8 * len(clean(html).text)


def early_problem(question_row: str, answer_row: str, rules: RuleSettings) -> Problem | None:
    rows = (1, question_row.encode()), (2, answer_row.encode())
    return raw_problem(
        RawPair(StackExchange(rules=rules), Exchange("cooking", "other"), CONTEXT, *rows), rules
    )


def test_raw_rules_are_rules_in_their_order() -> None:
    assert list(RAW_RULES) == [name for name in RULES if name in RAW_RULES]


def naive(question_row: str, answer_row: str, rules: RuleSettings) -> str | None:
    """Everything decoded and cleaned first."""
    post, reply = (ElementTree.fromstring(text).attrib for text in (question_row, answer_row))
    cleaned = clean(reply["Body"])
    if not cleaned.text:
        return "empty"
    title = " ".join(post["Title"].split())
    messages = (Message(role="user", content=title or "?"), Message(role="assistant", content=cleaned.text))
    example = Example(id="x", source="x", messages=messages, meta=Meta(score=int(reply["Score"])))
    problem = first_problem(Candidate(example, cleaned.text, cleaned.prose, cleaned.holes, title), rules)
    return problem and problem[0]


TITLES = st.sampled_from(
    ["Why does water boil sooner up there?", "Help", "Why is this so?", "What is a&b <c> of \"it\"?", "", "Is it so?"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(TITLES, HTML | st.just(LONG) | HTML.map(lambda html: LONG + html), st.integers(0, 1500))
def test_an_early_decision_is_the_late_one(title: str, body: str, length_min: int) -> None:
    rules = PAPER.model_copy(update={"length_min": length_min})
    question_row, answer_row = row(question(1, title)), row(answer(2, 1, body=body))
    early = early_problem(question_row, answer_row, rules)
    if early is not None:
        assert early[0] == naive(question_row, answer_row, rules)


def test_a_short_answer_is_dropped_unread() -> None:
    body = "<p>At a lower pressure it needs less heat.</p>"
    rows = row(question(1, "Why does water boil sooner up there?")), row(answer(2, 1, body=body))
    longest = longest_text(escaped(body))
    assert longest < 100
    assert early_problem(*rows, PAPER) == ("length_min", f"at most {longest} characters, under 1200")
    assert early_problem(*rows, PAPER.model_copy(update={"length_min": longest})) is None


def test_unusual_forms_are_left_to_the_parser() -> None:
    plain = row(question(1, "Help")), row(answer(2, 1))
    assert early_problem(*plain, PAPER) == (
        "self_contained_title",
        "the title has 1 words, under 3",
    )
    for odd in (plain[0].replace('"Help"', "'Help'"), plain[0].replace('Title="', 'Title = "')):
        assert early_problem(odd, plain[1], PAPER) is None
    for body in ("", "<p></p>", '<p><img src="x"></p>', "<p>http://x.y</p>", "<s>some words</s>"):
        assert early_problem(plain[0], row(answer(2, 1, body=body)), PAPER) is None


@pytest.mark.skipif("LIMA_DATA" not in os.environ, reason="LIMA_DATA names the folder of real dumps")
def test_real_bodies_stay_within_the_bound() -> None:
    met = 0
    for path in (Path(os.environ["LIMA_DATA"]) / "stackexchange").rglob("Posts.xml"):
        for line in path.read_bytes().splitlines():
            start = line.find(b' Body="') + 7
            if line.lstrip().startswith(b"<row") and start > 6:
                raw = line[start : line.find(b'"', start)]
                html = ElementTree.fromstring(line).attrib["Body"]
                assert len(clean(html).text) <= longest_text(raw)
                assert len(clean(html, "lima").text) <= longest_text(raw)
                met += 1
    assert met > 1_000
