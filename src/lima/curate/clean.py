"""The HTML of a post -> plain text that a language model can learn from (paper, section 2.1).

Links, images and other HTML go, code blocks and lists stay. `clean` also gives the prose alone, without
code, for the rules that look at words. Built on the standard library's parser, which does not recurse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Literal

Style = Literal["markdown", "lima"]
"""``markdown``: blank lines, ``code`` in one backtick or fences, headings, tables, quotes.
``lima``: as in the released set, one newline between blocks and all code in three backticks."""

MAX_DEPTH = 8
"""Nesting that is still shown by indentation; deeper levels look like this one."""
HEADINGS = {f"h{level}": level for level in range(1, 7)}
BLOCKS = {"p", "div", "section", "article", "dl", "dt", "dd", "table", "thead", "tbody", "center", *HEADINGS}
DROPPED = {"script", "style", "del", "s", "strike"}
"""Elements whose text goes with them: not for reading, or struck out by the author."""
POINTERS = {"here", "this", "that", "link", "this link", "this page", "this one", "this article", "this post"}
"""Names of links that say nothing once the address is gone."""
BARE_URL = re.compile(r"(?:https?://|www\.)[^\s<>()]*[^\s<>().,;:!?'\"]")
EMPTY_BRACKETS = re.compile(r"[ \t]*(?:\(\s*[,;:]?\s*\)|\[\s*\]|<\s*>)")
SPACED_STOPS = (" ,", " .", " ;", " !", " ?")
SPACE_BEFORE_STOP = re.compile(r"[ \t]+([,.;!?])(?=\s|$)")
FENCED_CODE = re.compile(r"^(`{3,})[^\n]*\n.*?(?:^\1[ \t]*$|\Z)|```.*?```", re.DOTALL | re.MULTILINE)
INLINE_CODE = re.compile(r"(`+)[^`\n]+\1")
STRAY_BRACKET = re.compile(r"<(?!/?[a-zA-Z][^<>]*>)")
"""A ``<`` that opens no whole tag. The standard parser takes quadratic time over many of them."""
ORDINALS = {"st", "nd", "rd", "th"}


@dataclass(frozen=True)
class Cleaned:
    """The text of a post, and what of it is prose."""

    text: str
    prose: str
    """The text without code, which may hold any word."""
    images: int = 0
    """Images that were left out."""
    holes: int = 0
    """Places that point to something left out: "like this:" before an image, a link named "here"."""


def clean(html: str, style: Style = "markdown") -> Cleaned:
    """Turn the HTML of one post into text.

    >>> clean("<p>Use <code>ls</code>:</p><ul><li>fast</li><li>old</li></ul>").text
    'Use `ls`:\\n\\n* fast\\n* old'
    """
    sink = _Sink(style)
    sink.feed(STRAY_BRACKET.sub("&lt;", _without_comments(html)))
    sink.close()
    sink.flush()
    return Cleaned(
        text=_join(sink.blocks, style),
        prose="\n".join(block.prose for block in sink.blocks if block.prose),
        images=sink.images,
        holes=sink.holes,
    )


def prose_of(markdown: str) -> str:
    """The text without its fenced and inline code, for sources that are no HTML.

    >>> prose_of("Run `I` now.")
    'Run   now.'
    """
    return INLINE_CODE.sub(" ", FENCED_CODE.sub(" ", markdown))


@dataclass(frozen=True)
class _Block:
    text: str
    prose: str
    tight: bool
    """Whether it follows its neighbour without a blank line: list items and table rows."""
    quote: str = ""
    """The quotation marks of the block, which go on over the blank line to the next block."""


@dataclass
class _List:
    ordered: bool
    number: int
    pending: bool = False
    """Whether the next block opens an item, so that it gets the bullet."""


@dataclass
class _Line:
    """Text of the block that is being read: what is shown, and its prose."""

    shown: list[str] = field(default_factory=list)
    prose: list[str] = field(default_factory=list)

    def add(self, shown: str, prose: str) -> None:
        self.shown.append(shown)
        self.prose.append(prose)


class _Sink(HTMLParser):
    def __init__(self, style: Style) -> None:
        super().__init__(convert_charrefs=True)
        self.style = style
        self.blocks: list[_Block] = []
        self.images = self.holes = 0
        self._anchor: int | None = None  # where the open link's text begins in the line
        self._line = _Line()
        self._lists: list[_List] = []
        self._quotes = self._dropped = 0
        self._code: list[str] | None = None
        self._pre: str | None = None  # the language of the block being read, "" when unknown
        self._heading = 0
        self._row: list[str] | None = None
        self._script: tuple[str, list[str]] | None = None  # "^" or "_", and its text

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in DROPPED:
            self._dropped += 1
        elif tag == "img":
            self.images += 1
            self._note_hole()
        elif tag == "br":
            self.handle_data("\n") if self._code is not None else self._line.add("\n", "\n")
        elif tag == "hr":
            self.flush()
        elif tag == "a":
            self._anchor = len(self._line.shown)
        elif tag == "pre":
            self.flush()
            self._pre, self._code = _language(attrs), []
        elif tag == "code":
            self._start_code(attrs)
        elif tag in ("sup", "sub") and self._code is None:
            self._script = ("^" if tag == "sup" else "_", [])
        else:
            self._start_block(tag, attrs)

    def _start_block(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("ul", "ol"):
            self.flush()
            start = dict(attrs).get("start") or "1"
            self._lists.append(_List(tag == "ol", int(start) if start.isdecimal() else 1))
        elif tag == "li":
            self.flush()
            if self._lists:
                self._lists[-1].pending = True
        elif tag == "blockquote":
            self.flush()
            self._quotes += 1
        elif tag == "tr":
            self.flush()
            self._row = []
        elif tag in BLOCKS:
            self.flush()
            self._heading = HEADINGS.get(tag, 0)

    def _start_code(self, attrs: list[tuple[str, str | None]]) -> None:
        if self._pre is None:
            self._code = []
        else:
            self._pre = self._pre or _language(attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in DROPPED:
            self._dropped = max(0, self._dropped - 1)
        elif tag == "pre" and self._pre is not None:
            self._end_pre()
        elif tag == "code" and self._pre is None and self._code is not None:
            code, self._code = "".join(self._code), None
            self._line.add(self._inline_code(code), " ")
        elif tag in ("sup", "sub") and self._script is not None:
            (mark, parts), self._script = self._script, None
            self._add_script(mark, "".join(parts))
        elif tag == "a" and self._anchor is not None:
            named = " ".join("".join(self._line.shown[self._anchor :]).split()).lower()
            self.holes += named in POINTERS
            self._anchor = None
        elif tag in ("td", "th") and self._row is not None:
            self._row.append(_inline(self._take().shown))
        elif tag == "tr" and self._row is not None:
            self._end_row()
        else:
            self._end_block(tag)

    def _end_block(self, tag: str) -> None:
        if tag in ("ul", "ol"):
            self.flush()
            if self._lists:
                self._lists.pop()
        elif tag == "blockquote":
            self.flush()
            self._quotes = max(0, self._quotes - 1)
        elif tag == "li" or tag in BLOCKS:
            self.flush()
            self._heading = 0

    def handle_data(self, data: str) -> None:
        if self._dropped:
            return
        if self._code is not None:
            self._code.append(data)
        elif self._script is not None:
            self._script[1].append(data)
        else:
            text, links = BARE_URL.subn("", data) if "http" in data or "www." in data else (data, 0)
            if links and not text.strip():
                self._note_hole()
            text = _one_space(text)
            self._line.add(text, text)

    def flush(self) -> None:
        """Close the block that is being read."""
        line = self._take()
        text = _inline(line.shown)
        if not text:
            return
        if self._heading and self.style == "markdown":
            text = "#" * max(2, self._heading) + " " + text.replace("\n", " ")
        self._emit(text, _inline(line.prose))

    def close(self) -> None:
        """End of the input: code that was never closed is still code."""
        super().close()
        if self._pre is not None:
            self._end_pre()
        elif self._code is not None:
            self._line.add(self._inline_code("".join(self._code)), " ")
            self._code = None

    def _note_hole(self) -> None:
        """What is left out here was announced by a colon."""
        before = "".join(self._line.shown).rstrip() or (self.blocks[-1].text if self.blocks else "")
        self.holes += before.endswith(":")

    def _take(self) -> _Line:
        line, self._line = self._line, _Line()
        return line

    def _end_pre(self) -> None:
        code = "".join(self._code or []).strip("\n").rstrip()
        language, self._pre, self._code = self._pre, None, None
        if code.strip():
            fence = "```" if "```" not in code else "````"
            opening = fence + (language or "") if self.style == "markdown" else fence
            self._emit(f"{opening}\n{code}\n{fence}", "")

    def _end_row(self) -> None:
        cells, self._row = self._row or [], None
        if not any(cells):
            return
        first = not (self.blocks and self.blocks[-1].text.startswith("| "))
        text = " | ".join(cell.replace("\n", " ") for cell in cells)
        rule = "\n|" + " --- |" * len(cells) if first else ""
        self._emit(f"| {text} |{rule}" if self.style == "markdown" else text, text, tight=True)

    def _add_script(self, mark: str, text: str) -> None:
        """``10<sup>3</sup>`` without its mark would be another number."""
        shown = text
        if text.strip() and text.strip().lower() not in ORDINALS and self.style == "markdown":
            shown = f"{mark}{text}" if len(text) == 1 or text.isalnum() else f"{mark}({text})"
        self._line.add(shown, text)

    def _inline_code(self, code: str) -> str:
        if not code.strip():
            return code
        if self.style == "lima":
            return f"```{code}```"
        return f"`` {code} ``" if "`" in code else f"`{code}`"

    def _emit(self, text: str, prose: str, tight: bool = False) -> None:
        first, rest, opens_item = self._prefixes()
        quote = "> " * min(self._quotes, MAX_DEPTH) if self.style == "markdown" else ""
        lines = text.split("\n")
        shown = "\n".join((first if i == 0 else rest) + line for i, line in enumerate(lines))
        self.blocks.append(_Block(shown.rstrip(), prose, tight or opens_item, quote))

    def _prefixes(self) -> tuple[str, str, bool]:
        """What stands before the first and before the other lines of a block."""
        quote = "> " * min(self._quotes, MAX_DEPTH) if self.style == "markdown" else ""
        if not self._lists:
            return quote, quote, False
        indent = "".join(
            "   " if item.ordered else "  " for item in self._lists[: min(len(self._lists) - 1, MAX_DEPTH)]
        )
        inner = self._lists[-1]
        marker = f"{inner.number}. " if inner.ordered else "* "
        if not inner.pending:
            return quote + indent + " " * len(marker), quote + indent + " " * len(marker), False
        inner.pending = False
        inner.number += 1
        return quote + indent + marker, quote + indent + " " * len(marker), True


def _one_space(text: str) -> str:
    """Runs of white space as one space, also at the ends: ``re.sub(r"\\s+", " ", text)``, five times as fast."""
    words = " ".join(text.split())
    before = " " if text[:1].isspace() else ""
    return f"{before}{words}{' ' if words and text[-1:].isspace() else ''}"


def _join(blocks: list[_Block], style: Style) -> str:
    """Put list items and table rows one below the other, other blocks apart."""
    parts: list[str] = []
    previous = _Block("", "", tight=False)
    for block in blocks:
        apart = "\n\n"
        if style == "lima" or (block.tight and previous.tight):
            apart = "\n"
        elif shared := min(block.quote, previous.quote, key=len).rstrip():
            apart = f"\n{shared}\n"
        parts += [apart if parts else "", block.text]
        previous = block
    return "".join(parts).strip("\n")


def _without_comments(html: str) -> str:
    head, *others = html.split("<!--")
    return head + "".join(part.partition("-->")[2] for part in others)


def _inline(parts: list[str]) -> str:
    """One block's text with its white space, and the holes that removed links left, tidied."""
    text = "".join(parts).replace("\u00a0", " ")
    if "(" in text or "[" in text or "<" in text:
        text = EMPTY_BRACKETS.sub("", text)
    if "  " in text or "\t" in text:
        text = re.sub(r"[ \t]+", " ", text)
    if "\n" in text:
        text = re.sub(r" ?\n ?", "\n", text)
    if any(stop in text for stop in SPACED_STOPS):
        text = SPACE_BEFORE_STOP.sub(r"\1", text)
    return text.strip()


def _language(attrs: list[tuple[str, str | None]]) -> str:
    """The language that Stack Exchange notes as ``class="lang-py"``."""
    found = re.search(r"\blang(?:uage)?-([\w+#-]+)", dict(attrs).get("class") or "")
    return found.group(1) if found and found.group(1) not in ("none", "default") else ""
