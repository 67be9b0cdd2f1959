"""Which prompt an answer fits: an answer that quotes or addresses the question's text needs that text as its prompt.

Where the prompt is the title alone, nobody sees the description; "your second example" then speaks of nothing. And a
description whose subject stands in the title alone takes the title along.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lima.curate.rules import RuleSettings, description_problem
from lima.curate.text.blocks import Phrases, sentences, words_of
from lima.curate.text.clean import Cleaned
from lima.curate.text.phrases import SPOKEN
from lima.curate.text.titles import QUESTION_START

NAME = re.compile(r"[A-Z0-9_.#+/-]")
SENTENCE_START = re.compile(r"(?:^|[.?!:]\s+)\W*(\w+)")
CODE_NAME = re.compile(r"[A-Za-z_]\w{3,}")
PRONOUN_START = re.compile(
    r"(?:This|That|These|Those|It|They)(?: one)? (?:is|are|was|were|can|could|will|would|happens|means|has|have)\b"
)
THEY_START = re.compile(r"\W*They (?:\w+ed|use|did|were|have|had)\b")
MANY = re.compile(r"\w{2}s\b|\b(?:people|men|women|children|they|them)\b", re.IGNORECASE)
OBJECT = re.compile(
    r"\b(?:the|this|that|these|those)\s(?:\w+\s)?(paper|article|abstract|author|study|quote|quotation|passage|excerpt|video|snippet|error|message|statement|experiment|exercise)s?\b",
    re.IGNORECASE,
)
"""What an answer speaks of as known: "the abstract implies"."""
OPENING = 300
ABOVE = re.compile(
    r"\bthe (?:\w+ )?(?:equations?|examples?|formulas?|code|list|table|identit(?:y|ies)|statements?|snippet|options?|points?|question) above\b",
    re.IGNORECASE,
)
"""What the opening of an answer has as little as the title."""
YOURS = re.compile(r"\byour\s(?:own\s)?([a-z]{4,})\b", re.IGNORECASE)
STEM = 5
"""Words that begin with so many equal letters count as the same."""
BACK_TO_TITLE = re.compile(
    r"\W*(?:as (?:the|in the|per the|per) title|title says|(?:see|the|in the) title|(?:this|these|that|those|it|they|he|she|for example|so|and|but|also|therefore)\b)",
    re.IGNORECASE,
)


Form = Literal["auto", "description", "both"]
TITLE, DESCRIPTION, BOTH = "title as prompt", "description as prompt", "title and description as prompt"


@dataclass(frozen=True)
class FittedPrompt:
    """The words of a prompt, and where they are from."""

    text: str
    step: str
    misfit: str | None = None
    """Why the answer does not fit this prompt, which is the only one that can be had."""


def choose_prompt(
    title: str,
    description: Cleaned,
    answer: Cleaned,
    settings: RuleSettings,
    *,
    form: Form,
    wants_title: bool,
) -> FittedPrompt:
    """Title or description, as is wanted and as the answer needs it.

    A description that cannot stand alone gives way to the title, unless the answer speaks of it: then nothing fits.

    Args:
        title: of the question; empty where it has none.
        description: the question's text.
        answer: the answer.
        settings: thresholds.
        form: how a description is shown: alone, with its title, or as it needs it.
        wants_title: whether the title is the prompt where both can be.
    """
    if settings.fits_prompt and (unasked := _unasked(answer, title, description.text)):
        return FittedPrompt(title, TITLE, f"it answers another question: {unasked!r}")
    flaw = description_problem(description, settings) if description.text else "it is empty"
    needed = better = None
    if title and settings.fits_prompt and (wants_title or flaw):
        needed = needs_description(answer, description, title, settings)
        better = needed or shared_particulars(answer.prose, description.prose, title)
    if title and (flaw or (wants_title and not better)):
        return FittedPrompt(
            title, TITLE, f"{needed}, and the description is no prompt: {flaw}" if needed else None
        )
    along = (
        takes_title_along(description.text, title, settings.title_missing_max)
        if form == "auto"
        else form == "both"
    )
    if title and along:
        return FittedPrompt(f"{title}\n\n{description.text}", BOTH)
    return FittedPrompt(description.text, DESCRIPTION)


def needs_description(
    answer: Cleaned, description: Cleaned, title: str, settings: RuleSettings
) -> str | None:
    """Why the answer cannot be read under the title alone; None where it can.

    It quotes the description, works on its code, addresses the asker about it ("as you say", "your second question"), or begins
    with a yes or a no that the title does not ask for.
    """
    if quote := _quotation(answer, description, title, settings.quoted_words_min):
        return f"it quotes the description: {quote!r}"
    if term := _opening_term(answer.prose, description.prose, title):
        return f"it begins with {term!r}, which the description says"
    names = _shared_names(answer, description, title)
    if settings.shared_names_min is not None and len(names) >= settings.shared_names_min:
        return f"it uses names of the description's code: {', '.join(sorted(names)[:4])}"
    prose = "\n".join(line for line in answer.prose.split("\n") if not line.startswith(">"))
    if found := ADDRESSING.search(prose):
        return f"it addresses the asker: {' '.join(found.group().split())!r}"
    if shown := _object(prose[:OPENING], description.prose, title):
        return f"it speaks of {shown!r}, which the description shows"
    if above := ABOVE.search(prose[:OPENING]):
        return f"it speaks of {above.group()!r}, above which there is nothing"
    if not QUESTION_START.match(title) and "?" not in title and (opening := PRONOUN_START.match(prose)):
        return f"it begins with {opening.group()!r}, for which the title has no word"
    if not MANY.search(title) and (opening := THEY_START.match(prose)):
        return f"it begins with {opening.group()!r}, for which the title has no word"
    things = sorted(_things_of_asker(prose, description.prose, title))
    if settings.your_nouns_min is not None and len(things) >= settings.your_nouns_min:
        return f"it speaks of the asker's {', '.join(things[:4])}"
    if OPEN_QUESTION.match(title) and (opening := YES_OR_NO.match(prose)):
        return f"it begins with {opening.group()!r}, which the title does not ask for"
    return None


PARTICULAR = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{3,}\b|(?<![\w.,^${\\])\d{2,}(?:\.\d+)?(?![\w^])")
"""A name in the middle of a sentence, or a number."""


def shared_particulars(answer: str, description: str, title: str) -> set[str]:
    """Names and numbers that the answer takes up from the description, and the title lacks: the description is the better prompt.

    They may be common knowledge as well, so that they are no reason to drop the pair.
    """
    told = set(PARTICULAR.findall(description)) - set(PARTICULAR.findall(f"a {title}"))
    head = title.casefold()
    return {name for name in told.intersection(PARTICULAR.findall(answer)) if name.casefold() not in head}


def _things_of_asker(prose: str, description: str, title: str) -> set[str]:
    """What the answer calls the asker's, and the description alone has told of."""
    said = {
        found.group(1).casefold()[:-1] if found.group(1).endswith("s") else found.group(1).casefold()
        for found in YOURS.finditer(prose)
    }
    body, head = description.casefold(), title.casefold()
    return {
        noun for noun in said if noun not in STOPWORDS and re.search(rf"\b{noun}", body) and noun not in head
    }


