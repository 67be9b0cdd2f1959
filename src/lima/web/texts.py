"""What raters read: the protocol's words, the comparisons and the items of one study, held in memory.

The files of the study that name systems (`lima.evaluate.study.KEY_FILES`) are never opened here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lima.errors import LimaError
from lima.evaluate.protocol import Protocol, Words
from lima.evaluate.study import Study, open_study
from lima.files import sha256, text_hash
from lima.records import Comparison, Item, Message, Scale
from lima.web.settings import AnnotateSettings

UnitTask = Literal["pairwise", "rate"]


@dataclass(frozen=True)
class Texts:
    """The blind side of a study."""

    study: Study
    protocol: Protocol
    comparisons: dict[str, Comparison]
    items: dict[str, Item]
    scales: tuple[Scale, ...]
    """What is asked of a single answer, all on one page."""
    hash: str
    """Of both files: answers belong to these texts and no others."""

    def words(self, task: str) -> Words:
        """The instruction and the choices of ``pairwise`` or of a scale."""
        found = getattr(self.protocol, task)
        assert isinstance(found, Words), task
        return found

    def messages(self, task: UnitTask, text_id: str) -> tuple[Message, ...]:
        """The conversation that was answered."""
        return (self.comparisons if task == "pairwise" else self.items)[text_id].messages

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


def read_texts(settings: AnnotateSettings) -> Texts:
    """Read what the tasks need.

    Raises:
        LimaError: no study there, or no texts for a task.
    """
    study = open_study(settings.study)
    comparisons = study.read_comparisons() if "pairwise" in settings.tasks else []
    scales: tuple[Scale, ...] = tuple(task for task in settings.tasks if task != "pairwise")
    items = study.read_items() if scales else []
    if "pairwise" in settings.tasks and not comparisons:
        raise LimaError(f"{study.comparisons}: no comparisons. Choose another of --tasks.")
    if scales and not items:
        raise LimaError(f"{study.items}: no items to rate. Choose --tasks pairwise.")
    return Texts(
        study=study,
        protocol=study.read_protocol(),
        comparisons={row.id: row for row in comparisons},
        items={row.id: row for row in items},
        scales=scales,
        hash=text_hash(_hash(study.comparisons), _hash(study.items)),
    )


def _hash(path: Path) -> str:
    return sha256(path) if path.exists() else ""
