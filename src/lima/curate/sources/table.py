"""A file of one's own (answered tickets, a FAQ, chats) -> candidates, by a map of its columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from lima.curate.candidate import Candidate, Stratum
from lima.curate.choose.sampling import chance
from lima.curate.reading.tables import read_table
from lima.curate.rules import RuleSettings
from lima.curate.sources.base import SourceSettings, Work, candidate_files, in_strata
from lima.curate.text.clean import clean, prose_of
from lima.errors import LimaError
from lima.formats.convert import FORMATS
from lima.formats.rows import UnusableRow, to_example
from lima.formats.settings import FormatName
from lima.records import Example, Message, Meta, Reject
from lima.settings import Settings

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".csv.gz", ".jsonl.gz", ".jsonl.zst")


class ColumnMap(Settings):
    """The names of your columns; None where there is no such column."""

    prompt: str = "prompt"
    """What the person asks."""
    answer: str = "answer"
    """The answer to learn from."""
    instruction: str | None = None
    """What stands before the prompt, such as the definition of a task: joined by a blank line."""
    system: str | None = None
    """A system message."""
    id: str | None = None
    """A key that stays; the row's number otherwise."""
    title: str | None = None
    """A short question that must stand alone (rule self_contained_title)."""
    score: str | None = None
    """Votes or a rating (rule score; order: score)."""
    category: str | None = None
    """The part of the data to draw from, evenly or by ``tau``."""
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
    html: bool = False
    """Whether prompts and answers are HTML, to be cleaned."""
    order: Literal["random", "score", "longest", "file"] = "random"
    """Which rows come first."""
    licence: str | None = Field(default=None)
    """The licence of rows without one of their own."""
    rules: RuleSettings = RuleSettings(
        score_min=None, length_min=None, first_person=False, title_words_min=1, prompt_length_max=None
    )
    """The filters and their thresholds; score, length and first person are off unless you set them."""

    def strata(self, work: Work) -> list[Stratum]:
        """One stratum a category, or a single one."""
        found: list[Candidate | Reject] = []
        for path in candidate_files(work.path, SUFFIXES):
            for number, row in read_table(path):
                found.append(
                    self._candidate(row, f"{work.name}/{path.name.partition('.')[0]}/{number}", work)
                )
        return in_strata(found, work, lambda candidate: self._place(candidate, work))

    def _place(self, candidate: Candidate, work: Work) -> tuple[Any, ...]:
        score = candidate.example.meta.score
        return {
            "random": (chance(work.seed, work.name, "order", candidate.id),),
            "score": (-(score if score is not None else float("-inf")), candidate.id),
            "longest": (-len(candidate.answer), candidate.id),
            "file": (),
        }[self.order]

    def _candidate(self, row: Mapping[str, Any], identifier: str, work: Work) -> Candidate | Reject:
        try:
            example = (
                self._from_format(row, identifier)
                if self.format
                else self._from_columns(row, identifier, work)
            )
        except UnusableRow as error:
            return Reject(id=identifier, rule=error.rule, reason=error.reason)
        answer = "" if example.is_prompt else example.messages[-1].content
        title = self.columns.title and row.get(self.columns.title)
        return Candidate(example, answer, prose_of(answer), title=str(title) if title else None)

    def _from_format(self, row: Mapping[str, Any], identifier: str) -> Example:
        assert self.format is not None
        return to_example(FORMATS[self.format].read(row), identifier)

    def _from_columns(self, row: Mapping[str, Any], identifier: str, work: Work) -> Example:
        columns = self.columns
        for column in (columns.prompt, columns.answer):
            if column not in row:
                raise LimaError(
                    f"{work.path}: no column {column!r}. There are: {', '.join(map(str, row))}. "
                    f"Name yours: {_flags(row, work.name)}"
                )
        asked = [row.get(columns.instruction) if columns.instruction else None, row[columns.prompt]]
        texts = {
            "user": "\n\n".join(str(part) for part in asked if part),
            "assistant": _one(row[columns.answer]),
        }
        if columns.system and row.get(columns.system):
            texts = {"system": row[columns.system], **texts}
        messages = []
        for role, value in texts.items():
            content = clean(str(value or ""), work.style).text if self.html else str(value or "").strip()
            if not content:
                raise UnusableRow("empty", f"the {role} text is empty")
            messages.append(Message.model_validate({"role": role, "content": content}))
        own = columns.id and row.get(columns.id)
        return Example(
            id=f"{work.name}/{own}" if own else identifier,
            source=work.name,
            messages=tuple(messages),
            meta=self._meta(row),
        )

    def _meta(self, row: Mapping[str, Any]) -> Meta:
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
            transforms=("HTML to text",) if self.html else (),
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
    """The first of several answers."""
    return next(iter(value), None) if isinstance(value, list) else value


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
