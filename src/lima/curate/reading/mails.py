"""Mail folders (.eml) and mailboxes (mbox) -> rows of a question and its reply.

In a thread, who wrote first asks; the first reply of anybody else answers. Threads are found by In-Reply-To and
References (RFC 5322), else by the subject. A reply whose question lies in no file may quote it: then that is the question.
"""

from __future__ import annotations

import mailbox
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parseaddr, parsedate_to_datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lima import console
from lima.curate.reading.delimited import TornRow
from lima.curate.text.clean import clean
from lima.curate.text.mail import acknowledgement, messages_below, own_words
from lima.errors import LimaError
from lima.files import files_below, text_hash

SUFFIXES = (".eml", ".mbox", ".mbx")
ID = re.compile(r"<([^<>\s]+)>")
PREFIX = re.compile(
    r"(?i)^\s*(?:(?:re|aw|antw(?:ort)?|sv|vs|rv|res|r|odp|ynt|fw|fwd|wg|tr|rif|vl|回复|答复|转发)(?:\[\d+\]|\(\d+\))?\s*[:：]\s*)+"
)
"""What clients of many languages put before the subject of a reply or a forwarded mail."""
FORWARDED = re.compile(r"(?i)^\s*(?:fw|fwd|wg|tr|rv|转发)\s*[:：]")
MEANT = {
    **dict.fromkeys(("iso-8859-1", "latin-1", "latin1", "us-ascii", "ascii"), "cp1252"),
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "iso-8859-9": "cp1254",
}
"""What mail programs mean by these names (WHATWG's table of encodings)."""
HEAD = re.compile(r"(?is)<head\b.*?</head>|<(style|script|title)\b.*?</\1>|<!--.*?-->|</?o:p>")
"""Parts of an HTML mail that nobody sees."""
NOTHING_SAID = re.compile(
    r"(?is)\s*\S(?!.{300})(?=.*\bhtml\b).*\b(?:support|display|show|view|client|anzeig|afficher)"
)
"""A plain form that only says that the other form is in HTML."""
ARMOUR = "-----BEGIN PGP MESSAGE-----"
SIGNED = re.compile(
    r"(?s)-----BEGIN PGP SIGNED MESSAGE-----\n(?:Hash:[^\n]*\n)*\n?(.*?)\n?-----BEGIN PGP SIGNATURE-----.*?-----END PGP SIGNATURE-----"
)
AUTOMATIC_HEADERS = ("X-Autoreply", "X-Autorespond", "X-Failed-Recipients")
SHOWN_ATTACHMENTS = 5


class MailRow(dict[str, Any]):
    """A question and its reply: columns ``message_id``, ``subject``, ``prompt``, ``answer``, ``author``, ``date``, ``attachments``."""

    changes: tuple[str, ...] = ()
    """What was done on the way, for ``meta.transforms``."""
    writers: Mapping[str, str] = MappingProxyType({"user": "", "assistant": ""})
    """The names of who asks and who answers."""


@dataclass(frozen=True)
class Letter:
    """One message, as far as a thread and a text need it."""

    id: str
    place: str
    """Where it lies, for the user."""
    parents: tuple[str, ...]
    """Ids of the messages it answers, the nearest first."""
    subject: str
    sender: str
    """Address in lower case."""
    name: str
    to: frozenset[str]
    """Addresses that it was sent to."""
    sent: datetime
    text: str
    attachments: tuple[str, ...]
    problem: str | None = None
    """Why it can be neither question nor answer."""

    @property
    def thread(self) -> str:
        """The subject without what replies put before it."""
        return " ".join(PREFIX.sub("", self.subject).split()).casefold()

    @property
    def is_reply(self) -> bool:
        """Whether it says of itself that it answers another."""
        return bool(self.parents) or bool(PREFIX.match(self.subject) and not FORWARDED.match(self.subject))


@dataclass
class MailThread:
    """The letters of one conversation, the oldest first."""

    letters: list[Letter] = field(default_factory=list)

    def is_with(self, reply: Letter) -> bool:
        """Whether a reply goes to somebody who wrote in this thread; unknown where it names nobody."""
        return not reply.to or any(letter.sender in reply.to for letter in self.letters)


