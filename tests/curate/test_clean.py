"""HTML to text in both styles, and bodies made to hurt."""

from __future__ import annotations

import re
import time
from html import unescape

import pytest

from lima.curate.text.clean import clean
from lima.curate.text.formulas import (
    CLOSING,
    EDIT_LABEL,
    EMPHASIS,
    QUESTION_BACK,
    REFERENCE,
    REMARK_AT_START,
    REPEATED,
)
from lima.curate.text.markup import STRUCK_OUT
from lima.curate.text.pointing import ANNOUNCEMENT, LINK_LIST, POINTER, POINTER_TO_LINK, SOURCE_NAME


def test_scripts_find_the_cleaner_under_its_first_name() -> None:
    from lima.curate import clean as first

    assert first.clean is clean


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
        ("<p><strong>Lids</strong> Glass is best.</p>", "**Lids** Glass is best.", "Lids Glass is best."),
        ("<ul><li><p><b>Day one</b>\nStir.</p></li></ul>", "* **Day one** Stir.", "* Day one Stir."),
        ("<p><b>Lids.</b> Glass.</p><p><b>A lid</b> is flat.</p>", "Lids. Glass.\n\nA lid is flat.", "Lids. Glass.\nA lid is flat."),
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
        ("<p>It was so.<sup>2</sup> x<sup>2</sup></p><p>[2]: Or not.</p>", "It was so.[2] x^2\n\n[2]: Or not."),
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
        ('<p>Water is wet. For more details, see <a href="u">the river page</a>.</p>', "Water is wet.", [POINTER_TO_LINK]),
        ('<p>Water is wet.</p><p>Related:</p><ul><li><a href="u">Is ice wet?</a></li></ul>', "Water is wet.", [LINK_LIST]),
        ("<p>Water is wet. Hope this helps!</p><p>Feel free to edit it.</p>", "Water is wet.", [CLOSING]),
        ("<p>Water is wet.</p><p>Edit 2: <code>ice</code> is dry.</p>", "Water is wet.\n\n`ice` is dry.", [EDIT_LABEL]),
        ("<p>Water <s>fire</s> is wet.</p>", "Water is wet.", [STRUCK_OUT]),
        ("<ul><li>" + A + "</li><li>ice</li></ul>", "* ice", []),
        ('<p>Water is wet.</p><p>From <a href="u">Wikipedia</a></p><p>Ice is dry.</p>', "Water is wet.\n\nIce is dry.", [SOURCE_NAME]),
        ("<p>Water is wet.</p><p><img src='u'></p><p>Image: The Times</p><p>Ice is dry.</p>", "Water is wet.\n\nIce is dry.", [SOURCE_NAME]),
        ('<p>Water is wet.</p><p><a href="u">The river page</a></p>', "Water is wet.", [SOURCE_NAME]),
        ('<p>Water<sup><a href="u">wiki</a></sup> is wet.</p>', "Water is wet.", []),
        ('<p>Water<sup><a href="u">12</a></sup> is wet, at 10<sup>2</sup>.</p>', "Water is wet, at 10^2.", []),
        (f"<p>Water is wet.</p><p><sup>{A}</sup></p><p>Ice is dry.</p>", "Water is wet.\n\nIce is dry.", []),
        ('<p>Water is wet. See the <a href="u">river page</a> for more. Ice is dry.</p>', "Water is wet. Ice is dry.", [POINTER_TO_LINK]),
        ('<p>Water is wet. Further reading: <a href="u">Ice</a>, <a href="v">Snow</a></p><p>Ice is dry.</p>', "Water is wet.\n\nIce is dry.", [POINTER_TO_LINK]),
        ('<p>Water is wet.</p><p>(All information from <a href="u">The Times</a>.)</p><p>Ice is dry.</p>', "Water is wet.\n\nIce is dry.", [POINTER_TO_LINK]),
        ('<p>Water is wet. <a href="u">Rivers (Wikipedia)</a></p><p>Ice is dry.</p>', "Water is wet.\n\nIce is dry.", [POINTER_TO_LINK]),
        ('<p>Water is wet.</p><p>Sources:</p><ul><li><a href="u">The life of rivers</a> at The Times</li></ul>', "Water is wet.", [LINK_LIST]),
        ('<p>Water is wet. For further reading, see the following papers:</p><ul><li>(video) <a href="u">The life of rivers</a> (2013)</li></ul>', "Water is wet.", [LINK_LIST]),
        ('<p>Water is wet. Here is some previous work on <a href="u">ice</a>.</p>', "Water is wet.", [POINTER_TO_LINK]),
        ('<p>Water is wet. <a href="u">The Times</a> has a good article on rivers. Ice is dry.</p>', "Water is wet. Ice is dry.", [POINTER_TO_LINK]),
        ('<p>Water is wet. This <a href="u">analysis of 1953</a> has all the gory details.</p><p>Ice is dry.</p>', "Water is wet.\n\nIce is dry.", [POINTER_TO_LINK]),
        ('<p>Water is wet. There are a number of <a href="u">books</a> on rivers.</p>', "Water is wet.", [POINTER_TO_LINK]),
        ('<p>Water is wet. Ann Lee has written a number of papers on rivers:</p><ul><li><a href="u">Ice</a></li><li><a href="v">Snow</a></li></ul>', "Water is wet.", [LINK_LIST]),
        ('<p>Water is wet (see the <a href="u">page on rivers</a>, in part), they say.</p>', "Water is wet, they say.", [POINTER_TO_LINK]),
        ('<ul><li>Water is wet. See the page on <a href="u">rivers</a> for more.</li><li>Ice is dry.</li></ul>', "* Water is wet.\n* Ice is dry.", [POINTER_TO_LINK]),
        ("<p>That's a good question! Water is wet.</p>", "Water is wet.", [REMARK_AT_START]),
        ("<p>Strange question, but here goes: no.</p>", "no.", [REMARK_AT_START]),
        ("<p>Interesting question about rivers.</p><p>Water is wet.</p>", "Water is wet.", [REMARK_AT_START]),
        ("<p>Water is wet.*</p><p>So is rain. *</p><p>Ice is 2*3.</p>", "Water is wet.\n\nSo is rain.\n\nIce is 2*3.", [REFERENCE]),
        ("<p>Water is wet.[1] So is rain[12], and snow [2] [3].</p>", "Water is wet. So is rain, and snow.", [REFERENCE]),
        ("<p>Water is wet {1}, they say.</p>", "Water is wet, they say.", [REFERENCE]),
        ("<p>Water (emphasis mine) is wet.</p>", "Water is wet.", [EMPHASIS]),
        ("<p>Water is wet [my emphasis; see below].</p>", "Water is wet.", [EMPHASIS]),
        ("<p>Water is wet.</p><p>Thanks for asking, and good luck!</p>", "Water is wet.", [CLOSING]),
        ("<p>Water is wet.</p><h2>Addendum</h2><p>So is rain.</p><p><b>EDIT:</b></p><p>Ice is dry.</p>", "Water is wet.\n\nSo is rain.\n\nIce is dry.", [EDIT_LABEL]),
        ('<p>Water is wet.</p><p>Related:</p><ul><li><a href="u">On rivers</a></li></ul><p>Ice is dry.</p>', "Water is wet.\n\nIce is dry.", [LINK_LIST]),
        ('<p>Water is wet (or damp), see:</p><ul><li><a href="u">Is rain wet?</a></li></ul>', "Water is wet (or damp)", [LINK_LIST]),
        ('<p>The <a href="u">Office of Rivers</a> (PDF) calls water wet.</p>', "The Office of Rivers calls water wet.", [POINTER_TO_LINK]),
        ('<p>Lee <a href="u">found</a> it wet (see the paper for the formula).</p>', "Lee found it wet.", [POINTER_TO_LINK]),
        ('<p>Water is wet. <a href="u">How to Boil a River With Your Bare Hands</a>.</p>', "Water is wet.", [POINTER_TO_LINK]),
        ('<p>Water is wet. Here is some work by Lee on <a href="u">ice</a>. Snow is dry.</p>', "Water is wet. Snow is dry.", [POINTER_TO_LINK]),
        ("<p>Water is wet. For more details see rivers.org. Ice is dry.</p>", "Water is wet. Ice is dry.", [POINTER_TO_LINK]),
        ('<p>Water clings, as discussed in <a href="u">Why is rain wet?</a>, so it is wet.</p>', "Water clings, so it is wet.", [POINTER_TO_LINK]),
        ('<p>EDIT: Water is wet.<br>Here is some work by Lee on <a href="u">ice</a>.</p>', "Water is wet.", [EDIT_LABEL, POINTER_TO_LINK]),
        ('<p>Water is wet.</p><p>Ice is dry. Do you have a lid for it?</p>', "Water is wet.\n\nIce is dry.", [QUESTION_BACK]),
        ('<p>"Water is wet." - <a href="u">The Times</a></p><p>Ice is dry. (<a href="u">Wikipedia</a>)</p>', '"Water is wet."\n\nIce is dry.', [POINTER_TO_LINK]),
        ('<p>Water is wet.</p><p>Source: <a href="u">The river</a> in a book on all of the rivers</p><p>Ice is dry.</p>', "Water is wet.\n\nIce is dry.", [SOURCE_NAME]),
        ('<p>For it, use the River Task:</p><p><a href="u">River Task</a></p><p>Ice is dry.</p>', "For it, use the River Task:\n\nIce is dry.", [SOURCE_NAME]),
        ('<p><a href="u">Lee</a> is a great resource.</p><blockquote><p>Water is wet.</p></blockquote>', "> Water is wet.", [POINTER_TO_LINK]),
        ('<p>Water is wet. Lee <a href="u">wrote</a> it, and there is an article on it. It is hard to freeze.</p>', "Water is wet. Lee wrote it, and there is an article on it. It is hard to freeze.", []),
        ('<p>Water is wet. <a href="u">The Times</a> has a page on it. It is important to freeze it.</p>', "Water is wet. It is important to freeze it.", [POINTER_TO_LINK]),
        ('<p>Water is wet. For those interested in salt: <a href="u">How to Salt a River With Bare Hands</a>.</p>', "Water is wet.", [POINTER_TO_LINK]),
        ('<p>Water is wet. <a href="u">This overview</a> might help.</p>', "Water is wet.", [POINTER]),
        ('<p>Water is wet.</p><p><a href="u">The Times has a good page on this</a>.</p>', "Water is wet.", [POINTER_TO_LINK]),
        ("<p>Water is wet. There's quite a good article on rivers.</p><p>" + A + "</p>", "Water is wet.", [ANNOUNCEMENT]),
        ("<p>Water is wet.</p><p><img src='u'></p><p><a href='u'>A cup of it</a></p><p>Ice is dry.</p>", "Water is wet.\n\nIce is dry.", [SOURCE_NAME]),
        ("<p>Water is wet. See this paper: rivers.ac.uk/~lee/wet.pdf</p>", "Water is wet.", [POINTER]),
        (f'<p>Water is wet ({A}). Similarly, see the page on <a href="v">rain</a>.</p>', "Water is wet.", [POINTER_TO_LINK]),
    ],
)  # fmt: skip
def test_what_goes_is_named(html: str, text: str, steps: list[str]) -> None:
    found = clean(html)
    assert (found.text, found.steps, found.holes) == (text, [f"cut: {step}" for step in steps], 0)


