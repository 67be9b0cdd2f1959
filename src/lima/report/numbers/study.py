"""Reads a study folder: blind texts, key, verdicts and grades, joined and checked.

Corrected rows are replaced by the newest ones here, so that nothing after this module sees an old verdict.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from lima.errors import LimaError
from lima.evaluate import study as files
from lima.evaluate.lineage import Lineage
from lima.evaluate.protocol import OwnScale, Plan
from lima.evaluate.study import existing_rows
from lima.files import read_json, sha256
from lima.records import SCALE_VALUES, Comparison, Drawn, Grade, Item, Key, Origin, Preference, Rater
from lima.settings import read_yaml, validate

VerdictRow = TypeVar("VerdictRow", Preference, Grade)

FILES = (
    "protocol.yaml",
    "systems.json",
    "comparisons.jsonl",
    "items.jsonl",
    "key.jsonl",
    "preferences.jsonl",
    "grades.jsonl",
    "raters.jsonl",
    "sample.jsonl",
    "rejects.jsonl",
)


@dataclass(frozen=True)
class InputFile:
    """One input file of the report: its name, number of rows (None: not rows) and SHA-256."""

    name: str
    rows: int | None
    sha256: str


@dataclass(frozen=True)
class StudyData:
    """A study folder in memory. ``preferences`` and ``grades`` hold the rows that count."""

    folder: Path
    protocol: Mapping[str, Any]
    comparisons: Mapping[str, Comparison]
    items: Mapping[str, Item]
    keys: Mapping[str, Key]
    preferences: Sequence[Preference]
    grades: Sequence[Grade]
    raters: Mapping[str, Rater]
    replaced: int
    """Rows left out because a newer one took their place."""
    sources: Sequence[InputFile]
    named_systems: Sequence[str]
    """Systems in the order of ``systems.json``, the one under test first; empty without that file."""
    models: Mapping[str, str]
    """What ``lima generate`` asked for the answers of a system (``URL#model``, a folder), where that was noted."""
    lineages: Mapping[str, Lineage]
    """The training of a system, where it is known."""
    plan: Plan | None
    """The plan in ``protocol.yaml``; None where none was written down: then no test was planned."""
    changes: Sequence[str]
    """What was altered since the study was made, by the hashes in ``protocol.yaml``; rated by another plan."""
    own_scales: Mapping[str, OwnScale] = field(default_factory=dict)
    """Scales that the protocol declares."""
    drawn: Mapping[str, Drawn] = field(default_factory=dict)
    """Which texts were drawn for people, with their probabilities; empty without a planned sample."""
    cut_off: Mapping[str, int] = field(default_factory=dict)
    """Answers of a system that end where the limit of tokens was, where that was noted."""

    @property
    def scales(self) -> dict[str, tuple[str | int, ...]]:
        """The values of every scale, the standard ones first."""
        return SCALE_VALUES | {name: words.values for name, words in self.own_scales.items()}

    @property
    def systems(self) -> list[str]:
        """Systems in the order of ``systems.json``, then others by the number of their texts (most first)."""
        counts: dict[str, int] = {}
        for key in self.keys.values():
            for origin in (key.a, key.b, key.content):
                if origin:
                    counts[origin.system] = counts.get(origin.system, 0) + 1
        others = sorted(set(counts) - set(self.named_systems), key=lambda system: (-counts[system], system))
        return [system for system in self.named_systems if system in counts] + others

    def answers(self) -> Iterator[tuple[Origin, str, str]]:
        """Every text that was shown: where it is from, its prompt, and the text; an answer comes once a text it is in."""
        for text_id, key in self.keys.items():
            comparison, item = self.comparisons.get(text_id), self.items.get(text_id)
            for origin, text in (
                (key.a, comparison.a if comparison else None),
                (key.b, comparison.b if comparison else None),
                (key.content, item.content if item else None),
            ):
                if origin is not None and text is not None:
                    yield origin, key.prompt_id, text


def read_study(folder: Path) -> StudyData:
    """Read and check a study folder.

    Raises:
        LimaError: the folder is no study, or rows name texts that are not in it.
    """
    made = files.Study(folder)
    comparisons = existing_rows(made.comparisons, Comparison)
    items = existing_rows(made.items, Item)
    if not comparisons and not items:
        raise LimaError(f"{folder}: neither comparisons.jsonl nor items.jsonl. 'lima compare' makes a study.")
    all_preferences = existing_rows(made.preferences, Preference)
    all_grades = existing_rows(made.grades, Grade)
    preferences = newest(all_preferences, _preference_place)
    grades = newest(all_grades, _grade_place)
    path = folder / "protocol.yaml"
    protocol = read_yaml(path) if path.exists() else {}
    written = protocol.get("plan")
    plan = None if written is None else validate(Plan, written, f"{path}: plan")
    raters = {row.id: row for row in existing_rows(made.raters, Rater)}
    systems = _described_systems(made.systems)
    study = StudyData(
        folder=folder,
        protocol=protocol,
        comparisons={row.id: row for row in comparisons},
        items={row.id: row for row in items},
        keys={row.id: row for row in existing_rows(made.key, Key)},
        preferences=preferences,
        grades=grades,
        raters=raters,
        replaced=len(all_preferences) + len(all_grades) - len(preferences) - len(grades),
        sources=_sources(folder),
        named_systems=[system["name"] for system in systems],
        models={system["name"]: str(system["model"]) for system in systems if system.get("model")},
        lineages=_lineages(made.systems, systems),
        cut_off={system["name"]: int(system.get("cut_off") or 0) for system in systems},
        plan=plan,
        own_scales=_own_scales(protocol, path),
        drawn={row.id: row for row in existing_rows(made.sample, Drawn)},
        changes=[*_changes(folder, protocol), *_other_plans(plan, raters)],
    )
    _check(study)
    return study


def newest(rows: Sequence[VerdictRow], place: Any) -> list[VerdictRow]:
    """The rows that count: no superseded one, and of several in one place the last.

    ``place`` maps a row to what it is a verdict on (text, rater, order, repeat). Rows come back by id.
    """
    superseded = {row.supersedes for row in rows}
    last: dict[Hashable, VerdictRow] = {place(row): row for row in rows if row.id not in superseded}
    return sorted(last.values(), key=lambda row: row.id)


def _preference_place(row: Preference) -> Hashable:
    return row.comparison_id, row.rater, row.shown, row.repeat


def _own_scales(protocol: Mapping[str, Any], path: Path) -> dict[str, OwnScale]:
    found = protocol.get("scales") or {}
    named = isinstance(found, Mapping) and all(isinstance(words, Mapping) for words in found.values())
    if not named:
        raise LimaError(f"{path}: scales must give each name its question and choices (found: {found!r}).")
    return {name: validate(OwnScale, words, f"{path}: scales.{name}") for name, words in found.items()}


def _grade_place(row: Grade) -> Hashable:
    return row.item_id, row.turn, row.rater, row.scale, row.repeat


def _check(study: StudyData) -> None:
    texts = {"comparisons.jsonl": study.comparisons, "items.jsonl": study.items}
    _on_scales(study)
    _known("preferences.jsonl", "comparisons.jsonl", (r.comparison_id for r in study.preferences), texts)
    _known("grades.jsonl", "items.jsonl", (r.item_id for r in study.grades), texts)
    _known(
        "sample.jsonl", "comparisons.jsonl", (name for name in study.drawn if name not in study.items), texts
    )
    if study.drawn and study.comparisons.keys() | study.items.keys() != study.drawn.keys():
        raise LimaError(
            f"{study.folder / 'sample.jsonl'}: not every text of the study has its probability. Another study's?"
        )
    for file, ids in texts.items():
        for text_id in ids:
            key = study.keys.get(text_id)
            if key is None:
                place = study.folder / "key.jsonl"
                raise LimaError(f"{place}: no row for {text_id!r} of {file}. Run 'lima compare' again.")
            complete = key.a and key.b if file == "comparisons.jsonl" else key.content
            if not complete:
                raise LimaError(f"{study.folder / 'key.jsonl'}: the row {text_id!r} names no system.")


def _on_scales(study: StudyData) -> None:
    """Refuse ratings on scales that the protocol does not declare, or with values that are not theirs."""
    scales, file = study.scales, study.folder / "grades.jsonl"
    for row in study.grades:
        if row.scale not in scales:
            raise LimaError(
                f"{file}: {row.id!r} is on the scale {row.scale!r}, which protocol.yaml does not declare under scales "
                f"(there are {', '.join(scales)})."
            )
        if row.value is not None and row.value not in scales[row.scale]:
            raise LimaError(
                f"{file}: {row.id!r} has {row.value!r} on {row.scale!r}, whose values are "
                f"{', '.join(map(str, scales[row.scale]))}. Was the scale changed after the first rating?"
            )


def _known(file: str, target: str, ids: Iterable[str], texts: Mapping[str, Mapping[str, object]]) -> None:
    for text_id in ids:
        if text_id not in texts[target]:
            raise LimaError(
                f"{file}: a row is about {text_id!r}, which {target} does not have. Another study's rows?"
            )


def _sources(folder: Path) -> list[InputFile]:
    found = []
    for name in FILES:
        path = folder / name
        if path.exists():
            rows = sum(bool(line.strip()) for line in path.open("rb")) if name.endswith(".jsonl") else None
            found.append(InputFile(name, rows, sha256(path)))
    return found


def _described_systems(path: Path) -> list[dict[str, Any]]:
    """What ``systems.json`` says of each system; nothing without that file."""
    if not path.exists():
        return []
    try:
        found = [{**system, "name": str(system["name"])} for system in read_json(path)["systems"]]
    except (KeyError, TypeError):
        raise LimaError(f"{path}: expected an object with 'systems', each with a 'name'.") from None
    return found


def _lineages(path: Path, systems: Sequence[Mapping[str, Any]]) -> dict[str, Lineage]:
    try:
        return {s["name"]: Lineage.model_validate(s["lineage"]) for s in systems if s.get("lineage")}
    except ValidationError as error:
        raise LimaError(f"{path}: lineage: {error.errors(include_url=False)[0]['msg']}.") from None


def _changes(folder: Path, protocol: Mapping[str, Any]) -> list[str]:
    """Files whose hashes are not those that ``lima compare`` noted in the protocol."""
    made = files.Study(folder)
    noted = {
        "texts": (files.hash_texts, (made.comparisons, made.items)),
        "key": (files.hash_key, (made.key, made.systems)),
    }
    found = []
    for name, (digest, paths) in noted.items():
        complete = all(path.exists() for path in paths)
        if protocol.get(name) and not (complete and digest(made) == protocol[name]):
            found.append(f"{' or '.join(path.name for path in paths)} changed after the study was made.")
    return found


def _other_plans(plan: Plan | None, raters: Mapping[str, Rater]) -> list[str]:
    """Raters who began under another plan than the one that ``protocol.yaml`` holds now."""
    noted = {rater.id: rater.settings.get("plan") for rater in raters.values()}
    late = sorted(name for name, digest in noted.items() if digest and (plan is None or digest != plan.hash))
    if not late:
        return []
    return [f"The plan in protocol.yaml is not the one under which {', '.join(late)} began."]
