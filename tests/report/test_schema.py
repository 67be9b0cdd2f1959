"""``report.json`` keeps to its schema, and every estimate in it says n, level and method."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from tests.report.many_systems import build

from lima.files import read_json
from lima.report.numbers.schema import report_schema
from lima.report.report import report
from lima.report.settings import ReportSettings

SCHEMA = Path(__file__).parent.parent.parent / "docs" / "report.schema.json"
PLAIN = {"level", "alpha", "p", "adjusted", "statistic", "chance", "epsilon", "standard_error", "value", "low", "high",
         "here", "there", "between", "within", "correlation", "design_effect", "effective_n", "omega", "rate",
         "advantage", "better", "share", "cost", "winning_rate"}  # fmt: skip
"""Names under which a bare number may stand: parts of an estimate, a test or a count, and means beside their difference."""


def test_the_schema_in_the_docs_is_that_of_the_code() -> None:
    Draft202012Validator.check_schema(report_schema())
    assert json.loads(SCHEMA.read_text()) == report_schema()


@pytest.mark.parametrize("systems", [0, 3])
def test_a_report_keeps_to_it(study: Path, tmp_path: Path, systems: int) -> None:
    folder = build(tmp_path / "many", systems, prompts=12) if systems else study
    report(ReportSettings(study=folder, rounds=100, posterior=True, against=folder))
    Draft202012Validator(report_schema()).validate(read_json(folder / "report.json"))


def test_it_is_broken_by_an_estimate_without_n(study: Path) -> None:
    report(ReportSettings(study=study, rounds=100))
    found = read_json(study / "report.json")
    for name in ("n", "level", "method"):
        broken = json.loads(json.dumps(found))
        del broken["overview"][0]["systems"][0]["length"][name]
        assert not Draft202012Validator(report_schema()).is_valid(broken)


def test_every_fraction_is_of_an_estimate_or_a_test(study: Path) -> None:
    report(ReportSettings(study=study, rounds=100, posterior=True, against=study))
    bare: list[str] = []

    def walk(value: object, path: str) -> None:
        if isinstance(value, dict):
            for name, entry in value.items():
                estimate = name != "value" or {"n", "level", "method"} <= value.keys()
                if isinstance(entry, float) and not (name in PLAIN and estimate):
                    bare.append(f"{path}.{name}")
                walk(entry, f"{path}.{name}")
        elif isinstance(value, list):
            for entry in value:
                walk(entry, path)

    walk({name: entry for name, entry in read_json(study / "report.json").items() if name != "made_by"}, "")
    assert sorted(set(bare)) == []
