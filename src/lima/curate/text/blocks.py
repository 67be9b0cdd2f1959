"""Blocks of text, where they stand, and what they are made of: sentences and words in any script.

A block stands in lists (indentation) and quotations (``>``); `joined` puts the blocks one below the other.

Chinese, Japanese, Thai, Lao, Khmer and Burmese have no blanks between words. There each character is a word of its own, so
that word n-grams are character n-grams: no dictionary is needed, and a text of two scripts needs no decision.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Style = Literal["markdown", "lima"]
"""``markdown``: blank lines, ``code`` in one backtick or fences, headings, tables.
``lima``: as in the released set, one newline between blocks and all code in three backticks."""
Kind = Literal["prose", "code", "heading", "row", "lost", "image"]
"""What a block is. ``lost``: nothing is left of it, for it was an address; ``image``: it was an image."""

MAX_DEPTH = 8
"""Nesting of lists, and of quotations, that is still shown; deeper levels look like this one."""
QUOTE = "> "


LINKED_SHARE = 0.8
"""A block of which so much is names of links is little else."""


class Block(NamedTuple):
    """A paragraph, list item, code block, table row or heading."""

    text: str
    """As it is shown, without what lists and quotations put before its lines."""
    prose: str
    """The text without code and without marks."""
    kind: Kind = "prose"
    tight: bool = False
    """Whether it follows its neighbour without a blank line: list items and table rows."""
    first: str = ""
    """What stands before its first line: indentation, quotation marks, the bullet."""
    rest: str = ""
    """What stands before its other lines."""
    linked: float = 0.0
    """The share of the text that is names of links."""
    marked: str = ""
    """The text with the marks of this module for its links, where it has some."""

    @property
    def is_link(self) -> bool:
        """Whether it is names of links and little else."""
        return self.linked >= LINKED_SHARE

    @property
    def quote(self) -> str:
        """The quotation marks before its lines, which go on over the blank line to the next block."""
        return self.rest[: self.rest.rfind(">") + 1]

    @property
    def in_list(self) -> bool:
        """Whether it belongs to a list item."""
        return bool(self.rest.replace(QUOTE, ""))

    def shown(self) -> str:
        """The block at its place."""
        return f"{self.first}{self.text}".replace("\n", f"\n{self.rest}").rstrip()


@dataclass
class _List:
    ordered: bool
    number: int
    quotes: int
    """How many quotations it stands in."""
    pending: bool = False
    """Whether the next block opens an item, so that it gets the bullet."""

    @property
    def marker(self) -> str:
        return f"{self.number}. " if self.ordered else "* "

    @property
    def indent(self) -> str:
        return "   " if self.ordered else "  "


class Layout:
    """The blocks so far, and the lists and quotations that are open."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._lists: list[_List] = []
        self._quotes = 0

    def add(
        self, text: str, prose: str, kind: Kind = "prose", *, linked: float = 0.0, marked: str = ""
    ) -> None:
        """Put a block at the place that lists and quotations give it."""
        block = Block(text.rstrip(), prose, kind, kind == "row", "", "", linked, marked)
        if self._lists or self._quotes:
            block = self._placed(block)
        self.blocks.append(block)

    def lose(self, kind: Kind) -> None:
        """A block was here of which nothing is left; a list item keeps its bullet for what follows."""
        self.blocks.append(Block("", "", kind, tight=bool(self._lists)))

    def _placed(self, block: Block) -> Block:
        """The block with what lists and quotations put before its lines."""
        inner = self._lists[-1] if self._lists else None
        marker = inner.marker if inner else ""
        rest = self._before(" " * len(marker))
        if self._quotes and block.prose:
            block = block._replace(prose=QUOTE + block.prose.replace("\n", f"\n{QUOTE}"))
        if inner is None or not inner.pending:
            return block._replace(first=rest, rest=rest)
        first = rest[: len(rest) - len(marker)] + marker if not self._quotes else self._before(marker)
        inner.pending = False
        inner.number += 1
        return block._replace(first=first, rest=rest, tight=True)

    def open_list(self, ordered: bool, first: int) -> None:
        """``<ul>`` or ``<ol start=...>``."""
        self._lists.append(_List(ordered, first, self._quotes))

    def open_item(self) -> None:
        """``<li>``: the next block has the bullet."""
        if self._lists:
            self._lists[-1].pending = True

    def close_list(self) -> None:
        """The innermost list ends."""
        if self._lists:
            self._lists.pop()

    def open_quote(self) -> None:
        """``<blockquote>``."""
        self._quotes += 1

    def close_quote(self) -> None:
        """The innermost quotation ends."""
        self._quotes = max(0, self._quotes - 1)

    def _before(self, marker: str) -> str:
        """What stands before a line: the outer levels as far as they are shown, then the innermost list's marker."""
        outer = self._lists[: min(len(self._lists) - 1, MAX_DEPTH)] if self._lists else []
        parts, quotes, most = [], 0, min(self._quotes, MAX_DEPTH)
        for level in [*outer, *self._lists[-1:]]:
            more = max(0, min(level.quotes, most) - quotes)
            quotes += more
            parts.append(QUOTE * more + (marker if level is self._lists[-1] else level.indent))
        return "".join(parts) + QUOTE * (most - quotes)


