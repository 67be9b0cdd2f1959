"""The words that the rules look for, as expressions in English. Verbose form: spaces in them do not count.

Measured on the 400 released Stack Exchange answers (which the authors filtered before us): the first
person is found in 44 (11 %), other answers in 19, the site in 8, holes in 4; read one by one, nearly all are rightly found.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lima.curate.text.gaps import holds_any

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


PICTURE = (
    r"(?: image | picture | photo | screen\s?shot | diagram | figure | graph | plot | chart | video | link"
    r" | animation | gif | map | schematic )s?"
)
PICTURE_NEEDLES = (
    "image", "picture", "photo", "screen", "diagram", "figure", "graph", "plot", "chart", "video", "link",
    "animation", "gif", "map",
)  # fmt: skip
CODE_WORDS = (
    r"(?: code | program | script | quer(?:y|ies) | function | class | app | application | proof | solution"
    r" | answer | approach | attempt | example | argument | implementation | understanding | reasoning"
    r" | derivation | calculation | situation | case | problem | question )"
)
SAID = r"(?: mentioned | said | noted | stated | pointed\ out | suggested | indicated | commented | explained | answered | discussed | covered )"

FIRST_PERSON = re.compile(
    r"""
    (?<! [$%{^_\\] ) \b (?:
        (?<! \b [A-Z]\. ) I (?! [\^_}$=:] | \.[eE]\b )            # not $I$, I^2, "I.e.", "A.I."
      | [Mm]e | [Mm]y | MY | [Mm]ine | [Mm]yself
      | IMH?O | IIRC | AFAIK | AFAICT | IANAL
      | i (?= ['’] (?: m | ve | d | ll ) \b )
    ) \b
    """,
    re.VERBOSE,
)
"""With case: "I" is a word, "i" a letter."""

NUMERAL_BEFORE = re.compile(
    r"""
    (?: [-+]                                     # Ctrl + I
      | \b (?: type | part | war | phase | chapter | class | section | volume | vol | category | level | stage
          | book | act | article | table | figure | group | grade | step | theorem | schedule | appendix
          | elizabeth | james | henry | charles | george | richard | edward | william | francis | frederick
          | napoleon | nicholas | alexander | paul | wilhelm | leopold | photosystem
          | calculus | algebra | analysis | physics
      | ideals? | intervals? | currents? | matri(?:x|ces) | inertia | intensity | sets? | index | integrals? | identity | operator
      | letters? | vowels? | pronouns? | words? | vitamins? | coordinates? | variables? )
      | [=+×*∈⊂⊆] | \b [A-Z] \.
    ) \s+ $
    """,
    WORDS,
)
"""What makes a following "I" a numeral, a key, a letter, a symbol or an initial."""
NUMERAL_AFTER = re.compile(
    r"\s* [/&)\]=∈⊂⊆≤≥] | \s*[-–]\s* (?: [IVX]+ | \d+ ) \b | \s* (?: , | and | or | to ) \s+ I{2,} \b"
    r" | \. (?: \s* $ | \s* [,&(] | \s? [A-Z]\. ) | \s+ (?: denotes | be \s (?: an? | the ) ) \b",
    re.VERBOSE,
)
VERB_AFTER = re.compile(
    r"""
    \s+ (?: am | was | have | had | will | would | do | did | can | could | think | see | know | use | find | recommend | suggest | like | love
      | prefer | believe | guess | hope | want | need | mean | say | wrote | read | personally | really | don | didn | haven | feel | felt
      | saw | knew | thought | try | tried | learn | learned | taught | teach | work | worked | wish | agree | refer | assume | suspect
      | understand | remember | recall | consider | expect | imagine | wonder ) \b
    """,
    re.VERBOSE,
)

FORMULA = re.compile(r"\$\$[^$]+\$\$|\$(?=[^$\n]{0,200}[\\^_={}])[^$\n]{1,200}\$|\$\w{1,3}\$")
SPOKEN = re.compile(
    r"(?:^|(?<=[\s(]))(?:\"(?=\S)[^\"\n]{1,300}(?<=\S)\"|“[^“”\n]{1,300}”)(?!\w)", re.MULTILINE
)
QUOTED_LINE = re.compile(r"^>.*$", re.MULTILINE)
"""What is no word of the author: mathematics, speech in quotation marks, quotations."""

OWN = re.compile(
    r"""
    as \ (?: (?: was | were | is | are | has\ been | have\ been ) \s )? (?: (?: also | already | previously | just ) \s )?
        (?: mentioned | said | noted | stated | explained | discussed | covered )
    | (?: already | previously | earlier ) \s (?: been \s )? (?: mentioned | pointed\ out | said | noted | discussed | covered )
    """,
    WORDS,
)
"""Words of `OTHERS` that, behind some text, may well be about that text."""
SPEAKER = re.compile(r"as ((?-i:[A-Z])[\w.'’-]+) ", re.IGNORECASE)
"""Whom an "as NAME notes" names."""
WORK_BEHIND = re.compile(
    r"\s+in\s+(?:the\s+)?(?-i:[A-Z])(?!.{0,40}\b(?:answer|comment|post)s?\b)", re.IGNORECASE
)
"""What makes an "as suggested" cite a book or a paper."""
TOPIC_BEHIND = re.compile(
    r"\s (?: annotation | decorator | directive | rule | attribute | tag | keyword | selector | block | operator | sign | symbol | handle"
    r" | queries | query | macro | property | interface | mention ) s? \b",
    WORDS,
)
"""What makes an ``@name`` a topic."""

OTHERS = Phrases(
    (
        (
            "mentioned",
            "said",
            "noted",
            "stated",
            "pointed",
            "suggested",
            "indicated",
            "commented",
            "explained",
            "answered",
            "discussed",
            "covered",
        ),
        rf"""
        \b as \ (?: \S+ \s )? (?: (?: have | has | was | were | is | are ) \s )? (?: been \s )?
            (?: (?: also | already | previously | correctly | rightly ) \s )? {SAID} \b
        """,
    ),
    (
        ("notes", "mentions", "points", "suggests", "says", "explains", "states"),
        r"""
        \b as \ (?-i: (?! Wikipedia | The\b | A\b | An\b | It\b | This\b | That\b | One\b ) @? [A-Z] ) [\w.'’-]+ \s (?: (?: also | already | correctly | rightly ) \s )?
            (?: notes | mentions | points\ out | suggests | says | explains | states ) \b
        """,
    ),
    (
        ("answer", "poster", "responder", "repl", "response"),
        r"""
        \b (?: other | another | previous | existing | accepted | earlier | above | preceding | top | same | current
            | \w+ ['’] s? ) \s (?: \w+ \s )? (?: answers? | answerers? | posters? | responders? | repl(?:y|ies) ) \b
        | \b (?: answers? | repl(?:y|ies) | responses? ) \s
            (?: above | below | here | given\ by | provided\ by | posted | from\ (?-i: @?[A-Z] ) )
        | \b (?: these | those | both | all | all\ the | all\ of\ the | all\ of\ these | most | some | several | many
            | two | three ) \s (?: of \s (?: the | these ) \s )? answers \b
        | \b (?: add | adding | addition | addendum | complement | complementing | supplement ) \s to \s
            (?: \S+ \s ){0,3} answers? \b
        """,
    ),
    (
        ("answered", "mentioned", "pointed", "said", "noted", "suggested", "posted", "discussed", "covered"),
        r"""
        \b (?: already | previously | earlier | else ) \s (?: been \s )?
            (?: answered | mentioned | pointed\ out | said | noted | suggested | posted | discussed | covered ) \b
        """,
    ),
    (
        ("others", "else", "everybody"),
        rf"""
        \b (?: others | everyone\ else | someone\ else | somebody\ else | everybody ) \s (?: here \s )?
            (?: (?: have | has | had ) \s )? (?: (?: already | also ) \s )? (?: {SAID} | explained ) \b
        """,
    ),
    (("@",), r"(?: ^ | [\s(] ) @ [A-Za-z]\w{2,}"),
)

SITE = Phrases(
    (("stack",), r"\b stack \s? -? (?: exchange | overflow | apps ) \b"),
    (
        ("overflow", "fault", "user.com", "ubuntu"),
        r"\b (?: math \s? overflow | server \s? fault | super\s?user\.com | ask\s?ubuntu ) \b",
    ),
    (
        ("site", "forum", "reddit", "wiki"),
        r"\b (?: this | our ) \s (?: site | forum | sub-?reddit ) \b | \b community\ wiki \b",
    ),
    (("vot",), r"\b (?: up | down ) [-\s]? vot (?: e | es | ed | ing ) \b | \b close \s vote"),
    (
        ("comment",),
        r"""
        \b see \s (?: (?: the | my | your ) \s )? comments? \b (?! \s (?: in | inside | within ) \b )
        | \b (?: in | from | per ) \s (?: the | a | your | his | her | their | my | some | other ) \s comments? \b
            (?! \s (?: line | field | block | tag ) )
        | \b comments? \s (?: above | below | section | thread ) \b
        """,
    ),
    (
        ("show", "post", "provide", "share"),
        r"\b (?: can | could | would ) \s you \s (?: please \s )? (?: show | post | provide | share ) \s (?: us | me | your | the | some | more ) \b",
    ),
    ((", you", ",you"), r"(?: ^ | \n ) (?-i: [A-Z] [a-z]+ ) , \s* (?: your | you (?: ['’]re | \s are ) ) \b"),
    (("+1",), r"(?: ^ | \n ) \W* \+1 \b"),
    (
        (".se", "m.se", " mo "),
        r"\b \w+ \.SE \b | \b (?-i: MO ) \b (?= [,.] | \s (?: or | and | post | question | answer ) )",
    ),
    (("asker",), r"\b (?: the \s asker | the \s question\ asker ) \b"),
    (("OP",), r"\b (?-i: OP ) \b (?! \s? amp )"),
    (
        ("edit", "update", "eta"),
        r"""
        (?: ^ | \n ) \s* \W{0,3} (?: edit (?:ed)? | updated? | ETA ) \b
            \s? \d* \s* (?: \( [^)]{0,40} \) )? \s* \W{0,2} [:\-–—]
        | \( (?: edit | update ) [:\s]
        """,
    ),
    (
        ("duplicate",),
        r"\b (?: possible | exact | is\ a | as\ a | a ) \s duplicate \s of \s (?: this | that | the | another | an? ) \b (?! \s (?: value | element | item | row | object | list | array | file ) )"
        r" | \b duplicate \s question",
    ),
    (("moderator", "mods"), r"\b (?: moderators? | mods ) \s (?: of | on ) \s (?: this | the ) \b"),
    (
        ("question", "post"),
        r"""
        \b (?: that | another | related | similar | linked | following ) \s (?: question | post ) s? \s
            (?: on | at | from | about | here ) \b
        """,
    ),
    (
        ("closed", "helps"),
        r"\b closed \s as \s (?: an? | the | too | not | off | unclear | dup\w* ) \b | \b hope \s (?: this | that | it ) \s helps \b",
    ),
)

ASKER_OF_SITE = Phrases(
    (
        ("question", "post", "answer", "thread", "topic"),
        r"""
        \b (?: this | my | another | previous | earlier | other | related | similar | following | last | recent | an? \s old ) \s (?: \w+ \s )?
            (?: question | post | thread | answer ) s? \b (?! \s (?: of | to | is \s: ) \b )
        | \b (?: asked | posted | answered | off-topic | on-topic ) \s (?: here | before | elsewhere | on \s (?: this | the ) )
        | \b (?: community | big-list ) \s? -? (?: wiki | list ) \b
        | \b answers? \s (?: so \s far | given | below | already )
        """,
    ),
    (("inspired", "prompted", "motivated"), r"\b (?: inspired | prompted | motivated ) \s by \b"),
    (("edit", "update"), r"(?: ^ | \n ) \W* (?-i: EDIT | UPDATE | Edit | Update ) \b (?! \s the \b )"),
    (("emphasis",), r"\b emphasis \s (?: mine | added )"),
)
"""Words of a question that is about other posts."""

HOLLOW = Phrases(
    (
        PICTURE_NEEDLES,
        rf"""
        \b {PICTURE} \s (?: (?: is | are | shown | given | posted ) \s )?
            (?: above | below | here | to\ the\ (?: left | right ) ) \b
        """,
    ),
    (
        (*PICTURE_NEEDLES, "page", "article", "post", "question", "answer"),
        rf"""
        \b (?: see | look\ at | check | check\ out | in | from | by ) \s
            (?: this | these | the\ following | the\ attached | the\ above | the\ linked ) \s
            (?: {PICTURE} | (?: page | article | post | question | answer ) s? ) \b
        """,
    ),
    (
        ("linked", "link"),
        r"\b click (?: ing )? \b [^.]{0,40} \b link (?: ed | s )? \b | \b linked \s (?: above | below | to ) \b",
    ),
    (("following", "attached"), rf"\b (?: following | attached ) \s {PICTURE} \b"),
    (
        ("here",),
        rf"""
        \b (?: click | see | look | read | found | available | shown | explained | described | documented | more
            | details? | examples? | info (?: rmation )? ) \s (?: more \s )? here \b
        | \b here (?: ['’]s | \ is | \ are ) \s (?: a | an | the | some | one | another ) \s (?: \w+ \s ){{0,3}}
            (?: {PICTURE} | (?: article | page | site | source | reference ) s? ) \b
        """,
    ),
)

CAN_NOT = r"(?: can(?:['’]t|\ ?not) | (?: am|['’]m ) \ (?: not\ able | unable )\ to | won['’]t | will\ not | must\ decline\ to )"
ANSWERING = (
    r"(?: help | assist | answer | provide | comply | fulfil+ | create | write | generate | give | share | support"
    r" | offer | encourage | recommend | condone | engage | participate | do\ that | discuss | advise )"
)
REFUSAL = re.compile(
    rf"""
    \b (?: I ['’]m | I\ am ) \ (?: very\ | really\ | so\ )? (?: sorry | afraid ) ,? \ (?: but\ )? (?: that\ )? I \ ? {CAN_NOT} \b
    | \b (?: sorry | apologi[sz]e | apologies ) ,? \ (?: but\ )? I \ ? {CAN_NOT} \b
    | \b I \ ? {CAN_NOT} \s (?: really\ | possibly\ | in\ good\ conscience\ )? {ANSWERING} \b
    | \b as \ an? \ (?: AI | (?: large \ )? language \ model )
    | \b it \ (?: would \ be | is ) \ (?: not\ appropriate | inappropriate | unethical | illegal ) \ (?: for\ me\ )? to \b
    """,
    WORDS,
)
"""How a refusal begins. Only the opening of an answer is searched."""
PLACEHOLDER = re.compile(
    r"\b (?: TODO | TBD | FIXME | XXX | lorem\ ipsum ) \b | \[ (?: insert | your ) \b", re.VERBOSE
)
MACHINE = re.compile(
    r"""
    \b as \ an? \ (?: AI | (?: large \ )? language \ model ) \b
    | \b (?: my\ knowledge\ cut-?off | my\ training\ data | openai | chatgpt ) \b
    | \b hope \s (?: this | that | it ) \s helps \b
    | !!
    """,
    WORDS,
)
"""Formulas that no author of ours writes."""
FINISHED = re.compile(
    r"(?: [.!?:…。！？] [\"'”’)\]*_]* | [|`)\]}>*] | ^\s* (?: [*-] | \d+[.)] ) \s [^\n]* )\s* \Z",
    re.VERBOSE | re.MULTILINE,
)
"""A stop, code, a table or a list item at the end."""