@pytest.mark.parametrize(
    "html",
    [
        '<p>Try <a href="u">Porter</a>. See <a href="v">Stout</a> as its younger brother, which it is:</p><ul><li>dark</li></ul>',
        '<p>There are rules.</p><p><a href="u">Rule one</a></p><p>Never boil it.</p>',
        '<p>There are rules. <a href="u">In 2009 they were often thought to be strict.</a></p>',
        '<p>Breweries: <a href="u">First</a><br><a href="u">Second</a><br><a href="u">Third</a></p>',
        '<p>From <a href="u">Wikipedia</a></p><blockquote><p>Water is wet.</p></blockquote>',
        '<p>Three are known. See <a href="u">the second</a>. It is the best of them.</p>',
        "<p>Thanks to the lid it boils sooner.</p>",
        "<p>A good question is short. So is this.</p>",
        "<p>Interesting question.</p>",
        "<p>Water is wet. Why would you want to know?</p>",
        '<p>Read this:</p><p><a href="u">Rivers: A Life of Water in Four Parts</a></p><p>It is the best.</p>',
        '<p>Two shops sell it: <a href="u">Lee Brothers of London Town</a>.</p>',
        '<p>Steps:<br>1. <a href="u">First</a><br>2. <a href="u">Second</a></p>',
        '<p>Water (<a href="u">a liquid</a>, as you see) is wet.</p>',
        '<ul><li>Three are known. See <a href="u">ice</a> first:<ul><li>snow</li></ul></li></ul>',
        "<p>Water is wet.*</p><p>* but for ice</p>",
        '<p>Water is wet. The <a href="u">page on ice</a> gives a good overview. Except: snow is no ice.</p>',
        '<p>Water is wet. The <a href="u">brewery</a> has a list of beers.</p>',
        '<p>Water is wet. <a href="u">The Times</a> has a nice article that explains it, but in short it clings.</p>',
        '<p>Cola differs by country, so <a href="u">if you want the real one</a> ask for it.</p>',
        "<p>Look for a mine; the emphasis is on gold.</p>",
        "<p>Water is wet.[1]</p><p>[1]: but for ice</p>",
        "<p>Make [2] files of a[1], of <code>b</code>.[1]</p>",
        "<p>It makes $x^2$ of words[1].</p>",
    ],
)
def test_what_only_looks_like_a_pointer_stays(html: str) -> None:
    assert clean(html).removed == ()