def joined(blocks: Sequence[Block], style: Style) -> str:
    """List items and table rows one below the other, other blocks apart."""
    parts: list[str] = []
    previous = Block("", "")
    for block in blocks:
        if block.kind == "lost":
            continue
        apart = "\n\n"
        if style == "lima" or (block.tight and (previous.tight or previous.in_list)):
            apart = "\n"
        elif block.quote and previous.quote:
            apart = f"\n{min(block.quote, previous.quote, key=len)}\n"
        parts += [apart if parts else "", block.shown()]
        previous = block
    return "".join(parts).strip("\n")


BREAK, GONE, GONE_END, POINT, LINK, CODE, IMAGE, BEGIN = "\0", "\1", "\2", "\3", "\4", "\5", "\6", "\7"
"""Marks in a line, control characters that no text holds: a line break; an address, between two marks; the end of a
link whose name says nothing ("here"); the end of another link; inline code, kept elsewhere; an image; the beginning of a link."""
EVERY_MARK = (BREAK, GONE, GONE_END, POINT, LINK, CODE, IMAGE, BEGIN)
CONTROL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
ZERO_WIDTH = re.compile("[\u200b\u2060\ufeff]")
"""What nobody sees in prose."""


class Removal(NamedTuple):
    """Visible text of the source that is not in the outcome, and the step that took it."""

    step: str
    text: str


MARKS = re.compile(f"[{GONE}{GONE_END}{POINT}{LINK}{IMAGE}{BEGIN}]")


def gone(text: str) -> str:
    """An address as `mend` wants it marked."""
    return f"{GONE}{text}{GONE_END}"


def unmarked(text: str) -> str:
    """The text as it was in the source."""
    return MARKS.sub("", text)


STOP = re.compile(rf"""[.!?…]["'”’)\]{LINK}]*+ ++(?={BEGIN}?["'“‘(\[*]?{BEGIN}?[A-Z0-9{CODE}{GONE}])|\n""")
ABBREVIATION = re.compile(
    r"\b(?:e\.g|i\.e|etc|cf|vs|dr|mr|mrs|ms|prof|st|no|fig|al|approx|ca|pp?|vol|eds?|resp|(?-i:(?<![/.\w])[A-Z]))\.\Z",
    re.IGNORECASE,
)


def sentences(text: str) -> list[str]:
    """The sentences of a line, with the white space behind each.

    >>> sentences("Use it, e.g. Here. It works.")
    ['Use it, e.g. Here. ', 'It works.']
    """
    found, begin = [], 0
    for stop in STOP.finditer(text):
        if stop.group() != "\n" and _goes_on(text, begin, stop.start()):
            continue
        found.append(text[begin : stop.end()])
        begin = stop.end()
    return [*found, text[begin:]] if begin < len(text) else found


