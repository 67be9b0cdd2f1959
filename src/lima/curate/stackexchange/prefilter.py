"""Rules that a raw row answers for sure, before its body is decoded and cleaned: most candidates need no more."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from lima.curate.rules import RuleSettings, title_problem
from lima.curate.text.layout import MAX_DEPTH, QUOTE

WORDS = re.compile(rb"&gt;\s*+[A-Za-z]++ [A-Za-z]")
"""Words behind a tag: such a body is not empty, whatever cleaning takes away."""
DROPPED = re.compile(rb"&lt;(?:s|del|strike|script|style)\b")
FAR = 4
"""Bodies that are so many times too long are not measured."""
INDENT = 5
"""The widest marker of a list with under 1,000 items: ``999. ``."""
SLACK = 8
"""A code block that is opened and never closed has fences longer than its tag."""


def early_problem(question: bytes, answer: bytes, rules: RuleSettings) -> tuple[str, str] | None:
    """The rule and the reason, where the rows alone tell that cleaned text would be dropped.

    None decides nothing: also for rows in an unusual form, which only the XML parser reads rightly.
    """
    title, body = _attribute(question, b"Title"), _attribute(answer, b"Body")
    if title is None or body is None or not WORDS.search(body) or _drops_text(body):
        return None
    if reason := title_problem(_unescaped(title), rules):
        return "self_contained_title", reason
    if rules.length_min is not None and len(body) < FAR * rules.length_min:
        most = longest_text(body)
        return (
            ("length_min", f"at most {most} characters, under {rules.length_min}")
            if most < rules.length_min
            else None
        )
    return None


def longest_text(body: bytes) -> int:
    """At most so many characters come out of a body, which is HTML escaped as an attribute of XML.

    A tag gives fewer characters than the eight of its escaped brackets; an escaped character gives one; a bar in a table
    gives two; and within lists and quotations each line may be indented.
    """
    newlines, tags = body.count(b"&#xA;"), body.count(b"&lt;")
    size = len(body) - 4 * newlines - 4 * body.count(b"&amp;") - 5 * body.count(b"&quot;") + SLACK
    size += body.count(b"|")
    quotes = body.count(b"&lt;blockquote")
    lists = body.count(b"&lt;ul") + body.count(b"&lt;ol")
    if b"start" in body and lists:  # a marker may have any number of digits
        return len(body) * (INDENT * MAX_DEPTH + SLACK)
    indent = len(QUOTE) * min(quotes, MAX_DEPTH) + INDENT * min(lists, MAX_DEPTH + 1)
    return size + indent * (newlines + tags + 1)


def _attribute(raw: bytes, name: bytes) -> bytes | None:
    """The escaped value of an attribute; None where a plain search could be wrong."""
    start = raw.find(b" " + name + b'="') + len(name) + 3
    end = raw.find(b'"', start)
    if start < len(name) + 3 or end < 0 or b"='" in raw or b"= '" in raw:
        return None
    return raw[start:end]


def _drops_text(body: bytes) -> bool:
    return (b"&lt;s" in body or b"&lt;del" in body) and DROPPED.search(body) is not None


def _unescaped(value: bytes) -> str:
    if b"&" not in value:
        return value.decode(errors="replace")
    try:
        return ElementTree.fromstring(b'<row v="' + value + b'" />').attrib["v"]
    except ElementTree.ParseError:
        return value.decode(errors="replace")
