"""The HTML of a post -> plain text that a language model can learn from (paper, section 2.1).

Links, images and other HTML go, code blocks and lists stay. `clean` also gives the prose alone, without
code, for the rules that look at words, and logs every visible word that it left out.

Plain cleaning comes first. Then announcements of what is gone, closing formulas, labels of edits and lists of links are
trimmed: each step has a name, and logs what it takes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lima.curate.text import formulas, pointing
from lima.curate.text.blocks import (
    INLINE_CODE,
    Block,
    Removal,
    Style,
    cut_out,
    holds_any,
    joined,
    points_elsewhere,
    sends_elsewhere,
    sentences,
    shortened,
    unmarked,
    words_of,
)
from lima.curate.text.markup import Post


@dataclass(frozen=True)
class Cleaned:
    """The text of a post, and what of it is prose."""

    text: str
    prose: str
    """The text without code, which may hold any word; lines of quotations begin with ``>``."""
    images: int = 0
    """Images that were left out."""
    holes: int = 0
    """Places that point to something left out: "like this:" before an image, a link named "here"."""
    removed: tuple[Removal, ...] = ()
    """Visible text that was left out, each with the step that took it."""
    blocks: tuple[Block, ...] = ()
    """What the text is made of."""

    @property
    def code(self) -> str:
        """The code alone."""
        return "\n".join(
            block.text
            if block.kind == "code"
            else "\n".join(found.group() for found in INLINE_CODE.finditer(block.text))
            for block in self.blocks
        )

    @property
    def steps(self) -> list[str]:
        """The steps that took more than addresses, each once, as an example's ``transforms`` name them."""
        names = dict.fromkeys(removal.step for removal in self.removed if removal.step != pointing.ADDRESS)
        return [f"cut: {name}" for name in names]


def clean(
    html: str,
    style: Style = "markdown",
    *,
    trim: bool = True,
    opening: bool = True,
    closing: bool = False,
    asked: str = "",
) -> Cleaned:
    """Turn the HTML of one post into text.

    Args:
        html: the body.
        style: how blocks and code are shown.
        trim: whether sentences that only point to an address, closing formulas and the like go. Without, every address that
            is missed counts as a hole.
        opening: whether trimming includes praise of the question, with which many forum answers begin.
        closing: without ``trim``: whether closing formulas and lists of links at the end go anyway, as questions have them too.
        asked: the question's title, which an answer need not repeat above its own text.

    >>> clean("<p>Use <code>ls</code>:</p><ul><li>fast</li><li>old</li></ul>").text
    'Use `ls`:\\n\\n* fast\\n* old'
    """
    post = Post(style, trim)
    post.read(html)
    blocks, announced, holes = settled(post.layout.blocks, trim)
    cut: list[Removal] = []
    if trim:
        blocks = trimmed(blocks, opening, asked, cut)
    elif closing:
        blocks = without_pointers_at_end(without_formulas(blocks, cut, labels=False), cut)
    if not blocks and trim and post.layout.blocks:  # nothing but pointers: a hole rather than nothing
        plain = clean(html, style, trim=False)
        return replace(plain, holes=max(1, plain.holes))
    prose = "\n".join([block.prose for block in blocks if block.prose])
    holes += post.holes
    if not holes:
        holes += ends_open(blocks) or bool(post.images and formulas.OF_IMAGES.search(prose))
        holes += bool(post.links and _speaks_of_link(prose))
        holes += bool(("[" in prose or "{" in prose) and _refers_to_gone_list(blocks, prose))
    removed = (*post.removed, *announced, *cut)
    return Cleaned(joined(blocks, style), prose, post.images, holes, removed, tuple(blocks))


def _speaks_of_link(prose: str) -> bool:
    """Whether `OF_LINKS` matches near a "link"; searching only there is faster."""
    before, behind = formulas.OF_LINKS_BEFORE, formulas.OF_LINKS_BEHIND
    places = (found.start() for found in re.finditer("link", prose))
    return any(formulas.OF_LINKS.search(prose, max(0, at - before), at + behind) for at in places)


