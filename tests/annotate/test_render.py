"""Models' Markdown, code and maths as HTML that cannot do anything."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lima.annotate.render import LONGEST_MARKDOWN, as_written, to_html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**bold**", "<p><strong>bold</strong></p>\n"),
        ("# Title", "<h3>Title</h3>"),
        ("###### Deep", "<h6>Deep</h6>"),
        ("costs $5 and $10", "<p>costs $5 and $10</p>\n"),
        ("$x$", '<p><math display="inline"><mrow><mi>x</mi></mrow></math></p>\n'),
        (r"\(x\)", '<p><math display="inline"><mrow><mi>x</mi></mrow></math></p>\n'),
        (
            "\\[\nx\n\\]",
            '<p><span class="wide" tabindex="0"><math display="block"><mrow><mi>x</mi></mrow></math></span></p>\n',
        ),
        (r"\[ open", "<p>[ open</p>\n"),
        (r"$\frac{$", '<p><code class="formula">\\frac{</code></p>\n'),
        (
            "$50% off$",
            '<p><code class="formula">50% off</code></p>\n',
        ),  # MathML would end at the comment sign
        ("`\\(x\\)`", "<p><code>\\(x\\)</code></p>\n"),
        ("<b>raw</b>", "<p>&lt;b&gt;raw&lt;/b&gt;</p>\n"),
        ("-2 lbs beef\n-2 onions", "<p>-2 lbs beef<br>\n-2 onions</p>\n"),
        (
            "def f(x):\n    return x\n\tend",
            "<p>def f(x):<br>\n" + 4 * "&nbsp;" + "return x<br>\n" + 4 * "&nbsp;" + "end</p>\n",
        ),
        ("- a\n  b", '<ul dir="auto">\n<li>a<br>\nb</li>\n</ul>\n'),
        ("[Answer]: 42", "<p>[Answer]: 42</p>\n"),
        ("[1]: https://a.example", "<p>[1]: https://a.example</p>\n"),
        ("&copy; &lt;", "<p>&amp;copy; &amp;lt;</p>\n"),
        ("3. c\n7. d", '<ol dir="auto">\n<li value="3">c</li>\n<li value="7">d</li>\n</ol>\n'),
        ("> " * 30 + "x", '<pre class="plain" tabindex="0">' + "&gt; " * 30 + "x</pre>"),
        ("|a|\n|-|\n|1|2|", '<pre class="plain" tabindex="0">|a|\n|-|\n|1|2|</pre>'),
        ("a\r\nb\rc\u2028d\u2029e", "<p>a<br>\nb<br>\nc<br>\nd<br>\ne</p>\n"),
        ("\u200b", '<pre class="plain" tabindex="0"><span class="control">U+200B</span></pre>'),
    ],
)
def test_a_text_becomes(text: str, html: str) -> None:
    assert to_html(text) == html


FORMULA = re.compile(r'<math display="block">.*?</math>', re.DOTALL)


@pytest.mark.parametrize(
    ("text", "formulas", "left"),
    [
        ("so that\n$$\nx = 1\n$$\nholds", ["x=1"], "so that holds"),
        ("so that\n$$ x = 1 $$\nholds", ["x=1"], "so that holds"),
        ("- here\n  $$\n  x = 1\n  $$\n  and on", ["x=1"], "here and on"),
        ("$$x$$ and $$y$$", ["x", "y"], "and"),
        ("so $$x$$, then", ["x"], "so , then"),
        ("costs $$ or $$$ a night", [], "costs $$ or $$$ a night"),
        ("from $$a and b$$c", [], "from $$a and b$$c"),
        ("$$a and b$$c", [], "$$a and b$$c"),
        ("$$\nnever closed", [], "$$ never closed"),
        ("$$$$ and $$\n$$", [], "$$$$ and $$ $$"),
    ],
)
def test_double_dollars_hold_formulas_wherever_they_stand(text: str, formulas: list[str], left: str) -> None:
    """Real answers have them behind a line of text, without a blank line between."""
    html = str(to_html(text))
    assert [re.sub(r"<[^>]*>|\s", "", found) for found in FORMULA.findall(html)] == formulas
    assert " ".join(page_lines(html)) == left


@pytest.mark.parametrize("name", ["align", "cases", "pmatrix"])
def test_the_distance_to_the_next_row_is_none_of_its_words(name: str) -> None:
    html = str(to_html(f"$$\\begin{{{name}}}a \\\\[2pt] b \\nonumber\\end{{{name}}}$$"))
    assert html.count("<mtr>") == 2
    assert "2pt" not in html
    assert "nonumber" not in html


@pytest.mark.parametrize("name", ["aligned", "align", "align*", "gather", "eqnarray*", "split"])
def test_aligned_rows_are_rows_and_get_no_numbers(name: str) -> None:
    html = str(to_html(f"$$\\begin{{{name}}} a &= b \\\\ c &= d \\end{{{name}}}$$"))
    rows = re.findall(r"<mtr>.*?</mtr>", html)
    assert [re.sub(r"<[^>]*>", "", row) for row in rows] == ["a=b", "c=d"]
    assert 'class="wide' in html


def test_columns_that_the_converter_does_not_know_show_the_source() -> None:
    assert r'<code class="formula">\begin{strange} a &amp; b\end{strange}</code>' in to_html(
        r"\[\begin{strange} a & b\end{strange}\]"
    )


def test_the_label_of_a_formula_is_not_shown() -> None:
    assert to_html("$$x=1 \\label{eq:one}$$") == to_html("$$x=1$$")


def test_code_is_coloured_by_classes() -> None:
    html = to_html('```python\nprint("<b>")\n```')
    assert '<span class="nb">print</span>' in html
    assert "&lt;b&gt;" in html


def test_table_cells_keep_their_side() -> None:
    assert '<td class="right">1</td>' in to_html("|a|\n|-:|\n|1|")


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<a href='javascript:alert(1)'>x</a>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java&#10;script:alert(1))",
        "[x](vbscript:x)",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "<javascript:alert(1)>",
        "![x](https://tracker.example/pixel.png)",
        "![x](data:image/svg+xml,<svg onload=alert(1)>)",
        "<svg onload=alert(1)>",
        "<math><mtext></mtext><mglyph><style><img src=x onerror=alert(1)></style></mglyph></math>",
        "```html\n<script>alert(1)</script>\n```",
        '```"><script>alert(1)</script>\nx\n```',
        "[a]: javascript:alert(1)\n\n[a]",
        '[x](https://a.example "onmouseover=alert(1)")',
        '[x](https://a.example/"onmouseover="alert(1))',
        r"$\text{<script>alert(1)</script>}$",
        r"$\href{javascript:alert(1)}{x}$",
        "<style>*{display:none}</style>",
        "<iframe srcdoc='<script>alert(1)</script>'>",
        "<form action=//evil.example><button>",
        "x" * LONGEST_MARKDOWN + "<script>alert(1)</script>",
    ],
)
def test_nothing_runs_and_nothing_is_loaded(text: str) -> None:
    html = to_html(text)
    tags = re.findall(r"<[^>]*>", html)
    for tag in tags:
        assert not re.match(r"</?(script|style|img|svg|iframe|form|button|mglyph|object|embed)\b", tag), tag
        assert not re.search(
            r"\s(on\w+|style|src|srcdoc|action|formaction|id|name)=", re.sub(r'"[^"]*"', '""', tag)
        ), tag
        assert not re.search(r'href="(?!https?://|mailto:)', tag), tag


def test_links_open_apart_and_tell_nothing() -> None:
    html = to_html("[x](https://a.example/?q=1&r=2)")
    assert 'target="_blank"' in html
    assert 'rel="noopener noreferrer nofollow"' in html


@pytest.mark.parametrize("code", [0x202E, 0x2066, 0x200F, 0x061C])
def test_direction_controls_are_shown_not_obeyed(code: int) -> None:
    html = to_html(f"safe{chr(code)}evil")
    assert chr(code) not in html
    assert f'<span class="control">U+{code:04X}</span>' in html


def test_control_characters_become_a_sign() -> None:
    assert to_html("a\x00b\x1bc") == "<p>a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c</p>\n"


HOSTILE = {
    "stars": "*a **a ",
    "brackets": "[",
    "images": "![",
    "quotes": ">",
    "backticks": "`",
    "links": "[a](",
    "cells": "|a",
    "angles": "<",
    "dollars": "$a ",
    "formulas": "\\(",
    "displays": "\\[\n",
    "open displays": "\\[a\n",
    "aligns": "\\begin{align}",
    "lists": "- ",
    "entities": "&#x",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_markdown_takes_no_time(name: str) -> None:
    text = (HOSTILE[name] * LONGEST_MARKDOWN)[:LONGEST_MARKDOWN]
    started = time.process_time()
    to_html(text)
    assert time.process_time() - started < 4


def test_a_link_shows_its_address_and_its_title() -> None:
    html = to_html('[x](https://a.example/é "why")')
    assert page_lines(html) == ['x (https://a.example/é "why")']


def test_heaped_marks_are_counted_instead() -> None:
    assert page_lines(to_html("a" + "\u0301" * 40 + "b")) == ["a40 marksb"]


class Lines(HTMLParser):
    """What a reader sees of a fragment, line by line; formulas are left out, list numbers stand as text."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.formulas = "", 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.formulas += tag == "math"
        if tag in ("p", "br", "li", "tr", "pre", "blockquote", "hr", "div") or re.match(r"h\d", tag):
            self.text += "\n"
        self.text += " " if tag in ("td", "th") else ""
        self.text += f"{dict(attrs).get('value')}. " if tag == "li" and attrs else ""

    def handle_endtag(self, tag: str) -> None:
        self.formulas -= tag == "math"

    def handle_data(self, data: str) -> None:
        self.text += "" if self.formulas else data


