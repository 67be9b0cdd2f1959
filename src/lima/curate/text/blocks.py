"""Blocks of text, where they stand, and the gaps that removed addresses leave in them.

A block stands in lists (indentation) and quotations (``>``); `joined` puts the blocks one below the other.

A removed address leaves a sentence that still reads well, no sentence, or a hole. Cleaning marks in the line where something
was; `mend` looks at these places and changes nothing else. "Yes (see http://x.y)." is "Yes." afterwards, "Sourced from
http://x.y" is nothing, and "At http://x.y are two of them." is a hole: what it says cannot be understood any more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
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

ADDRESS = "bare address"
POINTER = "sentence that points to an address"


class Removal(NamedTuple):
    """Visible text of the source that is not in the outcome, and the step that took it."""

    step: str
    text: str


@dataclass
class Mended:
    """A line without marks for what was removed."""

    text: str
    removed: list[Removal] = field(default_factory=list)
    holes: int = 0
    marked: str = ""
    """The same with the marks of its links, where some are left."""


DOCUMENT = (
    r"(?: link | page | (?: web )? site | article | post | paper | study | studies | book | blog | video | question | answer | thread | table | image | picture"
    r" | photo | chart | list | tutorial | guide | example | discussion | report | document | file | tool | project | library | code | script | map | graph"
    r" | excerpt | quote | slide | talk | wiki | comment | review | course | lecture | story | survey | diagram | plot | entry | manual | repo (?: sitory )? | gist ) s?"
)
POINTER_NAME = re.compile(
    rf"""
    (?: (?: click | see | look | read | more | found | available | get | try | .*? \s ) \s? here | here
      | (?: (?: in | from | see | at | on | by | as\ in | according\ to | like ) \s )? (?: this | that | these | those | the\ following )
        (?: (?: \s [\w'’-]+ ){{0,3}} \s (?: {DOCUMENT} | ones? | (?: {DOCUMENT} ) \s [\w'’-]+ ) )?
      | (?: this | these | that | those ) \s (?: {DOCUMENT} \s )? (?: with | in | on | by | for | from | at | of | about ) \s .*
      | this \s is \s (?: an? | the ) \s .* | (?: the\ )? links? | (?: .* \s )? (?: this | following ) \s (?: link | page | site | article | post | one ) s?
    ) [.!:,]?
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""Names of links that say nothing once the address is gone."""

DOCUMENTS = re.compile(rf"(?:[\w'’-]+\s){{0,4}}{DOCUMENT}", re.VERBOSE | re.IGNORECASE)
DEMONSTRATIVE = re.compile(
    r"\b(?:this|these|that|those|following)(?: (?:\d{4}|recent|new|great|nice|good|excellent|interesting|short|other|old))?\Z",
    re.IGNORECASE,
)
REMARK = re.compile(
    r"[(\[](?:videos?|links?|sources?|pdf|images?|ref(?:erence)?s?|wiki(?:pedia)?|\d+|here|more|archived?)[)\]]",
    re.IGNORECASE,
)
"""Names of links that are remarks in brackets about the address."""
HOLE = rf"(?: {GONE} [^{GONE_END}]*+ {GONE_END} | {IMAGE} )"
FILLER = (
    r"(?: \b (?: see | also | e\.g\. | i\.e\. | cf | eg | sources? | refs? | references? | from | via | at | links? | and | or"
    r" | more | details? | info | here | this | the | wiki (?: pedia )? | docs? | documentation | on | in | for | example | read"
    r" | quote[sd]? | taken | by | page | article | site | official | original | is | also | videos? | pdf | images? | photos? | pictures? | paper | pdf\ file | book | amazon ) \b | [\s,;:.&/|+–—\7-] )"
)
BRACKETED = re.compile(
    rf"[ \t]*+ (?: [(] {FILLER}*+ (?: (?: {HOLE} | {POINT} | {LINK} ) {FILLER}*+ )++ [)] | \[ {FILLER}*+ (?: {HOLE} {FILLER}*+ )++ \]"
    rf" | < \s*+ {HOLE} \s*+ > | {GONE} [(\[] [^{GONE_END}]*+ {GONE_END}"
    rf" | [(] {BEGIN}?+ (?: see | cf | more | sources? | via | from | links? | e\.g\. | read | also | details ) \b [^(){POINT}{GONE}]*+"
    rf" (?: {HOLE} | {POINT} ) [^()]*+ [)] )",
    re.VERBOSE | re.IGNORECASE,
)
"""A remark in brackets that is an address and words that lead to it."""
LEAD = (
    r"(?: e\.g\. | i\.e\. | for\ (?: example | instance ) | cf\.? | see (?: \ also )? | source[sd]? | via | from | at | on | in | by"
    r" | to | over | there | check (?: \ out )? | visit | read | here | look | also | more | info (?: rmation )? | details | taken"
    r" | quoted | adapted | links? | according | refer (?: ence )? | and | or | under | with | site | website | page )"
)
TAIL = re.compile(
    rf"[\s,;:–—-]++ {LEAD} (?: [\s,;:]++ {LEAD} )*+ [\s:,]*+ {HOLE} (?: [\s,;]*+ (?: (?: and | or | & ) \b )? [\s,;]*+ {HOLE} )*+"
    r" (?= \s* [.!?]* \s* $ )",
    re.VERBOSE | re.IGNORECASE,
)
"""The end of a sentence that leads to an address: ", e.g. see http://x.y"."""
BEHIND_COLON = re.compile(rf"\s*+ (?: : | --? | – | — ) \s*+ {HOLE} (?= \s* [.!?]* \s* $ )", re.VERBOSE)
CLAUSE = re.compile(
    r"(?!\W*(?:for|if|as|when|while|this|these|that|those|here|there)\b).*\b(?:is|are|was|were|has|have|had|can|could|will|would|does|do|did|should|may|might|must)\b",
    re.IGNORECASE | re.DOTALL,
)
"""What can stand without what its colon announces."""
UNFINISHED = re.compile(
    r"""
    (?: \b (?: is | are | was | were | be | been | found | find | located | available | hosted | look | go | visit | read | refer
      | called | named | like | as | of | the | a | an | and | or | with | that | this | these | which | has | have | get | see | at
      | to | for | from | by | on | in | than | if | when | because | shown | described | explained | listed | here | article | link | page ) | [,;:(–—-] ) \s* $
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""How a sentence does not end."""
POINTING = re.compile(
    r"""
    ^ \W*+ (?: (?: and | but | so | also | anyway | finally | similarly | alternatively | in\ addition ) ,? \s+ )?
    (?:
        (?: (?: you | one ) (?: \ (?: can | may | could | might | should | will | want\ to ) | ['’]ll ) (?: \ \w+ly | \ also | \ always )? \s+
          | please \s+ | just \s+ | (?: it\ is | it['’]s | is ) \ worth \s+ | if\ (?: you | anyone ) \b [^,]{0,60}? ,? \s+ (?: you\ can \s+ )? )?
        (?: see | cf | check (?: ing )? | visit (?: ing )? | read (?: ing )? | refer | look | find | consult | browse | watch
          | have\ (?: a\ )? look | take\ (?: a\ )? look | learn\ more | view ) \b
      | for \b [^.,]{0,80} , \ (?: see | check\ out | visit | read | refer\ to | have\ a\ look | take\ a\ look | you\ can ) \b
      | for \ (?: more (?! \ \w+ ,? \ (?: it | use | add | you\ (?! can | may | could | might | should | want ) ) \b ) | further | future | additional | full | detail\w* | reference | info\w* | background | tons ) \b
      | more \s (?: here | at | on | about | in ) \b
      | (?: more | further | additional | full | detailed | complete | other | some ) \s (?: \w+ \s ){0,2}
        (?: info\w* | details? | reading | explanations? | discussion | documentation | examples? | resources | background ) \b
      | (?: here | there ) (?: ['’]s | \ is | \ are ) \b .{0,60} \b (?: article | page | post | paper | tutorial | blog | video | book
          | discussion | documentation | guide | thread | wiki \w* | (?: web )? site | links? | list | reference | source | example | info\w*
          | explanation | implementation | question | answer | study | survey | talk | report | slides | code | work | research | literature ) s? \b
      | [^,;:]{0,80} \b (?: (?: can | may | could ) \ be \ (?: found | download (?:ed)? | seen | read | viewed | obtained )
          | (?: is | are ) \ (?: also\ )? (?: available | described | explained | documented | introduced | covered ) ) \b
      | .{1,60} \b if \ (?: you | anyone ) (?: ['’]re | \ are | \ is )? \ (?: (?: want | need | would\ like | like | wish | care ) s? \ (?: to \ (?: read | see | know | learn | look | check | dig | explore | find\ out ) | more ) | interested | curious ) \b
      | (?: this | that | it | these | they ) (?: ['’]s | \ is | \ are | \ was | \ were ) \ (?: \w+ \ )?
        (?: described | explained | documented | discussed | covered | detailed | mentioned | shown | available ) \b
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""How a sentence begins that sends its reader elsewhere and says nothing itself."""
FURTHER = re.compile(
    r"\bfor (?:further|more|additional) (?:reading|info\w*|details?|\w+)\W*\Z", re.IGNORECASE
)
"""How a sentence ends that sends its reader elsewhere."""
ORIGIN = re.compile(
    r"\W*+(?:sources?|sourced|references?|links?|via|from|taken|quoted|adapted|excerpt\w*|credits?|cite[sd]?|citation|original|courtesy|image"
    r"|photo|picture|related)\b",
    re.IGNORECASE,
)
"""How a short line begins that tells where something is from."""
POINTING_WORDS_MAX = 30
ORIGIN_WORDS_MAX = 12
BARE_WORDS_MAX = 4
"""So few words with an address say nothing without it: "Full article here"."""
LED_WORDS_MAX = 6
"""A longer sentence that ends with a colon says more than where the next block is from."""
KEPT_WORDS_MIN = 3
"""Fewer words are no sentence when its end is cut."""
BACK = re.compile(
    r"\W*(?:(?:though|although|while|but|and|so|if|as|because|since|however)\W+)?(?:then|it|its|they|their|this|these|that|those|there|he|she|his|her|here|both|except|otherwise)\b",
    re.IGNORECASE,
)
"""How a sentence begins that needs the one before."""
STOP = re.compile(rf"""[.!?…]["'”’)\]{LINK}]*+ ++(?={BEGIN}?["'“‘(\[*]?{BEGIN}?[A-Z0-9{CODE}{GONE}])|\n""")
ABBREVIATION = re.compile(
    r"\b(?:e\.g|i\.e|etc|cf|vs|dr|mr|mrs|ms|prof|st|no|fig|al|approx|ca|pp?|vol|eds?|resp|(?-i:(?<![/.\w])[A-Z]))\.\Z",
    re.IGNORECASE,
)
WORD = re.compile(r"\w+(?:['’.-]\w+)*")


ENDED = re.compile(r"""[.!?…]["'”’)\]]*\s*\Z""")


def holds_any(text: str, needles: Sequence[str]) -> bool:
    """Whether one of the needles is in the text."""
    for needle in needles:  # noqa: SIM110 - three times as fast as any() of a generator
        if needle in text:
            return True
    return False


def gone(text: str) -> str:
    """An address as `mend` wants it marked."""
    return f"{GONE}{text}{GONE_END}"


def unmarked(text: str) -> str:
    """The text as it was in the source."""
    return MARKS.sub("", text)


MARKS = re.compile(f"[{GONE}{GONE_END}{POINT}{LINK}{IMAGE}{BEGIN}]")
REMAINS = re.compile(HOLE, re.VERBOSE)
SPACE_AT_IMAGE = re.compile(f" ?{IMAGE}(?=[ ,.;:!?)\n]|$)")
SPACE_BEFORE_STOP = re.compile(rf"[ ]*+({REMAINS.pattern})[ ]*+(?=[,.;:!?)])", re.VERBOSE)


def sentences(text: str) -> list[str]:
    """The sentences of a line, with the white space behind each.

    >>> sentences("Use it, e.g. Here. It works.")
    ['Use it, e.g. Here. ', 'It works.']
    """
    found, begin = [], 0
    for stop in STOP.finditer(text):
        if stop.group() != "\n" and ABBREVIATION.search(text, max(begin, stop.start() - 8), stop.start() + 1):
            continue
        found.append(text[begin : stop.end()])
        begin = stop.end()
    return [*found, text[begin:]] if begin < len(text) else found


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
    if not WORD.search(REMAINS.sub("", text)) and CODE not in text:
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
    words = WORD.findall(REMAINS.sub("", text))
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
    words = len(WORD.findall(plain))
    if BACK.match(behind) or (text.rstrip().endswith(":") and words > LED_WORDS_MAX):
        return False
    if FURTHER.search(plain) and words <= POINTING_WORDS_MAX:
        return True
    if words <= bare_words_max or (words <= ORIGIN_WORDS_MAX and ORIGIN.match(plain)):
        return True
    return words <= POINTING_WORDS_MAX and POINTING.match(plain) is not None


SENDING = re.compile(
    rf"""
    \W*+ (?: (?: and | but | so | also | anyway | finally | similarly | alternatively | in\ addition ) ,? \s+ )?
    (?: (?: (?: you | one ) (?: \ (?: can | may | could | might | should | will | want\ to ) | ['’]ll ) (?: \ \w+ly | \ also | \ always )? \s+
          | please \s+ | (?: it\ is | it['’]s | is ) \ worth \s+ | for \b [^.,]{{0,80}} , \s+ (?: you\ can \s+ )?
          | if\ (?: you | anyone ) \b [^,]{{0,40}}? \b (?: more | further | details? | interested | curious ) \b [^,]{{0,30}}? ,? \s+ (?: you\ can \s+ )? )?
        (?: (?: see | cf | refer | consult | learn\ more | read \ (?: more | about | up ) ) \b
          | (?: have\ (?: a\ )? look | take\ (?: a\ )? look | check\ out | visit | check ) \b (?= .* \b (?: {DOCUMENT} | (?: for | to ) \s (?: more | further | details? | learn | info\w* ) ) \b ) )
      | for \ (?: an? \ )? (?: more | further | future | additional | full | detail\w* | info\w* | interesting ) \b
      | more \s (?: here | at | on | about | in ) \b
      | (?: more | further | additional ) \s (?: \w+ \s ){{0,2}} (?: info\w* | details? | readings? | explanations? | documentation | resources | background ) \b )
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""How a sentence begins that sends its reader elsewhere, wherever in a text it stands; `POINTING` has more for its end."""
WRITING = r"(?: guide | article | overview | write-?up | tutorial | blog | post | introduction | explanation | discussion | video | paper | survey | talk | thread | book | page | reference | website ) s?"
TELLS_WHERE = re.compile(
    rf"""
    (?: [^,;:]{{1,80}}? \s (?: has | have | gives? | offers? | provides? ) \s (?: an? | some | several )
        | (?: there | here ) (?: ['’]s | \ is | \ are ) \s (?: also \s )? (?: an? | some | several | many | lots \s of ) (?: \s (?: number | few ) (?: \s of )? )? )
      \s (?: [\w'’-]+ \s ){{0,3}}? {WRITING} (?: \s (?: on | about | of | for | regarding | by | from | at | in | titled | called | discussing | describing | explaining | covering ) \b [^,;:]* | \W* ) \Z
    | here (?: ['’]s | \ is | \ are ) \s (?: (?: an? | some | several ) \s )? (?: examples? \s of \s )? (?: \w+ \s ){{0,3}} (?: work | research | stud(?:y|ies) ) \b [^:]* \Z
    | [^,;:]{{1,60}}? \s (?: is | are ) \s (?: an? \s )? (?: \w+ \s )? (?: great | good | excellent | wonderful | useful | nice ) \s (?: resources? | references? | reads? | overview | place \s to \s start ) \b [^,;:]{{0,40}} \Z
    | (?: this | these | the ) \b [^,;:]{{1,90}}? \s (?: has | have | gives? | contains? | goes \s into ) \s [^,;:]{{0,20}}? (?: details | specifics ) \b [^,;:]{{0,40}} \Z
    | [^,;:]{{1,80}}? \s (?: answers? | explains? | discusses | covers? ) \s (?: this | it ) \b [^,;:]{{0,30}} \s in \s (?: an? | this | his | her | their ) \s (?: \w+ \s ){{0,2}}? {WRITING} \W* \Z
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""A whole sentence that tells where something is told, and nothing of it: "The Times has a good article on rivers."."""
NAME_OF_LINK = re.compile(f"{BEGIN}[^{BEGIN}{LINK}{POINT}]*+[{LINK}{POINT}]")
NAMING = re.compile(
    r"""
    (?= .* \b (?: see | cf | sources? | refs? | references? | via | links? | more | further | additional | related | details? | info (?: rmation )?
      | readings? | resources | documentation | citations? | credits? | courtesy | taken | quoted | adapted | excerpt (?: ed )? | from ) \b )
    (?: \b (?: see | also | cf | sources? | refs? | references? | via | links? | and | or | more | further | additional | related | external | useful | some
      | details? | info (?: rmation )? | readings? | resources | wiki (?: pedia )? | docs | documentation | citations? | credits? | courtesy | of | from | taken
      | quoted | adapted | excerpt (?: ed )? | the | this | an? | at | on | in | to | by | page | article | post | for | all | data ) \b | \W )*+
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
"""What stands around the names of links in a sentence that says where something is from, or where more is."""


DOMAINS = (".com", ".org", ".info", ".edu")
DOMAIN = re.compile(r"(?<![@/\w])[a-z][\w-]+\.(?:com|org|info|edu)\b(?![/\w])")
"""An address that is no link: "More at bjcp.org."."""
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
    if not WORD.search(around.replace("Wikipedia", "")):
        alone = bool(before) and is_last and not before.endswith(("\n", ":", ": "))
        only = alone and (len(WORD.findall(sentence)) <= NAME_WORDS_MAX or _is_headline(unmarked(sentence)))
    else:
        only = len(around) <= NAMING_LENGTH_MAX and NAMING.fullmatch(around) is not None
        only = only or (
            len(WORD.findall(sentence)) <= POINTING_WORDS_MAX
            and (SENDING.match(sentence.replace(BEGIN, "")) or TELLS_WHERE.match(unmarked(sentence)))
            is not None
        )
    return only and not BACK.match(unmarked(behind))


def _is_headline(sentence: str) -> bool:
    """Whether most words begin with capitals: "How to Open a Beer Bottle With Your Bare Hands."."""
    long = [word for word in WORD.findall(sentence) if len(word) > 3]
    return len(long) <= ORIGIN_WORDS_MAX and sum(word[0].isupper() for word in long) >= HEADLINE_SHARE * len(
        long
    )


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
