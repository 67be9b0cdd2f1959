"""What forum posts say besides their text (closings, labels of edits, praise of the question) and of what is gone, as expressions."""

from __future__ import annotations

import re

from lima.curate.text.blocks import WORDS, Phrases
from lima.curate.text.phrases import PICTURE, PICTURE_NEEDLES

CLOSING = "closing formula"
EDIT_LABEL = "label of an edit"
EMPHASIS = "remark about emphasis"
REFERENCE = "mark of a reference that is gone"
REMARK_AT_START = "remark about the question"
REPEATED = "repeated question"
QUESTION_BACK = "question back to the asker"
"""Names of the steps of `clean` that take them out."""

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
OF_THE_QUESTION = re.compile(
    r"\W*(?:(?:well|wow|yes),? )?(?:(?:what|that['’]s|that is|this is|it['’]s|it is) )?(?:an? )?(?:really |very |pretty )?"
    r"(?:strange|good|great|interesting|excellent|nice|reasonable|valid|fair|legitimate|important|broad|tough|tricky|fun|odd|funny|hard|difficult) question"
    r"(?:(?: about| for| on| of)\b[^.!?:,\n]{0,60}|,? (?:but|and) here goes|,? thanks[^.!?:,\n]{0,30})?[.!:]+(?:\s+|\Z)",
    re.IGNORECASE,
)
"""An opening that praises or criticises the question."""
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
"""A longer sentence is no formula."""
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
"""First characters of a label, or of the marks before it."""
CAPTION_WORDS_MAX = 6
GOES_ON = re.compile(
    r"\W*(?:however|but|therefore|hence|thus|so|moreover|instead|nevertheless|otherwise|then)\b",
    re.IGNORECASE,
)
"""Words that continue something: no text begins with them."""
OF_IMAGE = re.compile(
    r"\W*(?:this|these|that|those|here|above|the above|as you can see|note how|notice|it(?:['’]s| is| was| shows))\b",
    re.IGNORECASE,
)
"""The beginning of a block about the image before it."""
BREAKS_OFF = re.compile(r"\b(?:of|the|an?|and|or|which|than|if|because|lists|includes)\Z")
"""Words that end no sentence."""
LAST_WORD_MAX = 10
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
