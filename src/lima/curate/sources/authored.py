"""Examples written by hand, in YAML or JSON Lines, by groups (paper, section 2.2).

A row has ``prompt`` and ``answer`` (none for a test prompt) or ``messages``, and may have ``id``, ``group``,
``author``, ``notes`` on style, ``refusal: true`` and ``tags``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from lima.curate.candidate import Candidate, Stratum, chance
from lima.curate.reading.tables import candidate_files, read_table
from lima.curate.rules import RuleSettings
from lima.curate.sources.base import Context, SourceSettings, in_strata
from lima.curate.text.clean import prose_of
from lima.errors import InputError
from lima.formats.conversations import read_openai
from lima.formats.rows import Conversation, UnusableRow, message, text, to_example
from lima.records import Message, Reject


class Authored(SourceSettings):
    """Prompts and answers of your own authors."""

    kind: Literal["authored"] = "authored"
    """Which source this is."""
    group: str | None = None
    """Only rows of this group, such as A for training and B for testing. [paper: 250 prompts each]"""
    licence: str | None = None
    """The licence of the texts."""
    rules: RuleSettings = RuleSettings(
        score_min=None, length_min=None, length_max=None, first_person=False, refers_to_others=False,
        refers_to_site=False, self_contained_title=False, hollow=False, prompt_length_max=None, house_style=True,
    )  # fmt: skip
    """The filters; all are off but the house style, because people chose every text."""

    def strata(self, context: Context) -> list[Stratum]:
        """A single stratum in random order."""
        found: list[Candidate | Reject] = []
        for path in candidate_files(context.path, (".yaml", ".yml", ".jsonl", ".ndjson", ".json")):
            for number, row in _rows(path):
                if self.group is None or str(row.get("group")) == self.group:
                    found.append(self._candidate(row, f"{context.name}/{path.stem}/{number}"))
        return in_strata(found, context, lambda c: (chance(context.seed, context.name, "order", c.id),))

    def _candidate(self, row: Mapping[str, Any], identifier: str) -> Candidate | Reject:
        own = row.get("id")
        tags = [str(tag) for tag in row.get("tags") or []]
        extra = {key: row[key] for key in ("group", "notes", "refusal") if row.get(key) is not None}
        meta = {"tags": tags, "licence": self.licence, **extra}
        if row.get("author"):
            meta["authors"] = [str(row["author"])]
        try:
            example = to_example(Conversation(_messages(row), "authored", meta), str(own or identifier))
        except UnusableRow as error:
            return Reject(id=identifier, rule=error.rule, reason=error.reason)
        answer = "" if example.is_prompt else example.messages[-1].content
        return Candidate(example, answer, prose_of(answer))


def _messages(row: Mapping[str, Any]) -> list[Message]:
    if row.get("messages"):
        return list(read_openai(row).messages)
    found = [message("user", text(row, "prompt").strip())]
    if row.get("answer") is not None:
        found.append(message("assistant", text(row, "answer").strip()))
    return found


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if path.suffix.lower() not in (".yaml", ".yml"):
        yield from read_table(path)
        return
    try:
        rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        raise InputError(path, place.line + 1 if place else 1, "not YAML.") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(path, 1, "expected a YAML list of mappings: '- prompt: ...'.")
    yield from enumerate(rows, start=1)