def read_mails(paths: Sequence[Path]) -> Iterator[tuple[str, MailRow | TornRow]]:
    """Yield ``(key, row)`` for each thread, and a `TornRow` for each letter that is neither question nor answer.

    The key is a hash of the letter's Message-ID, which itself has the form of an address.

    Args:
        paths: ``.eml`` files and mailboxes; a thread may lie in several of them.

    Raises:
        LimaError: no letter in them.
    """
    letters = list({letter.id: letter for path in paths for letter in _letters(path)}.values())
    if not letters:
        raise LimaError(f"{paths[0]}: no mail in it (no line 'From:' in a head). Known: .eml files and mbox.")
    left = [name for letter in letters for name in letter.attachments]
    if left:
        names = list(dict.fromkeys(left))
        more = ", ..." if len(names) > SHOWN_ATTACHMENTS else ""
        shown = ", ".join(names[:SHOWN_ATTACHMENTS])
        console.note_once(f"{len(left)} attachments are left out: {shown}{more}")
    for thread in _threads(letters):
        yield from _rows(thread.letters)


def mail_files(path: Path) -> list[Path]:
    """The file itself, or the mails and mailboxes of a folder, by name.

    Raises:
        LimaError: there is none.
    """
    if path.is_file():
        return [path]
    files = [p for p in files_below(path) if p.suffix.lower() in SUFFIXES]
    if not files:
        raise LimaError(f"{path}: {'no mail in this folder' if path.is_dir() else 'no such file or folder'}.")
    return files


def _rows(letters: Sequence[Letter]) -> Iterator[tuple[str, MailRow | TornRow]]:
    usable = [letter for letter in letters if letter.problem is None]
    pair = _pair(usable)
    if pair is not None:
        yield text_hash(pair[1].id), _row(*pair)
    used = {letter.id for letter in pair or ()}
    begins = not usable or not usable[0].is_reply
    for letter in letters:
        if letter.id not in used:
            yield text_hash(letter.id), _unused(letter, begins=begins, paired=pair is not None)


def _pair(letters: Sequence[Letter]) -> tuple[Letter, Letter] | None:
    """The question and the answer of a thread; an acknowledgement is no answer."""
    if not letters:
        return None
    first = letters[0]
    if first.is_reply:
        quoted = _quoted_question(first)
        return (quoted, first) if quoted else None
    replies = (one for one in letters if one.sender != first.sender and one.text.strip())
    answer = next((one for one in replies if not acknowledgement(own_words(one.text).text)), None)
    return (first, answer) if answer else None


def _row(question: Letter, answer: Letter) -> MailRow:
    row = MailRow(
        message_id=answer.id,
        subject=PREFIX.sub("", question.subject).strip(),
        prompt=question.text if own_words(question.text).text else question.subject,
        answer=answer.text,
        author=answer.name,
        date=answer.sent.date().isoformat(),
        attachments=", ".join((*question.attachments, *answer.attachments)),
    )
    quoted = ["question from the quoted mail"] if not question.id else []
    left = [f"attachment left out: {name}" for name in (*question.attachments, *answer.attachments)]
    row.changes = (*quoted, *left)
    row.writers = {"user": question.name, "assistant": answer.name}
    return row


def _unused(letter: Letter, *, begins: bool, paired: bool) -> TornRow:
    if letter.problem is not None:
        rule, _, reason = letter.problem.partition(": ")
        return TornRow(f"{letter.place}: {reason}", rule)
    if acknowledgement(own_words(letter.text).text):
        return TornRow(f"{letter.place}: it says that an answer will come", "automatic")
    if paired:
        return TornRow(
            f"{letter.place}: neither the first question of its thread nor the first answer", "follow-up"
        )
    if not begins:
        return TornRow(f"{letter.place}: the mail that it answers is not here, nor quoted", "no-question")
    return TornRow(f"{letter.place}: nobody else answers it", "no-reply")


def _quoted_question(reply: Letter) -> Letter | None:
    """The words of another that a reply quotes below its own, as a letter without an id."""
    below = next(messages_below(own_words(reply.text).quoted), "")
    quoted = replace(reply, id="", text=below, attachments=(), sender="", name="")
    return quoted if below else None


