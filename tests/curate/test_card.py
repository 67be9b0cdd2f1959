"""The data-set card: its figures by hand, its warnings, both forms, and the same for any file."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.curate.test_inspect import example

from lima import cli
from lima.curate.card.card import as_html, as_markdown, make_card, write_card
from lima.curate.card.diversity import diversity, effective_number
from lima.curate.card.licences import Use, licence_warnings
from lima.curate.card.sections import CardOptions, composition, lengths, licences, sections
from lima.curate.card.style import openers, shares
from lima.curate.choose.duplicates import DuplicateSettings
from lima.errors import LimaError
from lima.files import write_jsonl


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def test_diversity_of_equal_and_of_foreign_texts() -> None:
    """Two pairs of equal texts with no word in common: every nearest is 1, and there are 2 different texts."""
    found = diversity(["salt water", "salt water", "two moons", "two moons"], random())
    assert found.nearest == pytest.approx([1, 1, 1, 1])
    assert found.vendi == pytest.approx(2)
    foreign = diversity(["salt", "moon", "tree"], random())
    assert foreign.nearest == pytest.approx([0, 0, 0])
    assert foreign.vendi == pytest.approx(3)


def test_tfidf_by_hand() -> None:
    """N = 2; "a" is in both: weight 1; the others ln(3/2) + 1 = 1.405. Cosine = 1 / (1 + 1.405^2) = 0.336."""
    found = diversity(["a b", "a c"], random())
    weight = np.log(3 / 2) + 1
    cosine = 1 / (1 + weight**2)
    assert found.nearest == pytest.approx([cosine, cosine])
    values = np.array([(1 + cosine) / 2, (1 - cosine) / 2])
    assert found.vendi == pytest.approx(np.exp(-(values * np.log(values)).sum()))


def test_embeddings_stand_in_for_tfidf() -> None:
    found = diversity(["x", "y"], random(), np.array([[2.0, 0.0], [3.0, 3.0]]))
    assert found.nearest == pytest.approx([np.sqrt(0.5)] * 2)
    with pytest.raises(LimaError, match="a row of zeros"):
        diversity(["x", "y"], random(), np.array([[2.0, 0.0], [0.0, 0.0]]))


def test_effective_number_of_categories() -> None:
    assert effective_number([10, 10, 10]) == pytest.approx(3)
    assert effective_number([1000, 0]) == pytest.approx(1)


BY_SA, BY_NC_SA = "CC BY-SA 4.0", "CC BY-NC-SA 3.0"


@pytest.mark.parametrize(
    ("licences", "use", "words"),
    [
        ([BY_SA, "CC BY-SA 4.0 and CC BY-SA 3.0"], "commercial", []),
        ([BY_NC_SA], "commercial", ["forbid commercial use"]),
        ([BY_NC_SA], "research", []),
        ([BY_SA, BY_NC_SA], "research", ["separate files"]),
        (["CC BY-ND 4.0"], "commercial", ["forbid changed versions"]),
        (["MIT", None], "commercial", ["1 example states no licence"]),
    ],
)
def test_licence_warnings(licences: list[str | None], use: Use, words: list[str]) -> None:
    found = licence_warnings([example(str(i), "p", licence=name) for i, name in enumerate(licences)], use)
    assert len(found) == len(words)
    assert all(word in warning for word, warning in zip(words, found, strict=True))


def test_style_is_measured() -> None:
    answers = [
        "Great question! You need:\n\n* salt",
        "I cannot help with that.",
        "Is it?\n\n## No\n\n```\nI\n```",
    ]
    found = shares(answers)
    assert {name: round(value * 3) for name, value in found.items()} == {
        "opens by acknowledging": 1, "opens with a refusal": 1, "says I or my": 1, "says you": 1, "has a list": 1,
        "has headings": 1, "has a code block": 1, "has several paragraphs": 2, "ends with a question": 0,
    }  # fmt: skip
    assert openers(["Here is a", "Here is b", "No"]) == [("Here is", 2), ("No", 1)]


def test_composition_stands_beside_the_paper() -> None:
    """37 and 74 characters make 10 and 20 tokens; the paper's total is 1,000 examples."""
    row = example("a", "x" * 37, "y" * 74)
    table = {line[0]: line[1:] for line in composition([row, row]).rows}
    assert table["wikiHow"] == ["2", "10", "20", "200", "12", "1,811"]
    assert table["Authored (group A)"][0] == "0"
    assert table["total"][3:] == ["1,000", "74", "685"]
    assert dict(lengths([row]).bars)["0 to 250"] == 1


ROWS = [
    example("a", "How to boil <b>?", "Short | answer.", licence=BY_SA, category="cooking"),
    example("b", "How to boil B?", "# Heading\n\nAnother answer.", category="physics"),
]


class Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_both_forms_say_the_same() -> None:
    card = make_card("Mine", ROWS, "commercial", CardOptions())
    markdown, page = as_markdown(card), as_html(card)
    for section in card.sections:
        assert f"## {section.title}" in markdown
        assert f'<section id="{section.key}">' in page
    assert "1 example states no licence" in markdown
    assert "1 example states no licence" in page
    assert "1 example repeats another: see Duplicates and leaks." in page, (
        "but for case and punctuation the prompts are equal"
    )
    parser = Parser()
    parser.feed(page)
    assert parser.open == []
    assert "b" not in parser.tags, "the examples' own HTML is text"
    assert not re.search(r"<script|https?://[^ ]*\.(?:js|css)", page)
    assert "    # Heading" in markdown, "the examples' own Markdown is text"


