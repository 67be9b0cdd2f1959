"""How links and sentences send their reader elsewhere, as expressions; and the marks for what was removed from a line."""

from __future__ import annotations

import re

BREAK, GONE, GONE_END, POINT, LINK, CODE, IMAGE, BEGIN = "\0", "\1", "\2", "\3", "\4", "\5", "\6", "\7"
"""Marks in a line, control characters that no text holds: a line break; an address, between two marks; the end of a
link whose name says nothing ("here"); the end of another link; inline code, kept elsewhere; an image; the beginning of a link."""
EVERY_MARK = (BREAK, GONE, GONE_END, POINT, LINK, CODE, IMAGE, BEGIN)
CONTROL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
ZERO_WIDTH = re.compile("[\u200b\u2060\ufeff]")
"""What nobody sees in prose."""
MARKS = re.compile(f"[{GONE}{GONE_END}{POINT}{LINK}{IMAGE}{BEGIN}]")

STOP = re.compile(rf"""[.!?…]["'”’)\]{LINK}]*+ ++(?={BEGIN}?["'“‘(\[*]?{BEGIN}?[A-Z0-9{CODE}{GONE}])|\n""")
ABBREVIATION = re.compile(
    r"\b(?:e\.g|i\.e|etc|cf|vs|dr|mr|mrs|ms|prof|st|no|fig|al|approx|ca|pp?|vol|eds?|resp|(?-i:(?<![/.\w])[A-Z]))\.\Z",
    re.IGNORECASE,
)
"""Where a sentence ends, and where it only seems to."""

ADDRESS = "bare address"
POINTER = "sentence that points to an address"
POINTING_WORDS_MAX = 30
ORIGIN_WORDS_MAX = 12
BARE_WORDS_MAX = 4
"""A sentence of at most this many words says nothing without its address: "Full article here"."""
LED_WORDS_MAX = 6
"""A longer sentence before a colon does more than name the source of the next block."""
KEPT_WORDS_MIN = 3
"""What is left of a cut sentence needs this many words."""
TOKEN = re.compile(r"\w+(?:['’.-]\w+)*")
ENDED = re.compile(r"""[.!?…]["'”’)\]]*\s*\Z""")
NAMING_LENGTH_MAX = 120
"""Characters around the names of links."""
HEADLINE_SHARE = 0.8
NAME_WORDS_MAX = 5
"""A longer name of a link may be a sentence that says something."""
ANNOUNCEMENT = "announcement of an address"
LINK_LIST = "list of links"
POINTER_TO_LINK = "sentence that points to a link"
SOURCE_NAME = "line that names a source"
LEAD_WORDS_MAX = 6
SOURCE_LABEL = re.compile(r"\W*sources?:", re.IGNORECASE)
SOURCE_WORDS_MAX = 3
NAMED_WORDS_MAX = 12
"""A longer name of a link may be a sentence."""
LISTED_SHARE = 0.4
"""From this share of link names on, an item belongs to a list of links."""

