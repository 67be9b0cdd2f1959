"""What removed addresses and links leave behind: in a line, of a sentence, at the end of a text.

A removed address leaves a sentence that still reads well, no sentence, or a hole. Cleaning marks in the line where something
was; `mend` looks at these places and changes nothing else. "Yes (see http://x.y)." is "Yes." afterwards, "Sourced from
http://x.y" is nothing, and "At http://x.y are two of them." is a hole: what it says cannot be understood any more.

Links keep their names. `without_pointers`, `without_sources`, `without_link_lists` and `without_pointers_at_end` then take what only
sends its reader to one: sentences, lines and lists.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from lima.curate.text.blocks import (
    BEGIN,
    CODE,
    GONE,
    IMAGE,
    LINK,
    POINT,
    Block,
    Removal,
    holds_any,
    sentences,
    shortened,
    unmarked,
)
from lima.curate.text.pointing import (
    ABOUT_LINK,
    AS_DISCUSSED,
    BACK,
    BEHIND_COLON,
    BRACKETED,
    CLAUSE,
    CREDIT,
    DISCUSSED,
    DOMAIN,
    DOMAINS,
    FOR_READERS,
    FURTHER,
    LEAD_IN,
    NAME_OF_LINK,
    NAMING,
    OF_DOCUMENTS,
    ORIGIN,
    POINTING,
    PRAISE,
    REMAINS,
    REMARK_WITH_LINK,
    SEE_AT_END,
    SENDING,
    SPACE_AT_IMAGE,
    SPACE_BEFORE_STOP,
    TAIL,
    TELLS_WHERE,
    UNFINISHED,
)

ADDRESS = "bare address"
POINTER = "sentence that points to an address"


@dataclass
class Mended:
    """A line without marks for what was removed."""

    text: str
    removed: list[Removal] = field(default_factory=list)
    holes: int = 0
    marked: str = ""
    """The same with the marks of its links, where some are left."""


POINTING_WORDS_MAX = 30
ORIGIN_WORDS_MAX = 12
BARE_WORDS_MAX = 4
"""This few words with an address say nothing without it: "Full article here"."""
LED_WORDS_MAX = 6
"""A longer sentence that ends with a colon says more than where the next block is from."""
KEPT_WORDS_MIN = 3
"""Fewer words are no sentence when its end is cut."""
TOKEN = re.compile(r"\w+(?:['’.-]\w+)*")


ENDED = re.compile(r"""[.!?…]["'”’)\]]*\s*\Z""")


def mend(line: str, cut: bool = True) -> Mended:
    """Decide at each mark what stays.

    Args:
        line: a block's text with marks, its white space tidied.
        cut: whether sentences may go; otherwise each address that leaves a hole counts as one.
    """
    if GONE not in line and POINT not in line and IMAGE not in line:
        return Mended(unmarked(line))
    found = Mended("")
    kept: list[str] = []
    parts = sentences(line)
    for place, part in enumerate(parts):
        behind = parts[place + 1] if place + 1 < len(parts) else ""
        if GONE in part or POINT in part or IMAGE in part:
            broken = GONE in part and bool(kept) and not ENDED.search(kept[-1])
            part = _mend_sentence(part, behind, cut, found)
            found.holes += broken and not part
            if kept and kept[-1].endswith((" ", "\n")):
                part = part.lstrip(" ")
        kept.append(part)
    marked = SPACE_AT_IMAGE.sub("", "".join(kept)).strip()
    found.text = unmarked(marked).strip()
    found.marked = marked if LINK in marked and len(found.text) == len(unmarked(marked)) else ""
    return found


def _mend_sentence(text: str, behind: str, cut: bool, found: Mended) -> str:
    def take(match: re.Match[str]) -> str:
        if GONE in match.group() or match.group().strip(f" {IMAGE}"):
            found.removed.append(Removal(ADDRESS, unmarked(match.group())))
        return ""

    text = BRACKETED.sub(take, text)
    if GONE not in text and POINT not in text:
        return text
    space = text[len(text.rstrip()) :]
    if not TOKEN.search(REMAINS.sub("", text)) and CODE not in text:
        return _taken(text, ADDRESS, found)
    if GONE not in text and text.rstrip().endswith(":"):
        return text  # "this table:" is shown behind it; where nothing is, the block before has a hole
    tail = (TAIL.search(text) or (BEHIND_COLON.search(text) if CLAUSE.match(text) else None)) if cut else None
    if tail and _stands(text[: tail.start()]):
        found.removed.append(Removal(ADDRESS, unmarked(tail.group())))
        return text[: tail.start()] + text[tail.end() :]
    if cut and _only_points(text, behind):
        return _taken(text, POINTER, found)
    found.holes += 1
    found.removed += [
        Removal(ADDRESS, unmarked(hole.group())) for hole in REMAINS.finditer(text) if GONE in hole.group()
    ]
    text = REMAINS.sub("", SPACE_BEFORE_STOP.sub("", text))
    return re.sub(r"  +", " ", text).rstrip() + space


