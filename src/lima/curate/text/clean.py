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

from lima.curate.text.blocks import (
    INLINE_CODE,
    WORDS,
    Block,
    Phrases,
    Removal,
    Style,
    holds_any,
    joined,
    sentences,
    shortened,
    words_of,
)
from lima.curate.text.links import (
    ADDRESS,
    ANNOUNCEMENT,
    LEAD_WORDS_MAX,
    SOURCE_NAME,
    is_source,
    without_announcement,
    without_link_lists,
    without_pointers,
    without_pointers_at_end,
    without_sources,
)
from lima.curate.text.markup import Post
from lima.curate.text.phrases import PICTURE, PICTURE_NEEDLES
from lima.curate.text.pointing import BACK, LEAD_IN

OF_IMAGES = Phrases(
    (("this", "here", "these"), r"\A \W* (?: this\ one | this\ is | here (?: ['’]s | \ is | \ are ) | these ) \b"),
    (
        (*PICTURE_NEEDLES, "drawing", "illustration"),
        rf"""
        \b (?: in | on | at | see | from ) \s (?: the | this | that | these | following ) \s (?: \w+ \s )? {PICTURE} \b
        | \b {PICTURE} \s (?: such\ as\ this | shows | above | below | is\ from )
        | \b (?: the | this | that ) \s (?: figure | picture | drawing | illustration | screen\s?shot ) \b
        """,
    ),
    (
        ("line", "curve", "dot", "box", "circle", "arrow", "area", "block", "bar", "region", "square", "point", "part", "node", "triangle", "cell"),
        r"""
        \b (?: the | this | that | these | those ) \s (?: blue | red | green | yellow | black | white | purple | orange | gr[ae]y | pink | dotted | dashed | shaded ) \s
            (?: lines? | curves? | dots? | box(?:es)? | circles? | arrows? | areas? | blocks? | bars? | regions? | squares? | points? | parts? | nodes? | triangles? | cells? ) \b
        """,
    ),
    (
        ("as you", "look", "as shown", "shown "),
        r"\b (?: as\ you\ can\ see | looks? \s like \s this | as\ shown | shown\ (?: here | below | above ) )",
    ),
)  # fmt: skip
"""Words about an image, in a post that had one."""
OF_LINKS = re.compile(
    r"\b (?: in | from | at | on | see | follow | check | check\ out | per | of | behind | both | read | through | visit ) \s (?: the | this | that | these | those | my | your | his | her )"
    r" \s (?: (?: same | above | first | second | third | last | following | provided | given | other | two ) \s )* (?: links? | linked \s \w+ ) \b (?! \s (?: between | to | from ) \b )"
    r" | \b (?: the | see | this | these | those | my ) \s (?: [\w.]+ \s ){0,2} links? \s (?: above | below | here | provided | given ) \b",
    WORDS,
)
"""Words about a link, in a post that had one."""
OF_LINKS_BEFORE, OF_LINKS_BEHIND = 60, 40
"""Characters around the word that they may take."""
FENCED_CODE = re.compile(r"^(`{3,})[^\n]*\n.*?(?:^\1[ \t]*$|\Z)|```.*?```", re.DOTALL | re.MULTILINE)


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
        names = dict.fromkeys(removal.step for removal in self.removed if removal.step != ADDRESS)
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
        opening: whether what is trimmed includes praise of the question, with which forum answers begin.
        closing: whether closing formulas and lists of links at the end go where nothing else is trimmed: questions have them too.
        asked: the question's title, which an answer need not repeat above its own text.

    >>> clean("<p>Use <code>ls</code>:</p><ul><li>fast</li><li>old</li></ul>").text
    'Use `ls`:\\n\\n* fast\\n* old'
    """
    post = Post(style, trim)
    post.read(html)
    blocks, announced, holes = settled(post.layout.blocks, trim)
    cut: list[Removal] = []
    if trim:
        blocks, cut = trimmed(blocks, opening, asked)
    elif closing:
        blocks, cut = without_formulas(blocks, labels=False)
        blocks = without_pointers_at_end(blocks, cut)
    if not blocks and trim and post.layout.blocks:  # nothing but pointers: a hole rather than nothing
        plain = clean(html, style, trim=False)
        return replace(plain, holes=max(1, plain.holes))
    prose = "\n".join([block.prose for block in blocks if block.prose])
    holes += post.holes
    if not holes:
        holes += ends_open(blocks) or bool(post.images and OF_IMAGES.search(prose))
        holes += bool(post.links and _speaks_of_link(prose))
        holes += bool(("[" in prose or "{" in prose) and _refers_to_gone_list(blocks, prose))
    removed = (*post.removed, *announced, *cut)
    return Cleaned(joined(blocks, style), prose, post.images, holes, removed, tuple(blocks))


def _speaks_of_link(prose: str) -> bool:
    """`OF_LINKS` at each "link", which is faster than everywhere."""
    place = prose.find("link")
    while place >= 0:
        if OF_LINKS.search(prose, max(0, place - OF_LINKS_BEFORE), place + OF_LINKS_BEHIND):
            return True
        place = prose.find("link", place + 1)
    return False


def prose_of(markdown: str) -> str:
    """The text without its fenced and inline code, for sources that are no HTML.

    >>> prose_of("Run `I` now.")
    'Run   now.'
    """
    return INLINE_CODE.sub(" ", FENCED_CODE.sub(" ", markdown))


CLOSING = "closing formula"
EDIT_LABEL = "label of an edit"
EMPHASIS = "remark about emphasis"
REFERENCE = "mark of a reference that is gone"
REMARK_AT_START = "remark about the question"
REPEATED = "repeated question"
QUESTION_BACK = "question back to the asker"
OF_THE_QUESTION = re.compile(
    r"\W*(?:(?:well|wow|yes),? )?(?:(?:what|that['’]s|that is|this is|it['’]s|it is) )?(?:an? )?(?:really |very |pretty )?"
    r"(?:strange|good|great|interesting|excellent|nice|reasonable|valid|fair|legitimate|important|broad|tough|tricky|fun|odd|funny|hard|difficult) question"
    r"(?:(?: about| for| on| of)\b[^.!?:,\n]{0,60}|,? (?:but|and) here goes|,? thanks[^.!?:,\n]{0,30})?[.!:]+(?:\s+|\Z)",
    re.IGNORECASE,
)
"""How an answer opens by praising or blaming the question."""
ASKS_BACK = re.compile(
    r"(?:and |but |or |so )?(?:do|did|have|are) you (?:have|tried|considered|checked|using|sure|mean|need|want|know|got|looked|thought)\b.*\?",
    re.IGNORECASE,
)
CLOSING_SENTENCE = re.compile(
    r"""
    (?: \[ \w+ \] :? )? \W* (?:
        (?: i\ )? (?: just\ | really\ | do\ | would\ )? hope \ (?: this | that | it | these | my | some | i )\b .{0,60} \b help (?: s | ed | ful )? \b .{0,40}
      | hth | hope \ helps
      | (?: please\ | just\ | and\ | so\ | but\ )? let \ (?: me | us ) \ know \b .{0,140}
      | (?: if\ .{0,80} ,\ )? (?: please\ )? feel \ free \ to \ (?: ask | comment | edit | correct | improve | add | contact | leave | suggest | message | let ) \b .{0,120}
      | (?: please\ )? (?: correct | tell ) \ me \b .{0,80}
      | (?: \w+ ,? \ (?: and\ | or\ )? ){0,3} (?: edits | corrections | suggestions | improvements | comments | feedback | links | criticism | explanations? | thoughts | ideas | pointers | advice | input
          | references | opinions | insights? | recommendations | help | tips ) \b .{0,40} \b (?: welcome | appreciated )
      | (?: (?: many | thanks | a | lot | so | and | ok | okay | anyway | well ) ,? \s ){0,3} (?: thanks? (?: \s you )? | thankyou | thx ) \b
          (?! \s (?: to (?! \s (?: all | any | every | you ) ) | god | goodness ) ) .{0,80}
      | (?: and | so | anyway | enjoy ,? )? \s? (?: good\ luck | have\ fun ) \b .{0,60} | (?: please | plz | pls ) ,? \ help \b .{0,40} | can \ (?: anyone | somebody | someone ) \ (?: please\ )? help \b .{0,20}
      | (?: any | all ) \ (?: \w+ ,? \ (?: (?: and | or ) \ \w+ \ )? ){1,3} (?: (?: is | are | would\ be | will\ be | much | greatly | highly | really | very | so | most | deeply | sincerely ) \ ){0,3} (?: appreciated | welcome (?:d)? )
      | answered\ by \b .{0,60} | (?: cheers | (?: best | kind | warm )? \ ? regards ) | happy \ \w+ing \b .{0,60} | (?: apologies | sorry ) \ for \b .{0,80}
    ) \W* (?: [A-Z]\w+ \W* )?
    """,
    re.VERBOSE | re.IGNORECASE,
)
EMPHASIS_REMARK = re.compile(
    r"\s*[(\[](?:[^()\[\]]{0,30}[;,] )?(?:(?:my|added) emphasis|(?:all )?(?:emphas[ie]s|bold(?:ing)?|italics|highlight\w*|formatting) (?:(?:is|are) )?(?:mine|added|my own))"
    r"(?:[;,] [^()\[\]]{0,30})?[)\]]",
    re.IGNORECASE,
)
CLOSING_NEEDLES = (
    "thank", "good luck", "have fun", "please help", "can anyone help", "any help", "appreciate", "hope", "happy", "answered by", "sorry", "apologies", "hth", "let me know", "let us know", "feel free", "correct me", "tell me", "welcome", "cheers", "regards",
)  # fmt: skip
"""One of them is in every closing sentence, in lower case."""
CLOSING_LENGTH_MAX = 280
"""More characters are no formula."""
LABEL = re.compile(
    r"""
    (?: edit (?:ed)? | updated? | eta | addendum | p\.?\ ?s\.? ) \b \s? \d* \s* (?: \( [^)\n]{0,40} \) )? \s*
        (?: : | (?<= (?-i:EDIT|DATE|.ETA) ) \s* [-–—] ) [-–—\s]*
    | p\.\ ?s\. \s+ | \( (?: edit | update ) \d? : \s*
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""What marks a later addition."""
LABEL_ALONE = re.compile(
    r"(?:#+ )?\W{0,2}(?:edit(?:ed)?|update[ds]?|addendum|eta|p\.?\s?s\.?)\s?\d*\W{0,2}", re.IGNORECASE
)
LABEL_LETTERS = "EeUuAaPp(#*_[- "
"""With what a label begins, and the marks before it."""
Outcome = tuple[list[Block], list[Removal]]


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
            holes += bool(BACK.match(behind.prose)) or bool(not kept and GOES_ON.match(behind.prose))
        elif behind is not None and blocks[end - 1].kind == "image" and not blocks[place].tight:
            if cut and (is_source(behind) or _is_caption(behind)):
                removed.append(Removal(SOURCE_NAME, behind.text))
                end += 1
            else:
                holes += bool(OF_IMAGE.match(behind.prose))
        if kept and not _goes_on(kept[-1], blocks[place], behind):
            lead_in = _is_lead_in(kept[-1], behind)
            if lead_in and cut:
                removed.append(Removal(ANNOUNCEMENT, kept.pop().prose))
            elif lead_in or _is_emptied(kept[-1], behind) or _announces(kept[-1], blocks[place]):
                holes += 1
            elif cut and blocks[place].kind == "lost":
                kept[-1:] = without_announcement(kept[-1], removed)
        place = end
    return kept, removed, holes


def _is_caption(block: Block) -> bool:
    """Whether a short line at an image is the name of a link alone: "Cans in a row"."""
    return (
        block.is_link
        and block.kind == "prose"
        and not block.rest
        and len(block.prose.split()) <= CAPTION_WORDS_MAX
    )


CAPTION_WORDS_MAX = 6


def _goes_on(before: Block, lost: Block, behind: Block | None) -> bool:
    """Whether other items of the list are left, before or behind."""
    return lost.tight and (before.tight or (behind is not None and behind.tight))


def _is_lead_in(block: Block, behind: Block | None) -> bool:
    if block.kind == "heading" and not _is_emptied(block, behind):
        return False
    if block.kind not in ("prose", "heading") or block.text.endswith((".", "!", "?")):
        return False
    return len(block.prose.split()) <= LEAD_WORDS_MAX and bool(LEAD_IN.fullmatch(block.prose))


def _is_emptied(block: Block, behind: Block | None) -> bool:
    """Whether nothing stands below a heading any more."""
    return block.kind == "heading" and (behind is None or behind.kind == "heading")


def _announces(block: Block, lost: Block) -> bool:
    """Whether a colon announces an address; `markup.Post` sees to images."""
    return lost.kind == "lost" and block.text.endswith(":")


GOES_ON = re.compile(
    r"\W*(?:however|but|therefore|hence|thus|so|moreover|instead|nevertheless|otherwise|then)\b",
    re.IGNORECASE,
)
"""How a text does not begin."""
OF_IMAGE = re.compile(
    r"\W*(?:this|these|that|those|here|above|the above|as you can see|note how|notice|it(?:['’]s| is| was| shows))\b",
    re.IGNORECASE,
)
"""How a block begins that goes on about the image before it."""


BREAKS_OFF = re.compile(r"\b(?:of|the|an?|and|or|which|than|if|because|lists|includes)\Z")
"""How no sentence ends."""
LAST_WORD_MAX = 10


def ends_open(blocks: Sequence[Block]) -> bool:
    """Whether the last line announces something that does not come."""
    last = blocks[-1] if blocks else None
    if last is None or last.kind != "prose":
        return False
    return last.text.endswith((":", ";", ",")) or BREAKS_OFF.search(last.text[-LAST_WORD_MAX:]) is not None


def trimmed(blocks: Sequence[Block], opening: bool, asked: str = "") -> Outcome:
    """The blocks without closing formulas, labels of edits, names of sources, and sentences that point to links."""
    removed: list[Removal] = []
    kept, cut = without_formulas(_without_question(list(blocks), asked, removed))
    removed += cut
    kept = _without_references(kept, removed)
    kept = without_sources(kept, removed)
    kept = without_pointers(kept, removed)
    kept = without_link_lists(kept, removed)
    kept = _without_remark_at_start(kept, removed) if opening else kept
    kept = _without_question_back(kept, removed)
    return without_pointers_at_end(kept, removed), removed


def without_formulas(blocks: Sequence[Block], labels: bool = True) -> Outcome:
    """The blocks without closing formulas ("Hope this helps!", "Thanks in advance"), remarks about emphasis, labels of edits."""
    removed: list[Removal] = []
    kept: list[Block] = []
    for place, block in enumerate(blocks):
        if labels and place and place < len(blocks) - 1 and _is_label(block):
            removed.append(Removal(EDIT_LABEL, block.text.lstrip("# ")))
            continue
        if block.kind == "prose":
            block = _unlabelled(block, removed) if labels else block
            block = _without_emphasis(block, removed)
            block = _without_closing(block, removed)
        if block.text:
            kept.append(block)
    return kept, removed


def _without_question(blocks: list[Block], asked: str, removed: list[Removal]) -> list[Block]:
    """An answer that opens by quoting its question word by word says it twice."""
    if len(blocks) < 2 or not asked or not (blocks[0].quote or blocks[0].kind == "heading"):
        return blocks
    if words_of(blocks[0].prose) != words_of(asked):
        return blocks
    removed.append(Removal(REPEATED, blocks[0].text.lstrip("# ")))
    return blocks[1:]


def _without_remark_at_start(blocks: list[Block], removed: list[Removal]) -> list[Block]:
    """What is said of the question is no answer to it."""
    first = blocks[0] if blocks else None
    if first is None or first.kind != "prose" or not (found := OF_THE_QUESTION.match(first.text)):
        return blocks
    rest = first.text[found.end() :]
    if not rest and len(blocks) == 1:
        return blocks
    removed.append(Removal(REMARK_AT_START, found.group()))
    return [shortened(first, rest), *blocks[1:]] if rest else blocks[1:]


def _without_question_back(blocks: list[Block], removed: list[Removal]) -> list[Block]:
    """A last sentence that asks the asker something gets no answer."""
    last = blocks[-1] if blocks else None
    if last is None or last.kind != "prose" or not last.text.endswith("?"):
        return blocks
    *rest, asking = sentences(last.text)
    if not (rest or len(blocks) > 1) or not ASKS_BACK.fullmatch(asking):
        return blocks
    removed.append(Removal(QUESTION_BACK, asking))
    return [*blocks[:-1], *([shortened(last, "".join(rest).rstrip())] if rest else [])]


def _without_emphasis(block: Block, removed: list[Removal]) -> Block:
    """Bold and italics are gone, and so is what was said of them."""

    def take(found: re.Match[str]) -> str:
        removed.append(Removal(EMPHASIS, found.group()))
        return ""

    if "emphas" not in block.prose and "mine" not in block.prose:
        return block
    return shortened(block, EMPHASIS_REMARK.sub(take, block.text))


REFERENCE_MARK = re.compile(
    r"""
    (?: (?<= [.,;:!?)"”’] ) | (?<= [a-z]{4} ) ) \[\d{1,2}\] (?! [(\[\w] )
    | (?<= [.,;!?)"”] ) \ ? \*{1,3} (?= \s* \Z )
    | (?: \s \[\d{1,2}\] )+ (?= [.,;:)] | \Z ) | (?: \s \[\d{1,2}\] ){2,} | \s \{\d{1,2}\} (?= [\s.,;:)] | \Z )
    """,
    re.VERBOSE,
)
REFERRING = re.compile(
    r"\b(?:papers?|articles?|books?|study|studies|refs?|references?|source|see|section|work) \Z",
    re.IGNORECASE,
)
NUMBERED = re.compile(r"[\[{]\d{1,2}[\]}](?!\()")
"""A number, and what makes it an entry of the list of references."""
REFERRING_MAX = 14
REFERENCE_ENTRY = re.compile(r"\W*[\[{(]?\d{1,2}[\]}):]|\*")


def _without_references(blocks: Sequence[Block], removed: list[Removal]) -> list[Block]:
    """Without the list of references, "[1]" or "*" behind a sentence says nothing."""
    kept = list(blocks)
    marked = [
        place
        for place, block in enumerate(blocks)
        if block.kind == "prose"
        and ("[" in block.text or "{" in block.text or block.text.endswith("*"))
        and not holds_any(block.text, ("`", "$"))
    ]
    if not marked or any(REFERENCE_ENTRY.match(block.text) for block in blocks):
        return kept

    def take(found: re.Match[str]) -> str:
        removed.append(Removal(REFERENCE, found.group()))
        return ""

    for place in (one for one in marked if not _names_reference(blocks[one].text)):
        kept[place] = shortened(kept[place], REFERENCE_MARK.sub(take, kept[place].text))
    return kept


def _refers_to_gone_list(blocks: Sequence[Block], prose: str) -> bool:
    return _names_reference(prose) and not any(REFERENCE_ENTRY.match(block.text) for block in blocks)


def _names_reference(text: str) -> bool:
    """Whether something speaks of an entry by its number: "the paper [1] says"."""
    return any(
        REFERRING.search(text[max(0, found.start() - REFERRING_MAX) : found.start()])
        for found in NUMBERED.finditer(text)
    )


def _is_label(block: Block) -> bool:
    may_be = block.kind in ("prose", "heading") and block.text[:1] in LABEL_LETTERS
    return may_be and LABEL_ALONE.fullmatch(block.text) is not None


def _unlabelled(block: Block, removed: list[Removal]) -> Block:
    found = LABEL.match(block.text) if block.text[:1] in LABEL_LETTERS else None
    if not found or found.end() == len(block.text):
        return block
    removed.append(Removal(EDIT_LABEL, found.group()))
    rest = block.text[found.end() :]
    if found.group().startswith("(") and rest.endswith(")"):
        removed.append(Removal(EDIT_LABEL, ")"))
        rest = rest[:-1]
    return shortened(block, rest)


def _without_closing(block: Block, removed: list[Removal]) -> Block:
    """Formulas stand at the end of a block, one or more."""
    if not holds_any(block.prose[-CLOSING_LENGTH_MAX:].lower(), CLOSING_NEEDLES):
        return block
    parts = sentences(block.text)
    while parts and CLOSING_SENTENCE.fullmatch(parts[-1]):
        removed.append(Removal(CLOSING, parts.pop()))
    return shortened(block, "".join(parts).rstrip())