DOCUMENT = (
    r"(?: link | page | (?: web )? site | article | post | paper | study | studies | book | blog | video | question | answer | thread | table | image | picture"
    r" | photo | chart | list | tutorial | guide | example | discussion | report | document | file | tool | project | library | code | script | map | graph"
    r" | excerpt | quote | slide | talk | wiki | comment | review | course | lecture | story | survey | diagram | plot | entry | manual | repo (?: sitory )? | gist | overview | primer ) s?"
)
POINTER_NAME = re.compile(
    rf"""
    (?: (?: click | see | look | read | more | found | available | get | try | .*? \s ) \s? here | here
      | (?: (?: in | from | see | at | on | by | as\ in | according\ to | like ) \s )? (?: this | that | these | those | the\ following )
        (?: (?: \s [\w'’-]+ ){{0,3}} \s (?: {DOCUMENT} | ones? | (?: {DOCUMENT} ) \s [\w'’-]+ ) )?
      | (?: this | these | that | those ) \s (?: {DOCUMENT} \s )? (?: with | in | on | by | for | from | at | of | about ) \s .*
      | this \s is \s (?: an? | the ) \s .* | (?: \w+ \s )? links? | (?: .* \s )? (?: this | following ) \s (?: link | page | site | article | post | one ) s?
    ) [.!:,]?
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""Link names that mean nothing once the address is gone."""
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
"""A clause that is complete without what its colon announces."""
UNFINISHED = re.compile(
    r"""
    (?: \b (?: is | are | was | were | be | been | found | find | located | available | hosted | look | go | visit | read | refer
      | called | named | like | as | of | the | a | an | and | or | with | that | this | these | which | has | have | get | see | at
      | to | for | from | by | on | in | than | if | when | because | shown | described | explained | listed | here | article | link | page ) | [,;:(–—-] ) \s* $
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""The end of a sentence that is incomplete."""
CONNECTIVE = r"\W*+ (?: (?: and | but | so | also | anyway | finally | similarly | alternatively ) ,? \s+ )?"
YOU_CAN = r"(?: you | one ) (?: \ (?: can | may | could | might | should | will ) | ['’]ll ) (?: \ \w+ly | \ also )? \s+"
HELPFUL = (
    rf"(?: this | these | the\ following ) \s (?: [\w'’-]+ \s ){{0,3}} {DOCUMENT} \s (?: may | might | should | could | can | will ) \s (?: also \s )?"
    r" (?: help | give | be | explain | provide | get )"
)
"""The beginning of a sentence that recommends a document."""
POINTING = re.compile(
    rf"""
    ^ {CONNECTIVE}
    (?:
        (?: {YOU_CAN}
          | please \s+ | just \s+ | (?: it\ is | it['’]s | is ) \ worth \s+ | if\ (?: you | anyone ) \b [^,]{{0,60}}? ,? \s+ (?: you\ can \s+ )? )?
        (?: see | cf | check (?: ing )? | visit (?: ing )? | read (?: ing )? | refer | look | find | consult | browse | watch
          | have\ (?: a\ )? look | take\ (?: a\ )? look | learn\ more | view ) \b
      | for \b [^.,]{{0,80}} , \ (?: see | check\ out | visit | read | refer\ to | have\ a\ look | take\ a\ look | you\ can ) \b
      | for \ (?: more (?! \ \w+ ,? \ (?: it | use | add | you\ (?! can | may | could | might | should | want ) ) \b ) | further | future | additional | full | detail\w* | reference | info\w* | background | tons ) \b
      | more \s (?: here | at | on | about | in ) \b
      | (?: more | further | additional | full | detailed | complete | other | some ) \s (?: \w+ \s ){{0,2}}
        (?: info\w* | details? | reading | explanations? | discussion | documentation | examples? | resources | background ) \b
      | (?: here | there ) (?: ['’]s | \ is | \ are ) \b .{{0,60}} \b (?: article | page | post | paper | tutorial | blog | video | book
          | discussion | documentation | guide | thread | wiki \w* | (?: web )? site | links? | list | reference | source | example | info\w*
          | explanation | implementation | question | answer | study | survey | talk | report | slides | code | work | research | literature ) s? \b
      | {HELPFUL} \b
      | [^,;:]{{0,80}} \b (?: (?: can | may | could ) \ be \ (?: found | download (?:ed)? | seen | read | viewed | obtained )
          | (?: is | are ) \ (?: also\ )? (?: available | described | explained | documented | introduced | covered ) ) \b
      | .{{1,60}} \b if \ (?: you | anyone ) (?: ['’]re | \ are | \ is )? \ (?: (?: want | need | would\ like | like | wish | care ) s? \ (?: to \ (?: read | see | know | learn | look | check | dig | explore | find\ out ) | more ) | interested | curious ) \b
      | (?: this | that | it | these | they ) (?: ['’]s | \ is | \ are | \ was | \ were ) \ (?: \w+ \ )?
        (?: described | explained | documented | discussed | covered | detailed | mentioned | shown | available ) \b
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""The beginning of a sentence that only sends its reader elsewhere."""
FURTHER = re.compile(
    r"\bfor (?:further|more|additional) (?:reading|info\w*|details?|\w+)\W*\Z", re.IGNORECASE
)
"""The end of such a sentence."""
ORIGIN = re.compile(
    r"\W*+(?:sources?|sourced|references?|links?|via|from|taken|quoted|adapted|excerpt\w*|credits?|cite[sd]?|citation|original|courtesy|image"
    r"|photo|picture|related)\b",
    re.IGNORECASE,
)
"""The beginning of a short line that names a source."""
BACK = re.compile(
    r"\W*(?:(?:though|although|while|but|and|so|if|as|because|since|however)\W+)?(?:then|it(?! (?:is|was) (?:also )?(?:\w+ly )?(?:important|worth|possible|clear|true|hard|easy|interesting|necessary|useful|common|likely|difficult|best) (?:\w+ )?(?:to|that|whether|how|noting)\b)|its|they|their|this|these|that|those|there|he|she|his|her|here|both|except|otherwise)\b",
    re.IGNORECASE,
)
"""The beginning of a sentence that depends on the one before."""
SENDING = re.compile(
    rf"""
    {CONNECTIVE}
    (?: (?: {YOU_CAN}
          | please \s+ | (?: it\ is | it['’]s | is ) \ worth \s+ | for \b [^.,]{{0,80}} , \s+ (?: you\ can \s+ )?
          | if\ (?: you | anyone ) \b [^,]{{0,40}}? \b (?: more | further | details? | interested | curious ) \b [^,]{{0,30}}? ,? \s+ (?: you\ can \s+ )? )?
        (?: (?: see | cf | refer | consult | learn\ more | read \ (?: more | about | up ) ) \b
          | (?: have\ (?: a\ )? look | take\ (?: a\ )? look | check\ out | visit | check ) \b (?= .* \b (?: {DOCUMENT} | (?: for | to ) \s (?: more | further | details? | learn | info\w* ) ) \b ) )
      | {HELPFUL} \b | for \ (?: an? \ )? (?: more | further | future | additional | full | detail\w* | info\w* | interesting ) \b
      | more \s (?: here | at | on | about | in ) \b | (?: lots | plenty ) \s of \s (?: discussion | info\w* ) \b
      | (?: more | further | additional ) \s (?: \w+ \s ){{0,2}} (?: info\w* | details? | readings? | explanations? | documentation | resources | background ) \b )
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""The beginning of a sentence that only sends its reader elsewhere, anywhere in a text; `POINTING`, for its end, has more forms."""
WRITING = r"(?: guide | article | overview | write-?up | tutorial | blog | post | introduction | explanation | discussion | video | paper | survey | talk | thread | book | page | reference | website | example ) s?"
PRAISING = (
    r"[^,;:]{1,60}? \s (?: is | are ) \s (?: an? \s )? (?: \w+ \s )? (?: great | good | excellent | wonderful | useful | nice ) \s"
    r" (?: resources? | references? | reads? | overview | place \s to \s start ) \b [^,;:]{0,40}"
)
PRAISE = re.compile(PRAISING, re.VERBOSE | re.IGNORECASE)
"""A sentence that praises a source without saying what is in it."""
TELLS_WHERE = re.compile(
    rf"""
    (?: [^,;:]{{1,80}}? \s (?: has | have | gives? | offers? | provides? ) \s (?: an? | some | several )
        | (?: there | here ) (?: ['’]s | \ is | \ are ) \s (?: (?: also | quite ) \s )? (?: an? | some | several | many | lots \s of ) (?: \s (?: number | few ) (?: \s of )? )? )
      \s (?: [\w'’-]+ \s ){{0,3}}? {WRITING} (?: \s (?: on | about | of | for | regarding | by | from | at | in | titled | called | \w+ing ) \b [^,;:]* | \W* ) \Z
    | here (?: ['’]s | \ is | \ are ) \s (?: (?: an? | some | several ) \s )? (?: examples? \s of \s )? (?: \w+ \s ){{0,3}} (?: work | research | stud(?:y|ies) ) \b [^:]* \Z
    | {PRAISING} \Z
    | (?: this | these | the ) \b [^,;:]{{1,90}}? \s (?: has | have | gives? | contains? | goes \s into ) \s [^,;:]{{0,20}}? (?: details | specifics ) \b [^,;:]{{0,40}} \Z
    | [^,;:]{{1,80}}? \s (?: answers? | explains? | discusses | covers? ) \s (?: this | it ) \b [^,;:]{{0,30}} \s in \s (?: an? | this | his | her | their ) \s (?: \w+ \s ){{0,2}}? {WRITING} \W* \Z
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""A whole sentence that says where to read about something, and nothing else: "The Times has a good article on rivers."."""
FOR_READERS = re.compile(
    r"\b(?:articles?|papers?|pages?|posts?|blogs?|videos?|threads?|links?|interested|interest|curious|(?:described|published|explained) in)\b",
    re.IGNORECASE,
)
"""Words before a headline that is not part of the answer."""
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
"""The words around link names in a sentence that only gives a source or further reading."""
DOMAINS = (".com", ".org", ".info", ".edu")
DOMAIN = re.compile(r"(?<![@/\w])[a-z][\w-]+\.(?:com|org|info|edu)\b(?![/\w])")
"""An address that is no link: "More at bjcp.org."."""
REMAINS = re.compile(HOLE, re.VERBOSE)
SPACE_AT_IMAGE = re.compile(f" ?{IMAGE}(?=[ ,.;:!?)\n]|$)")
SPACE_BEFORE_STOP = re.compile(rf"[ ]*+({REMAINS.pattern})[ ]*+(?=[,.;:!?)])", re.VERBOSE)
LEAD_IN = re.compile(
    r"""
    \W* (?: (?: here | these | those | this ) (?: ['’]s | \ is | \ are )? \ )? (?: some | the | a | few | other | more | useful | good | further
          | additional | external | interesting | my | also | and | \s )*
    (?: see | more | further | additional | other | external | useful | sources? | sourced | references? | links? | related | resources? | readings? | info(?:rmation)? | details? | via | from
      | taken | quoted | credits? | citations? | bibliography | check | read | look | visit | websites? | sites? | articles? | pages?
      | papers? | tutorials? | videos? ) \b [^.!?]*+ \W*+
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""A short line that announces addresses and nothing else."""
REMARK_WITH_LINK = re.compile(
    rf"\s*\((?:see|cf\.?|read|source:?|via)\b[^(){LINK}{GONE}]{{0,80}}{LINK}[^(){GONE}]{{0,120}}\)",
    re.IGNORECASE,
)
"""A remark in brackets that only names a link: "(see the Times' page on rivers)"."""
ABOUT_LINK = re.compile(
    r"\s?[\[(](?:pdf|youtube|source|links?|paywall(?:ed)?|free!?|free (?:to )?download|pdf [^()]{0,25}|warning:? [^()]{0,40}|link [^()]{0,40}"
    r"|(?:see|cf\.?|read) (?:the|this|his|her|their) (?:paper|article|link|page|source|video|docs?|documentation)\b[^()]{0,60})[\])]",
    re.IGNORECASE,
)
"""A remark in brackets about what a link leads to: "(PDF)", "(warning: long)"."""
DISCUSSED = ("discussed", "described", "explained", "mentioned", "noted", "outlined")
AS_DISCUSSED = re.compile(
    rf"(?<=[\w)\"”]),?\s+as (?:{'|'.join(DISCUSSED)}) (?:in|at|by) {BEGIN}[^{BEGIN}{LINK}{GONE}]{{1,100}}{LINK}(?=[\s.,;)]|\Z)"
)
"""An aside that only names a link: ", as discussed in Why is rain wet?"."""
CREDIT = re.compile(
    rf"(?<=[.!?\"”’'])\s*(?:[-–—~]+\s*{BEGIN}[A-Z][^{BEGIN}{LINK}{GONE}]{{1,100}}{LINK}|[(\[]{BEGIN}[A-Z][^{BEGIN}{LINK}{GONE}]{{1,100}}{LINK}[)\]])[.\s]*\Z"
)
"""A source behind a quotation: "- The Times", "(Wikipedia)"."""
OF_DOCUMENTS = re.compile(
    r"\b(?:articles|papers|books|posts|blogs|videos|tutorials|resources|links|websites|publications|guides|courses|talks)\b",
    re.IGNORECASE,
)
SEE_AT_END = re.compile(r"(?<=[\w)\"”]),? (?:for example |e\.g\. )?see(?: also)?:\Z")
"""Words that announce links behind a complete sentence: "It is a test (or more), see:"."""