def prose_of(markdown: str) -> str:
    """The text without its fenced and inline code, for sources that are no HTML.

    >>> prose_of("Run `I` now.")
    'Run   now.'
    """
    return INLINE_CODE.sub(" ", formulas.FENCED_CODE.sub(" ", markdown))


def settled(blocks: Sequence[Block], cut: bool = True) -> tuple[list[Block], list[Removal], int]:
    """The blocks without the lost ones, and without what announced them alone; the holes that are left.

    A lead-in ("Sources:", "More information") and a heading go with all that they stood before; any other text that ends
    with a colon has a hole behind it. Without ``cut`` the lead-ins stay, and are holes.
    """
    kept: list[Block] = []
    removed: list[Removal] = []
    holes = place = 0
    while place < len(blocks):
        if blocks[place].kind not in ("lost", "image"):
            kept.append(blocks[place])
            place += 1
            continue
        end = place
        while end < len(blocks) and blocks[end].kind in ("lost", "image"):
            end += 1
        behind = blocks[end] if end < len(blocks) else None
        if behind is not None and blocks[end - 1].kind == "lost" and not blocks[place].tight:
            holes += bool(pointing.BACK.match(behind.prose)) or bool(
                not kept and formulas.GOES_ON.match(behind.prose)
            )
        elif behind is not None and blocks[end - 1].kind == "image" and not blocks[place].tight:
            if cut and (is_source(behind) or _is_caption(behind)):
                removed.append(Removal(pointing.SOURCE_NAME, behind.text))
                end += 1
            else:
                holes += bool(formulas.OF_IMAGE.match(behind.prose))
        if kept and not _goes_on(kept[-1], blocks[place], behind):
            lead_in = _is_lead_in(kept[-1], behind)
            if lead_in and cut:
                removed.append(Removal(pointing.ANNOUNCEMENT, kept.pop().prose))
            elif (
                lead_in
                or _is_emptied(kept[-1], behind)
                or (blocks[place].kind == "lost" and kept[-1].text.endswith(":"))
            ):
                holes += 1
            elif cut and blocks[place].kind == "lost":
                kept[-1:] = without_announcement(kept[-1], removed)
        place = end
    return kept, removed, holes


def _is_caption(block: Block) -> bool:
    """Whether a short line at an image is the name of a link alone: "Cans in a row"."""
    short = len(block.prose.split()) <= formulas.CAPTION_WORDS_MAX
    return short and block.is_link and block.kind == "prose" and not block.rest


def _goes_on(before: Block, lost: Block, behind: Block | None) -> bool:
    """Whether other items of the list are left, before or behind."""
    return lost.tight and (before.tight or (behind is not None and behind.tight))


def _is_lead_in(block: Block, behind: Block | None) -> bool:
    if block.kind == "heading" and not _is_emptied(block, behind):
        return False
    if block.kind not in ("prose", "heading") or block.text.endswith((".", "!", "?")):
        return False
    return _is_heading_of_links(block)


def _is_emptied(block: Block, behind: Block | None) -> bool:
    """Whether a heading has nothing left below it."""
    return block.kind == "heading" and (behind is None or behind.kind == "heading")


def ends_open(blocks: Sequence[Block]) -> bool:
    """Whether the last line announces something that does not follow."""
    last = blocks[-1] if blocks else None
    if last is None or last.kind != "prose":
        return False
    breaks_off = formulas.BREAKS_OFF.search(last.text[-formulas.LAST_WORD_MAX :])
    return last.text.endswith((":", ";", ",")) or breaks_off is not None


def trimmed(blocks: Sequence[Block], opening: bool, asked: str, removed: list[Removal]) -> list[Block]:
    """The blocks without closing formulas, labels of edits, names of sources, and sentences that point to links."""
    kept = without_formulas(_without_question(list(blocks), asked, removed), removed)
    for without in (_without_references, without_sources, without_pointers, without_link_lists):
        kept = without(kept, removed)
    kept = _without_remark_at_start(kept, removed) if opening else kept
    return without_pointers_at_end(_without_question_back(kept, removed), removed)


