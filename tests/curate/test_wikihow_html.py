"""wikiHow articles as pages of HTML: by linked data, by markup, broken, hostile, and among many."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.curate.test_sources import ANY, run

from lima.curate.sources.wikihow import WikiHow
from lima.curate.sources.wikihow_html import LARGEST, read_page
from lima.errors import LimaError

MARKUP = """<!doctype html><html><head><link rel="canonical" href="https://www.wikihow.com/Brew-Tea">
<style>.step {}</style></head><body>
<ul id="breadcrumb"><li><a href="/Main-Page">Home</a></li><li><a href="/Categories">Categories</a></li>
<li><a href="/Category:Food">Food &amp; Entertaining</a></li><li><a href="/Category:Tea">Tea</a></li></ul>
<h1 class="title_sm"><a href="/Brew-Tea">How to Brew Tea</a></h1>
<p>This article will show you how to brew<br>a good cup.</p>
<div class="section steps"><h3><span class="mw-headline">Boiling</span></h3>
<ol><li><div class="step"><b class="whb">Fill the kettle.</b> Use <i>cold</i> water.<script>bad()</script>
<ul><li>Not too much.</li></ul></div></li>
<li><div class="step">Switch it on.</div></li></ol></div>
<div class="section steps"><h3>Steeping</h3><div class="step">Wait &lt; five minutes.</div></div>
<div class="section tips"><h2>Tips</h2><div class="step">Warm the pot.</div></div>
<h2>References</h2><p>Nobody.</p></body></html>"""

DESCRIBED = {
    "@context": "https://schema.org",
    "@graph": [
        {
            "@type": "BreadcrumbList",
            "itemListElement": [
                {"@type": "ListItem", "position": 2, "item": {"@id": "/c", "name": "Pets and Animals"}},
                {"@type": "ListItem", "position": 1, "name": "Home"},
            ],
        },
        {
            "@type": "HowTo",
            "name": "How to Wash a Cat",
            "description": "This wikiHow shows you how.",
            "url": "https://www.wikihow.com/Wash-a-Cat",
            "step": [
                {
                    "@type": "HowToSection",
                    "name": "Before",
                    "itemListElement": [
                        {"@type": "HowToStep", "text": "<b>Trim</b> the claws."},
                        {
                            "@type": "HowToStep",
                            "itemListElement": {"@type": "HowToDirection", "text": "Run water."},
                        },
                    ],
                },
                {"@type": "HowToStep", "name": "Dry the cat."},
            ],
        },
    ],
}


def page(folder: Path, text: str, name: str = "page.html") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def described(value: Any) -> str:
    return f'<h1>Other</h1><script type="application/ld+json">{json.dumps(value)}</script>'


def test_a_page_by_its_markup(tmp_path: Path) -> None:
    rows = [row for _, row in read_page(page(tmp_path, MARKUP))]
    assert [(row["sectionLabel"], row["text"]) for row in rows] == [
        ("Boiling", "Fill the kettle. Use cold water. Not too much."),
        ("Boiling", "Switch it on."),
        ("Steeping", "Wait < five minutes."),
        ("Tips", "Warm the pot."),
    ]
    assert {row["title"] for row in rows} == {"How to Brew Tea"}
    assert {row["category"] for row in rows} == {"Food & Entertaining"}
    assert {row["url"] for row in rows} == {"https://www.wikihow.com/Brew-Tea"}
    (example,) = run(tmp_path, WikiHow(train=3, rules=ANY), tmp_path / "out")
    assert example.messages[0].content == "How to Brew Tea?"
    assert example.messages[1].content == (
        "The following answer will show you how to brew a good cup.\n\n"
        "## Boiling\n\n1. Fill the kettle. Use cold water. Not too much.\n2. Switch it on.\n\n"
        "## Steeping\n\n1. Wait < five minutes."
    )
    assert example.meta.category == "Food & Entertaining"


def test_a_page_that_describes_itself(tmp_path: Path) -> None:
    rows = [row for _, row in read_page(page(tmp_path, described(DESCRIBED)))]
    assert [(row["sectionLabel"], row["text"]) for row in rows] == [
        ("Before", "Trim the claws."), ("Before", "Run water."), ("Steps", "Dry the cat."),
    ]  # fmt: skip
    assert {(row["title"], row["category"]) for row in rows} == {("How to Wash a Cat", "Pets and Animals")}


def test_a_compressed_page(tmp_path: Path) -> None:
    (tmp_path / "page.html.gz").write_bytes(gzip.compress(MARKUP.encode()))
    assert len(list(read_page(tmp_path / "page.html.gz"))) == 4


def test_articles_are_drawn_by_category_and_a_page_without_one_is_rejected_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    page(folder / "a", MARKUP, "tea.html")
    page(folder / "b", described(DESCRIBED), "cat.html")
    page(folder, "<h1>Category: Food</h1><p>Nothing here.</p>", "index.html")
    page(folder, described({"@type": "HowTo", "step": 7}), "odd.html")
    found = run(folder, WikiHow(train=5, rules=ANY), tmp_path / "out")
    assert sorted(example.meta.category or "" for example in found) == [
        "Food & Entertaining",
        "Pets and Animals",
    ]
    rejected = [json.loads(line) for line in (tmp_path / "out" / "rejected.jsonl").open()]
    assert sorted(row["id"] for row in rejected) == ["wikihow/index.html", "wikihow/odd.html"]
    assert all("no title or no steps" in row["reason"] for row in rejected)


def test_a_page_that_is_too_large(tmp_path: Path) -> None:
    with pytest.raises(LimaError, match="more than 16 MiB"):
        list(read_page(page(tmp_path, " " * (LARGEST + 1))))


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "text",
    [
        "<h1>How to x</h1>" + "<div class='step'>" * 100_000 + "deep",
        "<h1>How to x</h1><div class=step>" + "<b>" * 100_000 + "deep",
        "<h1>How to x</h1>" + "</div>" * 100_000 + "<div class=step>deep</div>",
        described({"@type": "HowTo", "name": "How to x", "step": [[[[{}]]], None, 5, {"text": "deep"}]}),
        '<script type="application/ld+json">{"a":' * 20_000 + "<h1>How to x</h1><div class=step>deep</div>",
    ],
)
def test_hostile_pages_end_soon(tmp_path: Path, text: str) -> None:
    path = page(tmp_path, text)
    try:
        rows = list(read_page(path))
    except LimaError:
        return
    assert [row["text"] for _, row in rows] == ["deep"]


@given(
    st.lists(
        st.sampled_from(
            ["<div class=step>", "</div>", "<h1>", "</h1>", "<h3>", "<p>", "text", "<ul id=breadcrumb>", "<a>", "</a>",
             "<script type='application/ld+json'>", "</script>", '{"@type": "HowTo", "step": [{"text": "s"}]}', "&", "<"]
        ),
        max_size=30,
    )
)  # fmt: skip
def test_any_markup_gives_rows_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    path = page(tmp_path_factory.mktemp("pages"), "".join(parts))
    try:
        rows = [row for _, row in read_page(path)]
    except LimaError:
        return
    assert all(row["title"] and row["text"] for row in rows)
