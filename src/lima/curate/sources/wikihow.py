"""wikiHow articles -> "How to ...?" with the article's body (paper, section 2.1): category first, then article.

Layouts: ``wikihowAll.csv`` (headline, title, text), ``wikihowSep.csv`` (overview, headline, text,
sectionLabel, title), JSON Lines with ``url`` and ``step_texts``, nested rows (``steps``, or ``methods`` with steps, each a
text or with headline and description), and pages of HTML; tables also as Parquet. A column ``category`` is used where it is
there; a page has it in its breadcrumbs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

from lima import console
from lima.curate.candidate import Candidate, Stratum, chance, single_turn
from lima.curate.reading.tables import candidate_files, read_table
from lima.curate.rules import RuleSettings
from lima.curate.sources import wikihow_html
from lima.curate.sources.base import Context, SourceSettings, in_strata
from lima.errors import LimaError
from lima.records import Reject

SUFFIXES = (
    ".csv", ".csv.gz", ".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".parquet", *wikihow_html.SUFFIXES,
)  # fmt: skip
PRUNED = (
    "references", "tips", "warnings", "related wikihows", "related articles", "community q&a", "sources",
    "video",
)  # fmt: skip
OPENING = re.compile(r"^This (?:article|wikiHow(?: article)?)\b")
TOKENISED = re.compile(r"(?<=\w) (['’]) (?=(?:s|t|re|ve|ll|d|m)\b)")
NEGATION = re.compile(
    r"\b(are|ca|could|did|do|does|had|has|have|is|should|was|were|wo|would) n(['’])t\b", re.IGNORECASE
)
SPACED = (
    (re.compile(r"(?<=[\w.,])\( (?=\S)"), " ("),
    (re.compile(r"(?<=\w)- (?!(?:and|or|to)\b)(?=\w)"), "-"),
    (re.compile(r"“ ([^“”]{1,300}?) ”"), r"“\1”"),
    (re.compile(r"`` ?([^`\n]{1,200}?)''"), r" “\1”"),
    (re.compile(r"``"), ""),
    (re.compile(r"\( (?=\w)"), "("),
    (re.compile(r"(?<=[a-z])\$ (?=\d)"), " $"),
    (re.compile(r"(?<=\w)(['’]) (?=(?:ve|re|ll)\b)"), r"\1"),
    (re.compile(r"(?<=\d) (?=[’”](?:\s|$))|(?<=\w) (?=\.(?:\s|$))"), ""),
)
"""What a tokeniser left in ``step_texts``: "boiled( see step 4)", "10- 15 minutes"."""
COPY_NUMBER = re.compile(r"(?<=[a-z])\d{1,2}$")
"""``wikihowAll.csv`` numbers the parts of an article: "How to Be Organized1"."""
OTHER_ARTICLE = re.compile(
    r"(?<=[.!?] )[^.!?]*\b(?i:see|read|refer to|check out|visit|follow)\b[^.!?]{0,40}?\b(?:How to [A-Z]|wikiHow|[A-Z][a-z]+ (?:an?|the|your) [A-Z])[^.!?]*(?:[.!?]\s*|$)"
)
"""A sentence that sends its reader to another article: "You can refer to Flush a Radiator."."""
POINTERS_STEP = "sentences that send to other articles removed"
FALLBACK_CATEGORY = "all"
FIRST_PART = "Part 1"
OVERVIEWS, NAMES = (
    ("overview", "summary", "introduction", "description"),
    ("name", "title", "headline", "label"),
)
STEP_PARTS = ("headline", "title", "description", "text")
"""What the parts of nested rows are called."""


@dataclass
class _Article:
    title: str
    category: str = FALLBACK_CATEGORY
    overview: str = ""
    sections: dict[str, list[str]] = field(default_factory=dict)
    url: str | None = None
    cut: bool = False
    """Whether sentences that send to other articles were cut."""


class WikiHow(SourceSettings):
    """How-to articles, drawn by category."""

    kind: Literal["wikihow"] = "wikihow"
    """Which source this is."""
    tau: float = 1e9
    """Temperature of the draw over categories; a great one draws them evenly. [paper: category first]"""
    pruned_sections: tuple[str, ...] = PRUNED
    """Sections that are left out. [ours; the paper says "some sections"]"""
    rules: RuleSettings = RuleSettings(
        score_min=None, length_min=1000, length_max=20_000, first_person=False, refers_to_others=False, title_words_min=3,
    )  # fmt: skip
    """The filters and their thresholds."""

    def strata(self, context: Context) -> list[Stratum]:
        """One stratum a category, articles in random order."""
        articles: dict[str, _Article] = {}
        unread: list[Candidate | Reject] = []
        for path in candidate_files(context.path, SUFFIXES):
            for number, row in _rows(path, unread):
                if not self._add(articles, row):
                    columns = ", ".join(map(str, row))
                    raise LimaError(
                        f"{path}:{number}: no article in the columns {columns}. Is this wikiHow's table?"
                    )
        found = unread + [self._candidate(article) for _, article in sorted(articles.items())]
        if {article.category for article in articles.values()} == {FALLBACK_CATEGORY}:
            console.warn(
                f"{context.name}: no column 'category', so articles are drawn from one pool, not by category."
            )
        return in_strata(found, context, lambda c: (chance(context.seed, context.name, "order", c.id),))

    def _add(self, articles: dict[str, _Article], row: Mapping[str, Any]) -> bool:
        """Put a row into its article: a whole one, a paragraph or a section. False: no known layout."""
        title = _title(row)
        if title is None:
            return False
        article = articles.setdefault(title.lower(), _Article(title, url=_text(row, "url") or None))
        article.category = _text(row, "category") or article.category
        article.overview = article.overview or next(
            filter(None, (_text(row, name) for name in OVERVIEWS)), ""
        )
        if nested := _nested(row):
            for label, steps in nested.items():
                self._extend(article, label, steps)
            return True
        if isinstance(row.get("step_texts"), list):
            steps = [
                _joined(str(step.get("text", ""))) for step in row["step_texts"] if isinstance(step, dict)
            ]
            label = f"Part {len(article.sections) + 1}" if article.sections else FIRST_PART
        elif "sectionLabel" in row:
            label = _text(row, "sectionLabel") or "Steps"
            steps = [" ".join(part for part in (_text(row, "headline"), _text(row, "text")) if part)]
        elif "text" in row:
            label, steps = "", [_text(row, "text")]
        else:
            return False
        self._extend(article, label, steps)
        return True

    def _extend(self, article: _Article, label: str, steps: Iterable[str]) -> None:
        if label.lower() not in self.pruned_sections:
            tidied = [_tidy(step) for step in steps]
            cut = [OTHER_ARTICLE.sub("", step).rstrip() for step in tidied]
            article.cut = article.cut or cut != tidied
            article.sections.setdefault(label, []).extend(step for step in cut if step)

    def _candidate(self, article: _Article) -> Candidate | Reject:
        name = re.sub(r"\W+", "-", article.title.removeprefix("How to ")).strip("-")
        identifier, body = f"wikihow/{name}", _body(article)
        if not body or not name:
            return Reject(id=identifier, rule="empty", reason="no steps are left")
        prompt = article.title.rstrip("?") + "?"
        meta = {
            "url": article.url or f"https://www.wikihow.com/{name}",
            "authors": ["wikiHow"],
            "licence": "CC BY-NC-SA 3.0",
            "category": article.category,
            "transforms": [
                "title as question",
                "sections pruned",
                "opening changed",
                *([POINTERS_STEP] if article.cut else []),
            ],
        }
        example = single_turn(identifier, "wikihow", prompt, body, meta)
        return Candidate(example, answer=body, prose=body, title=prompt)


def _rows(path: Path, unread: list[Candidate | Reject]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of a table or of a page; a page without an article, one of many, is rejected by name."""
    if not path.name.lower().endswith(wikihow_html.SUFFIXES):
        yield from read_table(path)
        return
    try:
        yield from wikihow_html.read_page(path)
    except LimaError as error:
        unread.append(Reject(id=f"wikihow/{path.name}", rule="empty", reason=str(error)))