def without_formulas(blocks: Sequence[Block], removed: list[Removal], labels: bool = True) -> list[Block]:
    """The blocks without closing formulas ("Hope this helps!", "Thanks in advance"), remarks about emphasis, labels of edits."""
    kept: list[Block] = []
    for place, block in enumerate(blocks):
        if labels and place and place < len(blocks) - 1 and _is_label(block):
            removed.append(Removal(formulas.EDIT_LABEL, block.text.lstrip("# ")))
            continue
        if block.kind == "prose":
            block = _unlabelled(block, removed) if labels else block
            block = _without_emphasis(block, removed)
            block = _without_closing(block, removed)
        if block.text:
            kept.append(block)
    return kept


def _without_question(blocks: list[Block], asked: str, removed: list[Removal]) -> list[Block]:
    """A first block that repeats the question word by word goes."""
    if len(blocks) < 2 or not asked or not (blocks[0].quote or blocks[0].kind == "heading"):
        return blocks
    if words_of(blocks[0].prose) != words_of(asked):
        return blocks
    removed.append(Removal(formulas.REPEATED, blocks[0].text.lstrip("# ")))
    return blocks[1:]


def _without_remark_at_start(blocks: list[Block], removed: list[Removal]) -> list[Block]:
    """A remark about the question at the start goes."""
    first = blocks[0] if blocks else None
    if first is None or first.kind != "prose" or not (found := formulas.OF_THE_QUESTION.match(first.text)):
        return blocks
    rest = first.text[found.end() :]
    if not rest and len(blocks) == 1:
        return blocks
    removed.append(Removal(formulas.REMARK_AT_START, found.group()))
    return [shortened(first, rest), *blocks[1:]] if rest else blocks[1:]


def _without_question_back(blocks: list[Block], removed: list[Removal]) -> list[Block]:
    """A last sentence that asks the asker something goes: nobody will answer it."""
    last = blocks[-1] if blocks else None
    if last is None or last.kind != "prose" or not last.text.endswith("?"):
        return blocks
    *rest, asking = sentences(last.text)
    if not (rest or len(blocks) > 1) or not formulas.ASKS_BACK.fullmatch(asking):
        return blocks
    removed.append(Removal(formulas.QUESTION_BACK, asking))
    return [*blocks[:-1], *([shortened(last, "".join(rest).rstrip())] if rest else [])]


def _without_emphasis(block: Block, removed: list[Removal]) -> Block:
    """Bold and italics are gone, so remarks about them go too."""
    if "emphas" not in block.prose and "mine" not in block.prose:
        return block
    return shortened(block, cut_out(formulas.EMPHASIS_REMARK, block.text, formulas.EMPHASIS, removed))


def _without_references(blocks: Sequence[Block], removed: list[Removal]) -> list[Block]:
    """Marks of references ("[1]", "*") behind a sentence go where there is no list of references."""
    kept = list(blocks)
    marked = [place for place, block in enumerate(blocks) if _may_have_marks(block)]
    if not marked or any(formulas.REFERENCE_ENTRY.match(block.text) for block in blocks):
        return kept
    for place in (one for one in marked if not _names_reference(blocks[one].text)):
        text = cut_out(formulas.REFERENCE_MARK, kept[place].text, formulas.REFERENCE, removed)
        kept[place] = shortened(kept[place], text)
    return kept


def _may_have_marks(block: Block) -> bool:
    marked = holds_any(block.text, ("[", "{")) or block.text.endswith("*")
    return block.kind == "prose" and marked and not holds_any(block.text, ("`", "$"))


def _refers_to_gone_list(blocks: Sequence[Block], prose: str) -> bool:
    return _names_reference(prose) and not any(formulas.REFERENCE_ENTRY.match(block.text) for block in blocks)


