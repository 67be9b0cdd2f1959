"""Judgments that other projects published -> a study folder, so that ``lima report`` and the statistics read them.

A map (`lima.formats.mapping`) says where a source's rows hold what; this module writes the folder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path

from lima.errors import LimaError
from lima.files import write_json, write_jsonl, write_text
from lima.formats.imported import ImportedStudy
from lima.formats.mapping import read_map
from lima.formats.settings import AnswerFormat, StudyFormat
from lima.formats.votes import read_votes
from lima.records import Key, Preference


def read_study(
    kind: StudyFormat | AnswerFormat, files: Sequence[Path], own: Path | None = None
) -> ImportedStudy:
    """The records in the published files of one source, by its map, or by the user's ``own`` one (``votes``).

    Files by source: ``alpaca-eval`` annotations.json; ``pandalm`` the human test set, then result files of
    judges; ``tulu`` the annotation table (.xlsx); ``cherry`` one file of reviews or several.

    Raises:
        LimaError: no file, files of another kind, or no map.
    """
    if not files:
        raise LimaError(f"lima import {kind}: no file given.")
    if (kind == "votes") != (own is not None):
        raise LimaError(
            "--map MAP belongs to lima import votes, and lima import votes needs one (docs/formats.md)."
        )
    mapping = read_map(own or kind)
    try:
        return read_votes(mapping, files)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise LimaError(f"{files[0]}: not a file of {own or kind} ({reason}).") from None


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
    given = {row.id for row in study.preferences}
    grades = [
        row
        for row in study.grades
        if (
            row.id.rpartition("/")[0] in kept if row.id.rpartition("/")[0] in given else row.item_id in inside
        )
    ]
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
    # Without a plan: what was published was not planned here. Words and plan of the default protocol hold for who rates.
    counts = {"systems": study.systems, "comparisons": study.comparisons, "items": study.items}
    write_text(out / "protocol.yaml", "".join(f"{name}: {len(rows)}\n" for name, rows in counts.items()))
    write_jsonl(out / "comparisons.jsonl", sorted(study.comparisons, key=attrgetter("id")))
