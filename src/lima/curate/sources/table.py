"""A file of your own (answered tickets, a FAQ, chats) -> candidates, by a map of its columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lima import console
from lima.curate.candidate import Candidate, Stratum, chance
from lima.curate.reading.conversations import Talk, Turn, read_talks
from lima.curate.reading.delimited import TornRow
from lima.curate.reading.mails import SUFFIXES as MAILS
from lima.curate.reading.mails import MailRow, read_mails
from lima.curate.reading.nested import nested, unknown_list
from lima.curate.reading.tables import read_table, table_files
from lima.curate.rules import RuleSettings
from lima.curate.sources.base import Context, SourceSettings, in_strata
from lima.curate.sources.columns import messages_in, usual_columns
from lima.curate.sources.named_columns import NamedColumns
from lima.curate.sources.talks import Cleaned, Dialogue, messages_of
from lima.curate.text.clean import clean, prose_of
from lima.curate.text.mail import Mail, acknowledgement, cuts_of, own_words
from lima.errors import LimaError
from lima.formats.convert import FORMATS, chat_format
from lima.formats.rows import UnusableRow, to_example
from lima.formats.settings import FormatName
from lima.records import Cut, Example, Message, Meta, Reject

MESSAGE_COLUMNS = ("conversation", "role", "requester", "text", "time", "visibility")
TAG = re.compile(
    r"</?(?:p|br|div|span|a|ul|ol|li|b|i|em|strong|pre|code|table|tr|td|h[1-6]|blockquote|img)(?=[\s/>])[^<>]*>",
    re.I,
)
"""What makes a cell HTML, unless it stands in code."""
FENCED = re.compile(r"```.*?```|`[^`\n]+`", re.S)


class ColumnMap(NamedColumns):
    """The names of your columns; None where there is no such column."""

    prompt: str = "prompt"
    """What the person asks; if there is no such column, the first with a usual name, such as question, is taken."""
    answer: str = "answer"
    """The answer to learn from; likewise."""
    instruction: str | None = None
    """What stands before the prompt, such as the definition of a task: joined by a blank line."""
    system: str | None = None
    """A system message."""
    title: str | None = None
    """A short question that must stand alone (rule self_contained_title)."""
    author: str | None = None
    """Who wrote the answer."""
    url: str | None = None
    """Where it can be read."""
    licence: str | None = None
    """Under which terms."""


class Table(SourceSettings):
    """Rows of a CSV, JSON Lines, JSON or Parquet file, or of a chat format."""

    kind: Literal["table"] = "table"
    """Which source this is."""
    format: FormatName | None = None
    """A chat format of ``lima import`` instead of columns."""
    columns: ColumnMap = ColumnMap()
    """Which column is what."""
    encoding: str | None = None
    """Encoding of delimited text, such as ``cp1252``; found where it is not given."""
    delimiter: str | None = None
    """What stands between its cells; found where it is not given."""
    html: bool | None = None
    """Whether prompts and answers are HTML, to be cleaned; not given: each cell that holds tags is."""
    mail: Literal["auto", "on", "off"] = "auto"
    """Cut quoted threads, signatures, disclaimers and greetings; ``on``: every line that begins with ``>`` too."""
    automatic: bool = False
    """Keep automatic acknowledgements and absence notes, which say that an answer will come."""
    dialogue: Dialogue = "whole"
    """Of conversations: the whole; the ``first`` question and answer alone; or the whole, of which only the ``last`` answer, the one that
    settled it, is learnt."""
    order: Literal["random", "score", "longest", "file"] = "random"
    """Which rows come first."""
    licence: str | None = Field(default=None)
    """The licence of rows without one of their own."""
    rules: RuleSettings = RuleSettings(
        score_min=None, length_min=None, first_person=False, title_words_min=1, prompt_length_max=None
    )
    """The filters and their thresholds; score, length and first person are off unless you set them."""

    def strata(self, context: Context) -> list[Stratum]:
        """One stratum a category, or a single one."""
        found: list[Candidate | Reject] = []
        files = table_files(context.path)
        mails = [path for path in files if path.suffix.lower() in MAILS]
        messages: list[dict[str, Any]] = []  # of all files: a conversation may lie in several
        for path in files:
            if path in mails:
                continue
            table = None
            for number, row in read_table(path, encoding=self.encoding, delimiter=self.delimiter):
                if (table is None or nested(row)) and (told := self.messages(row, path)) is not None:
                    messages += told
                    continue
                place = f"{context.name}/{path.name.partition('.')[0]}/{number}"
                table = table or (self._with_usual_names(row, path, context) if row else None)
                reader = table or self  # before the first whole row there are no columns
                found.append(reader._candidate(row, self._identifier(row, place, context), context))
        for key, row in chain(read_mails(mails) if mails else (), self.talks(messages, context.path)):
            found.append(
                self._candidate(row, self._identifier(row, f"{context.name}/{key}", context), context)
            )
        return in_strata(found, context, lambda candidate: self._place(candidate, context))

    def messages(self, row: dict[str, Any], path: Path) -> list[dict[str, Any]] | None:
        """What a row holds of conversations: a whole one, or one message; None where it is neither."""
        given = {part: name for part, name in self.columns.model_dump(exclude={"agents"}).items() if name}
        return None if self.format or isinstance(row, TornRow) else messages_in(row, path, given)

    def _parts(self) -> dict[str, str]:
        """The columns of messages that are named."""
        given = self.columns.model_dump()
        return {part: given[part] for part in MESSAGE_COLUMNS if given[part]}

    def talks(self, messages: Sequence[dict[str, Any]], path: Path) -> Iterator[tuple[str, Talk | TornRow]]:
        """The conversations that these messages make, and the messages that are in none."""
        if messages:
            yield from read_talks(messages, path, self._parts(), self.columns.agents)

    def _given(self, row: Mapping[str, Any]) -> dict[str, str]:
        """The columns that the row has, by part."""
        named = self.columns.model_dump(exclude={"agents"})
        return {part: name for part, name in named.items() if name in row}

    def _with_usual_names(self, row: Mapping[str, Any], path: Path, context: Context) -> Table:
        """The same with the columns of this file, where ``prompt`` or ``answer``, not chosen otherwise, is called differently."""
        default = ColumnMap()
        if self.format is None and (form := chat_format(row)):
            console.note_once(
                f"{path}: read as {form} (--sources.{context.name}.format, or --curate format=NAME)"
            )
            return self.model_copy(update={"format": form})
        given = self._given(row)
        missing = [part for part in ("prompt", "answer") if part not in given]
        chosen = [part for part in missing if getattr(self.columns, part) != getattr(default, part)]
        usual = usual_columns(row, given=given)
        if self.format or not missing or chosen or not usual.keys() >= set(missing):
            return self
        parts = [*missing, *(["instruction"] if "instruction" in usual else [])]
        named = ", ".join(f"{part} = {usual[part]!r}" for part in parts)
        console.note_once(
            f"{path}: columns found by their names: {named} (choose others with --sources.{context.name}.columns.NAME)"
        )
        return self.model_copy(
            update={"columns": self.columns.model_copy(update={part: usual[part] for part in parts})}
        )

    def _identifier(self, row: Mapping[str, Any], place: str, context: Context) -> str:
        """The row's own key where there is one, also for what is rejected."""
        own = self.columns.id and row.get(self.columns.id)
        return f"{context.name}/{own}" if own else place

    def _place(self, candidate: Candidate, context: Context) -> tuple[Any, ...]:
        score = candidate.example.meta.score
        return {
            "random": (chance(context.seed, context.name, "order", candidate.id),),
            "score": (-(score if score is not None else float("-inf")), candidate.id),
            "longest": (-len(candidate.answer), candidate.id),
            "file": (),
        }[self.order]

    def _candidate(self, row: Mapping[str, Any], identifier: str, context: Context) -> Candidate | Reject:
        if isinstance(row, TornRow):
            return Reject(id=identifier, rule=row.rule, reason=row.reason)
        try:
            cuts: list[Cut] = []
            if isinstance(row, Talk):
                example = self._from_talk(row, identifier, context, cuts)
            elif self.format:
                example = self._from_format(row, identifier)
            else:
                example = self._from_columns(row, identifier, context, cuts)
        except UnusableRow as error:
            return Reject(id=identifier, rule=error.rule, reason=error.reason)
        answer = "" if example.is_prompt else example.messages[-1].content
        if isinstance(row, Talk):  # a dialogue often ends in a few words
            answer = "\n\n".join(turn.content for turn in example.messages if turn.role == "assistant")
        if not self.automatic and (told := acknowledgement(answer)):
            return Reject(id=identifier, rule="automatic", reason=f"it says {told!r}")
        title = self.columns.title and row.get(self.columns.title)
        return Candidate(
            example, answer, prose_of(answer), title=str(title) if title else None, cuts=tuple(cuts)
        )

    def _from_format(self, row: Mapping[str, Any], identifier: str) -> Example:
        assert self.format is not None
        return to_example(FORMATS[self.format].read(row), identifier)

    def _from_talk(self, talk: Talk, identifier: str, context: Context, cuts: list[Cut]) -> Example:
        """A conversation as a dialogue; what is cut out of its turns is added to ``cuts``."""

        def cleaned(turn: Turn) -> Cleaned:
            whole, steps = self._text(turn.text, turn.side, context)
            mail = Mail(whole, ()) if turn.name is None else self._mail(whole, turn.side, turn.name)
            changes = [*steps, *(f"{name} cut" for name in mail.cuts)]
            return mail.text.strip(), changes, cuts_of(whole, mail, 0) if mail.cuts else []

        messages, changes, cut = messages_of(talk.turns, self.dialogue, cleaned, automatic=self.automatic)
        cuts += cut
        meta = self._meta(talk, tuple(dict.fromkeys(changes)))
        return Example(id=identifier, source=context.name, messages=tuple(messages), meta=meta)

    def _from_columns(
        self, row: Mapping[str, Any], identifier: str, context: Context, cuts: list[Cut]
    ) -> Example:
        """The row as an example; what is cut out of its cells is added to ``cuts``."""
        columns = self.columns
        for column in (columns.prompt, columns.answer):
            if column not in row:
                if told := unknown_list(row):
                    raise LimaError(f"{context.path}: {told}.")
                raise LimaError(
                    f"{context.path}: no column {column!r}. There are: {', '.join(map(str, row))}. "
                    f"Name yours: {_flags(row, context.name)}"
                )
        asked = [row.get(columns.instruction) if columns.instruction else None, row[columns.prompt]]
        cells: dict[str, Any] = {"user": _joined(asked), "assistant": _one(row[columns.answer])}
        if columns.system and row.get(columns.system):
            cells = {"system": row[columns.system], **cells}
        messages, changes = [], [*getattr(row, "changes", ())]
        for turn, (role, value) in enumerate(cells.items()):
            whole, steps = self._text(value, role, context)
            writer = row.writers.get(role) if isinstance(row, MailRow) else None
            mail = self._mail(whole, role, writer)
            if not mail.text.strip():
                raise UnusableRow("empty", f"the {role} text is empty")
            messages.append(Message.model_validate({"role": role, "content": mail.text.strip()}))
            changes += [*steps, *(f"{name} cut" for name in mail.cuts)]
            cuts += cuts_of(whole, mail, turn) if mail.cuts else []
        meta = self._meta(row, tuple(dict.fromkeys(changes)))
        return Example(id=identifier, source=context.name, messages=tuple(messages), meta=meta)

    def _text(self, value: Any, role: str, context: Context) -> tuple[str, list[str]]:
        """A cell as text, and what was done to it.

        Raises:
            UnusableRow: the cell holds no text.
        """
        if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
            size = f" of {len(value)}" if isinstance(value, list | dict) else ""
            raise UnusableRow("not-text", f"the {role} cell is a {type(value).__name__}{size}, expected text")
        content, changes = str("" if value is None else value).strip(), []
        if self.html or (self.html is None and TAG.search(FENCED.sub("", content))):
            cleaned = clean(content, context.style, opening=False)  # in a reply it is the house's style
            content, changes = cleaned.text, ["HTML to text", *cleaned.steps]
        return content, changes

    def _mail(self, text: str, role: str, writer: str | None) -> Mail:
        """A cell without what others wrote and without its trimmings; the writer is known of mails and messages.

        Raises:
            UnusableRow: what is left does not stand by itself.
        """
        if self.mail == "off" or role == "system":
            return Mail(text, ())
        bare = writer is not None or self.mail == "on"
        mail = own_words(text, bare_quotes=bare, writer=writer or "")
        if mail.interleaved and role == "assistant":
            raise UnusableRow(
                "interleaved", "it answers quoted lines one by one, and says little without them"
            )
        return mail

    def _meta(self, row: Mapping[str, Any], changes: tuple[str, ...]) -> Meta:
        def value(column: str | None) -> str | None:
            found = row.get(column) if column else None
            return str(found) if found not in (None, "") else None

        author, columns = value(self.columns.author), self.columns
        return Meta(
            url=value(columns.url),
            authors=(author,) if author else (),
            licence=value(columns.licence) or self.licence,
            score=_number(value(columns.score)),
            category=value(columns.category),
            transforms=changes,
        )


