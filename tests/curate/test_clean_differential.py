"""Cleaning against an independent parser: every visible character of real posts is in the outcome, or in the log."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lima.curate.text.clean import Cleaned, clean

BODIES = 2000
MARKS = set("#>*|-^_()[]\\`:")
"""Characters that show HTML as plain text: they may be in the outcome without being in the source."""
LIST_NUMBER = re.compile(r"^[>\s]*(?:[*]\s+)*(\d+\.)\s", re.MULTILINE)
FENCE = re.compile(r"^([>\s]*`{3,4})[\w+#-]+$", re.MULTILINE)
HIDDEN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u2060\ufeff]")


class Visible(HTMLParser):
    """What a reader sees of a post, by the standard library's parser."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.codes: list[str] = []
        self._unseen = self._code = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._unseen += tag in ("script", "style")
        if tag in ("code", "pre"):
            self._code += 1
            if self._code == 1:
                self.codes.append("")
        elif self._code and tag in ("p", "div", "br"):
            self.codes[-1] += "\n"

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in ("script", "style")
        self._code = max(0, self._code - (tag in ("code", "pre")))

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.text += data
            if self._code:
                self.codes[-1] += data


def test_a_walk_finds_what_is_lost_and_what_is_invented() -> None:
    """The check itself can fail."""
    good = clean("<p>Call <code>f()</code>, see <a>http://x.y</a>.</p><ol><li>one</li></ol>")
    html = "<p>Call <code>f()</code>, see <a>http://x.y</a>.</p><ol><li>one</li></ol>"
    assert problem(html, good) is None
    for text in (
        "Call `f`.\n\n1. one",
        "Call `f()`\n\n1. one",
        "Call `f()`. Yes.\n\n1. one",
        "1. one\n\nCall `f()`.",
    ):
        assert problem(html, Cleaned(text, "", removed=good.removed)), text
    assert problem(html, Cleaned(good.text, "")), "a removal that was not logged"
    assert problem("<p>a</p>", Cleaned("a", "", removed=good.removed)), "a removal that did not take place"
    assert problem("<pre>a  b</pre>", Cleaned("```\na b\n```", "")), "a space in code"


@pytest.mark.skipif("LIMA_DATA" not in os.environ, reason="LIMA_DATA names the folder of real dumps")
@pytest.mark.parametrize("style", ["markdown", "lima"])
def test_nothing_visible_is_lost_but_what_was_logged(style: str) -> None:
    bodies = list(islice(_bodies(Path(os.environ["LIMA_DATA"])), BODIES))
    assert len(bodies) == BODIES
    for name, html in bodies:
        found = problem(html, clean(html, style))  # type: ignore[arg-type]
        assert found is None, f"{name}: {found}"


def _bodies(data: Path) -> Iterator[tuple[str, str]]:
    """Posts of all sites by turns, so that the first thousand are of every one."""
    roots = [ElementTree.parse(path).getroot() for path in sorted(data.glob("stackexchange*/*/Posts.xml"))]
    sites = [iter(root) for root in roots]
    while sites:
        for rows in list(sites):
            row = next(rows, None)
            if row is None:
                sites.remove(rows)
            elif body := row.get("Body"):
                yield f"{row.get('Id')} of {row.get('CreationDate')}", body


def problem(html: str, cleaned: Cleaned) -> str | None:
    """Where the outcome and the log do not account for the source, or None."""
    source = Visible(HIDDEN.sub("", html))
    logged = [removal.text for removal in cleaned.removed]
    found = _walk(_letters(source.text), cleaned.text, [_letters(text) for text in logged])
    return found or _code_problem(source.codes, "\n".join([cleaned.text, *logged]))


def _letters(text: str) -> str:
    return "".join(HIDDEN.sub("", text).split())


def _walk(source: str, text: str, logged: list[str]) -> str | None:
    """Read source and outcome side by side, in order; each logged text once, where it stood."""
    text = FENCE.sub(r"\1", text)
    numbers = {place for found in LIST_NUMBER.finditer(text) for place in range(*found.span(1))}
    shown = [(c, c in MARKS or place in numbers) for place, c in enumerate(text) if not c.isspace()]
    logged = [text for text in logged if text]
    states: dict[int, set[tuple[int, frozenset[int]]]] = {0: {(0, frozenset())}}
    reached = 0
    for i in range(len(source) + 1):
        current = states.pop(i, set())
        waiting = list(current)
        while waiting:
            j, used = waiting.pop()
            reached = i
            if i == len(source) and len(used) == len(logged) and all(mark for _, mark in shown[j:]):
                return None
            if j < len(shown) and shown[j][1] and (j + 1, used) not in current:
                current.add((j + 1, used))
                waiting.append((j + 1, used))
            if j < len(shown) and i < len(source) and shown[j][0] == source[i]:
                states.setdefault(i + 1, set()).add((j + 1, used))
            for k, gone in enumerate(logged):
                if k not in used and (end := _end_of(gone, source, i)):
                    states.setdefault(end, set()).add((j, used | {k}))
    return f"not accounted for: ...{source[max(0, reached - 60) : reached]}>>>{source[reached : reached + 60]}..."


def _end_of(gone: str, source: str, start: int) -> int:
    """Where a logged text ends in the source, whose marks it may add; 0 where it does not stand there."""
    place = start
    for character in gone:
        if place < len(source) and source[place] == character:
            place += 1
        elif character not in MARKS:
            return 0
    return place


def _code_problem(codes: list[str], text: str) -> str | None:
    """Every line of code stands in the outcome, or in the log, as it is."""
    plain = text.replace(r"\|", "|")
    for code in codes:
        for line in code.splitlines():
            if line.strip() and line.rstrip() not in plain:
                return f"code: {line!r}"
    return None