def _taken(text: str, step: str, found: Mended) -> str:
    found.removed.append(Removal(step, unmarked(text)))
    return ""


def _stands(text: str) -> bool:
    """Whether the beginning of a sentence is one without its end."""
    words = TOKEN.findall(REMAINS.sub("", text))
    return (
        len(words) >= KEPT_WORDS_MIN
        and GONE not in text
        and POINT not in text
        and not UNFINISHED.search(text)
        and not POINTING.match(unmarked(text))
        and not ORIGIN.match(unmarked(text))
    )


def _only_points(text: str, behind: str, bare_words_max: int = BARE_WORDS_MAX) -> bool:
    """Whether a sentence can go, because all that it does is to send its reader to an address."""
    plain = unmarked(REMAINS.sub("", text).replace(CODE, "x"))
    words = len(TOKEN.findall(plain))
    if BACK.match(behind) or (text.rstrip().endswith(":") and words > LED_WORDS_MAX):
        return False
    if FURTHER.search(plain) and words <= POINTING_WORDS_MAX:
        return True
    if words <= bare_words_max or (words <= ORIGIN_WORDS_MAX and ORIGIN.match(plain)):
        return True
    return words <= POINTING_WORDS_MAX and POINTING.match(plain) is not None


NAMING_LENGTH_MAX = 120
"""Characters around the names of links."""
HEADLINE_SHARE = 0.8
NAME_WORDS_MAX = 5
"""A longer name of a link may be a sentence that says something."""


def sends_elsewhere(sentence: str, before: str, behind: str, *, is_last: bool) -> bool:
    """Whether a sentence with links only sends its reader there, or is their names and nothing else.

    Args:
        sentence: with its marks.
        before: the sentence before it; empty at the beginning of a paragraph.
        behind: the sentence behind it, or the next paragraph.
        is_last: whether it ends its paragraph.
    """
    if (LINK not in sentence and not DOMAIN.search(sentence)) or sentence.rstrip().endswith(":"):
        return False
    around = NAME_OF_LINK.sub(" ", sentence)
    if not TOKEN.search(around.replace("Wikipedia", "")):
        alone = bool(before) and is_last and not before.endswith(("\n", ":", ": "))
        only = alone and (len(TOKEN.findall(sentence)) <= NAME_WORDS_MAX or _is_headline(unmarked(sentence)))
    else:
        only = len(around) <= NAMING_LENGTH_MAX and NAMING.fullmatch(around) is not None
    only = only or _sends(sentence) or _announces_headline(sentence)
    return only and not BACK.match(unmarked(behind))


def _sends(sentence: str) -> bool:
    plain = unmarked(sentence)
    few = len(TOKEN.findall(plain)) <= POINTING_WORDS_MAX
    return few and (SENDING.match(plain) or TELLS_WHERE.match(plain)) is not None


def _announces_headline(sentence: str) -> bool:
    """Whether a sentence ends with the headline of what is linked: "For those interested: How to Open a Bottle With Bare Hands."."""
    lead, colon, name = sentence.rpartition(f": {BEGIN}")
    name = name.rstrip(" .\n")
    short = LINK in lead or not name.endswith(LINK) or len(TOKEN.findall(name)) <= NAME_WORDS_MAX
    return bool(colon) and not short and FOR_READERS.search(lead) is not None and _is_headline(unmarked(name))


def _is_headline(sentence: str) -> bool:
    """Whether most words begin with capitals: "How to Open a Beer Bottle With Your Bare Hands."."""
    long = [word for word in TOKEN.findall(sentence) if len(word) > 3]
    capitals = sum(word[0].isupper() for word in long)
    return 0 < len(long) <= ORIGIN_WORDS_MAX and capitals >= HEADLINE_SHARE * len(long)