def _threads(letters: Sequence[Letter]) -> list[MailThread]:
    """Letters by what they answer; a reply whose parents are not here goes by its subject."""
    ordered = sorted(letters, key=lambda letter: (letter.sent, letter.id))
    thread_of: dict[str, MailThread] = {}
    by_subject: dict[str, list[MailThread]] = {}
    found: list[MailThread] = []
    # a reply may carry an earlier time than its question, by a clock that is wrong: parents go first
    for letter in _parents_first(ordered):
        thread = next((thread_of[parent] for parent in letter.parents if parent in thread_of), None)
        if thread is None and letter.is_reply and letter.thread:
            same = reversed(by_subject.get(letter.thread, []))
            thread = next((one for one in same if one.is_with(letter)), None)
        if thread is None:
            thread = MailThread()
            found.append(thread)
        thread.letters.append(letter)
        thread_of[letter.id] = thread
        by_subject.setdefault(letter.thread, []).append(thread)
    return found


def _parents_first(letters: Sequence[Letter]) -> list[Letter]:
    known = {letter.id: letter for letter in letters}
    done: dict[str, Letter] = {}

    def place(letter: Letter) -> None:
        waiting = [letter]
        while waiting:
            top = waiting[-1]
            above = next((p for p in top.parents if p in known and p not in done), None)
            if above is None or known[above] in waiting:  # a circle of answers is no thread
                done.setdefault(top.id, top)
                waiting.pop()
            else:
                waiting.append(known[above])

    for letter in letters:
        place(letter)
    return list(done.values())


def _letters(path: Path) -> Iterator[Letter]:
    for number, raw in enumerate(_messages(path), start=1):
        message = message_from_bytes(raw)
        place = path.name if path.suffix.lower() == ".eml" else f"{path.name}, message {number}"
        if _header(message, "From") or _header(message, "Subject"):
            yield _letter(message, raw, place)
        else:
            console.warn(f"{path.parent / place}: no mail, for it has no head; it is left out")


def _messages(path: Path) -> Iterator[bytes]:
    """The bytes of each message; of a mailbox without the quoting of its lines that begin with ``From``."""
    if path.suffix.lower() == ".eml":
        yield path.read_bytes()
        return
    box = mailbox.mbox(path, create=False)
    for key in box.iterkeys():
        yield re.sub(rb"(?m)^>(>*From )", rb"\1", box.get_bytes(key))


def _letter(message: Message, raw: bytes, place: str) -> Letter:
    name, address = parseaddr(_field(message, "From"))  # before decoding: a name may hold a comma
    text, attachments = _body(message)
    own = ID.search(_header(message, "Message-ID"))
    answered = ID.findall(_header(message, "In-Reply-To"))
    before = ID.findall(_header(message, "References"))
    subject = _header(message, "Subject")
    return Letter(
        id=own[1] if own else text_hash(raw.decode("latin-1")),
        place=place,
        parents=tuple(dict.fromkeys([*answered, *reversed(before)])),
        subject=subject,
        sender=address.casefold(),
        name=_decoded(name),
        to=frozenset(
            other.casefold()
            for _, other in getaddresses([_field(message, "To"), _field(message, "Cc")])
            if other
        ),
        sent=_sent(message),
        text=text,
        attachments=tuple(attachments),
        problem=_problem(message, text, subject),
    )


def _problem(message: Message, text: str, subject: str) -> str | None:
    """Rule and reason why a letter is neither question nor answer, by its head; None for any other."""
    # `auto-generated` is what help desks put on mails with the words of a person
    replied = _header(message, "Auto-Submitted").lower().startswith("auto-replied")
    if replied or any(_header(message, name) for name in AUTOMATIC_HEADERS):
        return "automatic: its head calls it an automatic reply"
    if message.get_content_type() == "multipart/report":
        return "automatic: a bounce or a receipt"
    if message.get_content_type() == "multipart/encrypted" or ARMOUR in text:
        return "encrypted: its text cannot be read"
    if FORWARDED.match(subject):
        return "forwarded: it passes on what another wrote"
    return None if text.strip() or subject else "empty: no text in it"


