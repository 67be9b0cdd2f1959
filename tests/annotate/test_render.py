"""Models' Markdown, code and maths as HTML that cannot do anything."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lima.annotate.render import LONGEST_MARKDOWN, to_html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**bold**", "<p><strong>bold</strong></p>\n"),
        ("# Title", "<h3>Title</h3>"),
        ("###### Deep", "<h6>Deep</h6>"),
        ("costs $5 and $10", "<p>costs $5 and $10</p>\n"),
        ("$x$", '<p><span><math display="inline"><mrow><mi>x</mi></mrow></math></span></p>\n'),
        (r"\(x\)", '<p><math display="inline"><mrow><mi>x</mi></mrow></math></p>\n'),
        ("\\[\nx\n\\]", '<p><math display="block"><mrow><mi>x</mi></mrow></math></p>\n'),
        (r"\[ open", "<p>[ open</p>\n"),
        (r"$\frac{$", '<p><span><code class="formula">\\frac{</code></span></p>\n'),
        ("`\\(x\\)`", "<p><code>\\(x\\)</code></p>\n"),
        ("<b>raw</b>", "<p>&lt;b&gt;raw&lt;/b&gt;</p>\n"),
    ],
)
def test_a_text_becomes(text: str, html: str) -> None:
    assert to_html(text) == html


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
