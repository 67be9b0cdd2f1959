"""The phrases that the rules look for, as expressions in English.

Phrases are written in verbose form: spaces in them do not count. Measured on the 400 released Stack Exchange answers (which
the authors filtered before us): the first person is found in 44 (11 %), other answers in 19, the site in 8, holes in 4; read
one by one, nearly all are rightly found.
"""

from __future__ import annotations

import re

from lima.curate.text.blocks import WORDS, Phrases

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
      | [Oo]ur \ (?: university | school | company | department | team | institution | lab | office | brewery | house | shop | project
          | (?: \w+ \ )? (?: teacher | instructor | professor | boss ) s? )
      | (?<! [“"] ) [Ww]e \ (?: sell | used \ to | are \ used \ to | suggest | recommend | taught | bought | use \ [A-Z]\w+
          | (?: \w+ \ ){1,8}? last \ (?: year | term | semester | summer | fall | autumn | winter | spring | week | month ) )
      | (?: [Aa]s \ (?: an? \ )? | [Ii]n \ ) (?: student | kid | child | teenager | undergraduate | college | school | university )s? ,? \ we
      | (?: that \ we | [Ww]e \ (?: don['’]t | do \ not ) ) \ know \ of | [Tt]hey \ (?: gave | told | showed | taught ) \ us | [Ss]ome \ of \ us \ (?: still | do | have )
      | [Hh]ere \ in \ [A-Z]\w+ | (?: coll?eagues? | professors? | teachers? | stores? | shops? | bars? | pubs? | discontinued ) \ (?: around \ )? here (?! \ (?: is | are ) )
      | (?: (?<! [^\n] ) | (?<= [.!?]\ ) ) (?: Found \ (?: this | these | an? | some ) | Can['’]t \ (?: believe | think | remember | recall )
         | Just \ (?: found | tried | bought | got ) | Tried \ (?: this | it | that ) | Wish \ (?: there | it ) )
      | (?: Not \ (?: have | having ) \ any | Not \ (?: \w+ \ )? sure \ (?: if | whether | how | what | why | about | that | where | which | who )
          | Haven['’]t \ (?: tried | used | seen | read | tested ) | Never \ (?: tried | used | heard\ of ) )     # the "I" is left out
      | i (?= ['’] (?: m | ve | d | ll ) \b | \ (?: am | was | have | had | don['’]t | do | can | think | know | believe | guess | would | will | found | use | like ) \b )
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
      | understand | remember | recall | consider | expect | imagine | wonder | found | got | linked | mentioned | cited | quoted | posted | heard
      | bought | built ) \b
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
            "mentioned", "said", "noted", "stated", "pointed", "suggested", "indicated", "commented",
            "explained", "answered", "discussed", "covered",
        ),
        rf"""
        \b as \ (?! you \b ) (?: (?-i: [A-Z] ) \S* \s (?-i: [A-Z] ) \.? \s | \S+ \s )? (?: (?: have | has | was | were | is | are ) \s )? (?: been \s )?
            (?: (?: also | already | previously | correctly | rightly ) \s )? {SAID} \b
        """,
    ),
    (
        ("notes", "mentions", "points", "suggests", "says", "explains", "states", "describes", "recommends"),
        r"""
        \b as \ (?-i: (?! Wikipedia | The\b | A\b | An\b | It\b | This\b | That\b | One\b ) @? [A-Z] | [a-z]+ \d ) [\w.'’-]* \s (?: (?: also | already | correctly | rightly ) \s )?
            (?: notes | mentions | points\ out | suggests | says | explains | states | describes | recommends ) \b
        """,
    ),
    (
        ("answer", "poster", "responder", "repl", "response"),
        r"""
        \b (?= \w ) (?:
            (?: other | another | previous | existing | accepted | earlier | above | preceding | top | same | current | \w+ ['’] s? ) \s
              (?: \w+ \s )? (?: answers? | answerers? | posters? | responders? | repl(?:y|ies) ) \b
          | (?: the | an? ) \s answer \s (?: by | of ) \s (?-i: [A-Z] [a-z] ) | (?: claim | point | statement | idea | code | example | advice ) s? \s in \s the \s answers? \b
          | (?<! final\ ) (?<! right\ ) (?<! correct\ ) (?<! short\ ) (?: answers? | repl(?:y|ies) | responses? ) \s
              (?: above | below | here | already | given\ by | provided\ by | posted | from\ (?-i: @?[A-Z] ) )
          | (?: parallels? | echoe?s? | mirrors? | complements? | repeats? | agrees? \s with ) \s (?-i: [A-Z] ) \S+ (?: \s (?-i: [A-Z] ) \S+ )? \s answer \b
          | (?: these | those | both | all (?: \ of )? (?: \ (?: the | these ) )? | most | some | several | many | two | three ) \s (?: of \s (?: the | these ) \s )? answers \b
          | (?: add | adding | addition | addendum | complement | complementing | supplement ) \s to \s (?: \S+ \s ){0,3} answers? \b
        )
        """,
    ),
    (
        (
            "answered", "mentioned", "pointed", "said", "noted", "suggested", "posted", "discussed", "covered",
            "proposed",
        ),
        r"""
        \b (?: already | previously | earlier | else | been \s well | no \s one | no-one | nobody ) (?: ['’]s | \s has )? \s (?: been \s | yet \s )?
            (?: answered | mentioned | pointed\ out | said | noted | suggested | posted | discussed | covered ) \b
        | \b unmentioned \b | \b (?: not | n['’]t ) \s (?: yet \s )? (?: been \s )? (?: mentioned | suggested | covered | discussed ) \s (?: yet | so \s far | here | above )
        | \b (?: proposed | suggested | mentioned | discussed | said | covered ) \s here \b
        | \b (?: covered | answered | discussed ) \s (?: by | in ) \s (?: other | another ) \s (?: questions? | posts? | threads? )
        """,
    ),
    (("user",), r"\b user \d{3,} \b"),
    (
        ("also", "that"),
        r"""
        \A \W* (?: you | one | we ) \s (?: can | could | may | might ) \s also \b
        | \A \W* that (?: ['’]s | \s is ) \s (?: \w+ly \s )? (?: an? | the ) \s (?: good | great | nice | fine | best | right ) \b
        """,
    ),
    (
        ("what ",),
        r"\b what \s (?-i: (?! I\b | We\b | It\b | The\b | They\b | He\b | She\b | You\b ) [A-Z] ) [\w.-]+ \s (?: said | says | suggested | posted | answered | described | proposed | mentioned ) \b",
    ),
    (
        ("already", "answer"),
        r"\b (?-i: (?! The\b | This\b | That\b | It\b | He\b | She\b | They\b | We\b | You\b | There\b | Who\b | What\b ) [A-Z] ) [\w.-]+ \s (?: has \s )? already \s (?: gave | given | answered | mentioned | covered | explained | pointed | suggested | posted )"
        r" \b | \b (?: gave | given | posted | provided ) \s (?: an? | some ) \s (?: \w+ \s )? (?: good | great | nice | excellent | perfect | complete | detailed ) \s answers? \b",
    ),
    (
        ("answer", "version"),
        r"\A \W* an? \s (?: (?: more | less | slightly ) \s \w+ | simpler | shorter | other | another | better | alternative | alternate | different ) \s (?: \w+ \s )? (?: answer | version ) \b",
    ),
    (
        ("others", "else", "everybody"),
        rf"""
        \b (?: others | everyone\ else | someone\ else | somebody\ else | everybody ) \s (?: here \s )?
            (?: (?: have | has | had ) \s )? (?: (?: already | also ) \s )? (?: {SAID} | explained ) \b
        """,
    ),
    (("@",), r"(?: ^ | [\s(] ) @ [A-Za-z]\w{2,}"),
    (
        ("picking up", "catching up", "following", "building on", "expanding on"),
        r"\b (?: picking\ up | catching\ up | following | building\ on | expanding\ on ) (?: \s on )? \s (?-i: [A-Z] ) \S+ (?: \s \S+ )? \s"
        r" (?: answer | evaluation | idea | suggestion | comment | point | remark | advice ) s? \b",
    ),
    (
        ("'s ", "’s "),
        r"\b [a-z][\w-]*\d ['’]s \s (?: recommendation | suggestion | advice | answer | comment | point | idea | response | post | explanation ) s? \b",
    ),
    (
        ("'s ", "’s "),
        r"\A \W* (?! (?: here | there | that | it | what | let | who | how | where | today | one | he | she ) \b ) (?-i: [A-Z] ) [\w.-]+ ['’]s \s (?: answer | advice | suggestion | solution | comment | response | post | idea | recommendation | explanation | code ) s? \b",
    ),
    (
        ("another", "also", "add", "further", "top", "other", "more", "however", "that said"),
        r"""
        \A [^\w>]* (?: another \s | also \b | to \s add \b (?! \s \w+ \s to \b ) | adding \s to \b | further \s to \b | additionally \b
            | (?: here (?: ['’]s | \s is | \s are ) \s )? (?: another | one | two | three | some | an? \s (?: few | couple ) (?: \s of )? ) \s (?: other | more ) \b
            | here (?: ['’]s | \s is ) \s another \b | however \b | moreover \b | that \s said \b
            | in \s addition \s to \s (?! \w+ing \b ) | on \s top \s of \s (?: that | this | the | what | all ) \b )
        """,
    ),
)  # fmt: skip

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
        | \b (?: in | from | per | to ) \s (?: the | a | your | his | her | their | my | some | other ) \s comments? \b
            (?! \s (?: line | field | block | tag ) )
        | \b comments? \s (?: above | below | section | thread ) \b
        | \b too? \s (?: big | long | large | much ) \s (?: to \s be | for ) \s an? \s comment \b
        """,
    ),
    (
        ("show", "post", "provide", "share"),
        r"\b (?: can | could | would ) \s you \s (?: please \s )? (?: show | post | provide | share ) \s (?: us | me | your | the | some | more ) \b",
    ),
    ((", you", ",you"), r"(?: ^ | \n ) (?-i: [A-Z] [a-z]+ ) , \s* (?: your | you (?: ['’]re | \s are ) ) \b"),
    (("+1",), r"(?: ^ | \n ) \W* \+1 \b"),
    (
        (".se", "m.se", " mo ", " se "),
        r"\b \w+ \.SE \b | \b (?-i: SE ) \s (?: sites? | questions? | network | community | posts? ) \b | \b (?-i: MO ) \b (?= [,.] | \s (?: or | and | post | question | answer ) )",
    ),
    (
        ("your question", "title"),
        r"""
        \b (?: add | edit | update | include | provide | clarify | expand | narrow | rephrase | reword | improve ) \b [^.?!\n]{0,60} \b your \s question \b
        | \b (?: in | of | from | by ) \s (?: the | your ) \s (?: question (?: ['’]s )? \s )? title \b (?! \s (?: of | bar | page | role | block | field ) \b )
        """,
    ),
    (
        ("this post", "this answer", "my answer", "the answer for", "answer of"),
        r"""
        \b this \s (?: post \s (?: answers | is | was | will | does | gives | has | only ) | (?: post | answer ) \s (?: addresses | assumes | covers | focuses ) ) \b
        | \b in \s (?: this \s post | this \s answer | my \s answer ) \b
        | \b (?: see | like | similar \s to | as \s in ) \s (?: the | my | this ) \s answer \s (?: for | of | at ) \s (?-i: [A-Z] )
        """,
    ),
    (("asker",), r"\b (?: the \s asker | the \s question\ asker ) \b"),
    (
        ("tag", "topic", "on here", "for this question", "to post"),
        r"""
        \b as \s tags \s go \b | \b page \s of \s tags \b | \b the \s [\w-]+ \s tag \s (?: suggests | says | implies | indicates ) \b
        | \b o(?:n|ff) [-\s] topic (?: ness \b | \s? ,? \s but \b | \s here \b ) | \b (?: posters? | users? | people | folks | everyone ) \s on \s here \b
        | \b were (?: \s not | n['’]t ) \s for \s this \s question \b | \b (?: any )? way \s to \s post \b
        """,
    ),
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
        \b question ['’]s \s tags? \b | \b question \s (?: is \s | was \s )? tagged \b
        | \b (?: that | another | related | similar | linked | following ) \s (?: question | post ) s? \s
            (?: on | at | from | about | here ) \b
        | \b separate \s question \b
        """,
    ),
    (
        ("closed", "helps"),
        r"\b closed \s as \s (?: an? | the | too | not | off | unclear | dup\w* ) \b | \b hope \s (?: this | that | it ) \s helps \b",
    ),
)

ASKER_OF_SITE = Phrases(
    (
        ("question", "post", "answer", "thread", "topic", "asked", "wiki", "list"),
        r"""
        \b (?: this | my | another | previous | earlier | other | related | sister | similar | following | last | recent | an? \s old ) \s (?: \w+ \s )?
            (?: question | post | thread | answer ) s? \b (?! \s (?: of | to | is \s: ) \b )
        | \b (?: asked | posted | answered | off-topic | on-topic ) \s (?: here | before | elsewhere | on \s (?: this | the ) )
        | \b (?: community | big-list ) \s? -? (?: wiki | list ) \b
        | \b answers? \s (?: so \s far | given | below | already )
        | \b there \s are \s (?: already | other | similar | several | many | some | a \s few ) \s (?: [\w-]+ \s ){0,3} (?: questions | posts | threads ) \b
        | \b (?: came \s across | saw | read | reading | perusing ) \s an? \s (?: \w+ \s )? (?: answer | question | post | comment ) \b
        """,
    ),
    (("inspired", "prompted", "motivated"), r"\b (?: inspired | prompted | motivated ) \s by \b"),
    (("edit", "update"), r"(?: ^ | \n ) \W* (?-i: EDIT | UPDATE | Edit | Update ) \b (?! \s the \b )"),
    (
        ("community", "tag"),
        r"\b (?: hear | ask ) \s (?: from \s )? (?: the | this ) \s community \b | \b (?: popular | common | used ) \s tag \b",
    ),
    (("@",), r"(?: ^ | [\s(] ) @ [A-Za-z]\w{2,}"),
)
"""Words of a question that is about other posts."""

META_STRONG = re.compile(
    r"""
    \b (?: tags? | tagged | tagging | retag\w* | flags? | flagged | flagging | moderators? | mods? | badges? | reputation | rep | on-?\s?topic | off-?\s?topic
      | (?: up | down )?-?votes? | voted | voting | re-?open\w* | on\ hold | close \s reasons? | closed\ as | migrat\w+ | cross-?\s?post\w* | meta | SE | FAQ | help\ cent(?:er|re)
      | beta | review\ queues? | nominat\w+ | sock\s?puppets? | main\ site | (?-i: us ) | log (?: ged | ging )? \s? (?: in | out ) | (?: the | our | this | other ) \s sites? | community\ wiki | close-?worthy | domain\ names? | hats ) \b
    """,
    WORDS,
)
META_WEAK = re.compile(
    r"""
    \b (?: questions? | answers? | answered | answering | posts? | posted | posting | users? | members? | sites? | edits? | edited | editing | comments? | commented
      | community | topics? | profiles? | close | closed | closing | delet\w+ | duplicates? | accept\w* | asked | asking | OP | chat | ask | we | our ) \b
    """,
    WORDS,
)
"""Words about a site, which on its meta site are what a text is about; the first say more than the second."""

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
        r"\b click (?: ing )? \b [^.]{0,40} \b link (?: ed | s )? \b | \b linked \s (?: above | below | to \s (?: above | below | here | in | by ) ) \b",
    ),
    (
        ("article", "paper", "post", "page", "video", "study"),
        r"\b that \s (?: (?-i: [A-Z] ) [\w.'’-]+ \s ){1,4} (?: article | paper | post | page | video | study ) \b",
    ),
    (
        ("following", "above"),
        r"""
        \b (?: see | check | check\ out | read | visit ) \s the\ following \b [^:\n]* (?: [.!] | $ )
        | \b (?: in | from ) \s the\ following \s (?: \w+ \s )? (?: article | paper | page | post | video | book ) s? \b (?! [^.\n]* : )
        | \b (?: from | in | of ) \s the\ above \s (?: paper | article | link | page | video | study | book | post ) s? \b
        """,
    ),
    (
        ("from the", "according to the", "as per the", "quoting the"),
        r"\A \W* (?: from | according \s to | as \s per | quoting ) \s the \s (?: article | paper | page | link | website | study | blog ) \s? [:,]",
    ),
    (PICTURE_NEEDLES, rf"[(] \s? see \s (?: the \s )? {PICTURE} (?: \s (?: above | below ) )? \s? [)]"),
    (("following", "attached"), rf"\b (?: following | attached ) \s {PICTURE} \b"),
    (("attached",), r"(?: ^ | \n | [.!?] \s ) attached \s (?: is | are ) \b"),
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