def _names_reference(text: str) -> bool:
    """Whether a sentence refers to an entry by its number: "the paper [1] says"."""
    return any(
        formulas.REFERRING.search(text[max(0, found.start() - formulas.REFERRING_MAX) : found.start()])
        for found in formulas.NUMBERED.finditer(text)
    )


def _is_label(block: Block) -> bool:
    may_be = block.kind in ("prose", "heading") and block.text[:1] in formulas.LABEL_LETTERS
    return may_be and formulas.LABEL_ALONE.fullmatch(block.text) is not None


def _unlabelled(block: Block, removed: list[Removal]) -> Block:
    found = formulas.LABEL.match(block.text) if block.text[:1] in formulas.LABEL_LETTERS else None
    if not found or found.end() == len(block.text):
        return block
    removed.append(Removal(formulas.EDIT_LABEL, found.group()))
    rest = block.text[found.end() :]
    if found.group().startswith("(") and rest.endswith(")"):
        removed.append(Removal(formulas.EDIT_LABEL, ")"))
        rest = rest[:-1]
    return shortened(block, rest)


def _without_closing(block: Block, removed: list[Removal]) -> Block:
    """The closing formulas at the end of a block go."""
    if not holds_any(block.prose[-formulas.CLOSING_LENGTH_MAX :].lower(), formulas.CLOSING_NEEDLES):
        return block
    parts = sentences(block.text)
    while parts and formulas.CLOSING_SENTENCE.fullmatch(parts[-1]):
        removed.append(Removal(formulas.CLOSING, parts.pop()))
    return shortened(block, "".join(parts).rstrip())


def without_pointers(blocks: Sequence[Block], removed: list[Removal]) -> list[Block]:
    """Sentences that only send the reader to a link, unless they introduce what stands behind them."""
    kept: list[Block] = []
    for place, block in enumerate(blocks):
        linked = pointing.LINK in block.marked or holds_any(block.text, pointing.DOMAINS)
        if block.kind == "prose" and linked:
            behind = blocks[place + 1] if place + 1 < len(blocks) else None
            block = _without_pointers_in(block, behind, removed)
        if block.text:
            kept.append(block)
    return kept


def _without_pointers_in(block: Block, behind: Block | None, removed: list[Removal]) -> Block:
    line = block.marked or block.text
    found = [pointing.REMARK_WITH_LINK, pointing.ABOUT_LINK] if "(" in line or "[" in line else []
    found += [pointing.AS_DISCUSSED] if holds_any(line, pointing.DISCUSSED) else []
    for pattern in found:
        line = cut_out(pattern, line, pointing.POINTER_TO_LINK, removed)
    if line.rstrip(".)] ").endswith(pointing.LINK):
        line = cut_out(pointing.CREDIT, line, pointing.POINTER_TO_LINK, removed)
    parts = sentences(line)
    introduces = behind is not None and _is_introduced(behind, block)
    kept: list[str] = []
    for place, part in enumerate(parts):
        is_last = place == len(parts) - 1
        next_one = behind.prose if is_last and behind else "" if is_last else parts[place + 1]
        before = kept[-1] if kept else ""
        introduced = is_last and introduces and not pointing.PRAISE.fullmatch(unmarked(part))
        if not introduced and sends_elsewhere(part, before, next_one, is_last=is_last):
            removed.append(Removal(pointing.POINTER_TO_LINK, unmarked(part)))
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
    """The block before an address, without a last sentence that only announces what is found there; no block if that is all of it."""
    last = sentences(block.text)[-1] if block.kind == "prose" else ""
    if not pointing.TELLS_WHERE.match(last):
        return [block]
    removed.append(Removal(pointing.ANNOUNCEMENT, last))
    rest = block.text[: -len(last)].rstrip()
    return [shortened(block, rest)] if rest else []


