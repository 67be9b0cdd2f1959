"""Whether the title of a question stands alone: it asks for something, and nothing in it points outside.

Measured on the 141 titles among the released set's Stack Exchange prompts: 2 are turned down, topics that ask for nothing ("Border around formatted text in Inkscape").
"""

from __future__ import annotations

import re

from lima.curate.text.phrases import CODE_WORDS, WORDS, Phrases
from lima.curate.text.words import words_of

QUESTION_START = re.compile(
    r"""
    (?: how | what | why | when | where | which | who | whom | whose | is | are | am | was | were | do | does | did
      | can | could | should | shall | would | will | has | have | had | may | must
      | (?: is | are | do | does | did | could | should | would | wo | ca ) n['’]t
      | (?: what | how | who | why | where ) ['’]s ) \b
    """,
    WORDS,
)
QUESTION_END = re.compile(r"[?？؟][\"'”’)\]」』]*(?:\s|\Z)")
VERBS = (
    "access add avoid build calculate call capture cast change check choose clear clone combine compare compress compute concatenate"
    " configure connect control convert copy count create decode define delete derive describe detect determine disable display"
    " divide draw edit embed enable encode encrypt estimate evaluate execute explain export express extract factor fill filter find fit"
    " fix force format generate get give group hide identify implement import improve include increase initialize insert install"
    " integrate iterate join launch limit list load loop make manage map match measure merge mock modify move name open parse pass"
    " perform place plot prevent print process programmatically prove read reduce redirect register remove rename render replace"
    " reset resize restore retrieve return reverse rotate round run save scale search select send set show simplify solve sort"
    " split start stop store strip suggest swap switch take test throw track translate turn undo unit update upgrade upload use"
    " validate verify view wait wrap write"
)
REQUEST = re.compile(rf"(?: (?: please | \w+ly ) \s+ )? (?: {VERBS.replace(' ', ' | ')} ) \s+ \w", WORDS)
"""A title in the imperative."""
GERUND = re.compile(
    r"(?! look | try | have | having | being | going | need | want | wonder | struggl | seek | thinking | getting | nothing | something"
    r" | anything | everything | string | during | king | ring | spring | bring ) \w{2,} ing \s",
    WORDS,
)
"""What to do, as a title on a forum has it: "Removing stains from a glass"."""
SUBJECTS = (
    "advantages advice alternative analogies analogy anatomy applications approach argument arguments benefits causes comparison"
    " consequences counterexamples definition demonstration derivation difference differences disadvantages distinction drawbacks"
    " effect effects etymology evidence example examples exercises explanation guidelines history idea ideas impact implementation"
    " importance interpretation intuition meaning method methods motivation myths origin origins practice practices problems proof"
    " proofs properties purpose pronunciation rationale reason reasons recommendations relation relationship requirements"
    " resources role rules steps strategies strategy suggestions technique techniques tips tools trick tricks usage usages use uses"
    " way ways"
)
SUBJECT = re.compile(
    rf"(?: [\w'’\"“”-]+ \s+ ){{0,5}} (?: {SUBJECTS.replace(' ', ' | ')} ) \s+ (?: (?: \w+ \s+ ){{0,3}} (?: of | for | to | between | in | on | behind"
    r" | about | with | against ) | why | where | that | when ) \s",
    WORDS,
)
"""What is wanted: "Difference between ale and bitter", "Best way to freeze beer"."""
VERSUS = re.compile(r"\w \s+ (?: vs\.? | versus ) \s+ \w", WORDS)
TOPIC_WORDS_MIN = 4
"""Fewest words of a title that names what to do or what is wanted."""