def _unasked(answer: Cleaned, title: str, description: str) -> str | None:
    """A question that the answer opens by quoting, though it stands neither in the title nor in the description."""
    first = answer.prose.partition("\n")[0]
    if not first.startswith("> ") or not first.rstrip().endswith("?"):
        return None
    words = [word for word in words_of(first) if word not in STOPWORDS and len(word) > 2]
    known = {word[:STEM] for word in words_of(f"{title} {description}")}
    missing = [word for word in words if word[:STEM] not in known]
    return first[2:] if 2 * len(missing) >= len(words) > 0 else None


def _object(opening: str, description: str, title: str) -> str | None:
    """A thing that the opening of an answer points to as known, which is in the description and not in the title."""
    for found in OBJECT.finditer(opening):
        name = found.group(1).casefold()
        known = name in title.casefold() or name in opening[: found.start()].casefold()
        if name in description.casefold() and not known:
            return found.group()
    return None


def takes_title_along(description: str, title: str, missing_max: float) -> bool:
    """Whether a description cannot be understood without its title, for its subject stands there alone.

    It asks nothing, though the title does; a name of the title is missing, or more than ``missing_max`` of its words that carry meaning are; or the description begins
    with a pronoun, or speaks of its title.
    """
    present = {word[:STEM] for word in words_of(description)}
    carrying = [word for word in words_of(title) if word not in STOPWORDS and len(word) > 1]
    missing = {word for word in carrying if word[:STEM] not in present}
    if "?" in title and "?" not in description:
        return True
    if not missing:
        return False
    if BACK_TO_TITLE.match(description) or len(missing) > missing_max * len(carrying):
        return True
    starts = {found.group(1) for found in SENTENCE_START.finditer(title) if found.group(1).istitle()}
    names = {
        w.casefold()
        for word in re.findall(r"[\w.#+-]+", title)
        if NAME.search(word) and word not in starts
        for w in words_of(word)
    }
    return bool(missing & names)