def _sent(message: Message) -> datetime:
    """When it was sent; the end of time where that cannot be read."""
    try:
        found = parsedate_to_datetime(_header(message, "Date"))
    except (ValueError, TypeError, OverflowError):
        return datetime.max.replace(tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _body(message: Message) -> tuple[str, list[str]]:
    """The text that its writer wrote, plain where there is a plain form, and the names of what hangs on it."""
    texts: list[str] = []
    attachments: list[str] = []
    for part in _parts(message):
        kind, name = part.get_content_type(), part.get_filename()
        is_text = kind in ("text/plain", "text/html") and part.get_content_disposition() != "attachment"
        if name or not is_text:
            attachments.append(_decoded(name) if name else kind)
        elif kind == "text/plain":
            texts.append(_unfolded(_text(part), part))
        else:
            texts.append(clean(HEAD.sub("", _text(part)), trim=False).text)
    whole = "\n".join(text.strip("\r\n") for text in texts if text.strip())
    return SIGNED.sub(
        r"\1", whole.replace("\r\n", "\n")
    ) if "BEGIN PGP SIGNED" in whole else whole, attachments


def _parts(message: Message) -> Iterator[Message]:
    """The leaves that a reader is shown: of alternatives the plain text, where it says something."""
    if message.get_content_type() == "message/rfc822" or not message.is_multipart():
        yield message
        return
    parts = [part for part in message.get_payload() if isinstance(part, Message)]
    if message.get_content_type() == "multipart/alternative":
        plain = [part for part in parts if part.get_content_type() == "text/plain"]
        said = [part for part in plain if (text := _text(part).strip()) and not NOTHING_SAID.match(text)]
        shown = said or [part for part in parts if part.get_content_type() != "text/plain"] or parts
        parts = shown[:1]
    for part in parts:
        yield from _parts(part)


def _text(part: Message) -> str:
    """The text of a part in the encoding that it names, or in the one that its bytes are in."""
    raw = part.get_payload(decode=True)
    data = raw if isinstance(raw, bytes) else b""
    named = (part.get_content_charset() or "us-ascii").lower()
    for encoding in ("utf-8", MEANT[named]) if named in MEANT else (named, "utf-8"):
        try:
            return data.decode(encoding)
        except (UnicodeError, LookupError):
            continue
    from charset_normalizer import from_bytes

    best = from_bytes(data).best()
    return str(best) if best else data.decode("cp1252", "replace")


def _unfolded(text: str, part: Message) -> str:
    """Lines that a client broke softly (format=flowed, RFC 3676) as the one that their writer wrote."""
    if str(part.get_param("format") or "").lower() != "flowed":
        return text
    end = "" if str(part.get_param("delsp") or "").lower() == "yes" else " "
    lines: list[tuple[str, str]] = []
    soft = False
    for line in text.splitlines():
        depth, rest = _depth(line)
        if soft and lines and lines[-1][0] == depth:
            lines[-1] = depth, lines[-1][1] + rest
        else:
            lines.append((depth, rest))
        soft = rest.endswith(" ") and rest != "-- "
        if soft:
            lines[-1] = depth, lines[-1][1][:-1] + end
    return "\n".join(f"{depth} {rest}" if depth else rest for depth, rest in lines)


def _depth(line: str) -> tuple[str, str]:
    """The marks of a quoted line, and the rest without the blank that is stuffed before it."""
    rest = line.lstrip(">")
    return line[: len(line) - len(rest)], rest.removeprefix(" ")


def _header(message: Message, name: str) -> str:
    """A field of the head as text, or nothing."""
    return _decoded(_field(message, name))


def _field(message: Message, name: str) -> str:
    """A field of the head as it is sent; bytes that no encoded word announces are UTF-8 or cp1252."""
    values = (value for key, value in message.raw_items() if key.lower() == name.lower())
    raw = next(values, "").encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _decoded(text: str) -> str:
    """Encoded words as text; what breaks their rules as it stands."""
    try:
        parts: Iterable[tuple[Any, str | None]] = decode_header(text)
        found = "".join(
            part
            if isinstance(part, str)
            else part.decode(MEANT.get(encoding or "", encoding or "raw-unicode-escape"), "replace")
            for part, encoding in parts
        )
    except (MessageError, LookupError, ValueError):
        found = text
    return " ".join(found.split())
