"""What raters read: the protocol's words, the comparisons and the items of one study, held in memory.

The files of the study that name systems (`lima.evaluate.study.KEY_FILES`) are never opened here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field

from lima.annotate.settings import RatingSettings
from lima.errors import LimaError
from lima.evaluate.protocol import Plan, Protocol, Words
from lima.evaluate.sample import planned_sample
from lima.evaluate.study import Study, answers_of, open_study
from lima.files import read_jsonl, sha256, text_hash
from lima.records import Comparison, Drawn, Item, Message, Record, Side

UnitTask = Literal["pairwise", "rate"]


class Gold(Record):
    """A comparison whose answer is known (``--gold``): a check of attention."""

    messages: tuple[Message, ...] = Field(min_length=1)
    a: str
    b: str
    label: Side


@dataclass(frozen=True)
class Texts:
    """The blind side of a study."""

    study: Study
    protocol: Protocol
    comparisons: dict[str, Comparison]
    items: dict[str, Item]
    scales: tuple[str, ...]
    """What is asked of a single answer, all on one page."""
    plan: Plan
    """Who sees what: the protocol's plan, with what the settings say instead."""
    answers: Study
    """Where people's answers go: the study's folder, or that of its pilot."""
    hash: str
    """Of both files: answers belong to these texts and no others."""
    sample: tuple[Drawn, ...] = ()
    """Which texts the plan gives to people, of all; empty: every one."""
    gold: dict[str, Gold] = field(default_factory=dict)
    """Comparisons whose answer is known, by an id that no comparison of the study has."""

    @property
    def left_out(self) -> frozenset[str]:
        """Texts that no person sees, since they were not drawn."""
        return frozenset(row.id for row in self.sample if not row.drawn)

    def words(self, task: str) -> Words:
        """The instruction and the choices of ``pairwise`` or of a scale."""
        return self.protocol.words(task)

    def messages(self, task: UnitTask, text_id: str) -> tuple[Message, ...]:
        """The conversation that was answered."""
        return self.pair(text_id).messages if task == "pairwise" else self.items[text_id].messages

    def pair(self, text_id: str) -> Comparison | Gold:
        """The two answers of a page, whether its own answer is known or not."""
        return self.gold.get(text_id) or self.comparisons[text_id]

    def shown(self) -> Iterator[str]:
        """Every text that a page may show."""
        for comparison in self.comparisons.values():
            yield from (message.content for message in comparison.messages)
            yield from (comparison.a, comparison.b)
        for item in self.items.values():
            yield from (message.content for message in item.messages)
            yield item.content

    def prompt_of(self, comparison_id: str) -> str:
        """A name for the comparison's prompt: the cluster of the statistics. Its true id is in the key."""
        messages = self.comparisons[comparison_id].messages
        return text_hash(*(part for message in messages for part in (message.role, message.content)))


def read_texts(settings: RatingSettings) -> Texts:
    """Read what the tasks need.

    Raises:
        LimaError: no study there, or no texts for a task.
    """
    assert settings.study is not None
    study = open_study(settings.study)
    comparisons = study.read_comparisons() if "pairwise" in settings.tasks else []
    scales = tuple(task for task in settings.tasks if task != "pairwise")
    items = study.read_items() if scales else []
    if "pairwise" in settings.tasks and not comparisons:
        raise LimaError(f"{study.comparisons}: no comparisons. Choose another of --tasks.")
    if scales and not items:
        raise LimaError(f"{study.items}: no items to rate. Choose --tasks pairwise.")
    protocol = study.read_protocol()
    for task in settings.tasks:
        protocol.words(task)  # each is known, or the command stops
    answers = answers_of(study, protocol)
    return Texts(
        study=study,
        protocol=protocol,
        comparisons={row.id: row for row in comparisons},
        items={row.id: row for row in items},
        scales=scales,
        plan=plan_of(settings, protocol.plan),
        answers=answers,
        hash=text_hash(_hash(study.comparisons), _hash(study.items)),
        sample=tuple(planned_sample(study, protocol.plan, settings.seed, noted=answers.sample)),
        gold=read_gold(settings.gold),
    )


def plan_of(settings: RatingSettings, planned: Plan) -> Plan:
    """The plan of a study, with what the settings say instead.

    Raises:
        LimaError: the panel's raters would belong to no group.
    """
    own = {name: getattr(settings, name) for name in ("overlap", "overlap_votes", "votes")}
    own = {name: value for name, value in own.items() if value is not None}
    found = planned.model_copy(update=own | ({"groups": settings.groups} if settings.groups else {}))
    if settings.panel != "none" and settings.panel_group not in found.groups:
        raise LimaError(f"--panel-group {settings.panel_group} is not among the groups of the plan.")
    return found


def read_gold(path: Path | None) -> dict[str, Gold]:
    """The checks by id. The id depends on the text alone: the file may be reordered and extended."""
    rows = read_jsonl(path, Gold) if path else ()
    return {f"gold/{text_hash(row.messages[-1].content, row.a, row.b)}": row for row in rows}


def _hash(path: Path) -> str:
    return sha256(path) if path.exists() else ""
