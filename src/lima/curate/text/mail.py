"""What one person wrote in a mail -> that alone: quoted threads, signatures, disclaimers and greetings are cut.

mail-parser-reply knows how mail clients of a dozen languages introduce what they quote; the cuts are whole lines of the
original text, so that nothing else changes. Each cut has a name, for ``meta.transforms`` and the review.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache

from lima.curate.text import mail_forms as forms
from lima.records import Cut

QUOTED, SIGNATURE, DISCLAIMER, GREETING = "quoted mail", "signature", "disclaimer", "greeting"
COMMENT = "head of a comment"


@dataclass(frozen=True)
class Mail:
    """One message."""

    text: str
    """What its writer wrote, its lines as they were."""
    cuts: tuple[str, ...]
    """What was cut, each kind once, in the order of the text."""
    quoted: str = ""
    """The thread below, with its heads and marks: what a reply answers."""
    interleaved: bool = False
    """Whether it answered quoted lines one by one, so that what is left says little without them."""


def own_words(text: str, *, bare_quotes: bool = False, writer: str = "") -> Mail:
    """The message without what others wrote, and without greeting, signature and disclaimer.

    Args:
        text: the body of a mail or a ticket, plain text.
        bare_quotes: cut lines that begin with ``>`` wherever they stand; a forum's answers have such lines of their own.
        writer: who wrote it: a last line of that name alone is a signature.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n").split("\n")
    head = forms.COMMENT_HEAD.match(lines[0])
    lines[0] = lines[0][head.end() if head else 0 :]
    of_desk: list[str] = []
    if forms.REPLY_ABOVE.match(lines[0]):  # a help desk's own mail: its words stand below
        lines, of_desk = _of_desk(lines[1:])
    shown = _without_code(lines)
    end = min(_thread(shown), _thread_of_parser(shown))
    cuts = [QUOTED] if _said(lines[end:]) or of_desk else []
    below = end + _below(lines[end:])
    kept, quoted, after = lines[:end], lines[end:below], lines[below:]
    kept += after[1:] if kept and not kept[-1].strip() else after
    interleaved = bare_quotes and _is_interleaved(kept)
    if bare_quotes and any(line.lstrip().startswith(">") for line in kept):
        kept = [
            line
            for place, line in enumerate(kept)
            if not line.lstrip().startswith(">") and not _introduces_quote(kept[place : place + 3])
        ]
        cuts = [QUOTED]
    kept, more = _without_trimmings(kept, writer)
    if head:
        more = [COMMENT, *more]
    below_it = "\n".join([*quoted, *of_desk]).strip()
    return Mail("\n".join(kept).strip("\n").rstrip(), (*more, *cuts), below_it, interleaved)


def cuts_of(text: str, mail: Mail, turn: int) -> list[Cut]:
    """What `own_words` took out of a text, each passage with its place in what is left."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    before, after = [row.rstrip() for row in plain.split("\n")], mail.text.strip().split("\n")
    begins = after[0].rstrip()[1:]  # without its first letter, which may have become a capital
    first = next((place for place, row in enumerate(before) if row.endswith(begins)), len(before) - 1)
    whole = before[first].strip() == after[0].strip()
    parts = [(0, before[: first if whole else first + 1], [] if whole else after[:1])]
    rest = SequenceMatcher(None, before[first + 1 :], after[1:], autojunk=False).get_opcodes()
    for how, begin, end, line, until in rest:
        if how != "equal":
            parts.append((line + 1, before[first + 1 :][begin:end], after[1:][line:until]))
    found: list[Cut] = []
    for line, lines, instead in parts:
        if any(row.strip() for row in lines):
            named = [name for name in mail.cuts if (name in (GREETING, COMMENT)) == (line == 0)]
            found.append(
                Cut(
                    turn=turn,
                    line=line,
                    text="\n".join(lines),
                    instead="\n".join(instead),
                    name=", ".join(named or mail.cuts),
                )
            )
    return found


def _of_desk(lines: list[str]) -> tuple[list[str], list[str]]:
    """The newest words in a help desk's notification, and what stands below them: blocks of a ruler, a name, a time, words."""
    heads = [
        (place, below)
        for place, line in enumerate(lines)
        if forms.DESK_RULER.match(line) and (below := _below_head(lines, place))
    ]
    if not heads:
        return lines, []
    end = next(
        (place for place, line in enumerate(lines) if place > heads[0][1] and forms.DESK_RULER.match(line)),
        len(lines),
    )
    return lines[heads[0][1] : end], [line for line in lines[end:] if not forms.DESK_RULER.match(line)]


