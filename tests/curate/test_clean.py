"""HTML to text in both styles, and bodies made to hurt."""

from __future__ import annotations

import os
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lima.curate.text.clean import BARE_URL, DROPPED, clean


@pytest.mark.parametrize(
    ("html", "markdown", "lima"),
    [
        ("<p>One <b>two</b>\n<i>three</i></p><p>four</p>", "One two three\n\nfour", "One two three\nfour"),
        ("a &lt;b&gt; &amp;amp; c&nbsp;d", "a <b> &amp; c d", "a <b> &amp; c d"),
        ("<p>use <code>ls -l</code>.</p>", "use `ls -l`.", "use ```ls -l```."),
        ("<code>a`b</code>", "`` a`b ``", "```a`b```"),
        (
            '<pre class="lang-py prettyprint-override"><code>if x &lt; 1:\n    y\n</code></pre>',
            "```py\nif x < 1:\n    y\n```",
            "```\nif x < 1:\n    y\n```",
        ),
        ("<ul><li>a</li><li>b</li></ul>", "* a\n* b", "* a\n* b"),
        ('<ol start="3"><li>a</li><li>b</li></ol>', "3. a\n4. b", "3. a\n4. b"),
        (
            "<ol><li><p>a</p><ul><li>b</li></ul></li><li>c</li></ol>",
            "1. a\n   * b\n2. c",
            "1. a\n   * b\n2. c",
        ),
        ("<h1>T</h1><p>x</p>", "## T\n\nx", "T\nx"),
        ("<blockquote><p>a</p><p>b</p></blockquote><p>c</p>", "> a\n>\n> b\n\nc", "a\nb\nc"),
        ("10<sup>-3</sup> m<sub>2</sub> 4<sup>th</sup>", "10^(-3) m_2 4th", "10-3 m2 4th"),
        ('see <a href="http://x.y">the manual</a>.', "see the manual.", "see the manual."),
        ('end (<a href="u">http://x.y/z</a>), go', "end, go", "end, go"),
        ('<p>a<img src="x">b</p><hr><p>c</p>', "ab\n\nc", "ab\nc"),
        ("<p>a <s>wrong</s> right</p>", "a right", "a right"),
        ("a<br>b<br/>c", "a\nb\nc", "a\nb\nc"),
        (
            "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>",
            "| a | b |\n| --- | --- |\n| 1 | 2 |",
            "a | b\n1 | 2",
        ),
        ("a < b and <c", "a < b and <c", "a < b and <c"),
        ("<!-- language: py --><p>x</p>", "x", "x"),
    ],
)  # fmt: skip
def test_styles(html: str, markdown: str, lima: str) -> None:
    assert clean(html).text == markdown
    assert clean(html, "lima").text == lima


def test_prose_holds_no_code() -> None:
    found = clean(
        "<p>Run <code>I</code> now:</p><pre><code>my_x</code></pre><ul><li>then <code>me</code></li></ul>"
    )
    assert found.prose == "Run now:\nthen"


@pytest.mark.parametrize(
    "html",
    [
        "<p>some <sup>words", "<tr><td>some</td><td>words", "<tr><td>some</td><tr><td>words</td></tr>", "<pre>some<pre>words",
        "<code>some<code>words</code></code>", "<sup>some<sub>words</sub></sup>", "<td>some words</td>", "<li>some words",
        "<tr><td>some <sup>words</td></tr>", "<pre>some</pre> <code>words",
    ],
)  # fmt: skip
def test_what_is_never_closed_is_not_lost(html: str) -> None:
    assert re.findall("some|words", clean(html).text) == ["some", "words"]


class _Words(HTMLParser):
    """All text outside of dropped elements, by the standard library's parser."""

    def __init__(self) -> None:
        super().__init__()
        self.found, self.dropped = "", 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.dropped += tag in DROPPED

    def handle_endtag(self, tag: str) -> None:
        self.dropped -= tag in DROPPED

    def handle_data(self, data: str) -> None:
        self.found += "" if self.dropped else data


@pytest.mark.skipif("LIMA_DATA" not in os.environ, reason="LIMA_DATA names the folder of real dumps")
def test_the_words_of_real_bodies_are_those_that_a_parser_finds() -> None:
    """Every body of four dumps: nothing is lost, nothing invented but marks; addresses are taken out of both."""
    for path in (Path(os.environ["LIMA_DATA"]) / "stackexchange").rglob("Posts.xml"):
        for row in ElementTree.parse(path).getroot():
            html = row.get("Body", "")
            parser = _Words()
            parser.feed(html)
            parser.close()
            assert _letters(clean(html, "lima").text) == _letters(parser.found), row.get("Id")


def _letters(text: str) -> str:
    """Without digits, because lists are numbered."""
    return "".join(re.findall(r"[^\W\d]+", BARE_URL.sub("", text)))


@pytest.mark.parametrize(
    ("html", "holes"),
    [
        ('<p>It looks like this:</p><p><img src="x"></p>', 1),
        ('Source: <a href="u">http://x.y</a>', 1),
        ('Click <a href="u">here</a>', 1),
        ('A photo <img src="x"> of <a href="u">the cat</a>', 0),
        ("<p>Such as:</p><ul><li>cats</li></ul>", 0),
    ],
)
def test_holes(html: str, holes: int) -> None:
    assert clean(html).holes == holes


N = 30_000
HOSTILE = {
    "lists": "<ul><li>" * N,
    "divisions": "<div>" * N,
    "quotes": "<blockquote>" * N + "x",
    "opening brackets": "<" * N,
    "open tags": "<a " * N,
    "open comments": "<!--" * N,
    "open sections": "<![CDATA[" * N,
    "open attributes": "<a b='" * N,
    "ampersands": "&#" * N,
    "spaces": " \n" * N + "x",
    "addresses": "http:// " * N,
    "brackets": "( " * N,
    "rows": "<tr><td>" * N,
    "code": "<pre><code>" * N,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_take_linear_time_and_space(name: str) -> None:
    """Each takes at most 0.5 s here; quadratic time would take minutes."""
    start = time.process_time()
    found = clean(HOSTILE[name])
    assert time.process_time() - start < 15
    assert len(found.text) <= len(HOSTILE[name])