def points_elsewhere(line: str) -> int:
    """How many characters at the end of a line are sentences that only send the reader to a link.

    >>> points_elsewhere("It is so. For more, see the manual" + LINK + ".")
    25
    """
    length = 0
    for sentence in reversed(sentences(line)):
        if LINK not in sentence or not _only_points(sentence, "", bare_words_max=0):
            break
        length += len(unmarked(sentence))
    return length


ANNOUNCEMENT = "announcement of an address"
LINK_LIST = "list of links"
POINTER_TO_LINK = "sentence that points to a link"
SOURCE_NAME = "line that names a source"

LEAD_WORDS_MAX = 6


SOURCE_LABEL = re.compile(r"\W*sources?:", re.IGNORECASE)
SOURCE_WORDS_MAX = 3
NAMED_WORDS_MAX = 12
"""A longer name of a link may be a sentence."""
LISTED_SHARE = 0.4
"""An item of which so much is names of links belongs to a list of links: "The Life of Bees, at The Times"."""


def without_pointers(blocks: Sequence[Block], removed: list[Removal]) -> list[Block]:
    """Sentences that only send the reader to a link, unless they introduce what stands behind them."""
    kept: list[Block] = []
    for place, block in enumerate(blocks):
        if block.kind == "prose" and (LINK in block.marked or holds_any(block.text, DOMAINS)):
            behind = blocks[place + 1] if place + 1 < len(blocks) else None
            block = _without_pointers_in(block, behind, removed)
        if block.text:
            kept.append(block)
    return kept


def _without_pointers_in(block: Block, behind: Block | None, removed: list[Removal]) -> Block:
    def take(found: re.Match[str]) -> str:
        removed.append(Removal(POINTER_TO_LINK, unmarked(found.group())))
        return ""

    line = block.marked or block.text
    if "(" in line or "[" in line:
        line = ABOUT_LINK.sub(take, REMARK_WITH_LINK.sub(take, line))
    line = AS_DISCUSSED.sub(take, line) if holds_any(line, DISCUSSED) else line
    line = CREDIT.sub(take, line) if line.rstrip(".)] ").endswith(LINK) else line
    parts = sentences(line)
    introduces = behind is not None and _is_introduced(behind, block)
    kept: list[str] = []
    for place, part in enumerate(parts):
        is_last = place == len(parts) - 1
        next_one = behind.prose if is_last and behind else "" if is_last else parts[place + 1]
        before = kept[-1] if kept else ""
        introduced = is_last and introduces and not PRAISE.fullmatch(unmarked(part))
        if not introduced and sends_elsewhere(part, before, next_one, is_last=is_last):
            removed.append(Removal(POINTER_TO_LINK, unmarked(part)))
        else:
            kept.append(part)
    marked = "".join(kept).rstrip()
    if marked == (block.marked or block.text):
        return block
    return shortened(block, unmarked(marked))._replace(marked=marked)


def _is_introduced(block: Block, before: Block) -> bool:
    """Whether a block is code, a quotation or a list, which the text before it may be about; the next item of its own list is not."""
    deeper = block.tight and (not before.tight or len(block.rest) > len(before.rest))
    return bool(block.quote) or block.kind == "code" or deeper


def without_announcement(block: Block, removed: list[Removal]) -> list[Block]:
    """The block before an address, without a last sentence that only tells what is found there; nothing where it is all."""
    last = sentences(block.text)[-1] if block.kind == "prose" else ""
    if not TELLS_WHERE.match(last):
        return [block]
    removed.append(Removal(ANNOUNCEMENT, last))
    rest = block.text[: -len(last)].rstrip()
    return [shortened(block, rest)] if rest else []


def without_sources(blocks: Sequence[Block], removed: list[Removal]) -> list[Block]:
    """Lines that name a source stay where they introduce its words; a link's name goes where the line before has announced it."""
    kept: list[Block] = []
    for place, block in enumerate(blocks):
        behind = blocks[place + 1] if place + 1 < len(blocks) else None
        announced = bool(place) and blocks[place - 1].text.endswith(f"{block.text}:") and block.is_link
        if announced or (is_source(block) and not block.text.endswith(":") and not _is_quoted(behind)):
            removed.append(Removal(SOURCE_NAME, block.text))
        else:
            kept.append(block)
    return kept


