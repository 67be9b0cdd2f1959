"""The comparison as a page: figures of every choice, what they share, and the first examples that each took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lima.records import Example
from lima.report.render.report_page import template_environment
from lima.select.comparison import COLUMNS, Choice, Line, cells
from lima.select.pool import Pool

SHOWN = 5
"""Examples of each choice."""
CHARACTERS = 700
MEANINGS = {
    "topics": "groups of the pool (k-means over the embeddings) with at least one example in the choice",
    "effective topics": "as many equally frequent groups would be as varied",
    "reach": "cosine of an example of the pool to the nearest chosen one; median, high is good",
    "alike": "cosine of a chosen example to its nearest other; median, high means repetition",
    "characters (quartiles)": "of the answers",
    "quality": "mean",
    "likeness": "cosine to the nearest target; mean",
    "seconds": "what was computed for several choices counts for each",
}


def as_html(lines: Sequence[Line], choices: Sequence[Choice], pool: Pool, facts: Mapping[str, object]) -> str:
    """The page; ``lines`` and ``choices`` are of the same methods in one order."""
    columns = list(zip(*(cells(line) for line in lines), strict=True))
    rows = [
        (name, MEANINGS.get(name, ""), values)
        for name, values in zip(COLUMNS[1:], columns[1:], strict=True)
        if any(values)
    ]
    first = [
        (line, [_shown(example) for example in pool.examples(choice.places[:SHOWN])])
        for line, choice in zip(lines, choices, strict=True)
    ]
    page = template_environment(Path(__file__).parent).get_template("comparison.html")
    return page.render(
        lines=lines, names=[choice.name for choice in choices], facts=facts, rows=rows, first=first
    )


def _shown(example: Example) -> tuple[str, str]:
    asked, told = (_short(turn.content) for turn in (example.messages[-2], example.messages[-1]))
    return " ".join(asked.split()), told


def _short(text: str) -> str:
    return text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]} [... {len(text):,} characters]"