def test_near_duplicates_are_listed() -> None:
    """10 and 11 words make 6 and 7 five-grams, of which 3 are shared: 3 of 10."""
    rows = [example("a", "How to boil?", "a b c d e f g"), example("b", "How to boil it?", "a b c d e f g")]
    rows.append(example("c", "How to boil?!", "quite another text of many words here"))
    (section,) = (
        s for s in make_card("x", rows, "research", CardOptions()).sections if s.key == "repetition"
    )
    assert [row[:2] for row in section.rows] == [["c", "same_prompt"]]
    loose = CardOptions(duplicates=DuplicateSettings(jaccard=0.3))
    (section,) = (s for s in make_card("x", rows, "research", loose).sections if s.key == "repetition")
    assert [row[:2] for row in section.rows] == [["b", "near_duplicate"], ["c", "same_prompt"]]


def test_any_file_has_a_card(tmp_path: Path) -> None:
    file, vectors = tmp_path / "rows.jsonl", tmp_path / "v.npy"
    write_jsonl(file, ROWS)
    np.save(vectors, np.eye(2))
    for name in ("a", "b"):
        cli.run(["inspect", str(file), "--card", str(tmp_path / name), "--embeddings", str(vectors)])
    assert (tmp_path / "a/card.html").read_bytes() == (tmp_path / "b/card.html").read_bytes()
    assert (
        "| examples, your embeddings | 0.00 | 0.00 | 0.00 | 2 of 2 |" in (tmp_path / "a/card.md").read_text()
    )
    np.save(vectors, np.eye(3))
    with pytest.raises(LimaError, match="expected 2 rows"):
        cli.run(["inspect", str(file), "--card", str(tmp_path / "c"), "--embeddings", str(vectors)])
    vectors.write_text("none")
    with pytest.raises(LimaError, match=r"cannot be read as a \.npy"):
        cli.run(["inspect", str(file), "--card", str(tmp_path / "c"), "--embeddings", str(vectors)])


def test_one_example_is_one_example(tmp_path: Path) -> None:
    text = write_card(tmp_path, "x", [example("a", "How?", "Ask Ann, ann@shop.example.")], "research")[
        0
    ].read_text()
    assert "Personal data: 1 example with e-mail addresses." in text


def test_a_card_of_bare_prompts_or_of_one_row(tmp_path: Path) -> None:
    for rows in ([example("a", "How?", None)], ROWS[:1]):
        text = write_card(tmp_path, "x", rows, "research")[0].read_text()
        assert "1 example of 1 source. Warnings about licences assume research use (--intended-use)." in text


@pytest.mark.skipif("LIMA_DATA" not in os.environ, reason="LIMA_DATA is not set")
def test_the_card_of_the_released_set_finds_its_leak(tmp_path: Path) -> None:
    data = Path(os.environ["LIMA_DATA"]) / "lima"
    for name in ("train", "test"):
        cli.run(["import", "lima", str(data / f"{name}.jsonl"), "--out", str(tmp_path / f"{name}.jsonl")])
    against = ["--against", str(tmp_path / "test.jsonl")]
    cli.run(["inspect", str(tmp_path / "train.jsonl"), "--card", str(tmp_path), *against])
    text = (tmp_path / "card.md").read_text()
    assert "5 examples give away a test prompt: see Duplicates and leaks." in text
    assert "| lima/train/547 | leak_equal | it is the test prompt lima/test/83 |" in text
    assert "| Stack Exchange | 400 | 83 | 495 | 400 | 118 | 526 |" in text


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_in_a_card_and_it_fits_the_screen(
    tmp_path: Path, chromium: Any, width: int, mode: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    write_card(tmp_path, "Mine", ROWS * 3, "commercial")
    page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=mode)
    page.goto((tmp_path / "card.html").as_uri())
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_card_says_under_which_terms_the_raw_data_were_had() -> None:
    unsaid, known, own = (
        licences([example("a", "b")], terms).text for terms in (None, "stack-exchange", "a contract of May")
    )
    assert "are not stated (--terms)" in unsaid
    assert "do not include training a large language model" in known
    assert "under these terms: a contract of May. They apply besides the licences." in own


def test_answers_that_follow_one_pattern_are_warned_of() -> None:
    """No two share 70 % of their 5-grams, yet they are a handful of patterns; and the card does not say "none"."""
    fillings = [
        "red salt and oil",
        "blue sand and tar",
        "green lime and wax",
        "white chalk and ink",
        "black coal and gum",
    ]
    alike = [
        example(f"x/{n}", f"q{n}", answer=f"Take {fillings[n % 5]} for step {n % 20}, and wait.")
        for n in range(40)
    ]
    found = {section.key: section for section in sections(alike, CardOptions())}
    assert "are as varied as" in found["diversity"].warning
    unlike = {
        section.key: section
        for section in sections(
            [example(f"y/{n}", f"q{n}", answer=f"{n} w{n} v{n} u{n}") for n in range(3)], CardOptions()
        )
    }
    assert "no two examples share 70% of their 5-grams" in unlike["repetition"].text
    assert "none found" not in unlike["repetition"].text
