"""What a curation found -> its files, and its words where it found too little."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

from lima.curate.card.attribution import attribution
from lima.curate.card.card import write_card
from lima.curate.card.sections import CardOptions
from lima.curate.choose.splits import SPLITS, Split, as_prompt
from lima.curate.funnel import Count, Funnel
from lima.curate.settings import CurateSettings
from lima.curate.text.personal import KINDS, WORDS, count_personal
from lima.errors import LimaError
from lima.files import write_json, write_jsonl, write_text
from lima.records import Example, Reject


@dataclass
class Result:
    """What a curation found, before it is written."""

    funnel: Funnel = field(default_factory=Funnel)
    sets: dict[Split, list[Example]] = field(default_factory=lambda: {name: [] for name in SPLITS})
    rejected: list[Reject] = field(default_factory=list)
    short: dict[str, int] = field(default_factory=dict)
    """By source, how many examples its quota lacks."""


def check(result: Result, settings: CurateSettings) -> None:
    """Whether it is enough to go on.

    Raises:
        LimaError: nothing accepted; with ``strict`` malformed rows or a source that ran dry.
    """
    if not any(result.sets.values()):
        raise LimaError(_nothing_accepted(result, settings))
    if not settings.strict:
        return
    malformed = [reject for reject in result.rejected if reject.rule == "malformed"]
    if malformed:
        raise LimaError(f"{malformed[0].id}: {malformed[0].reason}, and --strict is set.")
    for name, missing in result.short.items():
        raise LimaError(f"{name}: {missing} examples are missing from its quota, and --strict is set.")


def ran_dry(name: str, missing: int, result: Result, settings: CurateSettings) -> str:
    """What a source gave of its quota, and the rule that stood most in the way."""
    wanted, total = settings.sources[name].quota, result.funnel.total(name)
    if not total.read:
        return f"{name}: {settings.input} holds nothing of this source; {wanted} examples were wanted."
    text = (
        f"{name}: {wanted - missing} of {wanted} examples; its {total.eligible} eligible candidates ran dry."
    )
    if total.rejected:
        rule, number = total.rejected.most_common(1)[0]
        text += f" {rule!r} dropped most of them ({number}); thresholds are flags, --sources.{name}.rules...."
    return text


def personal_warning(result: Result, settings: CurateSettings) -> str | None:
    """What the sets hold of personal data, and what to do about it."""
    rows = [row for name in SPLITS for row in result.sets[name]]
    counts = count_personal(rows, regions=settings.pii_regions)
    if not counts:
        return None
    found = ", ".join(f"{counts[kind]:,} with {WORDS[kind]}" for kind in KINDS if kind in counts)
    return (
        f"personal data in the {len(rows):,} accepted examples: {found}. A model can learn and tell them. "
        "--pii redact puts placeholders in their place, --pii drop leaves such examples out."
    )


def _nothing_accepted(result: Result, settings: CurateSettings) -> str:
    """Which rule dropped most, which came next, and where every reason is."""
    total = Count()
    for name in settings.sources:
        total.add(result.funnel.total(name))
    dropped = +(total.dropped_unread + total.rejected)
    if not dropped:
        return f"{settings.input}: no candidate in it. See {settings.out / 'funnel.json'}."
    (most, number), *others = dropped.most_common(4)
    rest = "; then " + ", ".join(f"{rule} {count}" for rule, count in others) if others else ""
    return (
        f"{settings.input}: no candidate passed the rules. Of {total.read} read, {most!r} dropped most ({number}{rest}). "
        f"The reasons are in {settings.out / 'rejected.jsonl'}, the counts in {settings.out / 'funnel.json'}; "
        "'lima curate RECIPE --help' lists the thresholds."
    )


def write_reasons(result: Result, settings: CurateSettings) -> list[Path]:
    """What was dropped and why, in the order of ids: also of a run that accepts nothing."""
    rejected, funnel = settings.out / "rejected.jsonl", settings.out / "funnel.json"
    write_jsonl(rejected, sorted(result.rejected, key=attrgetter("id")))
    write_json(funnel, {"sources": result.funnel.as_json(settings.sources)})
    return [rejected, funnel]


def write_sets(result: Result, settings: CurateSettings) -> list[Path]:
    """Write every set whole, in the order of ids; sets that no source asks for are left out."""
    out, written = settings.out, []
    for name in wanted(settings):
        rows = sorted(result.sets[name], key=lambda example: example.id)
        if name == "test":
            rows = [as_prompt(example) for example in rows]
        write_jsonl(out / f"{name}.jsonl", rows)
        written.append(out / f"{name}.jsonl")
    write_text(out / "ATTRIBUTION.md", attribution([row for rows in result.sets.values() for row in rows]))
    if settings.card:
        written += _write_card(result, settings)
    return [*written, out / "ATTRIBUTION.md"]


def _write_card(result: Result, settings: CurateSettings) -> list[Path]:
    """About the training examples; about the first other set where there are none."""
    name = next(name for name in SPLITS if result.sets[name])
    rows = sorted(result.sets[name], key=lambda example: example.id)
    options = CardOptions(settings.seed, settings.duplicates, settings.leaks, settings.terms)
    return write_card(settings.out, f"{settings.recipe}: {name}", rows, settings.intended_use, options)


def wanted(settings: CurateSettings) -> list[Split]:
    """The sets that some source has a quota for."""
    return [name for name in SPLITS if any(getattr(source, name) for source in settings.sources.values())]