def _quotation(answer: Cleaned, description: Cleaned, title: str, words_min: int) -> str | None:
    """A passage of the answer in quotation marks, or set as a quotation, that stands in the description and not in the title."""
    body, head = f" {' '.join(words_of(description.text))} ", f" {' '.join(words_of(title))} "
    for passage in _passages(answer):
        words = words_of(passage)
        for start in range(len(words) - words_min + 1):
            run = words[start : start + words_min]
            shown = f" {' '.join(run)} "
            if shown in body and shown not in head and not STOPWORDS.issuperset(run):
                return " ".join(run)
    return None


def _opening_term(prose: str, description: str, title: str) -> str | None:
    """Two words or more in quotation marks with which an answer begins, and which the description has and the title lacks."""
    found = SPOKEN.match(prose)
    words = words_of(found.group()) if found else []
    shown = f" {' '.join(words[:2])} "
    known = shown in f" {' '.join(words_of(title))} " or shown not in f" {' '.join(words_of(description))} "
    return None if found is None or len(words) < 2 or known else found.group()


def _shared_names(answer: Cleaned, description: Cleaned, title: str) -> set[str]:
    """Names that the description's code and the answer's have in common, without those of the title and the usual ones."""
    shared = set(CODE_NAME.findall(description.code)) & set(CODE_NAME.findall(answer.code))
    return {
        name
        for name in shared
        if name.casefold() not in title.casefold() and name.casefold() not in USUAL_NAMES
    }


def _passages(answer: Cleaned) -> Iterator[str]:
    for line in answer.prose.split("\n"):
        if line.startswith(">"):
            yield from sentences(line.lstrip("> "))
        else:
            yield from (found.group() for found in SPOKEN.finditer(line))


