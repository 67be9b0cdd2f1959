"""What a removed address leaves behind in a line: a sentence that still reads well, no sentence, or a hole.

Cleaning marks in the line where something was; `mend` looks at these places and changes nothing else. "Yes (see
http://x.y)." is "Yes." afterwards, "Sourced from http://x.y" is nothing, and "At http://x.y are two of them." is a hole:
what it says cannot be understood any more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

BREAK, GONE, GONE_END, POINT, LINK, CODE, IMAGE = "\0", "\1", "\2", "\3", "\4", "\5", "\6"
"""Marks in a line, control characters that no text holds: a line break; an address, between two marks; the end of a
link whose name says nothing ("here"); the end of another link; inline code, kept elsewhere; an image."""
ALL = (BREAK, GONE, GONE_END, POINT, LINK, CODE, IMAGE)
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


DOCUMENT = (
    r"(?: link | page | (?: web )? site | article | post | paper | study | studies | book | blog | video | question | answer | thread | table | image | picture"
    r" | photo | chart | list | tutorial | guide | example | discussion | report | document | file | tool | project | library | code | script | map | graph"
    r" | excerpt | quote | slide | talk | wiki | comment | review | course | lecture | story | survey | diagram | plot | entry | manual | repo (?: sitory )? | gist ) s?"
)
POINTER_NAME = re.compile(
    rf"""
    (?: (?: click | see | look | read | more | found | available | get | try | .*? \s ) \s? here | here
      | (?: (?: in | from | see | at | on | by | as\ in | according\ to | like ) \s )? (?: this | that | these | those | the\ following )
        (?: (?: \s [\w'’-]+ )? \s (?: {DOCUMENT} | ones? | (?: {DOCUMENT} ) \s [\w'’-]+ ) )?
      | this \s is \s (?: an? | the ) \s .* | (?: the\ )? links? | (?: .* \s )? (?: this | following ) \s (?: link | page | site | article | post | one ) s?
    ) [.!:,]?
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""Names of links that say nothing once the address is gone."""

DOCUMENTS = re.compile(rf"(?:[\w'’-]+\s)?{DOCUMENT}", re.VERBOSE | re.IGNORECASE)
DEMONSTRATIVE = re.compile(r"\b(?:this|these|that|those|following)\Z", re.IGNORECASE)
REMARK = re.compile(
    r"[(\[](?:videos?|links?|sources?|pdf|images?|ref(?:erence)?s?|wiki(?:pedia)?|\d+|here|more|archived?)[)\]]",
    re.IGNORECASE,
)
"""Names of links that are remarks in brackets about the address."""
HOLE = rf"(?: {GONE} [^{GONE_END}]*+ {GONE_END} | {IMAGE} )"
FILLER = (
    r"(?: \b (?: see | also | e\.g\. | i\.e\. | cf | eg | sources? | refs? | references? | from | via | at | links? | and | or"
    r" | more | details? | info | here | this | the | wiki (?: pedia )? | docs? | documentation | on | in | for | example | read"
    r" | quote[sd]? | taken | by | page | article | site | official | original | is | also | videos? | pdf | images? | photos? | pictures? | paper | pdf\ file | book | amazon ) \b | [\s,;:.&/|+–—-] )"
)
BRACKETED = re.compile(
    rf"[ \t]*+ (?: [(] {FILLER}*+ (?: (?: {HOLE} | {POINT} | {LINK} ) {FILLER}*+ )++ [)] | \[ {FILLER}*+ (?: {HOLE} {FILLER}*+ )++ \]"
    rf" | < \s*+ {HOLE} \s*+ > | {GONE} [(\[] [^{GONE_END}]*+ {GONE_END}"
    rf" | [(] (?: see | cf | more | sources? | via | from | links? | e\.g\. | read | also | details ) \b [^(){POINT}{GONE}]*+"
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
    ^ \W*+ (?: (?: and | but | so | also | anyway | finally | in\ addition ) ,? \s+ )?
    (?:
        (?: (?: you | one ) (?: \ (?: can | may | could | might | should | will | want\ to ) | ['’]ll ) (?: \ \w+ly | \ also | \ always )? \s+
          | please \s+ | just \s+ | (?: it\ is | it['’]s | is ) \ worth \s+ | if\ (?: you | anyone ) \b [^,]{0,60}? ,? \s+ (?: you\ can \s+ )? )?
        (?: see | cf | check (?: ing )? | visit (?: ing )? | read (?: ing )? | refer | look | find | consult | browse | watch
          | have\ (?: a\ )? look | take\ (?: a\ )? look | learn\ more | view ) \b
      | for \b [^.,]{0,80} , \ (?: see | check\ out | visit | read | refer\ to | have\ a\ look | take\ a\ look | you\ can ) \b
      | for \ (?: more | further | future | additional | full | detail\w* | reference | info\w* | background | tons ) \b
      | more \s (?: here | at | on | about | in ) \b
      | (?: more | further | additional | full | detailed | complete | other | some ) \s (?: \w+ \s ){0,2}
        (?: info\w* | details? | reading | explanations? | discussion | documentation | examples? | resources | background ) \b
      | (?: here | there ) (?: ['’]s | \ is | \ are ) \b .{0,60} \b (?: article | page | post | paper | tutorial | blog | video | book
          | discussion | documentation | guide | thread | wiki \w* | (?: web )? site | links? | list | reference | source | example | info\w*
          | explanation | implementation | question | answer | study | survey | talk | report | slides | code ) s? \b
      | [^,;:]{0,80} \b (?: (?: can | may | could ) \ be \ (?: found | download (?:ed)? | seen | read | viewed | obtained )
          | (?: is | are ) \ (?: also\ )? (?: available | described | explained | documented | introduced | covered ) ) \b
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
POINTING_WORDS_MAX = 25
ORIGIN_WORDS_MAX = 12
BARE_WORDS_MAX = 4
"""So few words with an address say nothing without it: "Full article here"."""
LED_WORDS_MAX = 6
"""A longer sentence that ends with a colon says more than where the next block is from."""
KEPT_WORDS_MIN = 3
"""Fewer words are no sentence when its end is cut."""
BACK = re.compile(
    r"\W*(?:then|it|its|they|their|this|these|that|those|there|he|she|his|her|here|both)\b", re.IGNORECASE
)
"""How a sentence begins that needs the one before."""
STOP = re.compile(rf"""[.!?…]["'”’)\]]*+ ++(?=["'“‘(\[*]?[A-Z0-9{CODE}{GONE}])|\n""")
ABBREVIATION = re.compile(
    r"\b(?:e\.g|i\.e|etc|cf|vs|dr|mr|mrs|ms|prof|st|no|fig|al|approx|ca|pp?|vol|eds?|resp|(?-i:(?<![/.\w])[A-Z]))\.\Z",
    re.IGNORECASE,
)
WORD = re.compile(r"\w+(?:['’.-]\w+)*")


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


MARKS = re.compile(f"[{GONE}{GONE_END}{POINT}{LINK}{IMAGE}]")
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
            part = _mend_sentence(part, behind, cut, found)
            if kept and kept[-1].endswith((" ", "\n")):
                part = part.lstrip(" ")
        kept.append(part)
    found.text = unmarked(SPACE_AT_IMAGE.sub("", "".join(kept))).strip()
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