def _nested(row: Mapping[str, Any]) -> dict[str, list[str]]:
    """Sections and their steps of a row in which they are lists of texts or of objects; empty for other rows."""
    for name in ("methods", "parts", "sections"):
        if (
            isinstance(parts := row.get(name), list)
            and parts
            and all(isinstance(part, dict) for part in parts)
        ):
            labels = [next(filter(None, (_text(part, key) for key in NAMES)), "") for part in parts]
            return {
                label or f"Part {number}": _steps(part.get("steps"))
                for number, (label, part) in enumerate(zip(labels, parts, strict=True), start=1)
            }
    steps = _steps(row.get("steps"))
    return {"Steps": steps} if steps else {}


def _steps(value: object) -> list[str]:
    found = []
    for step in value if isinstance(value, list) else []:
        parts = [_text(step, key) for key in STEP_PARTS] if isinstance(step, dict) else [str(step or "")]
        found.append(" ".join(part for part in parts if part))
    return found


def _title(row: Mapping[str, Any]) -> str | None:
    """The title as "How to ..."; from the address where there is no other."""
    title = _text(row, "title")
    if not title and (url := _text(row, "url")):
        title = unquote(url.rstrip("/").rpartition("/")[2]).replace("-", " ")
    if not title:
        return None
    title = COPY_NUMBER.sub("", " ".join(title.split()))
    return title if title.lower().startswith("how ") else f"How to {title}"


def _body(article: _Article) -> str:
    """Introduction, then sections: a heading each and numbered steps; whole texts stay as they are."""
    parts = [OPENING.sub("The following answer", _tidy(article.overview))] if article.overview else []
    for label, steps in article.sections.items():
        if not label:
            parts += [OPENING.sub("The following answer", step) for step in steps]
            continue
        if (
            label != FIRST_PART or len(article.sections) > 1
        ):  # a name of ours, which says nothing where it is alone
            parts.append(f"## {label}")
        parts.append("\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1)))
    return "\n\n".join(part for part in parts if part)


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return value.strip() if isinstance(value, str) else ""


def _joined(text: str) -> str:
    """The text without a tokeniser's blanks.

    >>> _joined("Boil it( see step 4) for 10- 15 minutes.")
    'Boil it (see step 4) for 10-15 minutes.'
    """
    for pattern, joined in SPACED:
        text = pattern.sub(joined, text)
    return text


def _tidy(text: str) -> str:
    """White space of a table's cell, tokenised apostrophes, and commas that wikihowAll puts after stops."""
    text = "\n".join(" ".join(line.split()) for line in text.replace(";\n", "\n").split("\n"))
    text = NEGATION.sub(r"\1n\2t", text)
    text = TOKENISED.sub(r"\1", re.sub(r"\.,(?=\n|$)", ".", text))
    return re.sub(r"\n{2,}", "\n\n", text).strip(" ,\n")
