"""Blocks of text and where they stand: lists by indentation, quotations by ``>``, and what is between two blocks."""

from __future__ import annotations

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
    linked: bool = False
    """Whether it is the names of links and little else."""
    marked: str = ""
    """The text with the marks of `text.gaps` for its links, where it has some."""

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
        self, text: str, prose: str, kind: Kind = "prose", *, linked: bool = False, marked: str = ""
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
