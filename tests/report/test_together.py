"""People and a judge as one estimate: from the plan over the draw and the votes to report, tables and schema."""

from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from tests.report.many_systems import JUDGE, build

from lima.annotate.compare.plan import make_plan
from lima.annotate.compare.texts import read_texts
from lima.annotate.settings import RatingSettings
from lima.errors import LimaError
from lima.evaluate.protocol import HumanSample, Plan, Protocol
from lima.evaluate.sample import note_sample, planned_sample
from lima.evaluate.study import Study
from lima.files import read_json, read_jsonl, write_jsonl, write_text
from lima.records import Comparison, Drawn, Grade, Label, Preference
from lima.report.numbers.analysis import Numbers, analyse
from lima.report.numbers.joint import Together
from lima.report.numbers.schema import report_schema
from lima.report.numbers.study import read_study
from lima.report.power import power
from lima.report.report import report
from lima.report.settings import PowerSettings, ReportSettings
from lima.statistics.estimates import Estimate


def planned(folder: Path, sample: HumanSample | None, *, prompts: int = 90) -> Study:
    """A study of two systems whose people voted on the drawn comparisons alone, and rated the drawn answers."""
    study = Study(build(folder, 2, prompts=prompts))
    write_text(study.protocol, Protocol(plan=Plan(overlap=0, sample=sample)).to_yaml())
    rows = planned_sample(study, study.read_protocol().plan, seed=3)
    note_sample(study, rows)
    drawn = {row.id for row in rows if row.drawn}
    rows_now = list(read_jsonl(study.preferences, Preference))
    said: dict[str, set[Label | None]] = {}
    for row in rows_now:
        if row.rater == JUDGE:
            said.setdefault(row.comparison_id, set()).add(row.label)
    judged = {name: labels.pop() if len(labels) == 1 else "tie" for name, labels in said.items()}
    kept = [
        row
        if row.rater == JUDGE or number % 4 == 0
        else row.model_copy(update={"label": judged[row.comparison_id]})
        for number, row in enumerate(rows_now)  # people mostly say what the judge says
        if row.rater == JUDGE or row.comparison_id in drawn
    ]
    write_jsonl(study.preferences, kept)
    grades: list[Grade] = list(read_jsonl(study.grades, Grade))
    people = [
        grade.model_copy(
            update={
                "id": f"crowd:01/{grade.item_id}",
                "rater": "crowd:01",
                "value": max(1, int(grade.value or 1) - 1),
            }
        )
        for grade in grades
        if grade.item_id in drawn
    ]
    write_jsonl(study.grades, sorted([*grades, *people], key=attrgetter("id")))
    return study


def numbers(study: Study) -> Numbers:
    return analyse(read_study(study.folder), ReportSettings(study=study.folder, rounds=100))


def row_of(found: Numbers, measure: str) -> Together:
    (row,) = [row for row in found.together if row.measure == measure and row.system == found.systems[0]]
    return row


def test_one_row_a_figure_and_a_judge(tmp_path: Path) -> None:
    found = numbers(planned(tmp_path / "two", HumanSample(comparisons=40, items=60)))
    gap, rate = row_of(found, "win - loss"), row_of(found, "win + tie/2")
    assert isinstance(gap.both, Estimate)
    assert isinstance(rate.both, Estimate)
    assert (gap.judge, gap.texts, gap.drawn, gap.voted, gap.verdicts, gap.both.n) == (
        JUDGE,
        90,
        40,
        40,
        90,
        40,
    )
    assert rate.both.value == pytest.approx((gap.both.value + 1) / 2)
    assert gap.worth is not None
    assert gap.worth > 40  # this judge sees what people see, with noise
    helpful = row_of(found, "helpfulness")
    assert isinstance(helpful.both, Estimate)
    mean = next(r.mean for r in found.helpfulness if (r.group, r.system) == (JUDGE, found.systems[0]))
    assert isinstance(mean, Estimate)
    assert helpful.both.value == pytest.approx(mean.value - 1, abs=0.05)  # people are one grade stricter
    assert helpful.worth is not None
    assert helpful.worth > 2 * helpful.both.n


def test_votes_on_texts_that_were_not_drawn_do_not_count(tmp_path: Path) -> None:
    study = planned(tmp_path / "two", HumanSample(comparisons=40))
    before = row_of(numbers(study), "win - loss")
    left_out = next(
        row.id for row in read_jsonl(study.sample, Drawn) if not row.drawn and row.id.startswith("cmp")
    )
    extra = Preference(id="crowd:09/x", comparison_id=left_out, rater="crowd:09", shown="ab", label="a")
    rows = sorted([*read_jsonl(study.preferences, Preference), extra], key=lambda row: row.id)
    write_jsonl(study.preferences, rows)
    assert row_of(numbers(study), "win - loss") == before


def test_what_is_missing_of_a_sample_is_said(tmp_path: Path) -> None:
    study = planned(tmp_path / "two", HumanSample(comparisons=30), prompts=60)
    assert not any("drawn" in text for text in numbers(study).warnings)
    rows = list(read_jsonl(study.preferences, Preference))
    people = [row for row in rows if row.rater != JUDGE]
    write_jsonl(study.preferences, [row for row in rows if row not in people[:7]])
    assert any("not voted on 7 of 30 comparisons" in text for text in numbers(study).warnings)
    study.sample.unlink()
    found = numbers(study)
    assert found.together == []
    assert any("none was drawn" in text for text in found.warnings)


