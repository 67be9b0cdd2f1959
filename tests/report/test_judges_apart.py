"""No estimate mixes judges of different hashes: two that always contradict each other leave no figure in between."""

import json
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

from tests.report.many_systems import JUDGE, build

from lima.files import read_json, read_jsonl, write_jsonl
from lima.records import Grade, Preference, Rater
from lima.report.report import report
from lima.report.settings import ReportSettings

SAME_MODEL = JUDGE.replace("0a1b2c3d", "ffffffff")
OF_SEVERAL = {
    "panel",
    "agreement",
    "reliability",
    "rater_pairs",
    "majority",
    "made_by",
    "inputs",
    "raters",
    "costs",
}
"""What is about several raters by its name."""


def contradicting(folder: Path) -> Path:
    """One judge always prefers the first system and gives it 6; the other, of the same model, the second, and gives 1."""
    build(folder, 2, prompts=24)
    keys = {row["id"]: row for row in map(json.loads, (folder / "key.jsonl").read_text().splitlines())}
    first = read_json(folder / "systems.json")["systems"][0]["name"]
    rows: list[Preference] = [
        row for row in read_jsonl(folder / "preferences.jsonl", Preference) if row.rater == JUDGE
    ]
    said = []
    for row in rows:
        own = "a" if keys[row.comparison_id]["a"]["system"] == first else "b"
        other = "b" if own == "a" else "a"
        for rater, label in ((JUDGE, own), (SAME_MODEL, other)):
            said.append(
                row.model_copy(update={"id": row.id.replace(JUDGE, rater), "rater": rater, "label": label})
            )
    write_jsonl(folder / "preferences.jsonl", sorted(said, key=attrgetter("id")))
    grades: list[Grade] = list(read_jsonl(folder / "grades.jsonl", Grade))
    twice = [
        row.model_copy(update={"id": row.id.replace(JUDGE, rater), "rater": rater, "value": value})
        for row in grades
        for rater, value in ((JUDGE, 6), (SAME_MODEL, 1))
    ]
    write_jsonl(folder / "grades.jsonl", sorted(twice, key=attrgetter("id")))
    judges = [
        Rater(id=name, kind="judge", description="", settings={"order": "both"})
        for name in (JUDGE, SAME_MODEL)
    ]
    write_jsonl(folder / "raters.jsonl", judges)
    return folder


def estimates(value: object, path: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        if {"value", "low", "high", "n", "method"} <= value.keys():
            yield path, float(value["value"])
        for name, entry in value.items():
            if not (path == "" and name in OF_SEVERAL):
                yield from estimates(entry, f"{path}.{name}")
    elif isinstance(value, list):
        for entry in value:
            yield from estimates(entry, path)


def test_no_figure_lies_between_the_two(tmp_path: Path) -> None:
    folder = contradicting(tmp_path / "study")
    report(ReportSettings(study=folder, rounds=100))
    found = read_json(folder / "report.json")
    measured = ("gap", "win", "loss", "score", "mean", "credit")
    figures = [(path, value) for path, value in estimates(found) if path.rpartition(".")[2] in measured]
    assert len(figures) > 20
    between = [(path, value) for path, value in figures if value not in (-1, 0, 1, 5, 6, -5)]
    assert between == []
    assert [(path, value) for path, value in figures if path.endswith(".gap") and value == 0] == [
        (path, value) for path, value in figures if "helpfulness_gaps" in path
    ]
    assert {row["group"] for row in found["findings"][0]["results"]} == {JUDGE, SAME_MODEL}


def test_the_page_tells_them_apart_wherever_it_names_them(tmp_path: Path) -> None:
    folder = contradicting(tmp_path / "study")
    report(ReportSettings(study=folder, rounds=100))
    for name in ("tables.md", "tables.tex"):
        lines = [line for line in (folder / name).read_text().splitlines() if "gpt-4-1106" in line]
        assert lines
        assert all("0a1b2c3d" in line or "ffffffff" in line for line in lines)
    words = (folder / "report.html").read_text()
    assert "ffffffff" in words