def _goes_on(text: str, begin: int, stop: int) -> bool:
    """Whether a full stop ends an abbreviation or the number of a list's item."""
    return ABBREVIATION.search(text, max(begin, stop - 8), stop + 1) is not None or text[begin:stop].isdigit()


def shortened(block: Block, text: str) -> Block:
    """The block with part of its text."""
    if text == block.text:
        return block
    prose = text if block.prose == block.text else INLINE_CODE.sub(" ", text)
    return block._replace(text=text, prose=prose, marked=_still_marked(block.marked, text))


def _still_marked(marked: str, text: str) -> str:
    """The marks of what is left, where that is the beginning or the end of the marked line."""
    if not text or not marked:
        return ""
    cuts = [marked[: end + 1] for end, char in enumerate(marked) if char == text[-1]]
    cuts += [marked[begin:] for begin, char in enumerate(marked) if char == text[0]]
    return next((part for part in cuts if LINK in part and unmarked(part) == text), "")


INLINE_CODE = re.compile(r"(`+)[^`\n]+\1")


def holds_any(text: str, needles: Sequence[str]) -> bool:
    """Whether one of the needles is in the text."""
    for needle in needles:  # noqa: SIM110 - three times as fast as any() of a generator
        if needle in text:
            return True
    return False


NO_BLANKS = (
    "\u0e01-\u0e2e\u0e30-\u0e45\u0e47-\u0e4e\u0e50-\u0e59\u0e81-\u0eae\u0eb0-\u0ec4\u0ec8-\u0edf"  # Thai, Lao
    "\u1000-\u1049\u1050-\u109f\u1780-\u17d3\u17dc-\u17e9"  # Burmese, Khmer
    "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Hiragana, Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
"""Ranges of characters, as they stand in a class of a regular expression."""
WORD = re.compile(rf"[{NO_BLANKS}]|[^\W{NO_BLANKS}]+")
ASCII_WORDS = bytes(
    code if chr(code).isalnum() or chr(code) == "_" else ord(" ") for code in range(128)
).ljust(256)


def words_of(text: str) -> list[str]:
    """The words of a text, twice as fast for plain ASCII.

    >>> words_of("It's a_b, C. 加热水")
    ['it', 's', 'a_b', 'c', '加', '热', '水']
    """
    if text.isascii():
        return text.lower().encode().translate(ASCII_WORDS).decode().split()
    return WORD.findall(text.casefold())


WORDS = re.VERBOSE | re.IGNORECASE
ODD_LETTERS = re.compile("[\u0130\u0131\u017f\u212a]")
"""Four letters that match an ASCII letter when case is ignored, but do not fold to it."""


class Part(NamedTuple):
    """An expression, and what every match of it holds: in lower case, or as it stands."""

    needles: tuple[str, ...]
    exact: tuple[str, ...]
    pattern: re.Pattern[str]


class Phrases:
    """One expression in parts, each of which is searched only in texts that hold one of its needles.

    A needle stands in every match of its part, in lower case where case does not count. Most texts hold few, which
    makes the search some ten times as fast; what is found is the same as with all the parts joined by ``|``.
    """

    def __init__(self, *parts: tuple[tuple[str, ...], str]) -> None:
        self.parts = [
            Part(
                tuple(needle for needle in needles if needle.islower()),
                tuple(needle for needle in needles if not needle.islower()),
                re.compile(pattern, WORDS),
            )
            for needles, pattern in parts
        ]

    def search(self, text: str, begin: int = 0) -> re.Match[str] | None:
        """The first match from a place on, of the first part among those that begin there."""
        folded = text.lower()
        odd = not text.isascii() and ODD_LETTERS.search(text)
        best = None
        for needles, exact, pattern in self.parts:
            if odd or holds_any(folded, needles) or (exact and holds_any(text, exact)):
                found = pattern.search(text, begin)
                if found and (best is None or found.start() < best.start()):
                    best = found
        return best
