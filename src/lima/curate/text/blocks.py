"""Blocks of text, where they stand, and what they are made of: sentences and words in any script.

A block stands in lists (indentation) and quotations (``>``); `joined` puts the blocks one below the other.

A removed address leaves a sentence that still reads well, no sentence, or a hole. Cleaning marks the place in the line; `mend`
looks at these places and changes nothing else. "Yes (see http://x.y)." becomes "Yes.", "Sourced from http://x.y" goes, and "At
http://x.y are two of them." is a hole: without the address it cannot be understood.

Chinese, Japanese, Thai, Lao, Khmer and Burmese have no blanks between words. There each character is a word of its own, so
that word n-grams are character n-grams: no dictionary is needed, and a text of two scripts needs no decision.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lima.curate.text import pointing

Style = Literal["markdown", "lima"]
"""``markdown``: blank lines, ``code`` in one backtick or fences, headings, tables.
``lima``: as in the released set, one newline between blocks and all code in three backticks."""
Kind = Literal["prose", "code", "heading", "row", "lost", "image"]
"""What a block is. ``lost``: nothing is left of it, for it was an address; ``image``: it was an image."""
MAX_DEPTH = 8
"""Nesting of lists, and of quotations, that is still shown; deeper levels look like this one."""
QUOTE = "> "
LINKED_SHARE = 0.8
"""From this share of link names on, a block is little more than links."""


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
    """The text with the marks of `pointing` for its links, where it has some."""

    @property
    def is_link(self) -> bool:
        """Whether it is names of links and little else."""
        return self.linked >= LINKED_SHARE

    @property
    def names_links(self) -> bool:
        """Whether enough of it is link names for an entry in a list of links: "The Life of Bees, at The Times"."""
        return self.linked >= pointing.LISTED_SHARE

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


class Removal(NamedTuple):
    """Visible text of the source that is not in the outcome, and the step that took it."""

    step: str
    text: str


def gone(text: str) -> str:
    """An address as `mend` wants it marked."""
    return f"{pointing.GONE}{text}{pointing.GONE_END}"


def unmarked(text: str) -> str:
    """The text as it was in the source."""
    return pointing.MARKS.sub("", text)


def sentences(text: str) -> list[str]:
    """The sentences of a line, with the white space behind each.

    >>> sentences("Use it, e.g. Here. It works.")
    ['Use it, e.g. Here. ', 'It works.']
    """
    found, begin = [], 0
    for stop in pointing.STOP.finditer(text):
        if stop.group() != "\n" and _goes_on(text, begin, stop.start()):
            continue
        found.append(text[begin : stop.end()])
        begin = stop.end()
    return [*found, text[begin:]] if begin < len(text) else found


def _goes_on(text: str, begin: int, stop: int) -> bool:
    """Whether a full stop ends an abbreviation or the number of a list's item."""
    return (
        pointing.ABBREVIATION.search(text, max(begin, stop - 8), stop + 1) is not None
        or text[begin:stop].isdigit()
    )


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
    return next((part for part in cuts if pointing.LINK in part and unmarked(part) == text), "")


def cut_out(pattern: re.Pattern[str], text: str, step: str, removed: list[Removal]) -> str:
    """The text without what the pattern finds, which is logged under the step's name."""
    found = [Removal(step, unmarked(match.group())) for match in pattern.finditer(text)]
    removed += found
    return pattern.sub("", text) if found else text


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

    needles: list[str]
    exact: list[str]
    pattern: re.Pattern[str]


