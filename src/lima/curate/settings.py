"""Settings of ``lima curate`` and ``lima inspect``: a recipe and the flags fill the same classes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro
from pydantic import Field, model_validator

from lima.curate.card.licences import Use
from lima.curate.choose.duplicates import DuplicateSettings, LeakSettings
from lima.curate.rules import UNFILTERED
from lima.curate.sources.authored import Authored
from lima.curate.sources.base import UnknownSites
from lima.curate.sources.reddit import Reddit
from lima.curate.sources.super_ni import SuperNaturalInstructions
from lima.curate.sources.table import Table
from lima.curate.sources.wikihow import WikiHow
from lima.curate.stackexchange.dialogues import Dialogues
from lima.curate.stackexchange.source import StackExchange
from lima.curate.text.blocks import Style
from lima.curate.text.personal import REGIONS
from lima.errors import LimaError
from lima.hub import DataFile, RawFile
from lima.runs import EngineName
from lima.settings import Settings, read_recipe, typed, validate

Source = Annotated[
    StackExchange | Dialogues | WikiHow | Reddit | SuperNaturalInstructions | Authored | Table,
    Field(discriminator="kind"),
]
"""Every source; its ``kind`` says which. A new one is added here."""


class CurateSettings(Settings):
    """Turn raw dumps into about a thousand examples.

    The recipe names the sources, the number of examples from each, and the rules; each of its values is
    a flag too (``lima curate RECIPE --help`` lists them). Shipped recipes: see RECIPE.

    Example: ``lima curate stackexchange --input dumps/ --out data/ --quota 2000``
    """

    free_fields: ClassVar[frozenset[str]] = frozenset((
        "out", "review", "audit", "audit_size", "terms", "intended_use", "card", "workers", "engine",
        "strict", "dry_run",
    ))  # fmt: skip

    recipe: tyro.conf.Positional[str]
    """A shipped recipe (``stackexchange``) or the path of your own YAML file."""
    input: RawFile
    """Where the raw files are: a folder of dumps, or one dump; on the hub hf://USER/NAME/PATH, or hf://USER/NAME for all its files."""
    out: Path
    """The folder for train.jsonl, rejected.jsonl, funnel.json, ATTRIBUTION.md ..."""
    seed: int = 0
    """Seed of everything random."""
    style: Style = "markdown"
    """How HTML becomes text: ``markdown``, or ``lima`` as in the released set."""
    quota: int | None = Field(default=None, ge=1)
    """Training examples over all sources; scales the recipe's numbers. [paper: 1000]"""
    unfiltered: bool = False
    """Switch every rule off and take questions at random: the paper's unfiltered set (section 5)."""
    site: str | None = None
    """The exchange of a single Posts.xml whose folder does not name it, such as ``cooking``."""
    include_meta: bool = False
    """Take meta sites too: they are about the sites themselves, and off by default."""
    unknown_sites: UnknownSites = "skip"
    """Dumps of sites that are not in the table of exchanges: ``skip`` them with a warning that names them all, take them into the
    set ``other``, or ``stop``."""
    sources: tyro.conf.AvoidSubcommands[dict[str, Source]] = Field(default_factory=dict)
    """The sources by name, each with its quotas and rules."""
    duplicates: DuplicateSettings = DuplicateSettings()
    """What counts as the same example twice."""
    leaks: LeakSettings = LeakSettings()
    """Test prompts that training examples must not give away."""
    pii: Literal["report", "redact", "drop"] = "report"
    """E-mail addresses, telephone numbers, bank accounts, cards and IP addresses: ``report`` counts and warns, ``redact``
    puts consistent placeholders such as ``[EMAIL_1]`` in their place, ``drop`` drops the candidate. Names need a model and
    are not looked for."""
    pii_regions: tuple[str, ...] = REGIONS
    """Countries whose national telephone numbers are recognised; numbers with a country code are always found."""
    review: Path | None = None
    """Pick by hand: candidates of sources with ``review: true`` (Reddit, dialogues) are written to this JSON Lines
    file, best first. Set ``decision`` to accept, reject or edit, and run the same command again."""
    audit: tuple[Path, ...] = ()
    """Measure the selection: accepted and rejected examples are drawn into this review file, mixed, for a reader who cannot
    tell them apart (several files: several readers). Decide on them as with ``review``, and run the same command again: it
    reports precision, recall and the readers' agreement, with intervals."""
    audit_size: int = Field(default=100, ge=1)
    """How many accepted examples, and as many rejected ones, are drawn for ``audit``."""
    workers: int = Field(default=1, ge=1)
    """Processes that read the headers of dumps, the longest first. The outcome is the same with any number."""
    engine: EngineName = "processes"
    """Where the workers are: ``processes`` of this machine, or ``ray``, on the cluster that RAY_ADDRESS names or else on
    this machine (``pip install '.[ray]'``). The outcome is the same."""
    card: bool = True
    """Write card.md and card.html about the training examples."""
    intended_use: Use = "commercial"
    """The use that the card's warnings about licences assume."""
    terms: str | None = None
    """The terms under which you obtained the raw data, for the card: ``internet-archive`` or ``stack-exchange`` (the card spells out the
    consequences), or your own words."""
    strict: bool = False
    """Stop with exit code 2 when a source cannot fill its quota, or a row is malformed."""
    dry_run: bool = False
    """Read headers, print what would be drawn from, write nothing."""

    @model_validator(mode="after")
    def _scale_and_unfilter(self) -> CurateSettings:
        sources = self.sources
        if self.quota is not None:
            sources = _scaled(sources, self.quota)
        if self.unfiltered:
            sources = {name: _unfiltered(source) for name, source in sources.items()}
        object.__setattr__(self, "sources", sources)  # before anyone sees the frozen settings
        return self

    @classmethod
    def find_recipe(cls, arguments: Sequence[str]) -> Path | None:
        """The first argument that is the name of a shipped recipe or a YAML file."""
        shipped = shipped_recipes()
        for argument in arguments:
            if argument in shipped:
                return shipped[argument]
            if argument.endswith((".yaml", ".yml")) and not argument.startswith("-"):
                return Path(argument)
        if arguments and not arguments[0].startswith("-"):
            near = difflib.get_close_matches(arguments[0], shipped, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise LimaError(
                f"no recipe {arguments[0]!r}. {hint}Shipped: {', '.join(sorted(shipped))}; or a .yaml file."
            )
        return None

    @classmethod
    def from_recipe(cls, recipe: str, **values: Any) -> CurateSettings:
        """Settings of a recipe with some values set anew, as a command line would set them."""
        path = cls.find_recipe([recipe])
        assert path is not None, recipe
        return validate(cls, typed(cls, read_recipe(path), recipe) | {"recipe": recipe} | values, recipe)


class InspectSettings(Settings):
    """Show what is in a data file: counts, lengths, licences, duplicates and a few rows.

    Example: ``lima inspect data/train.jsonl``
    """

    file: tyro.conf.Positional[DataFile]
    """A JSON Lines file of Examples or of completions, or hf://USER/NAME:split."""
    samples: int = Field(default=2, ge=0)
    """How many rows to show in full."""
    seed: int = 0
    """Chooses which rows are shown."""
    card: Path | None = None
    """A folder for card.md and card.html: composition beside the paper's, lengths, licences, diversity, style,
    duplicates, leaks and examples."""
    against: tuple[Path, ...] = ()
    """For the card: files of test prompts that the examples must not give away."""
    intended_use: Use = "commercial"
    """For the card: the use that its warnings about licences assume."""
    embeddings: Path | None = None
    """For the card: a .npy file with one row an example, for a measure of diversity besides TF-IDF."""


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    folder = Path(str(resources.files("lima.curate"))) / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def _scaled(sources: Mapping[str, Source], quota: int) -> dict[str, Source]:
    """Training numbers in the recipe's proportions that sum to ``quota`` (largest remainders)."""
    total = sum(source.train for source in sources.values())
    if not total:
        raise ValueError("quota: no source of the recipe has training examples to scale")
    exact = {name: source.train * quota / total for name, source in sources.items()}
    whole = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: whole[name] - exact[name])
    for name in by_remainder[: quota - sum(whole.values())]:
        whole[name] += 1
    return {name: source.model_copy(update={"train": whole[name]}) for name, source in sources.items()}


def _unfiltered(source: Source) -> Source:
    rules = source.rules.model_copy(update=dict(UNFILTERED))
    changes = {"rules": rules, "order": "random", "drop_closed": False}
    known = {name: value for name, value in changes.items() if name in type(source).model_fields}
    return source.model_copy(update=known)