def _below_head(lines: Sequence[str], ruler: int) -> int | None:
    """The place below a ruler's name and time; None where neither follows."""
    said = [place for place in range(ruler + 1, min(ruler + 6, len(lines))) if lines[place].strip()][:2]
    return next(
        (place + 1 for place in said if len(lines[place]) < 80 and forms.DESK_TIME.search(lines[place])), None
    )


def _is_interleaved(lines: Sequence[str]) -> bool:
    """Whether words of the writer's own stand below two or more quotations.

    Clients break long lines of a quotation: what stands right below a line that ends in no sentence may be the rest of it.
    """
    said = [(place, line.strip()) for place, line in enumerate(lines) if line.strip()]
    answered = [
        (place, line)
        for (place, line), (below, words) in itertools.pairwise(said)
        if line.startswith(">") and not words.startswith(">")
        if below > place + 1 or line.endswith((".", "?", "!", ":", ">"))
    ]
    return len(answered) > 1


def _below(quoted: Sequence[str]) -> int:
    """Where a writer goes on below a quotation whose every line is marked; the number of lines where nobody does.

    A blank line parts the two: clients break long lines of a quotation, and what they break off has no mark.
    """
    marked = [place for place, line in enumerate(quoted) if line.lstrip().startswith(">")]
    if not marked or any(
        line.strip() for line in quoted[marked[0] : marked[-1]] if not line.lstrip().startswith(">")
    ):
        return len(quoted)
    below = marked[-1] + 1
    goes_on = below < len(quoted) and not quoted[below].strip() and _said(quoted[below:])
    return below if goes_on else len(quoted)


def _introduces_quote(lines: Sequence[str]) -> bool:
    """Whether the first line says whose words the marked lines right below it are."""
    below = next((line for line in lines[1:] if line.strip()), "")
    return below.lstrip().startswith(">") and bool(forms.INTRODUCTION.match(lines[0]))


def acknowledgement(text: str) -> str | None:
    """The words in which a short text promises an answer or says that its writer is away; None if it is an answer itself."""
    if len(text) >= forms.AUTOMATIC_CHARACTERS:
        return None
    found = forms.AUTOMATIC.search(text) or (_only_promises(text) and forms.PROMISED.search(text))
    return found[0] if found else None


def _only_promises(text: str) -> bool:
    """Whether a text thanks for a message, promises an answer, and says hardly anything else."""
    sentences = re.split(r"(?<=[.!?;])\s+|\n+", text)
    if not (forms.THANKED.search(text) and any(_promises(one) for one in sentences)):
        return False
    others = [one for one in sentences if not _is_formula(one)]
    return sum(len(one.split()) for one in others) <= forms.OTHER_WORDS


def _promises(sentence: str) -> bool:
    return bool(forms.PROMISED.search(sentence) and forms.OURS.search(sentence))


def _is_formula(sentence: str) -> bool:
    """A long sentence says more than that."""
    if len(sentence.split()) > forms.FORMULA_WORDS:
        return False
    return bool(_promises(sentence) or forms.THANKED.search(sentence) or forms.NUMBERED.search(sentence))


def _without_code(lines: Sequence[str]) -> list[str]:
    """The lines with those of code blocks made unlike anything of a mail; a block that is not closed is none."""
    fences = [place for place, line in enumerate(lines) if line.lstrip().startswith("```")]
    found = list(lines)
    for begin, end in zip(fences[::2], fences[1::2], strict=False):
        found[begin : end + 1] = [forms.CODE_LINE] * (end + 1 - begin)
    return found