def test_unequal_chances_follow_the_judges_wavering(tmp_path: Path) -> None:
    study = planned(tmp_path / "two", HumanSample(comparisons=40, wavering=3))
    rows = [row for row in read_jsonl(study.sample, Drawn) if row.id.startswith("cmp")]
    labels: dict[str, set[str | None]] = {}
    for row in read_jsonl(study.preferences, Preference):
        if row.rater == JUDGE:
            labels.setdefault(row.comparison_id, set()).add(row.label)
    chances = {len(labels[row.id]) > 1: row.probability for row in rows}
    assert chances[True] == pytest.approx(min(1, 3 * chances[False]))
    assert sum(row.probability for row in rows) == pytest.approx(40)
    assert sum(row.drawn for row in rows) == 40
    assert isinstance(row_of(numbers(study), "win - loss").both, Estimate)


def test_wavering_needs_a_judge_and_a_draw_stays(tmp_path: Path) -> None:
    study = Study(build(tmp_path / "two", 2, prompts=20))
    people = [row for row in read_jsonl(study.preferences, Preference) if row.rater != JUDGE]
    write_jsonl(study.preferences, people)
    plan = Plan(sample=HumanSample(comparisons=10, wavering=2))
    write_text(study.protocol, Protocol(plan=plan).to_yaml())
    with pytest.raises(LimaError, match="no judge has rated both orders"):
        planned_sample(study, plan, seed=0)
    even = Plan(sample=HumanSample(comparisons=10))
    first = planned_sample(study, even, seed=0)
    assert planned_sample(study, even, seed=1) != first
    note_sample(study, first)
    assert planned_sample(study, even, seed=1) == first


def test_people_are_asked_for_what_was_drawn(tmp_path: Path) -> None:
    study = planned(tmp_path / "two", HumanSample(comparisons=25, items=30), prompts=50)
    settings = RatingSettings(study=study.folder, tasks=("pairwise", "helpfulness"))
    drawn = {row.id for row in read_jsonl(study.sample, Drawn) if row.drawn}
    units = make_plan(read_texts(settings), settings)
    assert {unit.text_id for unit in units} == drawn
    assert len(units) == 55
    with pytest.raises(LimaError, match="leave --rate-tags out"):
        make_plan(read_texts(settings), settings.model_copy(update={"rate_tags": ("facts",)}))


def test_it_is_in_report_json_the_page_and_the_tables(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study = planned(tmp_path / "two", HumanSample(comparisons=40, items=60))
    report(ReportSettings(study=study.folder, rounds=100))
    values = read_json(study.folder / "report.json")
    Draft202012Validator(report_schema()).validate(values)
    (row,) = [row for row in values["together"] if row["measure"] == "win - loss"]
    assert {"n", "level", "method", "low", "high", "clusters"} <= row["both"].keys()
    assert "sample.jsonl" in [source["name"] for source in values["inputs"]]
    said = f"as good as {row['worth']} human votes alone"
    assert said in " ".join(capfd.readouterr().err.split())
    assert f"{row['worth']} human votes alone" in (study.folder / "report.html").read_text()
    for name in ("tables.md", "tables.tex"):
        assert "People and judge together" in (study.folder / name).read_text()


def test_a_plan_without_a_sample_is_what_it_was(tmp_path: Path) -> None:
    """Its hash is that of the version before, so that raters who began then began under this plan."""
    assert Plan().hash == "a24c7b80"
    assert Plan(sample=HumanSample(comparisons=9)).hash != Plan().hash
    study = planned(tmp_path / "two", None, prompts=12)
    assert numbers(study).together == []
    assert not study.sample.exists()


def test_a_sample_of_other_texts_is_refused(tmp_path: Path) -> None:
    study = planned(tmp_path / "two", HumanSample(comparisons=10), prompts=20)
    rows = list(read_jsonl(study.sample, Drawn))
    write_jsonl(study.sample, rows[1:])
    with pytest.raises(LimaError, match="not every text of the study has its probability"):
        read_study(study.folder)
    assert len(list(read_jsonl(study.comparisons, Comparison))) == 20


def test_the_votes_of_any_order_give_the_same(tmp_path: Path) -> None:
    study = planned(tmp_path / "two", HumanSample(comparisons=30), prompts=60)
    before = numbers(study).together
    rows = list(read_jsonl(study.preferences, Preference))
    order = np.random.default_rng(0).permutation(len(rows))
    write_jsonl(study.preferences, [rows[k] for k in order])
    assert numbers(study).together == before


def test_power_says_what_votes_and_verdicts_give(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    study = planned(tmp_path / "two", HumanSample(comparisons=40))
    found = power(PowerSettings(study=study.folder, half_width=20, vote_price=2.0, judge_correlation=0.8))
    assert found.together is not None
    assert [row.votes for row in found.together.rows] == [25, 50, 90]
    assert all(row.both < row.alone for row in found.together.rows[:-1])
    assert found.together.rows[-1].both == pytest.approx(found.together.rows[-1].alone)
    assert found.together.rows[-1].worth == 90
    said = " ".join(capfd.readouterr().err.split())
    mix = found.together.cheapest
    assert mix is not None
    assert f"{mix.votes} votes of people and {mix.verdicts} verdicts of a judge, cost {mix.cost:.2f}" in said
    measured = power(PowerSettings(study=study.folder)).together
    assert measured is not None
    assert measured.measured == 40
    assert measured.correlation > 0.6  # most votes are what the judge says
    assert found.votes == {"crowd": 40, "author": 0}
