"""Judgments that other projects published -> a study folder, so that ``lima report`` and the statistics read them.

One module a source turns rows into records by a pure function; this one names the sources and writes the folder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import orjson

from lima.errors import LimaError
from lima.files import write_json, write_jsonl
from lima.formats.settings import StudyFormat
from lima.records import Comparison, Grade, Item, Key, Message, Origin, Preference, Rater

Row = dict[str, Any]


@dataclass(frozen=True)
class ImportedStudy:
    """Everything that a study folder of pairwise judgments holds."""

    comparisons: Sequence[Comparison]
    keys: Sequence[Key]
    preferences: Sequence[Preference]
    raters: Sequence[Rater]
    systems: Sequence[str]
    """The one whose wins count first."""
    items: Sequence[Item] = ()
    grades: Sequence[Grade] = ()
    """Ratings of single answers, given with a verdict: the id is the verdict's with ``/a`` or ``/b`` behind it."""


def import_study(kind: StudyFormat, files: Sequence[Path], out: Path) -> ImportedStudy:
    """Read the published files of one source (`read_study`) and write them as the study folder ``out``.

    Raises:
        LimaError: as `read_study` and `write_study`.
    """
    study = read_study(kind, files)
    write_study(study, out)
    return study


def read_study(kind: StudyFormat, files: Sequence[Path]) -> ImportedStudy:
    """The records in the published files of one source.

    Files by source: ``alpaca-eval`` annotations.json; ``pandalm`` the human test set, then result files of
    judges; ``tulu`` the annotation table (.xlsx); ``cherry`` one file of reviews or several.

    Raises:
        LimaError: no file, or not such files.
    """
    if not files:
        raise LimaError(f"lima import {kind}: no file given.")
    try:
        return _readers()[kind](files)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise LimaError(f"{files[0]}: not a file of {kind} ({reason}).") from None


def narrowed(study: ImportedStudy, systems: Sequence[str], votes: int | None) -> ImportedStudy:
    """The comparisons between ``systems`` alone (none named: all), with the earliest ``votes`` raters of each prompt.

    Published studies often count the first vote on a prompt, and take agreement from the first two.

    Raises:
        LimaError: a system that the study does not have, or only one.
    """
    unknown = sorted(set(systems) - set(study.systems))
    if unknown or len(set(systems)) == 1:
        raise LimaError(f"--systems {' '.join(systems)}: name two or more of {', '.join(study.systems)}.")
    chosen = set(systems or study.systems)
    pairs = {key.id: (key.prompt_id, frozenset(_systems(key))) for key in study.keys}
    inside = {identity for identity, (_, names) in pairs.items() if names <= chosen}
    rows = [row for row in study.preferences if row.comparison_id in inside]
    if votes is not None:
        rows = _earliest(rows, pairs, votes)
    kept = {row.id for row in rows}
    rated = {row.comparison_id for row in rows}
    comparisons = [row for row in study.comparisons if row.id in (inside if votes is None else rated)]
    grades = [row for row in study.grades if row.id.rpartition("/")[0] in kept]
    graded = {row.item_id for row in grades}
    ids = {row.id for row in comparisons} | graded
    return ImportedStudy(
        comparisons=comparisons,
        keys=[key for key in study.keys if key.id in ids],
        preferences=rows,
        raters=[rater for rater in study.raters if rater.id in {row.rater for row in rows}],
        systems=[name for name in (systems or study.systems) if name in chosen],
        items=[item for item in study.items if item.id in graded],
        grades=grades,
    )


def _earliest(
    rows: Sequence[Preference], pairs: Mapping[str, tuple[str, frozenset[str]]], votes: int
) -> list[Preference]:
    """The rows of the first raters of each prompt and pair, by time; what a newer row replaced is left out."""
    gone = {row.supersedes for row in rows}
    first: dict[tuple[str, frozenset[str]], list[str]] = defaultdict(list)
    found = []
    for row in sorted((row for row in rows if row.id not in gone), key=lambda row: row.at or ""):
        raters = first[pairs[row.comparison_id]]
        if row.rater not in raters and len(raters) < votes:
            raters.append(row.rater)
        if row.rater in raters:
            found.append(row)
    return found


def _systems(key: Key) -> list[str]:
    return [origin.system for origin in (key.a, key.b, key.content) if origin]


def write_study(study: ImportedStudy, out: Path) -> None:
    """Write the files of a study folder, rows in the order of their ids; the comparisons come last.

    Raises:
        LimaError: ``out`` holds a study already, or is a file.
    """
    if (out / "comparisons.jsonl").exists():
        raise LimaError(f"{out}: holds a study already. Choose another --out.")
    if out.is_file():
        raise LimaError(f"{out}: a file, expected the name of a folder for the study.")
    write_jsonl(out / "key.jsonl", sorted(study.keys, key=attrgetter("id")))
    write_jsonl(out / "preferences.jsonl", sorted(study.preferences, key=attrgetter("id")))
    write_jsonl(out / "raters.jsonl", sorted(study.raters, key=attrgetter("id")))
    if study.items:
        write_jsonl(out / "items.jsonl", sorted(study.items, key=attrgetter("id")))
        write_jsonl(out / "grades.jsonl", sorted(study.grades, key=attrgetter("id")))
    write_json(out / "systems.json", {"seed": 0, "systems": [{"name": name} for name in study.systems]})
    write_jsonl(out / "comparisons.jsonl", sorted(study.comparisons, key=attrgetter("id")))


def read_rows(path: Path) -> list[Row]:
    """The objects of a JSON array, or of its ``data`` field."""
    try:
        value = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise LimaError(f"{path}: no such file.") from None
    except orjson.JSONDecodeError as error:
        raise LimaError(f"{path}:{error.lineno}: not JSON ({error.msg}).") from None
    rows = value.get("data") if isinstance(value, dict) else value
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise LimaError(f"{path}: expected a JSON array of objects, or an object with one under 'data'.")
    return rows


def asked(text: str) -> tuple[Message, ...]:
    """A conversation of one user turn."""
    return (Message(role="user", content=text),)


def pair_key(identity: str, prompt_id: str, first: str, second: str) -> Key:
    """The key of a comparison whose completions have no ids of their own."""
    origins = [Origin(system=name, completion_id=f"{name}/{prompt_id}") for name in (first, second)]
    return Key(id=identity, prompt_id=prompt_id, a=origins[0], b=origins[1])


def _readers() -> dict[StudyFormat, Callable[[Sequence[Path]], ImportedStudy]]:
    from lima.formats import alpaca_eval, cherry, pandalm, tulu

    return {
        "alpaca-eval": alpaca_eval.read_files,
        "pandalm": pandalm.read_files,
        "tulu": tulu.read_files,
        "cherry": cherry.read_files,
    }