def _thread(lines: Sequence[str]) -> int:
    """The first line of what is quoted below; the number of lines where nothing is."""
    for place, line in enumerate(lines):
        if forms.SEPARATOR.match(line):
            return place
        joined = " ".join(
            [line, *lines[place + 1 : place + 3]]
        )  # clients break a long introduction over lines
        begins = forms.INTRODUCTION.match(line) or (forms.BEGINNING.match(line) and _introduces(joined))
        if begins and (_said(lines[:place]) or _below(lines[place:]) < len(lines) - place):
            return place
        if forms.FIELD.match(line) and _is_head(lines[place : place + 5]) and _said(lines[:place]):
            return _above(lines, place)
    return len(lines)


def _above(lines: Sequence[str], place: int) -> int:
    """The line that announces a quoted head, such as ``Forwarded message:``, goes with it."""
    before = place - 1
    while before > 0 and not lines[before].strip(" >"):
        before -= 1
    announced = forms.ANNOUNCEMENT.match(lines[before]) or forms.RULER.match(lines[before])
    announces = before > 0 and announced and _said(lines[:before])
    return before if announces else place


def _introduces(text: str) -> bool:
    """Whether a text of up to three lines begins with an introduction, whatever comes after its colon."""
    head, colon, _ = text.partition(": " if ": " in text else ":")
    return bool(colon and forms.INTRODUCTION.match(head + ":")) or bool(
        forms.INTRODUCTION.match(text.rstrip())
    )


def _is_head(lines: Sequence[str]) -> bool:
    """Whether these lines head a mail: a sender and another field, one of them a mail's alone or with an address."""
    fields = [line for line in lines if forms.FIELD.match(line)]
    of_mail = any("@" in line or forms.OF_MAIL.match(line) for line in fields)
    return len(fields) > 1 and of_mail and any(map(forms.SENDER.match, fields))


def _thread_of_parser(lines: Sequence[str]) -> int:
    """Where mail-parser-reply sees the first older message begin; it knows more clients than the rules above."""
    from mailparser_reply import EmailMessage

    lines = [
        re.sub(r"[ \t>]{20,}", lambda run: " >"[">" in run[0]], line) for line in lines
    ]  # it is slow there
    text = "\n".join(lines)
    if "@" not in text and ":" not in text:
        return len(lines)
    replies = EmailMessage(text=text, languages=list(_languages()), keep_hyphen_lists=True).read().replies
    if len(replies) < 2 or not replies[0].content:
        return len(lines)
    wanted = [line.strip() for line in replies[1].content.split("\n") if line.strip()][:2]
    for place, line in enumerate(lines):
        below = [other.strip() for other in lines[place : place + 6] if other.strip()]
        if below[: len(wanted)] == wanted and line.strip() and _said(lines[:place]):
            fields_of_no_mail = forms.FIELD.match(line) and not _is_head(lines[place : place + 5])
            return len(lines) if fields_of_no_mail else place
    return len(lines)


@cache
def _languages() -> tuple[str, ...]:
    from mailparser_reply.constants import MAIL_LANGUAGES

    return tuple(name for name in MAIL_LANGUAGES if name != "david")  # a pattern for one person's mails


