"""HTML to text in both styles, and bodies made to hurt."""

from __future__ import annotations

import re
import time
from html import unescape

import pytest

from lima.curate.text.blocks import POINTER
from lima.curate.text.clean import (
    ANNOUNCEMENT,
    CLOSING,
    EDIT_LABEL,
    LINK_LIST,
    POINTER_AT_END,
    SOURCE_NAME,
    clean,
)
from lima.curate.text.markup import STRUCK_OUT


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
        ("<blockquote><p>a</p><p>b</p></blockquote><p>c</p>", "> a\n>\n> b\n\nc", "> a\n> b\nc"),
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


@pytest.mark.parametrize(
    "html",
    [
        "<p>The call <code>now()</code> fills <code>row[]</code>, or <code>f = () =&gt; {}</code> and <code>Set&lt;&gt;</code>.</p>",
        "<p>main() gives [ ] or ( ) or &lt;&gt; , as one likes ; or not !</p>",
        "<p><code>a  b</code> has two blanks</p>",
        "<pre><code>x = []  \n\n\tf( )</code></pre>",
    ],
)
def test_nothing_changes_where_nothing_was_removed(html: str) -> None:
    plain = unescape(re.sub(r"</?p>", "", html))
    expected = re.sub("<pre><code>(.*)</code></pre>", "```\n\\1\n```", plain, flags=re.DOTALL)
    assert clean(html).text == re.sub("</?code>", "`", expected)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<ul><li><p>May</p><blockquote><p>Rain.</p><p>Sun.</p></blockquote></li><li>June</li></ul>", "* May\n\n  > Rain.\n  >\n  > Sun.\n* June"),
        ("<blockquote><ul><li>a</li><li>b</li></ul></blockquote>", "> * a\n> * b"),
        ("<ol><li>a<pre>x\ny</pre></li></ol>", "1. a\n\n   ```\n   x\n   y\n   ```"),
        ("<pre><div>first</div><div>second</div></pre>", "```\nfirst\nsecond\n```"),
        ("<table><tr><td>a|b</td><td><code>c|d</code></td></tr></table>", "| a\\|b | `c\\|d` |\n| --- | --- |"),
        ("<p><sup><sub>All figures are of the year before.</sub></sup></p>", "All figures are of the year before."),
        ("<p>It was so.<sup>2</sup> x<sup>2</sup></p>", "It was so.[2] x^2"),
        (r"<p>$\newcommand{\norm}[1]{\|#1\|}$ Take $\norm{x}$.</p>", r"Take $\norm{x}$."),
        ("<p>a\u200bb &#8203;c</p>", "ab c"),
        ("<p>Try http://localhost:8080/, not www.example.com.</p>", "Try http://localhost:8080/, not www.example.com."),
        ("<p>one\x0etwo\x01</p>", "onetwo"),
        ("<p>&amp;lt;<sup>&amp;lt;</sup></p>", "&lt;^(&lt;)"),
    ],
)  # fmt: skip
def test_markup(html: str, text: str) -> None:
    assert clean(html).text == text


A = '<a href="u">http://x.y/A_(b)#c</a>'
HERE = '<a href="u">here</a>'


@pytest.mark.parametrize(
    ("html", "text", "steps"),
    [
        (f"<p>It is so (see {A} and {A}), they say.</p>", "It is so, they say.", []),
        (f"<p>Water is wet. (See {A}) Salt is not.</p>", "Water is wet. Salt is not.", []),
        ("<p>Water <img src='u'> is wet. <img src='u'> Salt <img src='u'>.</p>", "Water is wet. Salt.", []),
        (f"<p>A famous wet thing is water -- {A}</p>", "A famous wet thing is water", []),
        ('<p>Water is wet.<a href="u">[1]</a> Salt is not <a href="u">(video)</a>.</p>', "Water is wet. Salt is not.", []),
        (f"<p>Water is wet, e.g. see {A} and {A}</p>", "Water is wet", []),
        (f"<p>Water is wet.</p><p>Sourced from {A}</p>", "Water is wet.", [POINTER]),
        (f"<p>Water is wet.</p><p><b>More Information</b></p><p>{A}</p>", "Water is wet.", [ANNOUNCEMENT]),
        (f"<p>Water is wet.</p><h2>Links</h2><ul><li>{A}</li></ul>", "Water is wet.", [ANNOUNCEMENT]),
        (f"<p>Water is wet. You can read more {HERE}. Salt is not.</p>", "Water is wet. Salt is not.", [POINTER]),
        ('<p>Water is wet. For more details, see <a href="u">the river page</a>.</p>', "Water is wet.", [POINTER_AT_END]),
        ('<p>Water is wet.</p><p>Related:</p><ul><li><a href="u">Is ice wet?</a></li></ul>', "Water is wet.", [LINK_LIST]),
        ("<p>Water is wet. Hope this helps!</p><p>Feel free to edit it.</p>", "Water is wet.", [CLOSING]),
        ("<p>Water is wet.</p><p>Edit 2: <code>ice</code> is dry.</p>", "Water is wet.\n\n`ice` is dry.", [EDIT_LABEL]),
        ("<p>Water <s>fire</s> is wet.</p>", "Water is wet.", [STRUCK_OUT]),
        ("<ul><li>" + A + "</li><li>ice</li></ul>", "* ice", []),
        ('<p>Water is wet.</p><p>From <a href="u">Wikipedia</a></p><p>Ice is dry.</p>', "Water is wet.\n\nIce is dry.", [SOURCE_NAME]),
        ("<p>Water is wet.</p><p><img src='u'></p><p>Image: The Times</p><p>Ice is dry.</p>", "Water is wet.\n\nIce is dry.", [SOURCE_NAME]),
        ('<p>Water is wet.</p><p><a href="u">The river page</a></p>', "Water is wet.", [SOURCE_NAME]),
        ('<p>Water<sup><a href="u">wiki</a></sup> is wet.</p>', "Water is wet.", []),
    ],
)  # fmt: skip
def test_what_goes_is_named(html: str, text: str, steps: list[str]) -> None:
    found = clean(html)
    assert (found.text, found.steps, found.holes) == (text, [f"cut: {step}" for step in steps], 0)