def _is_quoted(block: Block | None) -> bool:
    return block is not None and bool(block.quote or block.kind == "code" or block.tight)


def is_source(block: Block) -> bool:
    """Whether a short line tells where something is from: "From Wikipedia", "Image: The Times"."""
    if block.kind != "prose" or block.rest or not ORIGIN.match(block.prose):
        return False
    words = len(block.prose.split())
    linked = block.linked >= LISTED_SHARE or (block.linked and SOURCE_LABEL.match(block.prose))
    return words <= SOURCE_WORDS_MAX or bool(linked and words <= ORIGIN_WORDS_MAX)


def _is_name_at_end(blocks: Sequence[Block]) -> bool:
    """Whether the last line is the name of a link, alone."""
    if len(blocks) < 2 or not blocks[-1].is_link or blocks[-1].kind != "prose" or blocks[-1].rest:
        return False
    last, before = blocks[-1], blocks[-2]
    short = len(last.prose.split()) <= NAMED_WORDS_MAX and not last.text.endswith((".", "!", "?"))
    return short and not before.is_link and not before.text.endswith(":")


def without_link_lists(blocks: Sequence[Block], removed: list[Removal]) -> list[Block]:
    """A list of links with its own heading ("Related:") goes from the middle of a text too."""
    kept: list[Block] = []
    place = 0
    while place < len(blocks):
        end = place + 1
        while end < len(blocks) and _is_listed(blocks[end], first=end == place + 1):
            end += 1
        listed = end - place > 1 and blocks[place].text.endswith(":") and _is_heading_of_links(blocks[place])
        if listed and not (end < len(blocks) and blocks[end].tight):
            removed += [Removal(LINK_LIST, block.text.lstrip("# ")) for block in blocks[place:end]]
        else:
            kept += blocks[place:end]
        place = end
    return kept


def _is_listed(block: Block, *, first: bool) -> bool:
    """Whether a block is the name of a link in a list, or goes on in such an item."""
    if block.tight:
        return block.linked >= LISTED_SHARE
    return block.in_list and not first


def _is_heading_of_links(block: Block) -> bool:
    short = len(block.prose.split()) <= LEAD_WORDS_MAX
    return short and LEAD_IN.fullmatch(block.prose) is not None


def without_pointers_at_end(blocks: list[Block], removed: list[Removal]) -> list[Block]:
    """Sentences at the end that only send the reader to a link, and lists of links with what announces them."""
    while blocks:
        block = blocks[-1]
        if _is_name_at_end(blocks):
            removed.append(Removal(SOURCE_NAME, blocks.pop().text))
            continue
        if pointer := points_elsewhere(block.marked):
            removed.append(Removal(POINTER_TO_LINK, block.text[-pointer:]))
            blocks.pop()
            if rest := block.text[:-pointer].rstrip():
                return [*blocks, shortened(block, rest)]
            continue
        place = _place_before_links(blocks)
        lead_in = _lead_in(blocks[place]) if place < len(blocks) - 1 else ""
        rest = blocks[place].text[: -len(lead_in)].rstrip()
        if not lead_in or not (rest or place):
            break
        removed.append(Removal(LINK_LIST, lead_in.lstrip("# ")))
        removed += [Removal(LINK_LIST, gone.text.lstrip("# ")) for gone in blocks[place + 1 :]]
        blocks[place:] = [shortened(blocks[place], rest)] if rest else []
    return blocks


def _place_before_links(blocks: Sequence[Block]) -> int:
    """The place of the last block that is no name of a link."""
    place = len(blocks) - 1
    while place > 0 and (
        blocks[place].is_link or (blocks[place].tight and blocks[place].linked >= LISTED_SHARE)
    ):
        place -= 1
    return place


def _lead_in(block: Block) -> str:
    """The end of a block that announces links; empty where it says more than that."""
    if block.kind not in ("prose", "heading"):
        return ""
    if _is_heading_of_links(block):
        return block.text
    last = (sentences(block.text) or [""])[-1]
    announces = last.rstrip().endswith(":") and (SENDING.match(last) or OF_DOCUMENTS.search(last))
    if announces:
        return last
    pointer = SEE_AT_END.search(last)
    return pointer.group() if pointer else ""
