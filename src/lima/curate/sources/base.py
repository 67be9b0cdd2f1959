"""What every source has: its quotas, its rules, and the strata that it offers to the sampler."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lima import console
from lima.curate.candidate import Candidate, Count, Stratum
from lima.curate.reading.tables import candidate_files as candidate_files  # for sources of one's own
from lima.curate.rules import RuleSettings
from lima.curate.text.blocks import Style
from lima.records import Example, Reject
from lima.settings import Settings

UnknownSites = Literal["skip", "other", "stop"]
"""What happens to a dump whose site is not in the table of exchanges."""


@dataclass(frozen=True)
class Context:
    """What the pipeline hands to a source."""

    name: str
    """The source's name in the recipe."""
    path: Path
    """Its folder or file."""
    scratch: Path
    """A folder for what a resumed run need not read again."""
    seed: int
    style: Style
    count: Callable[[str], Count]
    """The funnel's counts of a stratum, to be filled in."""
    reject: Callable[[Reject], None]
    """Takes what cannot even become a candidate, such as a torn line."""
    map: Callable[..., Iterator[Any]] = map
    """As the built-in `map`, which it is with one worker: for work on many files. It changes no byte of the outcome."""
    site: str | None = None
    include_meta: bool = False
    unknown_sites: UnknownSites = "skip"
    warn: Callable[[str], None] = console.warn
    """Warns the user, at most once a run."""


class SourceSettings(Settings):
    """Settings that all sources share."""

    path: Path | None = None
    """Folder or file of this source, below --input; the input itself when unset."""
    train: int = Field(default=0, ge=0)
    """Examples for ``train.jsonl``."""
    dev: int = Field(default=0, ge=0)
    """Examples for ``dev.jsonl``, from which a checkpoint is chosen."""
    test: int = Field(default=0, ge=0)
    """Examples for ``test.jsonl``, whose answers are left out."""
    heldout: int = Field(default=0, ge=0)
    """Examples for ``heldout.jsonl``, to measure perplexity. [paper, appendix: 2000]"""
    tau: float = Field(default=3.0, gt=0)
    """Temperature of the draw over strata: p ~ size^(1/tau). [paper: 3]"""
    review: bool = False
    """With ``--review FILE``: only candidates that a person accepts in that file."""
    review_factor: int = Field(default=3, ge=1)
    """Candidates that are offered for review for each example that is wanted. [ours]"""
    rules: RuleSettings = RuleSettings()
    """The filters and their thresholds."""

    def strata(self, context: Context) -> list[Stratum]:
        """Open the raw files and offer their candidates, best first, decoded when they are asked for."""
        raise NotImplementedError

    def complete(self, examples: Sequence[Example], context: Context) -> list[Example]:
        """Add what is looked up for accepted examples only, such as authors' names."""
        return list(examples)


def in_strata(
    found: Sequence[Candidate | Reject],
    context: Context,
    place: Callable[[Candidate], tuple[Any, ...]],
    limit: int | None = None,
) -> list[Stratum]:
    """Candidates in strata by their category, in the order of ``place``; rejects are named and counted.

    For sources that are small enough to be decoded whole.
    """
    groups: dict[str, list[Candidate]] = {}
    for item in found:
        if isinstance(item, Reject):
            context.reject(item)
            count = context.count(context.name)
            count.read += 1
            count.dropped_unread[item.rule] += 1
        else:
            groups.setdefault(item.example.meta.category or context.name, []).append(item)
    strata = []
    for name, group in sorted(groups.items()):
        count, ordered = context.count(name), sorted(group, key=place)
        count.read += len(group)
        count.eligible += len(group)
        strata.append(Stratum(name, len(group), iter(ordered), limit))
    return strata
