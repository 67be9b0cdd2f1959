"""A judge that stops once the study is decided: what it asks, what the report says, and when it is refused."""

from pathlib import Path
from typing import Any

import pytest
from examples.rule_judge import MODEL, Rule, serving
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from tests.evaluate.conftest import FIRST, SECOND, answer, prompt

from lima.errors import LimaError
from lima.evaluate.comparisons import compare
from lima.evaluate.judge import judge
from lima.evaluate.settings import CompareSettings, JudgeSettings
from lima.evaluate.study import Study
from lima.evaluate.watch import in_order, watched_pairs
from lima.files import read_json, read_jsonl, write_jsonl, write_text
from lima.records import Key, Label, Origin, Preference, Shown
from lima.report.numbers.analysis import Numbers, analyse
from lima.report.numbers.schema import report_schema
from lima.report.numbers.study import read_study
from lima.report.power import power
from lima.report.report import report
from lima.report.settings import PowerSettings, ReportSettings
from lima.statistics.estimates import Estimate, Significance, Undefined
from lima.statistics.sequences import decided_at


def study_of(folder: Path, pairs: int, longer: int, *, watched: bool = True) -> Study:
    """The first system's answer is the longer one on ``longer`` of ten prompts, and the shorter one on the others."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.jsonl" for name in ("prompts", "first", "second")]
    write_jsonl(paths[0], [prompt(i) for i in range(pairs)])
    for name, path, side in zip((FIRST, SECOND), paths[1:], (0, 1), strict=True):
        lengths = [300 if (i % 10 < longer) == (side == 0) else 100 for i in range(pairs)]
        write_jsonl(path, [answer(name, i, f"{i} ".ljust(lengths[i], "xy"[side])) for i in range(pairs)])
    own = folder / "own.yaml"
    write_text(own, f"plan: {{watched: {str(watched).lower()}}}\n")
    return compare(
        CompareSettings(answers=(paths[1], paths[2]), prompts=paths[0], out=folder / "study", protocol=own)
    )


def run(study: Study, url: str, **values: Any) -> None:
    settings = {"until": "decided", "concurrency": 8, "start_concurrency": 8, "backoff": 0.01} | values
    judge(JudgeSettings(study=study.folder, judge=f"{url}#{MODEL}", **settings))


def numbers(study: Study) -> Numbers:
    return analyse(read_study(study.folder), ReportSettings(study=study.folder, rounds=100))


def test_it_stops_when_it_is_decided_and_a_rerun_asks_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Wins alone are decided after ten prompts; 16 are asked at a time, so 16 pairs in both orders are asked of 120."""
    study = study_of(tmp_path, 120, longer=10)
    with serving(Rule()) as url:
        run(study, url)
        rows = list(read_jsonl(study.preferences, Preference))
        assert len(rows) == 32
        run(study, url)
        assert list(read_jsonl(study.preferences, Preference)) == rows
    said = " ".join(capfd.readouterr().err.split())
    assert "every pair of systems is decided after 32 of 240 questions" in said
    assert "were not asked" not in said
    found = numbers(study)
    (row,) = found.watched
    assert (row.system, row.baseline, row.decided_at, row.planned, row.saved) == (FIRST, SECOND, 10, 120, 104)
    (pair,) = found.pairs
    assert pair.gap == row.gap
    assert isinstance(pair.gap, Estimate)
    assert pair.gap.interval[0] > 0
    assert isinstance(pair.result.sign_flip, Significance)
    assert pair.result.sign_flip.method.startswith("betting")
    assert found.findings[0].sentence.startswith(f"{FIRST} is preferred")
    assert not any("Below the threshold" in text for text in found.warnings)
    report(ReportSettings(study=study.folder, rounds=100))
    values = read_json(study.folder / "report.json")
    Draft202012Validator(report_schema()).validate(values)
    assert values["watched"][0]["gap"]["level"] == 0.95
    assert "Watched while verdicts came in" in (study.folder / "report.html").read_text()
    assert f"{FIRST} v {SECOND}" in (study.folder / "tables.tex").read_text().split("Watched")[1]
    assert "decided after 10 of 120 prompts" in " ".join(capfd.readouterr().err.split())


def test_the_losing_side_is_decided_too(tmp_path: Path) -> None:
    study = study_of(tmp_path, 60, longer=0)
    with serving(Rule()) as url:
        run(study, url)
    assert numbers(study).findings[0].named == SECOND


def test_what_is_not_decided_is_asked_to_the_end(tmp_path: Path) -> None:
    study = study_of(tmp_path, 60, longer=5)
    with serving(Rule()) as url:
        run(study, url)
    assert len(list(read_jsonl(study.preferences, Preference))) == 120
    (row,) = numbers(study).watched
    assert row.decided_at is None
    assert row.price is not None
    assert row.price > 1