COMMON = (
    ("inputs", "targets"),
    ("instruction", "output"),
    ("question", "answer"),
    ("query", "response"),
    ("input", "output"),
)
"""Pairs of columns that data set hubs have for prompt and answer."""


def _flags(row: Mapping[str, Any], source: str) -> str:
    """The flags that name the columns of prompt and answer, as far as they can be guessed."""
    prompt, answer = next((pair for pair in COMMON if set(pair) <= row.keys()), ("NAME", "NAME"))
    flags = f"--sources.{source}.columns.prompt {prompt} --sources.{source}.columns.answer {answer}"
    definition = "definition" in row and prompt != "NAME"
    return f"{flags} --sources.{source}.columns.instruction definition" if definition else flags


def _one(value: Any) -> Any:
    """The text in a list of one answer, as hubs have it; of several none is taken, so that the list is named."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _joined(parts: Sequence[Any]) -> Any:
    """An instruction and its input as one text; anything that is not text stays as it is, to be named."""
    found = [part for part in parts if part not in (None, "", [], {})]
    other = [part for part in found if not isinstance(part, str)]
    return "\n\n".join(found) if len(found) > 1 and not other else next(iter(other or found), None)


def _number(text: str | None) -> float | None:
    """A rating; a comma before its decimals is a point.

    >>> _number("4,5"), _number("-3"), _number("good")
    (4.5, -3.0, None)
    """
    try:
        return float(re.sub(r"^(-?\d+),(\d+)$", r"\1.\2", text.strip())) if text is not None else None
    except ValueError:
        return None