def page_lines(html: str) -> list[str]:
    reader = Lines()
    reader.feed(html)
    return [" ".join(line.split()) for line in reader.text.splitlines() if line.strip()]


def signs(text: str) -> str:
    return "".join(sign for sign in text if sign.isalnum())


def real_texts() -> Iterator[str]:
    folder = Path(os.environ["LIMA_DATA"])
    for name in ("train", "test"):
        for line in (folder / "lima" / f"{name}.jsonl").read_text().splitlines():
            yield from json.loads(line)["conversations"]
    for path in (folder / "preferences" / "alpaca_eval").rglob("*.json"):
        rows = json.loads(path.read_text())
        yield from (row["output_2"] for row in rows if isinstance(row, dict) and "output_2" in row)


@pytest.mark.skipif("LIMA_DATA" not in os.environ, reason="LIMA_DATA is not set")
def test_people_read_the_words_and_the_lines_of_real_texts() -> None:
    """A text without formulas has the same letters on the page; one without Markdown also the same lines."""
    seen, plain, formulas, given_up = 0, 0, 0, 0
    for text in real_texts():
        html = str(to_html(text))
        seen += 1
        given_up += html == as_written(text) and len(text.strip()) > 0
        page = page_lines(html)
        if "<math" in html:
            formulas += 1
            rest = iter(signs(text))
            assert all(sign in rest for sign in signs("".join(page))), text
            continue
        assert signs("".join(page)) == signs(text), text
        if not re.search(r"[*_`#|>~\\\[\]<$]|^\s*([-+=]|\d+[.)])|^\s{4}|^\t", text, flags=re.MULTILINE):
            plain += 1
            assert page == [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    assert seen > 4_000
    assert plain > 1_000
    assert formulas > 10
    assert given_up <= seen / 500


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["a1", "b2 ", "\n", "\n\n", "* ", "- ", "3) ", "**", "_", "`", "```py\n", "# ", "> ", "|", "|-|\n", "$",
             "[x]", "(y)", ": ", "](", "<u>", "&amp;", "\\", "\\(", "\\)", "    ", "![", "~~", "%", "---\n", "\u200b"]
        ),
        max_size=40,
    ).map("".join)
)  # fmt: skip
def test_no_letter_of_any_text_is_lost(text: str) -> None:
    html = str(to_html(text))
    if "<math" not in html:
        shown = re.sub(r"U\+200B", "", "".join(page_lines(html)))
        assert signs(shown) == signs(text)


def test_a_huge_text_is_shown_as_it_is() -> None:
    text = "# a *b*\n" * 200_000
    html = to_html(text)
    assert html.count("# a *b*") == 200_000


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="<>\"'&;:/\\()[]{}`*_#$!-=~|^ \n\tabjsx1\u202e", max_size=120))
def test_any_text_gives_only_known_tags(text: str) -> None:
    html = to_html(text)
    assert not re.search(
        r"<(?!/?(p|br|hr|h[3-6]|[uo]l|li|blockquote|pre|code|span|div|em|strong|s|a|table|thead|tbody|tr|t[hd]|math|m\w+)\b)",
        html,
    )
