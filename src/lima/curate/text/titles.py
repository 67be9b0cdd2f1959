"""The titles of questions: which ask for something, and which point outside themselves, as expressions.

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