class Phrases:
    """One expression in parts, each of which is searched only in texts that hold one of its needles.

    A needle stands in every match of its part, in lower case where case does not count. Most texts hold few, which
    makes the search some ten times as fast; what is found is the same as with all the parts joined by ``|``.
    """

    def __init__(self, *parts: tuple[tuple[str, ...], str]) -> None:
        self.parts = [
            Part(
                [n for n in needles if n.islower()],
                [n for n in needles if not n.islower()],
                re.compile(p, WORDS),
            )
            for needles, p in parts
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


@dataclass
class Mended:
    """A line without marks for what was removed."""

    text: str
    removed: list[Removal] = field(default_factory=list)
    holes: int = 0
    marked: str = ""
    """The same with the marks of its links, where some are left."""


def mend(line: str, cut: bool = True) -> Mended:
    """Decide what stays at each mark.

    Args:
        line: a block's text with marks, its white space tidied.
        cut: whether sentences may go; otherwise each address that leaves a hole counts as one.
    """
    if pointing.GONE not in line and pointing.POINT not in line and pointing.IMAGE not in line:
        return Mended(unmarked(line))
    found = Mended("")
    kept: list[str] = []
    parts = sentences(line)
    for place, part in enumerate(parts):
        behind = parts[place + 1] if place + 1 < len(parts) else ""
        if pointing.GONE in part or pointing.POINT in part or pointing.IMAGE in part:
            broken = pointing.GONE in part and bool(kept) and not pointing.ENDED.search(kept[-1])
            part = _mend_sentence(part, behind, cut, found)
            found.holes += broken and not part
            if kept and kept[-1].endswith((" ", "\n")):
                part = part.lstrip(" ")
        kept.append(part)
    marked = pointing.SPACE_AT_IMAGE.sub("", "".join(kept)).strip()
    found.text = unmarked(marked).strip()
    found.marked = marked if pointing.LINK in marked and len(found.text) == len(unmarked(marked)) else ""
    return found


def _mend_sentence(text: str, behind: str, cut: bool, found: Mended) -> str:
    def take(match: re.Match[str]) -> str:
        if pointing.GONE in match.group() or match.group().strip(f" {pointing.IMAGE}"):
            found.removed.append(Removal(pointing.ADDRESS, unmarked(match.group())))
        return ""

    text = pointing.BRACKETED.sub(take, text)
    if pointing.GONE not in text and pointing.POINT not in text:
        return text
    space = text[len(text.rstrip()) :]
    if not pointing.TOKEN.search(pointing.REMAINS.sub("", text)) and pointing.CODE not in text:
        return _taken(text, pointing.ADDRESS, found)
    if pointing.GONE not in text and text.rstrip().endswith(":"):
        return text  # "this table:" is shown behind it; where nothing is, the block before has a hole
    tail = (
        (
            pointing.TAIL.search(text)
            or (pointing.BEHIND_COLON.search(text) if pointing.CLAUSE.match(text) else None)
        )
        if cut
        else None
    )
    if tail and _stands(text[: tail.start()]):
        found.removed.append(Removal(pointing.ADDRESS, unmarked(tail.group())))
        return text[: tail.start()] + text[tail.end() :]
    if cut and _only_points(text, behind):
        return _taken(text, pointing.POINTER, found)
    found.holes += 1
    found.removed += [
        Removal(pointing.ADDRESS, unmarked(hole.group()))
        for hole in pointing.REMAINS.finditer(text)
        if pointing.GONE in hole.group()
    ]
    text = pointing.REMAINS.sub("", pointing.SPACE_BEFORE_STOP.sub("", text))
    return re.sub(r"  +", " ", text).rstrip() + space


def _taken(text: str, step: str, found: Mended) -> str:
    found.removed.append(Removal(step, unmarked(text)))
    return ""


def _stands(text: str) -> bool:
    """Whether the beginning of a sentence is one without its end."""
    words = pointing.TOKEN.findall(pointing.REMAINS.sub("", text))
    return (
        len(words) >= pointing.KEPT_WORDS_MIN
        and pointing.GONE not in text
        and pointing.POINT not in text
        and not pointing.UNFINISHED.search(text)
        and not pointing.POINTING.match(unmarked(text))
        and not pointing.ORIGIN.match(unmarked(text))
    )


def _only_points(text: str, behind: str, bare_words_max: int = pointing.BARE_WORDS_MAX) -> bool:
    """Whether a sentence can go, because all that it does is to send its reader to an address."""
    plain = unmarked(pointing.REMAINS.sub("", text).replace(pointing.CODE, "x"))
    words = len(pointing.TOKEN.findall(plain))
    if pointing.BACK.match(behind) or (text.rstrip().endswith(":") and words > pointing.LED_WORDS_MAX):
        return False
    if pointing.FURTHER.search(plain) and words <= pointing.POINTING_WORDS_MAX:
        return True
    if words <= bare_words_max or (words <= pointing.ORIGIN_WORDS_MAX and pointing.ORIGIN.match(plain)):
        return True
    return words <= pointing.POINTING_WORDS_MAX and pointing.POINTING.match(plain) is not None


def sends_elsewhere(sentence: str, before: str, behind: str, *, is_last: bool) -> bool:
    """Whether a sentence with links only sends its reader there, or is their names and nothing else.

    Args:
        sentence: with its marks.
        before: the sentence before it; empty at the beginning of a paragraph.
        behind: the sentence behind it, or the next paragraph.
        is_last: whether it ends its paragraph.
    """
    if (pointing.LINK not in sentence and not pointing.DOMAIN.search(sentence)) or sentence.rstrip().endswith(
        ":"
    ):
        return False
    around = pointing.NAME_OF_LINK.sub(" ", sentence)
    if not pointing.TOKEN.search(around.replace("Wikipedia", "")):
        alone = bool(before) and is_last and not before.endswith(("\n", ":", ": "))
        only = alone and (
            len(pointing.TOKEN.findall(sentence)) <= pointing.NAME_WORDS_MAX
            or _is_headline(unmarked(sentence))
        )
    else:
        only = len(around) <= pointing.NAMING_LENGTH_MAX and pointing.NAMING.fullmatch(around) is not None
    only = only or _sends(sentence) or _announces_headline(sentence)
    return only and not pointing.BACK.match(unmarked(behind))


def _sends(sentence: str) -> bool:
    plain = unmarked(sentence)
    few = len(pointing.TOKEN.findall(plain)) <= pointing.POINTING_WORDS_MAX
    return few and (pointing.SENDING.match(plain) or pointing.TELLS_WHERE.match(plain)) is not None


def _announces_headline(sentence: str) -> bool:
    """Whether a sentence ends with the headline of what is linked: "For those interested: How to Open a Bottle With Bare Hands."."""
    lead, colon, name = sentence.rpartition(f": {pointing.BEGIN}")
    name = name.rstrip(" .\n")
    short = (
        pointing.LINK in lead
        or not name.endswith(pointing.LINK)
        or len(pointing.TOKEN.findall(name)) <= pointing.NAME_WORDS_MAX
    )
    return (
        bool(colon)
        and not short
        and pointing.FOR_READERS.search(lead) is not None
        and _is_headline(unmarked(name))
    )


def _is_headline(sentence: str) -> bool:
    """Whether most words begin with capitals: "How to Open a Beer Bottle With Your Bare Hands."."""
    long = [word for word in pointing.TOKEN.findall(sentence) if len(word) > 3]
    capitals = sum(word[0].isupper() for word in long)
    return 0 < len(long) <= pointing.ORIGIN_WORDS_MAX and capitals >= pointing.HEADLINE_SHARE * len(long)


def points_elsewhere(line: str) -> int:
    """How many characters at the end of a line are sentences that only send the reader to a link.

    >>> points_elsewhere("It is so. For more, see the manual" + pointing.LINK + ".")
    25
    """
    length = 0
    for sentence in reversed(sentences(line)):
        if pointing.LINK not in sentence or not _only_points(sentence, "", bare_words_max=0):
            break
        length += len(unmarked(sentence))
    return length
