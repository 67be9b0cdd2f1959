"""A wikiHow article saved as a page of HTML -> rows of the layout ``wikihowSep.csv``, with the category of its breadcrumbs.

A page that describes itself as schema.org ``HowTo`` (a script of type ``application/ld+json``) is read from that; any
other by its markup: the breadcrumbs, the title, sections with their heading, steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import orjson

from lima.curate.reading.compressed import open_bytes
from lima.curate.text.clean import clean
from lima.errors import LimaError

SUFFIXES = (".html", ".htm", ".html.gz", ".htm.gz")
LARGEST = 16 * 2**20
"""Bytes of one page; a longer one is not an article."""
NO_CATEGORY = {"home", "categories", "category", "wikihow", "articles", "main page"}
"""Crumbs that stand above every category."""
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
SILENT = {"script", "style", "noscript", "template"}


def read_page(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """A row a step, numbered from 1: title, category, overview, sectionLabel, headline (empty), text, url.

    Raises:
        LimaError: the page is too large, or holds no article with steps.
    """
    with open_bytes(path) as stream:
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise LimaError(f"{path}: more than {LARGEST // 2**20} MiB. Is this one wikiHow article?")
    page = _Page()
    page.feed(content.decode("utf-8", errors="replace"))
    page.close()
    found = page.described() or page.marked_up()
    if not found.title or not any(found.sections.values()):
        raise LimaError(f"{path}: no title or no steps. Is this a wikiHow article?")
    steps = ((label, text) for label, texts in found.sections.items() for text in texts)
    for number, (label, text) in enumerate(steps, start=1):
        yield (
            number,
            {
                "title": found.title,
                "category": found.category,
                "overview": found.overview,
                "sectionLabel": label,
                "headline": "",
                "text": text,
                "url": found.url,
            },
        )


@dataclass
class _Found:
    title: str = ""
    category: str = ""
    overview: str = ""
    url: str = ""
    sections: dict[str, list[str]] = field(default_factory=dict)


class _Page(HTMLParser):
    """Gathers what the two ways of reading need in one pass; the time is linear in the page, however deep it is."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[tuple[str, str]] = []  # tag and what it is for us
        self._tags: Counter[str] = Counter()  # of the open elements
        self._roles: list[str] = []  # what is open and of use, outermost first
        self._texts: dict[str, list[str]] = {}
        self._scripts: list[str] = []
        self._marked = _Found()
        self._crumbs: list[str] = []
        self._section = ""

    # -- events

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element; void ones only break words."""
        given = {name: value or "" for name, value in attrs}
        if tag == "link" and given.get("rel") == "canonical":
            self._marked.url = given.get("href", "")
        if tag in VOID:
            self._add(" ")
            return
        role = self._role(tag, given)
        self._open.append((tag, role))
        self._tags[tag] += 1
        if role:
            self._roles.append(role)
            self._texts[role] = []

    def handle_endtag(self, tag: str) -> None:
        """Close the element and, as browsers do, those left open within it."""
        if not self._tags[tag]:
            return
        while self._open:
            name, role = self._open.pop()
            self._tags[name] -= 1
            if role:
                self._roles.pop()
                self._take(role, "".join(self._texts.pop(role, [])))
            if name == tag:
                return

    def handle_data(self, data: str) -> None:
        """Text of the element that is open."""
        self._add(data)

    def close(self) -> None:
        """Take what a page that breaks off has left open."""
        super().close()
        while self._open:
            name, _ = self._open[-1]
            self.handle_endtag(name)

    # -- meaning

    def _role(self, tag: str, given: Mapping[str, str]) -> str:
        names = {*given.get("class", "").lower().split(), given.get("id", "").lower()}
        roles = self._roles  # never more than a few: no role opens within itself
        if "silent" in roles:
            return ""
        if tag == "script":
            return "description" if given.get("type", "").lower() == "application/ld+json" else "silent"
        if tag in SILENT:
            return "silent"
        if "breadcrumbs" not in roles and any("breadcrumb" in n or "bread_crumb" in n for n in names):
            return "breadcrumbs"
        if tag == "a" and "breadcrumbs" in roles and "crumb" not in roles:
            return "crumb"
        if tag == "h1" and not self._marked.title and "title" not in roles:
            return "title"
        if "step" in names and "step" not in roles:
            return "step"
        if tag in ("h2", "h3", "h4") and not {"step", "heading"} & {*roles}:
            return "heading"
        if tag == "p" and not self._section and not {"breadcrumbs", "step", "introduction"} & {*roles}:
            return "introduction"
        return ""

    def _add(self, data: str) -> None:
        role = self._roles[-1] if self._roles else ""
        if role not in ("", "silent", "breadcrumbs"):
            self._texts[role].append(data)

    def _take(self, role: str, text: str) -> None:
        words = " ".join(text.split())
        if role == "description":
            self._scripts.append(text)
        elif role == "crumb" and words:
            self._crumbs.append(words)
        elif role == "title":
            self._marked.title = words
        elif role == "heading" and words:
            self._section = words
        elif role == "step" and words:
            self._marked.sections.setdefault(self._section or "Steps", []).append(words)
        elif role == "introduction" and words and self._marked.title and not self._marked.overview:
            self._marked.overview = words

    # -- results

    def marked_up(self) -> _Found:
        """The article by its markup."""
        self._marked.category = _category(self._crumbs)
        return self._marked

    def described(self) -> _Found | None:
        """The article as the page describes it to machines, where it does."""
        things = [thing for script in self._scripts for thing in _things(script)]
        article = next(
            (thing for thing in things if thing.get("@type") == "HowTo" and thing.get("step")), None
        )
        if article is None:
            return None
        crumbs = [
            crumb for thing in things if thing.get("@type") == "BreadcrumbList" for crumb in _crumbs(thing)
        ]
        return _Found(
            title=_plain(article.get("name")) or self._marked.title,
            category=_category(crumbs or self._crumbs),
            overview=_plain(article.get("description")),
            url=str(article.get("url") or self._marked.url),
            sections=_sections(article["step"]),
        )


def _category(crumbs: list[str]) -> str:
    return next((crumb for crumb in crumbs if crumb.lower() not in NO_CATEGORY), "")


def _things(script: str) -> list[dict[str, Any]]:
    """The objects of a script of linked data; one that is no JSON describes nothing."""
    try:
        value = orjson.loads(script)
    except orjson.JSONDecodeError:
        return []
    if isinstance(value, dict) and isinstance(value.get("@graph"), list):
        value = value["@graph"]
    return [thing for thing in (value if isinstance(value, list) else [value]) if isinstance(thing, dict)]


def _crumbs(thing: Mapping[str, Any]) -> Iterator[str]:
    entries = [entry for entry in thing.get("itemListElement") or () if isinstance(entry, dict)]
    for entry in sorted(entries, key=lambda entry: str(entry.get("position", "")).zfill(4)):
        item = entry.get("item")
        yield _plain(entry.get("name") or (item.get("name") if isinstance(item, dict) else ""))


def _sections(steps: Any) -> dict[str, list[str]]:
    """Steps by section; steps outside of any section come under "Steps"."""
    found: dict[str, list[str]] = {}
    for step in steps if isinstance(steps, list) else [steps]:
        if not isinstance(step, dict):
            continue
        parts = step.get("itemListElement")
        if step.get("@type") == "HowToSection" and isinstance(parts, list):
            label = _plain(step.get("name")) or f"Part {len(found) + 1}"
            found.setdefault(label, []).extend(filter(None, map(_step, parts)))
        elif text := _step(step):
            found.setdefault("Steps", []).append(text)
    return found


def _step(step: Any) -> str:
    """A step's text, its own or that of its directions."""
    if not isinstance(step, dict):
        return _plain(step)
    parts = step.get("itemListElement")
    parts = parts if isinstance(parts, list) else [parts] if isinstance(parts, dict) else []
    text = _plain(step.get("text")) or " ".join(
        filter(None, (_plain(p.get("text")) for p in parts if isinstance(p, dict)))
    )
    return text or _plain(step.get("name"))


def _plain(value: Any) -> str:
    """Text without markup on one line."""
    return " ".join(clean(value, "lima").text.split()) if isinstance(value, str) else ""
