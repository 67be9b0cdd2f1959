"""Words about prompts: which titles of questions stand alone, and what ties an answer to the question's description.

Measured on the 141 titles among the released set's Stack Exchange prompts: 2 are turned down, topics that ask for nothing ("Border around
formatted text in Inkscape").
"""

from __future__ import annotations

import re

from lima.curate.text.blocks import WORDS, Phrases
from lima.curate.text.phrases import CODE_WORDS

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
"""A "this" can point back within a title only if this many words stand before it."""
PAUSE = re.compile(r"[.?!,;:)—–”]\s|\s-+\s")
DEMONSTRATIVE = re.compile(r"this|these|those", re.IGNORECASE)
BODY_WORD = re.compile(rf"\s+ (?: \w+ly \s+ | \w+ \s+ )? {BODY_WORDS} \b", WORDS)
PRONOUN = re.compile(r"\b (?: it | they | them | he | him | she | her ) \b", WORDS)
EMPTY_PRONOUN = re.compile(
    r"\b it \s (?: called | named | mean \s to | (?: \w+ \s )? \w+ \s (?: to | that | for | if | when ) \b )",
    WORDS,
)
"""An "it" that stands for what follows: "Why is it called porter?"."""
PRONOUN_WORDS_MAX = 5


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
"""Two words with the same first five letters count as one word."""
BACK_TO_TITLE = re.compile(
    r"\W*(?:as (?:the|in the|per the|per) title|title says|(?:see|the|in the) title|(?:this|these|that|those|it|they|he|she|for example|so|and|but|also|therefore)\b)",
    re.IGNORECASE,
)
PARTICULAR = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{3,}\b|(?<![\w.,^${\\])\d{2,}(?:\.\d+)?(?![\w^])")
"""A name in the middle of a sentence, or a number."""

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
            "question", "asker", "example", "to answer", "answering", "as for", "regarding", "responding",
            "concerning", "re: ", "original", "q1", "q2", "q3", "q4", "q5", "q 1", "q 2", "q 3",
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
)  # fmt: skip
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
