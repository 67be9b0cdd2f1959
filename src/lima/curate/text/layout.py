"""Blocks of text and where they stand: lists by indentation, quotations by ``>``, and what is between two blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Style = Literal["markdown", "lima"]
"""``markdown``: blank lines, ``code`` in one backtick or fences, headings, tables, quotes.
``lima``: as in the released set, one newline between blocks and all code in three backticks."""

MAX_DEPTH = 8
"""Nesting that is still shown by indentation; deeper levels look like this one."""
QUOTE = "> "


class Block(NamedTuple):
    """A paragraph, list item, code block, table row or heading as it is shown."""

    text: str
    prose: str
    """The text without code and without marks."""
    tight: bool = False
    """Whether it follows its neighbour without a blank line: list items and table rows."""
    quote: str = ""
    """The quotation marks of the block, which go on over the blank line to the next block."""


@dataclass
class _List:
    ordered: bool
    number: int
    pending: bool = False
    """Whether the next block opens an item, so that it gets the bullet."""

    @property
    def marker(self) -> str:
        return f"{self.number}. " if self.ordered else "* "


class Layout:
    """The blocks so far, and the lists and quotations that are open."""

    def __init__(self, style: Style) -> None:
        self.blocks: list[Block] = []
        self._markdown = style == "markdown"
        self._lists: list[_List] = []
        self._quotes = 0

    def add(self, text: str, prose: str, tight: bool = False) -> None:
        """Put a block at the place that lists and quotations give it."""
        if not self._lists and not self._quotes:
            self.blocks.append(Block(text.rstrip(), prose, tight))
            return
        quote = QUOTE * min(self._quotes, MAX_DEPTH) if self._markdown else ""
        first, rest, opens_item = self._indents()
        shown = f"{quote}{first}{text}"
        if "\n" in text:
            shown = shown.replace("\n", f"\n{quote}{rest}")
        self.blocks.append(Block(shown.rstrip(), prose, tight or opens_item, quote))

    def open_list(self, ordered: bool, first: int) -> None:
        """``<ul>`` or ``<ol start=...>``."""
        self._lists.append(_List(ordered, first))

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

    def _indents(self) -> tuple[str, str, bool]:
        """What stands before the first and before the other lines of a block, and whether it opens an item."""
        if not self._lists:
            return "", "", False
        outer = self._lists[: min(len(self._lists) - 1, MAX_DEPTH)]
        indent = "".join("   " if item.ordered else "  " for item in outer)
        inner = self._lists[-1]
        marker, opens_item = inner.marker, inner.pending
        rest = indent + " " * len(marker)
        if not opens_item:
            return rest, rest, False
        inner.pending = False
        inner.number += 1
        return indent + marker, rest, True


def joined(blocks: Sequence[Block], style: Style) -> str:
    """List items and table rows one below the other, other blocks apart."""
    parts: list[str] = []
    previous = Block("", "")
    for block in blocks:
        apart = "\n\n"
        if style == "lima" or (block.tight and previous.tight):
            apart = "\n"
        elif block.quote and previous.quote:
            apart = f"\n{min(block.quote, previous.quote, key=len).rstrip()}\n"
        parts += [apart if parts else "", block.text]
        previous = block
    return "".join(parts).strip("\n")