def without_sources(blocks: Sequence[Block], removed: list[Removal]) -> list[Block]:
    """Lines that name a source stay where they introduce its words; a link's name goes where the line before has announced it."""
    kept: list[Block] = []
    for place, block in enumerate(blocks):
        behind = blocks[place + 1] if place + 1 < len(blocks) else None
        announced = bool(place) and blocks[place - 1].text.endswith(f"{block.text}:") and block.is_link
        if announced or (is_source(block) and not block.text.endswith(":") and not _is_quoted(behind)):
            removed.append(Removal(pointing.SOURCE_NAME, block.text))
        else:
            kept.append(block)
    return kept


def _is_quoted(block: Block | None) -> bool:
    return block is not None and bool(block.quote or block.kind == "code" or block.tight)


def is_source(block: Block) -> bool:
    """Whether a short line only names a source: "From Wikipedia", "Image: The Times"."""
    if block.kind != "prose" or block.rest or not pointing.ORIGIN.match(block.prose):
        return False
    words = len(block.prose.split())
    linked = block.names_links or (block.linked and pointing.SOURCE_LABEL.match(block.prose))
    return words <= pointing.SOURCE_WORDS_MAX or bool(linked and words <= pointing.ORIGIN_WORDS_MAX)


def _is_name_at_end(blocks: Sequence[Block]) -> bool:
    """Whether the last line is the name of a link, alone."""
    if len(blocks) < 2 or not blocks[-1].is_link or blocks[-1].kind != "prose" or blocks[-1].rest:
        return False
    last, before = blocks[-1], blocks[-2]
    short = len(last.prose.split()) <= pointing.NAMED_WORDS_MAX and not last.text.endswith((".", "!", "?"))
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
            removed += [Removal(pointing.LINK_LIST, block.text.lstrip("# ")) for block in blocks[place:end]]
        else:
            kept += blocks[place:end]
        place = end
    return kept


def _is_listed(block: Block, *, first: bool) -> bool:
    """Whether a block is the name of a link in a list, or goes on in such an item."""
    return block.names_links if block.tight else block.in_list and not first


def _is_heading_of_links(block: Block) -> bool:
    short = len(block.prose.split()) <= pointing.LEAD_WORDS_MAX
    return short and pointing.LEAD_IN.fullmatch(block.prose) is not None


def without_pointers_at_end(blocks: list[Block], removed: list[Removal]) -> list[Block]:
    """Sentences at the end that only send the reader to a link, and lists of links with what announces them."""
    while blocks:
        block = blocks[-1]
        if _is_name_at_end(blocks):
            removed.append(Removal(pointing.SOURCE_NAME, blocks.pop().text))
            continue
        if pointer := points_elsewhere(block.marked):
            removed.append(Removal(pointing.POINTER_TO_LINK, block.text[-pointer:]))
            blocks.pop()
            if rest := block.text[:-pointer].rstrip():
                return [*blocks, shortened(block, rest)]
            continue
        place = _place_before_links(blocks)
        lead_in = _lead_in(blocks[place]) if place < len(blocks) - 1 else ""
        rest = blocks[place].text[: -len(lead_in)].rstrip()
        if not lead_in or not (rest or place):
            break
        removed.append(Removal(pointing.LINK_LIST, lead_in.lstrip("# ")))
        removed += [Removal(pointing.LINK_LIST, gone.text.lstrip("# ")) for gone in blocks[place + 1 :]]
        blocks[place:] = [shortened(blocks[place], rest)] if rest else []
    return blocks


def _place_before_links(blocks: Sequence[Block]) -> int:
    """The place of the last block that is no name of a link."""
    place = len(blocks) - 1
    while place > 0 and (blocks[place].is_link or (blocks[place].tight and blocks[place].names_links)):
        place -= 1
    return place


def _lead_in(block: Block) -> str:
    """The end of a block that announces links; empty where it says more than that."""
    if block.kind not in ("prose", "heading"):
        return ""
    if _is_heading_of_links(block):
        return block.text
    last = (sentences(block.text) or [""])[-1]
    if last.rstrip().endswith(":") and (pointing.SENDING.match(last) or pointing.OF_DOCUMENTS.search(last)):
        return last
    pointer = pointing.SEE_AT_END.search(last)
    return pointer.group() if pointer else ""