def test_an_answer_does_not_repeat_its_question() -> None:
    html = "<blockquote><p>Why is water wet?</p></blockquote><p>It clings.</p>"
    found = clean(html, asked="Why is water wet")
    assert (found.text, found.steps) == ("It clings.", [f"cut: {REPEATED}"])
    for asked in ("", "Why is ice wet?"):
        assert clean(html, asked=asked).text == "> Why is water wet?\n\nIt clings."


def test_a_question_loses_its_closing_formula_and_its_links_at_the_end() -> None:
    html = '<p>See <a href="u">the page</a>. Is water wet? Any help would be greatly appreciated.</p><p>Thanks in advance for ideas!</p>'
    found = clean(html, trim=False, closing=True)
    assert found.text == "See the page. Is water wet?"
    assert found.steps == [f"cut: {CLOSING}"]
    assert clean(html, trim=False).steps == []
    listed = clean(
        '<p>Is water wet?</p><p>Related:</p><ul><li><a href="u">On ice</a></li></ul>',
        trim=False,
        closing=True,
    )
    assert (listed.text, listed.steps) == ("Is water wet?", [f"cut: {LINK_LIST}"])


@pytest.mark.parametrize(
    "talk", ["Comments in the same link doubt it.", "Follow the link above.", "The steps are in those links."]
)
def test_words_about_a_link_are_a_hole_where_one_was(talk: str) -> None:
    link = '<a href="u">Rivers</a> are wet.'
    assert clean(f"<p>{link} {talk}</p>").holes == 1
    assert clean(f"<p>Rivers are wet. {talk}</p>").holes == 0


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
        '<p>You can do <a href="u">this with ice. And it floats.</a></p>',
        f"<p>Some of them are<br>{A}<br>though there are more.</p>",
        "<p>Water is wet.</p><p>The page on rivers lists </p>",
        '<p>This 2014 <a href="u">article</a> says that water is wet.</p>',
        '<p>Take this <a href="u">long history of rivers page</a> and read on.</p>',
        "<p>The paper {1} and others say that water is wet.</p>",
        "<p><img src='u'></p><p>Rivers run down.</p><p>Suppose the blue line is a river.</p>",
        f"<p>A recipe is here: {A}</p><p>Though this is a poor copy, it says what to do.</p>",
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
