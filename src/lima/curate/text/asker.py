"""Words by which an answer speaks to the one who asked, and words that say nothing about what a text is about."""

from __future__ import annotations

import re

from lima.curate.text.phrases import Phrases

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
        (?<! \b if \s ) (?<! \b when \s ) (?<! \b once \s ) (?<! \b after \s )
        \b you (?: ['’]ve | \s have | \s had )? \s (?: (?: also | already | just | correctly | rightly ) \s )? {SAID} \b (?! \s to \b )
        | \b you \s (?: seem | appear ) \s to \b
        | (?<! \b if \s ) (?<! \b when \s ) \b you (?: ['’]re | \s are ) \s (?: asking | describing | talking \s about | referring \s to | seeing | getting | confusing
            | missing | mistaken | right | correct | wrong | overthinking ) \b
        | \b (?: sounds | looks | seems | appears ) \s (?: like | as \s if | that ) \s (?: you | your ) \b
        | \b (?: do | did ) \s you \s (?: mean | have \s (?: a | an | any ) | really | want ) \b [^.?!]* [?]
        | \b you \s (?: say | mention | state | ask | describe | propose | suggest ) \s* (?: that | how | whether | about | for | in | [,:"“(] )
        | (?<! \b if \s ) (?<! \b when \s ) \b you \s mention (?: ed )? \b
        | \b (?: the | those | these | this | that | all | any | both ) \s (?: [\w'’-]+ \s ){1, 4}? you \s
            (?: list | link | mention | describe | cite | propose | show | quote | reference | suggest | specify | provide | post | raise
              | ask \s about | refer \s to | bring \s up ) (?: e? d )? \b
        | \b (?: that | which ) \s you (?: ['’]re | \s are )? \s refer (?: red | ring )? \s to \b
        | \b you \s link (?: ed )? \b (?! \s to \b )
        """,
    ),
    (
        ("your",),
        rf"""
        \b (?: in \s your \s question | to \s answer \s your \s question | your \s questions | your \s question \s (?: states | says | mentions | is \s about | seems | implies | asks | assumes | contains ) ) \b
        | \b your \s (?: {ORDINAL} \s )? (?: example | snippet | post | quote | description | statement | assumption | claim | suggestion | proposal | guess
            | scenario | reasoning | understanding | argument | attempt | edit | title | sketch | analogy | premise | intuition | observation | hunch | comment | tool \s is ) s? \b
        | \b your \s {ORDINAL} \s (?: (?: and | or ) \s (?: your \s )? {ORDINAL} \s )? {PARTS} s? \b
        | (?<! depending \s on \s ) (?<! depends \s on \s ) \b (?: in | for ) \s your \s (?: (?: particular | specific | exact ) \s )? (?: case | situation | example | instance | scenario | circumstances ) \b
        """,
    ),
    (
        ("question", "follow", "asked", "asker", "q1", "q2", "q3", "part", "op"),
        rf"""
        \b (?: asker | questioner | question \s (?: asks | mentions | states | says | body | text | title | as \s (?: asked | posed | stated | written ) ) )
        | \b (?: the | this | that ) \s (?: {ORDINAL} \s ) (?: question | part \s of \s (?: the | your ) \s question ) s? \b
        | \b (?: example | code | snippet | quote | equation | formula | list | link | table | data | numbers? | text | title ) s? \s (?: in | from | of ) \s (?: the | this ) \s question \b
        | \b (?: to \s answer | answering | as \s for | regarding | responding \s to | concerning | re: ) \s (?: your | the | question | q \d ) \s (?: {ORDINAL} | part | \d )
        | (?: ^ | \n | [.!?] \s ) \W* (?: as \s for | for )? \s* (?: the | your )? \s* {ORDINAL} \s question \b
        | \b (?: continue | go | going | continuing ) \s with \s (?: the | your | that ) \s (?: \w+ \s )? example \b
        | \b (?: q \s? \d | questions? \s \#? \d ) \b
        | \b (?: rest | part | parts | half | bit | remainder ) \s of \s (?: the | your? | this ) \s (?: original \s )? question \b
        | \b original \s (?: post | poster | question ) \b
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
