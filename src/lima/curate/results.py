"""What a curation found -> its files, and messages where it found too little or other raw files than before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

from lima.curate.candidate import SPLITS, Count, Funnel, Split, as_prompt
from lima.curate.card.card import write_card
from lima.curate.card.sections import CardOptions
from lima.curate.settings import CurateSettings
from lima.curate.text.personal import KINDS, WORDS, count_personal
from lima.errors import LimaError, SettingsConflict
from lima.files import files_below, fingerprint, read_json, text_hash, write_json, write_jsonl, write_text
from lima.records import Example, Meta, Reject
from lima.runs import Run

ATTRIBUTION = """# Attribution

Made by lima. Each line names an example's id, its source, its authors and the licence of the
original. The texts were changed: see the end of each line.
"""

MALFORMED = ("malformed", "torn-row", "not-text")
"""Rules of rows that are not what their writer meant, however good their text may be."""


@dataclass
class Curated:
    """What a curation found, before it is written."""

    funnel: Funnel = field(default_factory=Funnel)
    sets: dict[Split, list[Example]] = field(default_factory=lambda: {name: [] for name in SPLITS})
    rejected: list[Reject] = field(default_factory=list)
    short: dict[str, int] = field(default_factory=dict)
    """By source, how many examples its quota lacks."""


def refuse_changed_input(run: Run, settings: CurateSettings) -> None:
    """A finished folder is made anew from the same raw files only."""
    if run.finished and read_json(run.path)["facts"]["input"] != input_fingerprint(settings):
        raise SettingsConflict(
            f"{settings.out}: made from other raw files ({settings.input} has changed since). "
            "Choose another --out, or remove this folder."
        )


def input_fingerprint(settings: CurateSettings) -> str:
    """As `lima.files.fingerprint`, over all files of a folder but those of the output."""
    path, out = settings.input, settings.out
    if path.is_file():
        return fingerprint(path)
    files = [file for file in files_below(path) if out not in file.parents]
    return text_hash(*(f"{file.relative_to(path).as_posix()} {fingerprint(file)}" for file in files))


def check(curated: Curated, settings: CurateSettings) -> None:
    """Raise an error where too little was found to go on.

    Raises:
        LimaError: nothing accepted; with ``strict`` malformed rows or a source that ran dry.
    """
    if not any(curated.sets.values()):
        raise LimaError(_nothing_accepted(curated, settings))
    if not settings.strict:
        return
    malformed = [reject for reject in curated.rejected if reject.rule in MALFORMED]
    if malformed:
        raise LimaError(f"{malformed[0].id}: {malformed[0].reason}, and --strict is set.")
    for name, missing in curated.short.items():
        raise LimaError(f"{name}: {missing} examples are missing from its quota, and --strict is set.")


def ran_dry(name: str, missing: int, curated: Curated, settings: CurateSettings) -> str | None:
    """How much of its quota a source gave, and which rule dropped most candidates; None where the quota was every row."""
    total = curated.funnel.total(name)
    quota = total.accepted + missing
    if total.accepted and quota in (total.read, total.eligible):
        return None
    if not total.read:
        return f"{name}: {settings.input} holds nothing of this source; {quota} examples were wanted."
    text = f"{name}: {total.accepted} of {quota} examples; its {total.eligible} eligible candidates ran dry."
    if total.rejected:
        rule, number = total.rejected.most_common(1)[0]
        text += f" {rule!r} dropped most of them ({number}); thresholds are flags, --sources.{name}.rules...."
    return text


def personal_warning(curated: Curated, settings: CurateSettings) -> str | None:
    """Which personal data the sets hold, and what to do about them."""
    rows = [row for name in SPLITS for row in curated.sets[name]]
    counts = count_personal(rows, regions=settings.pii_regions)
    if not counts:
        return None
    found = ", ".join(f"{counts[kind]:,} with {WORDS[kind]}" for kind in KINDS if kind in counts)
    return (
        f"personal data in the {len(rows):,} accepted examples: {found}. A model can learn and repeat them. "
        "--pii redact puts placeholders in their place, --pii drop leaves such examples out."
    )


def _nothing_accepted(curated: Curated, settings: CurateSettings) -> str:
    """Which rule dropped most, which came next, and where every reason is."""
    total = Count()
    for name in settings.sources:
        total.add(curated.funnel.total(name))
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


def write_reasons(curated: Curated, settings: CurateSettings) -> list[Path]:
    """What was dropped and why, in the order of ids: also of a run that accepts nothing."""
    rejected, funnel = settings.out / "rejected.jsonl", settings.out / "funnel.json"
    write_jsonl(rejected, sorted(curated.rejected, key=attrgetter("id")))
    write_json(funnel, {"sources": curated.funnel.as_json(settings.sources)})
    return [rejected, funnel]


def write_sets(curated: Curated, settings: CurateSettings) -> list[Path]:
    """Write every set whole, in the order of ids; sets that no source asks for are left out."""
    out, written = settings.out, []
    for name in wanted(settings):
        rows = _by_id(curated.sets[name])
        write_jsonl(out / f"{name}.jsonl", map(as_prompt, rows) if name == "test" else rows)
        written.append(out / f"{name}.jsonl")
    write_text(out / "ATTRIBUTION.md", attribution([row for rows in curated.sets.values() for row in rows]))
    if settings.card:
        written += _write_card(curated, settings)
    return [*written, out / "ATTRIBUTION.md"]


def _write_card(curated: Curated, settings: CurateSettings) -> list[Path]:
    """About the training examples; about the first other set where there are none."""
    name = next(name for name in SPLITS if curated.sets[name])
    options = CardOptions(settings.seed, settings.duplicates, settings.leaks, settings.terms)
    title, rows = f"{settings.recipe}: {name}", _by_id(curated.sets[name])
    return write_card(settings.out, title, rows, settings.intended_use, options)


def _by_id(examples: Sequence[Example]) -> list[Example]:
    return sorted(examples, key=attrgetter("id"))


def wanted(settings: CurateSettings) -> list[Split]:
    """The sets that some source has a quota for."""
    return [name for name in SPLITS if any(getattr(source, name) for source in settings.sources.values())]


def attribution(examples: Sequence[Example]) -> str:
    """The whole file, grouped by source and category."""
    licences = Counter(example.meta.licence or "no licence stated" for example in examples)
    lines = [ATTRIBUTION, *(f"* {number} x {name}" for name, number in sorted(licences.items())), ""]
    place: tuple[str, str] | None = None
    for example in sorted(examples, key=lambda e: (e.source, e.meta.category or "", e.id)):
        here = (example.source, example.meta.category or "")
        if here != place:
            lines += ["", f"## {' / '.join(part for part in here if part)}", ""]
            place = here
        lines.append(_line(example))
    return "\n".join(lines) + "\n"


def _line(example: Example) -> str:
    meta = example.meta
    extra: dict[str, Any] = meta.model_extra or {}
    title = _escape(str(extra.get("title") or (example.id if meta.url else "")))
    parts = [f"[{title}]({meta.url})" if meta.url else title] if title else []
    if extra.get("answer_url"):
        parts.append(f"[answer]({extra['answer_url']})")
    parts += [f"by {people}"] if (people := _people(meta)) else []
    parts.append(meta.licence or "no licence stated")
    parts += [f"changes: {', '.join(meta.transforms)}"] if meta.transforms else []
    return f"* `{example.id}`: " + "; ".join(parts)


def _people(meta: Meta) -> str:
    profiles = (meta.model_extra or {}).get("profiles") or [None] * len(meta.authors)
    shown = [
        f"[{_escape(name)}]({profile})" if profile else _escape(name)
        for name, profile in zip(meta.authors, profiles, strict=True)
    ]
    return " and ".join(dict.fromkeys(shown))


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace("`", "\\`")
