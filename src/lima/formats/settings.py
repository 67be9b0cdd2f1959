"""Settings of ``lima import`` and ``lima export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from pydantic import Field

from lima.hub import DataFile
from lima.settings import Settings

FormatName = Literal["lima", "openai", "sharegpt", "alpaca"]
"""Conversations of other tools."""
AnswerFormat = Literal["alpaca-eval-outputs", "inspect-outputs"]
"""Answers of systems in other tools' files."""
StudyFormat = Literal["alpaca-eval", "inspect", "pandalm", "tulu", "cherry", "votes"]
"""Judgments of other tools and projects; ``votes``: any, by a map of your own."""
OutFormat = Literal["alpaca-eval", "inspect", "votes"]
"""Judgments of a study, for other tools."""


class ImportSettings(Settings):
    """Turn files of another tool into our records: conversations into Examples, published judgments into a study.

    Rows that cannot be used are named in ``<out>.rejects.jsonl`` and counted; the rest goes on.

    Example: ``lima import lima downloads/train.jsonl --out data/train.jsonl``
    """

    free_fields: ClassVar[frozenset[str]] = frozenset({"out", "dry_run"})

    format: tyro.conf.Positional[Literal[FormatName, AnswerFormat, StudyFormat]]
    """Conversations: ``lima`` (the released set), ``openai`` (messages), ``sharegpt``, ``alpaca``. Answers of systems:
    ``alpaca-eval-outputs``, ``inspect-outputs``. Judgments:
    ``alpaca-eval``, ``inspect`` (logs), ``pandalm``, ``tulu``, ``cherry``, or ``votes``: any file, by ``--map``."""
    files: tyro.conf.Positional[tuple[DataFile, ...]]
    """Conversations: one JSON Lines file, one JSON array, or hf://USER/NAME:split. Judgments: ``annotations.json`` (alpaca-eval), the test
    set and then results of judges (pandalm), the table of votes in .xlsx (tulu), reviews (cherry)."""
    out: Path
    """The JSON Lines file of Examples to write; of answers, with their prompts in ``<out>.prompts.jsonl``; for judgments the study
    folder, which ``lima report`` reads."""
    map: Path | None = None
    """Of ``votes``: a YAML file that says where rows hold prompts, answers, raters and verdicts (docs/formats.md)."""
    name: str | None = None
    """Conversations: the middle part of new ids, as in ``alpaca/NAME/17``; the file's stem when unset."""
    systems: tuple[str, ...] = ()
    """Judgments: only comparisons between these systems, the one whose wins count first. Not given: all."""
    votes: Annotated[int, Field(ge=1)] | None = None
    """Judgments: how many raters of each prompt and pair to keep, the earliest first, as some papers count. Not given: all."""
    strict: bool = False
    """Stop with exit code 2 and write nothing when any row cannot be used."""
    dry_run: bool = False
    """Read and check everything, print the counts, write nothing."""


class ExportSettings(Settings):
    """Turn our records into the file of another tool.

    Rows that the format cannot hold (a prompt without an answer in Alpaca) are named in ``<out>.rejects.jsonl``.

    Example: ``lima export sharegpt data/train.jsonl --out train.sharegpt.json``
    """

    free_fields: ClassVar[frozenset[str]] = frozenset({"out", "dry_run"})

    format: tyro.conf.Positional[Literal[FormatName, AnswerFormat, OutFormat]]
    """Examples: ``lima`` (the released set), ``openai`` (messages), ``sharegpt`` or ``alpaca``. Answers: ``alpaca-eval-outputs``,
    ``inspect-outputs``. Judgments: ``alpaca-eval``, ``inspect`` (a log), or ``votes``: any, by ``--map``."""
    file: tyro.conf.Positional[DataFile]
    """A JSON Lines file of Examples; one of answers, with ``--prompts``; or a study folder."""
    out: Path
    """The file to write: a JSON array when its name ends in ``.json``, else JSON Lines."""
    prompts: Path | None = None
    """Answers: the file of Examples whose prompts they answer."""
    map: Path | None = None
    """Of ``votes``: a YAML file whose ``write`` part says how rows are written (docs/formats.md)."""
    provenance: bool = False
    """Keep ``id``, ``source`` and ``meta`` as further keys of each row."""
    strict: bool = False
    """Stop with exit code 2 and write nothing when any row does not fit the format."""
    dry_run: bool = False
    """Read and check everything, print the counts, write nothing."""