@pytest.mark.parametrize(
    "html",
    [
        f"<p>At {A} are two of them.</p>",
        f"<p>Read this {HERE}. It explains the rest.</p>",
        '<p>In <a href="u">this paper</a> they found the reverse.</p>',
        f"<p>These are the steps of the recipe in the book of 1901, word for word:</p><p>{A}</p>",
        f"<h2>Ingredients</h2><p>{A}</p><h2>Steps</h2><p>Stir.</p>",
        f"<p>see</p><ul><li>{A}</li></ul>",
        "<p>Water is wet; as you can see, it drips.</p><p><img src='u'></p><p>More of it.</p>",
        "<p><img src='u'></p><p>This is what it looks like in winter, when all is ice.</p>",
        "<p>Have you seen a drop like this -</p><p><img src='u'></p><p>Drops are round.</p>",
        "<p>Water is wet.</p><p>And the reasons for it are the following three:</p>",
        f"<p>Water is wet.</p><p>See {HERE} for the first step.</p><p>Then heat it.</p>",
        '<p>In this <a href="u">paper</a> they found the reverse.</p>',
    ],
)
def test_what_cannot_go_is_a_hole(html: str) -> None:
    assert clean(html).holes == 1


@pytest.mark.parametrize(
    "html",
    [
        '<p>According to <a href="u">this article</a>, a gram of salt weighs a gram.</p>',
        '<p>The label of <a href="u">those old breweries</a> is red.</p>',
        "<p>As the table shows:</p><blockquote><p>a</p></blockquote>",
        f"<p>These are in {HERE}:</p><pre>x</pre>",
        '<p>Three beers:</p><ul><li><a href="u">Ale</a></li><li><a href="u">Stout</a></li></ul>',
        '<p>There is <a href="u">a brewery</a> in town that brews ale for its guests.</p>',
    ],
)
def test_what_says_something_stays(html: str) -> None:
    """Whether or not it is a hole."""
    words = re.findall(r"\w+", re.sub("<[^>]*>", " ", html))
    assert re.findall(r"\w+", clean(html).text) == words


def test_without_trimming_every_address_that_is_missed_is_a_hole() -> None:
    html = f"<p>Water is wet (see {A}).</p><p>More {HERE}. Hope it helps.</p>"
    found = clean(html, trim=False)
    assert (found.text, found.holes) == ("Water is wet.\n\nMore here. Hope it helps.", 1)


def test_the_prose_of_quotations_is_marked() -> None:
    assert clean("<blockquote><p>I<br>go</p></blockquote><p>no</p>").prose == "> I\n> go\nno"


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
    "links": "<a>here</a> " * N,
    "addresses in brackets": "(see http://x.y/(" * N,
    "sentences": "See <a>http://x.y</a>. A. " * N,
    "lists in quotes": "<blockquote><ul><li>" * N + "x",
    "macros": r"\newcommand{" * N,
    "raised": "<sup>1</sup>." * N,
    "emptied": "<p>Sources:</p><p>http://x.y</p>" * N,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_take_linear_time_and_space(name: str) -> None:
    """Each takes at most 0.5 s here; quadratic time would take minutes."""
    start = time.process_time()
    found = clean(HOSTILE[name])
    assert time.process_time() - start < 15
    assert len(found.text) <= len(HOSTILE[name])