def _without_trimmings(lines: list[str], writer: str = "") -> tuple[list[str], list[str]]:
    """Signature, disclaimer and greeting cut, from the outside in."""
    cuts: list[str] = []
    for name, find in ((DISCLAIMER, _disclaimer), (SIGNATURE, _signature)):
        end = find(_without_code(lines))
        if end < len(lines) and _said(lines[:end]):
            lines = lines[:end]
            cuts.append(name)
    last = next((place for place in reversed(range(len(lines))) if lines[place].strip()), 0)
    if last and _is_name(lines[last], writer):
        lines = lines[:last]
        cuts = [*(cut for cut in cuts if cut != SIGNATURE), SIGNATURE]
    first = next((place for place, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return lines, cuts[::-1]
    if forms.HELLO.match(lines[first]) and _said(lines[first + 1 :]) and not _speaks_of_hello(lines[first:]):
        comma = lines[first].rstrip().endswith(",")
        lines = lines[first + 1 :]
        return _capitalised(lines) if comma else lines, [*cuts, GREETING][::-1]
    if hello := forms.OPENING_HELLO.match(lines[first]):
        lines = _capitalised([lines[first][hello.end() :], *lines[first + 1 :]])
        cuts.append(GREETING)
    return lines, cuts[::-1]


def _speaks_of_hello(lines: Sequence[str]) -> bool:
    """Whether a greeting is the first word of the sentence that goes on below it."""
    below = next((line.lstrip() for line in lines[1:] if line.strip()), "")
    return bool(forms.BARE_HELLO.match(lines[0])) and below[:1].islower()


def _is_name(line: str, writer: str) -> bool:
    """Whether a line is (a part of) the writer's name alone."""
    words = re.findall(r"[^\W\d_]+", line.casefold())
    return bool(words) and set(words) <= set(re.findall(r"[^\W\d_]+", writer.casefold()))


def _capitalised(lines: list[str]) -> list[str]:
    """The first sentence with a capital: after a greeting's comma it may begin without one."""
    first = next((place for place, line in enumerate(lines) if line.strip()), None)
    if first is None or not re.match(
        r"[^\W\d_](?:[^\W\d_A-Z]|\b)", lines[first]
    ):  # iPhone stays, as does what is indented
        return lines
    return [*lines[:first], lines[first][0].upper() + lines[first][1:], *lines[first + 1 :]]


def _disclaimer(lines: Sequence[str]) -> int:
    return next(
        (place for place, line in enumerate(lines) if place and forms.DISCLAIMERS.match(line)), len(lines)
    )


def _signature(lines: Sequence[str]) -> int:
    """Two dashes or a closing line with little below it, or a device's line at the end."""
    end = len(lines)
    for place in range(max(1, len(lines) - forms.LONGEST_SIGNATURE - 1), len(lines)):
        if forms.DEVICE.match(lines[place]) and not _said(lines[place + 1 :]):
            end = min(end, place)
        if forms.DASHES.match(lines[place]) and all(len(line) < 80 for line in lines[place + 1 :]):
            end = min(end, place)
        if forms.CLOSING.match(lines[place]) and _closes(lines, place) and _is_signature(lines[place + 1 :]):
            end = min(end, place)
    return end


def _closes(lines: Sequence[str], place: int) -> bool:
    """Whether a closing line stands below a letter: not what a colon announces, nor the last word of a list."""
    above = lines[place - 1].rstrip()
    if above.endswith(":"):  # "In German you say:"
        return False
    if forms.LG_NAMES.match(lines[place]):
        return any(map(forms.GERMAN.search, lines[:place]))
    if not forms.DOUBTFUL_CLOSING.match(lines[place]):
        return True
    said = next((line for line in reversed(lines[:place]) if line.strip()), "")
    apart = not above or above.endswith((".", "!", "?", ")"))
    words = len(said.split())
    return words >= forms.PROSE_WORDS or (apart and (words > 1 or _said(lines[place + 1 :])))


def _is_signature(lines: Sequence[str]) -> bool:
    """Short lines, none of which is a sentence."""
    said = [line.strip() for line in lines if line.strip()]
    return all(len(line) < 60 and not _is_sentence(line) for line in said)


def _is_sentence(line: str) -> bool:
    """Ends like one; below five words a point may be that of ``Example Inc.``"""
    return line.endswith(("?", "!")) or (line.endswith(".") and len(line.split()) > 4)


def _said(lines: Sequence[str]) -> bool:
    return any(line.strip(" >\t") for line in lines)


def messages_below(quoted: str) -> Iterator[str]:
    """The words of the older messages in a quoted thread, newest first, without marks and heads."""
    unmarked = [re.sub(r"^\s*(?:>\s?)+", "", line) for line in quoted.split("\n")]
    place = 0
    while place < len(unmarked) and (step := _head_lines(unmarked[place : place + 3])):
        place += step
    rest = own_words("\n".join(unmarked[place:]))
    if rest.text:
        yield rest.text
    if rest.quoted:
        yield from messages_below(rest.quoted)


def _head_lines(lines: Sequence[str]) -> int:
    """How many of these lines, counted from the first, only say whose words follow; 0 if the first does not."""
    if not lines[0].strip() or forms.SEPARATOR.match(lines[0]) or forms.FIELD.match(lines[0]):
        return 1
    counts = range(1, len(lines) + 1)  # clients break a long introduction over lines
    return next((count for count in counts if forms.INTRODUCTION.match(" ".join(lines[:count]))), 0)