def test_power_says_when_it_would_be_decided(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = power(PowerSettings(study=study_of(tmp_path, 100, longer=10).folder))
    assert [row.gap for row in found.watched] == [0.05, 0.1, 0.15, 0.2, 0.3, 0.4]
    shares = [row.found for row in found.watched]
    assert shares == sorted(shares)
    assert shares[-1] > 0.3
    assert "Watched, at most 100 prompts" in capfd.readouterr().out
    assert (
        power(PowerSettings(study=study_of(tmp_path / "x", 9, longer=9, watched=False).folder)).watched == []
    )


def test_one_order_is_enough(tmp_path: Path) -> None:
    study = study_of(tmp_path, 60, longer=10)
    with serving(Rule()) as url:
        run(study, url, order="random")
    assert len(list(read_jsonl(study.preferences, Preference))) == 16
    (row,) = numbers(study).watched
    assert row.decided_at == 10


def test_a_sequence_that_was_not_declared_is_refused(tmp_path: Path) -> None:
    study = study_of(tmp_path, 20, longer=10, watched=False)
    with serving(Rule()) as url, pytest.raises(LimaError, match=r"plan\.watched: true, before the first"):
        run(study, url)
    assert not study.preferences.exists()
    assert numbers(study_of(tmp_path / "other", 20, longer=10, watched=False)).watched == []


def test_a_sequence_that_is_asked_for_after_the_first_verdict_is_refused(tmp_path: Path) -> None:
    study = study_of(tmp_path, 40, longer=10, watched=False)
    with serving(Rule()) as url:
        run(study, url, until="all", limit=5)
        text = study.protocol.read_text()
        assert "watched: false" in text
        write_text(study.protocol, text.replace("watched: false", "watched: true"))
        with pytest.raises(LimaError, match="asked for after the first verdict"):
            run(study, url)
    found = numbers(study)
    (row,) = found.watched
    assert isinstance(row.gap, Undefined)
    assert "after the first verdict" in row.gap.reason
    assert "betting" not in str(found.pairs[0].result.sign_flip)


@pytest.mark.parametrize("values", [{"task": "quality"}, {"limit": 3}, {"reparse": True}])
def test_it_is_for_comparisons_as_a_whole(tmp_path: Path, values: dict[str, Any]) -> None:
    study = study_of(tmp_path, 20, longer=10)
    with serving(Rule()) as url, pytest.raises(LimaError, match="--until decided is for"):
        run(study, url, **values)


def row(comparison: str, shown: Shown, label: Label | None, at: str = "") -> Preference:
    status = "ok" if label else "error"
    return Preference(id=f"m/{comparison}/{shown}", comparison_id=comparison, rater="judge:m@1", shown=shown,
                      label=label, status=status, at=at or None)  # fmt: skip


def test_the_order_of_a_judge_is_that_of_ids_and_of_people_that_of_time() -> None:
    rows = [row("b", "ab", "a", "1"), row("b", "ba", "a", "2"), row("a", "ab", "b", "3"), row("a", "ba", "a", "4"),
            row("c", "ab", "tie", "0"), row("c", "ba", None)]  # fmt: skip
    assert in_order(rows, both=True) == [("a", "tie"), ("b", "a")]
    by_time = [("c", "tie"), ("b", "a"), ("b", "a"), ("a", "b"), ("a", "a")]
    assert in_order(rows[::-1], both=False, by_time=True) == by_time
    by_id = [("a", "b"), ("a", "a"), ("b", "a"), ("b", "a"), ("c", "tie")]
    assert (
        in_order(rows[::-1], both=False) == by_id
    )  # one order, drawn for each pair: its replies' times say nothing


def test_the_first_verdict_of_a_prompt_counts_and_pairs_share_the_level() -> None:
    origins = {name: Origin(system=name, completion_id=name) for name in ("x", "y", "z")}
    keys = {f"{k}": Key(id=f"{k}", prompt_id=f"p{k // 2}", a=origins["y"], b=origins["x"]) for k in range(40)}
    keys |= {f"z{k}": Key(id=f"z{k}", prompt_id=f"p{k}", a=origins["x"], b=origins["z"]) for k in range(20)}
    labels: list[tuple[str, Label]] = [(f"{k}", "b" if k % 2 == 0 else "a") for k in range(40)]
    first, second = watched_pairs(labels, keys, ["x", "y", "z"], alpha=0.05)
    assert (first.system, first.baseline, second.baseline) == ("x", "y", "z")
    assert isinstance(first.watched.gap, Estimate)
    assert (first.watched.gap.value, first.watched.gap.n, first.planned) == (1, 20, 20)
    assert first.watched.gap.level == pytest.approx(0.975)
    assert first.watched.decided_at == decided_at([1.0] * 20, alpha=0.025)
    assert isinstance(second.watched.gap, Undefined)