QUOTED = re.compile(r"[\"“][^\"“”]*[\"”]|`[^`]*`|(?<!\w)['‘][^'’]{2,60}['’](?!\w)")
BODY_WORDS = (
    rf"(?: {CODE_WORDS} | error | message | image | picture | photo | graph | diagram | figure | paper | article | book | text | passage"
    r" | sentence | paragraph | verse | line | word | phrase | quote | poem | song | video | clip | scene | piece | table | list | data"
    r" | equation | expression | formula | integral | sum | series | limit | matrix | circuit | board | device | part | component | thing"
    r" | object | item | plant | insect | bug | animal | bird | tree | flower | symbol | sign | icon | logo | font | kind | type | sort | way"
    r" | method | exercise | puzzle | position | post | thread | site | link | page | forum | community | tag | user | element | step ) s?"
)
POINTER = Phrases(
    (
        ("this", "these", "those"),
        r"\b this (?! \s (?: world | year | century | decade | day | season ) \b ) | \b these | \b those (?! \s (?: who | whose | that | which | with | of | in ) \b )",
    ),
    (
        ("following", "follows", "mentioned", "attached", "above", "below", "here", "my"),
        rf"""
        \b (?: the\ following | as\ follows | mentioned | the\ attached
          | (?: see | shown | the | code | example | question | image | picture ) \s (?: above | below ) | here ) \b
        | (?<! from ) (?<! from\ ) \s (?: above | below ) \s* \?? $ | \b my \s {CODE_WORDS} \b
        """,
    ),
    (
        ("closed", "duplicate", "solved", "hold", "migrated", "stack", "...", "…"),
        r"""
        [\[(] (?: closed | duplicate | solved | on\ hold | migrated ) [\])] | \b (?: stack \s? (?: exchange | overflow ) ) \b
        | (?: \.\.\. | … ) \s* $
        """,
    ),
)
INSIDE_WORDS_MIN = 4
"""So many words stand before a "this" that points to them."""
BREAK = re.compile(r"[.?!,;:)—–”]\s|\s-+\s")
DEMONSTRATIVE = re.compile(r"this|these|those", re.IGNORECASE)
BODY_WORD = re.compile(rf"\s+ (?: \w+ly \s+ | \w+ \s+ )? {BODY_WORDS} \b", WORDS)
PRONOUN = re.compile(r"\b (?: it | they | them | he | him | she | her ) \b", WORDS)
EMPTY_PRONOUN = re.compile(
    r"\b it \s (?: called | named | mean \s to | (?: \w+ \s )? \w+ \s (?: to | that | for | if | when ) \b )",
    WORDS,
)
"""An "it" that stands for what follows: "Why is it called porter?"."""
PRONOUN_WORDS_MAX = 5


def title_problem(title: str, words_min: int) -> str | None:
    """Why a title cannot stand alone; None for one that can.

    It is a question (it ends in "?" or begins like one) of at least ``words_min`` words, or asks in another form ("Remove
    stains from a glass", "Difference between ale and bitter"), which needs `TOPIC_WORDS_MIN`. Nothing in it points outside:
    "this" without anything before it to point to, "the following", "my code", a bare "it" in a short title, a note of the
    site in brackets. What stands in quotation marks is not looked at.

    >>> title_problem("Why is this so?", 3)
    "the title points outside itself: 'this'"
    """
    title = " ".join(title.split())
    number = len(words_of(title))
    if number < words_min:
        return f"the title has {number} words, under {words_min}"
    if not _asks(title, number, words_min):
        return "the title is no question"
    plain = QUOTED.sub("“”", title) if '"' in title or "“" in title or "`" in title or "'" in title else title
    pointer = _pointer(plain)
    if pointer is None and number <= PRONOUN_WORDS_MAX and not EMPTY_PRONOUN.search(plain):
        found = PRONOUN.search(plain)
        pointer = found.group() if found else None
    return f"the title points outside itself: {pointer!r}" if pointer else None


def _asks(title: str, number: int, words_min: int) -> bool:
    if QUESTION_START.match(title):
        return True
    if number <= words_min:
        return False
    if QUESTION_END.search(title) or VERSUS.search(title):
        return True
    return number >= TOPIC_WORDS_MIN and bool(
        REQUEST.match(title) or SUBJECT.match(title) or GERUND.match(title)
    )


def _pointer(title: str) -> str | None:
    found = POINTER.search(title)
    while found is not None and DEMONSTRATIVE.fullmatch(found.group()) and _inside(title, found):
        title = title[: found.start()] + "that" + title[found.end() :]
        found = POINTER.search(title)
    return found.group() if found else None


def _inside(title: str, found: re.Match[str]) -> bool:
    """Whether a "this" has something before it in the title that it points to, or a name behind it."""
    before, behind = title[: found.start()], title[found.end() :]
    if behind.startswith(" “”"):
        return True
    if BODY_WORD.match(behind):
        return False
    place = max((stop.end() for stop in BREAK.finditer(before)), default=0)
    return "“”" in before[:place] or len(words_of(before[:place])) >= INSIDE_WORDS_MIN