SAYING = (
    r"(?: say | said | mention (?:ed)? | state[ds]? | wr(?:i|o)te | written | posted | asked | ask | describe[ds]? | suggest (?:ed)? | quoted? | cited? | linked"
    r" | noted? | pointed? \s out | propose[ds]? | listed | showed | shown | gave | given | provided | claim (?:ed)? | referred \s to | indicated? | observed"
    r" | guess (?:ed)? | suspect (?:ed)? | assumed | included | presented | outlined | found | discovered | noticed | tried | experienced | encountered )"
)
SAID = (
    r"(?: said | mentioned | stated | wrote | written | posted | asked | described | suggested | quoted | cited | linked | noted | pointed \s out | proposed"
    r" | listed | showed | shown | gave | given | provided | claimed | requested | referred \s to | indicated | outlined | guessed | discovered | noticed | tried )"
)
PARTS = r"(?: question | example | point | option | idea | approach | paragraph | part | sentence | bullet | case | statement | suggestion | concern | issue | problem | version | snippet | link | quote )"
ORDINAL = r"(?: first | second | third | fourth | last | other | original | main | actual | literal | specific | particular | final | initial | follow -?\s? (?:up|on) | title | basic | general )"
ADDRESSING = Phrases(
    (
        ("as you", "like you", "what you", "which you", "that you", "because you", "since you", "given you"),
        rf"""
        \b (?: as | like ) \s you (?: ['’]ve | \s have )? \s (?: (?: also | already | just | correctly | rightly | \w+ly ) \s )? {SAYING} \b
        | \b (?: as | like ) \s you (?: ['’]re | \s are ) \s (?: doing | asking | describing | suggesting | saying )
        """,
    ),
    (
        ("you ", "you'", "you’"),
        rf"""
        \b (?= [ydtlasbnw] ) (?:
            (?<! \b if \s ) (?<! \b when \s ) (?<! \b once \s ) (?<! \b after \s )
            you (?: ['’]ve | \s have | \s had )? \s (?: (?: also | already | just | correctly | rightly ) \s )? {SAID} \b (?! \s to \b )
          | you \s (?: seem | appear ) \s to \b | you \s (?: did | do | have ) (?: n['’]t | \s not ) \s (?: mention (?:ed)? | specif(?:y|ied) | state[d]? | tell | told | describe[d]? ) \b
          | (?<! \b if \s ) (?<! \b when \s ) you (?: ['’]re | \s are ) \s (?: \w+ly \s )? (?: asking | describing | talking \s about | referring \s to | seeing | getting | confusing | experiencing
              | missing | mistaken | right | correct | wrong | overthinking ) \b
          | you (?: ['’]re | \s are ) \s not \s (?: alone | the \s (?: only | first ) ) \b
          | (?: sounds | looks | seems | appears ) \s (?: like | as \s if | that ) \s (?: you | your ) \b
          | (?: do | did ) \s you \s (?: mean | have \s (?: a | an | any ) | really | want ) \b [^.?!]* [?]
          | you \s (?: say | mention | state | ask | describe | propose | suggest ) \s* (?: that | how | whether | about | for | in | [,:"“(] )
          | (?<! \b if \s ) (?<! \b when \s ) you \s mention (?: ed )? \b
          | (?: the | those | these | this | that | all | any | both ) \s (?: [\w'’-]+ \s ){{1,4}}? you \s
              (?: list | link | mention | describe | cite | propose | show | quote | reference | suggest | specify | provide | post | raise
                | ask \s about | refer \s to | bring \s up ) (?: e? d )? \b
          | not \s be \s what \s you (?: ['’]re | \s are ) \s looking \s for \b | sounds? \s (?: not \s )? like \s what \s you \b
          | (?: that | which ) \s you (?: ['’]re | \s are )? \s refer (?: red | ring )? \s to \b
          | you \s link (?: ed )? \b (?! \s to \b )
        )
        | \A \W* (?: have \s you \s (?: \w+ \s )? (?: read | tried | seen | looked | considered | heard | checked | thought ) \b
          | (?: are \s you \s \w+ing | do \s you \s (?: want | need | have | know | mean ) | did \s you | have \s you | (?: what | why | which | how \s (?: long | often | much | many ) ) \s (?: are | do | don['’]t | would | is ) \s you r? ) \b [^.?!]* [?] )
        | (?: \A | \n | [.!?] \s ) \W* (?: because | since | given \s that ) \s you (?: ['’]re | \s (?: are | have | want | need | only | already ) ) \b (?! \s to \b )
        """,
    ),
    (
        ("your",),
        rf"""
        \b (?: given \s your | in \s your \s question | to \s answer \s your \s question | your \s questions
            | your \s question \s (?: states | says | mentions | is \s about | seems | implies | asks | assumes | contains ) ) \b
        | \b your \s (?: {ORDINAL} \s )? (?: (?: \w+ \s )? example | snippet | post | quote | description | statement | assumption | claim | suggestion | proposal | guess
            | scenario | reasoning | understanding | argument | attempt | edit | title | sketch | analogy | premise | intuition | observation | hunch | comment | confusion | tool \s is ) s? \b
        | \b (?: does | did | is | has | was ) \s your \s (?: friend | teacher | boss | professor | wife | husband ) \b
        | \b your \s {ORDINAL} \s (?: (?: and | or ) \s (?: your \s )? {ORDINAL} \s )? {PARTS} s? \b
        | \b (?<! depending \s on \s ) (?<! depends \s on \s ) (?: in | for ) \s your \s (?: (?: particular | specific | exact ) \s )? (?: case | situation | example | instance | scenario | circumstances ) \b
        """,
    ),
    (
        (
            "question",
            "asker",
            "example",
            "to answer",
            "answering",
            "as for",
            "regarding",
            "responding",
            "concerning",
            "re: ",
            "original",
            "q1",
            "q2",
            "q3",
            "q4",
            "q5",
            "q 1",
            "q 2",
            "q 3",
        ),
        rf"""
        \b (?= \w ) (?: asker | questioner | question \s (?: asks | mentions | states | says | body | text | title | as \s (?: asked | posed | stated | written ) )
          | (?: the | this | that ) \s {ORDINAL} \s (?: question | part \s of \s (?: the | your ) \s question ) s? \b
          | (?: example | code | snippet | quote | equation | formula | list | link | table | data | numbers? | text | title ) s? \s (?: in | from | of ) \s (?: the | this ) \s question \b
          | (?: to \s answer | answering | as \s for | regarding | responding \s to | concerning | re: ) \s (?: your | the | question | q [1-5] ) \s (?: {ORDINAL} | part | \d )
          | (?: continue | go | going | continuing ) \s with \s (?: the | your | that ) \s (?: \w+ \s )? example \b
          | (?: q [1-5] | q \s [1-3] | questions? \s \#? \d ) \b
          | (?: rest | part | parts | half | bit | remainder ) \s of \s (?: the | your? | this ) \s (?: original \s )? question \b
          | original \s (?: post | poster | question ) \b
        )
        | (?: ^ | \n | [.!?] \s ) \W* (?: as \s for | for )? \s* (?: the | your )? \s* {ORDINAL} \s question \b
        """,
    ),
)
"""Words of an answer to somebody whose text it has before it."""
YES_OR_NO = re.compile(
    r"\W*(?:yes|no|yep|yup|nope|correct|exactly|agreed|indeed|right|true|false|neither|both)\b(?=\s*[,.!:;—–-])",
    re.IGNORECASE,
)
OPEN_QUESTION = re.compile(
    r"(?:how|what|why|when|where|which|who|whose)\b(?!.*\b(?:is|are|do|does|can|should|or)\b.*\?.*\?)",
    re.IGNORECASE,
)
_STOPWORDS = """
a about after all also an and any are as at be because been before being between both but by can could did do does
doing don down each else ever every few for from get gets getting give good had has have having he her here him his
how i if in into is it its itself just know like make many may me might more most much must my need no not of off on
once one only or other our out over own same she should so some someone something such take than that the their them
then there these they thing things this those through to too two up us use used using very want was way ways we were
what when where which while who whom whose why will with without would you your work works best better possible really
actually different difference between mean there's what's it's doesn't isn't can't really kind
"""
STOPWORDS = frozenset(_STOPWORDS.split())
_USUAL_NAMES = """
abstract array begin bool boolean break byte case catch char class console const continue count data date default
delete double echo else elif enum exception execute extends false file final float foreach from function global group
having html http https implements import include index insert instanceof integer interface into item items java join
json lambda length list long main name namespace null number object open order override package param print printf
println private protected public query range read require result return select self settings short size sizeof static
std string struct switch system table template test text this throw throws time true type typedef unsigned update user
using value values vector virtual void where while width windows write xml yield python javascript body head href http
label left line lines none null order root script source style
"""
USUAL_NAMES = frozenset(_USUAL_NAMES.split())
"""Words of languages and libraries, and names that everybody gives."""
