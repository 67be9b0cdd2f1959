"""Settings of ``lima annotate``, those of each kind of work apart, and of ``lima database`` (LIMA, section 4)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro
from pydantic import Field, field_validator, model_validator

from lima.settings import Settings

Task = Literal["pairwise", "quality", "helpfulness", "safety"] | str
"""A standard task, or the name of a scale that the study's protocol.yaml declares."""
Group = Literal["crowd", "author"]


class ServerSettings(Settings):
    """What every kind of work needs: its server, its database and how people come in."""

    groups: tuple[Group, ...] = ()
    """Groups of raters. Agreement is reported within and between them. Not given: as planned (crowd author)."""
    lease_minutes: Annotated[float, Field(gt=0)] = 30.0
    """How long an open item is reserved for its rater (an opening of dialogues: since its last step); then another
    rater may get it."""
    seed: int = 0
    """Draws the overlap, the order of items and the sides."""
    database: str | None = None
    """Where answers are kept, such as postgresql://user@host/name. Not given: an SQLite file in the study folder."""
    host: str = "127.0.0.1"
    """Address to listen on. The default can be reached from this machine alone."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8400
    """Port to listen on; 0 takes a free one."""
    public_url: str | None = None
    """The address that raters use, if it differs, such as https://example.org/study behind a proxy; a proxy that
    serves it under a path (/study) takes that path off."""
    panel: Literal["none", "prolific", "generic"] = "none"
    """Take in raters of a panel under /panel, without invitations. Set --panel-return too."""
    panel_id: str = "id"
    """Generic panel: the name of the URL parameter that holds the person's id."""
    panel_return: str | None = None
    """URL to which a panel's rater goes after the last item, with the panel's completion code in it."""
    panel_screened: str | None = None
    """URL for a panel's rater who takes no part: who declines, or for whom nothing was left."""
    panel_unqualified: str | None = None
    """URL for a panel's rater who does not pass the quiz. Not given: the one of --panel-screened."""
    panel_failed: str | None = None
    """URL for a panel's rater who missed the checks of --gold."""
    panel_left: str | None = None
    """URL for a panel's rater who stops midway. Not given: the one of --panel-screened."""
    panel_most: Annotated[int, Field(ge=1)] | None = None
    """Most raters to take in from the panel: a limit on what somebody who invents ids can take."""
    panel_ids: Path | None = None
    """The ids of the panel's people who are let in, one a line. Not given: any."""
    panel_group: Group = "crowd"
    """Group of the panel's raters."""
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto headers are believed."""
    lead_secret_file: Path | None = None
    """File with the secret of the lead's console, 16 characters or more. Not given: one is made and kept,
    readable by you alone, in the study folder."""
    log_requests: bool = False
    """Print a line for each request: route, status and time. Never an address with a code in it."""
    dry_run: bool = False
    """Check the study, print the plan, and stop."""

    @field_validator("groups")
    @classmethod
    def _each_group_once(cls, value: tuple[Group, ...]) -> tuple[Group, ...]:
        if len(set(value)) != len(value):
            raise ValueError("name each group once")
        return value

    @field_validator(
        "public_url", "panel_return", "panel_screened", "panel_unqualified", "panel_failed", "panel_left"
    )
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("https://", "http://")):
            raise ValueError("must begin with https:// or http://")
        return value.rstrip("/") if value else value

    @model_validator(mode="after")
    def _panel_is_complete(self) -> ServerSettings:
        if self.panel != "none" and self.panel_return is None:
            raise ValueError("--panel needs --panel-return, the address that ends a panel's session")
        if self.groups and self.panel_group not in self.groups and self.panel != "none":
            raise ValueError(f"--panel-group {self.panel_group} is not among the groups")
        return self


class RatingSettings(ServerSettings):
    """People compare and rate the answers of a study."""

    study: tyro.conf.Positional[Path | None] = None
    """The study folder (`lima compare`); with --dialogue the folder of a new one."""
    tasks: tuple[Task, ...] = ("pairwise",)
    """What people do: compare pairs, rate quality (fail, pass, excellent), helpfulness 1-6, safety, or a scale of your own by its
    name in protocol.yaml. Ratings of one answer are asked on one page."""
    overlap: Annotated[int, Field(ge=0)] | None = None
    """Comparisons that every group sees, for agreement. Not given: as the study's protocol.yaml plans (the paper: 50)."""
    overlap_votes: Annotated[int, Field(ge=1)] | None = None
    """Raters of each group for each of these. Not given: as planned (2)."""
    votes: Annotated[int, Field(ge=0)] | None = None
    """Raters for each other comparison, from the first group. Not given: as planned (1)."""
    rating_votes: Annotated[int, Field(ge=1)] = 1
    """Raters for each single answer, from the last group (the paper: the authors)."""
    rate_items: Annotated[int, Field(ge=1)] | None = None
    """Number of single answers to rate, drawn at random (the paper: 50). Not given: all."""
    rate_tags: tuple[str, ...] = ()
    """Rate only answers to prompts with one of these tags, for example: sensitive malicious."""
    per_rater: Annotated[int, Field(ge=1)] | None = None
    """Most items for one rater. Not given: as many as there are."""
    attention_every: Annotated[int, Field(ge=0)] = 0
    """After this many comparisons a rater sees an earlier one again with sides swapped; 0: never.
    Such repeats are a check, not votes."""
    gold: Path | None = None
    """Comparisons whose answer is known, one {"messages", "a", "b", "label": "a" or "b"} a line: a check, not votes."""
    gold_every: Annotated[int, Field(ge=1)] = 10
    """A rater's votes between two comparisons with a known answer; the first comes after half as many."""
    gold_misses: Annotated[int, Field(ge=1)] = 3
    """Known answers missed that end a rater's work: the places go back and the answers do not count."""

    @field_validator("tasks")
    @classmethod
    def _each_task_once(cls, value: tuple[Task, ...]) -> tuple[Task, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError("name each task once, at least one")
        return value


class DialogueSettings(ServerSettings):
    """People hold dialogues with systems, blind."""

    study: tyro.conf.Positional[Path | None] = None
    """The study folder (`lima compare`); with --dialogue the folder of a new one."""
    dialogue: tuple[str, ...] = ()
    """Systems to talk with: checkpoint folders, hub ids or URL#model. A rater holds the same opening with each of
    them under a blind name, rates every turn, and names the better dialogue (the paper's section 6)."""
    openings: Path | None = None
    """First messages of the dialogues: a JSON Lines file of Examples (their first user turn)."""
    dialogue_votes: Annotated[int, Field(ge=1)] = 1
    """Raters for each opening."""
    most_turns: Annotated[int, Field(ge=1, le=50)] = 10
    """Longest dialogue, in user turns."""
    answer_seconds: Annotated[float, Field(gt=0)] = 120.0
    """A system that takes longer to answer is shown as failed, and can be asked again."""
    pace: Annotated[float, Field(ge=0)] = 100.0
    """Characters a second at which every answer appears: the speed of a system must not give it away. 0: as it comes.
    For several raters at once, put the systems behind an address (`lima serve`, URL#model)."""


class ReviewSettings(ServerSettings):
    """People decide on candidates of ``lima curate``, and write examples."""

    review: Path | None = None
    """Candidates of `lima curate --review`: people accept, edit or reject them; decisions go back into this file."""
    authored: Path | None = None
    """Examples that people write here: the file of an `authored` source. Not given: authored.jsonl beside --review."""
    train: tuple[Path, ...] = ()
    """The set so far (Examples): what people write is compared with its style and checked against its texts."""
    test: tuple[Path, ...] = ()
    """Test prompts (Examples) that training must not give away. Nobody is shown them."""
    language: str = "en"
    """Language of the review desk: en, de, or that of a TAG.yaml beside --review. (A study's is in its protocol.yaml.)"""
    reviewers: Annotated[int, Field(ge=1, le=2)] = 1
    """People who decide on each candidate. With 2 a disagreement goes to the lead. Own examples are always read by
    another person of the same group."""


Mode = Literal["compare", "dialogue", "review"]


class AnnotateSettings(ReviewSettings, DialogueSettings, RatingSettings):
    """Let people compare and rate answers, talk with systems, or write and review examples, in a browser.

    Starts one process with the people's pages and the lead's console. Answers go to a database in the study
    folder, and from there (console, "Export") to preferences.jsonl and grades.jsonl, which `lima report` reads.
    With --dialogue people talk with systems, blind, and STUDY is made from it; with --review they pick and
    write examples for `lima curate`.

    Example:
        lima annotate studies/first
    """

    input_fields: ClassVar[frozenset[str]] = frozenset({"study"})

    @property
    def mode(self) -> Mode:
        """What people do here."""
        return "review" if self.review is not None else "dialogue" if self.dialogue else "compare"

    @property
    def place(self) -> Path:
        """The folder of the database and of the lead's secret."""
        found = self.study if self.review is None else self.review.parent
        assert found is not None
        return found

    @model_validator(mode="after")
    def _one_kind_of_work(self) -> AnnotateSettings:
        if self.review is None and self.study is None:
            raise ValueError("name a study folder, or the candidates of --review")
        if self.review is not None and (self.study is not None or self.dialogue):
            raise ValueError("--review is work of its own: give no study and no --dialogue with it")
        if self.review is not None and self.panel != "none":
            raise ValueError("--review needs the groups A and B, whom the lead invites: give no --panel")
        if self.dialogue and self.openings is None:
            raise ValueError("--dialogue needs --openings, the file of first messages")
        if len(set(self.dialogue)) < len(self.dialogue):
            raise ValueError("--dialogue names a system twice")
        return self

    @model_validator(mode="after")
    def _no_flag_of_other_work(self) -> AnnotateSettings:
        for name in sorted(set(AnnotateSettings.model_fields) - set(KINDS[self.mode].model_fields)):
            if getattr(self, name) != AnnotateSettings.model_fields[name].get_default():
                raise ValueError(f"--{name.replace('_', '-')} has no effect on this work ({self.mode})")
        return self


KINDS: dict[Mode, Any] = {"compare": RatingSettings, "dialogue": DialogueSettings, "review": ReviewSettings}


class DatabaseSettings(Settings):
    """Bring the web app's database to this version's tables, or move a study from one database to another.

    upgrade: an SQLite file is copied first, and `lima annotate` does this by itself; PostgreSQL waits for this command.
    export and import: everything but the ways in (links, sessions), as one file; stop `lima annotate` before.

    Example:
        lima database upgrade postgresql://user@host/name
    """

    action: tyro.conf.Positional[Literal["upgrade", "status", "export", "import"]]
    """Change the tables, print their version, write all rows into --file, or put them into an empty database."""
    url: tyro.conf.Positional[str]
    """Address of the database, as given to `lima annotate --database`: sqlite:///studies/first/annotations.sqlite, or
    postgresql://..."""
    file: Path | None = None
    """The JSON Lines file of export and import."""

    @model_validator(mode="after")
    def _file_where_it_is_wanted(self) -> DatabaseSettings:
        if (self.file is None) == (self.action in ("export", "import")):
            raise ValueError(f"{self.action} needs {'--file' if self.file is None else 'no --file'}")
        return self
