"""What ratings, panels, and people with judges are promised, against what the report then gives."""

from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats
from tests.report.many_systems import JUDGE
from tests.report.test_together import numbers, planned

from lima.evaluate.protocol import HumanSample, OwnScale, Plan, Protocol
from lima.evaluate.study import Study
from lima.files import read_jsonl, write_jsonl, write_text
from lima.records import Preference
from lima.report.numbers.panel import PANEL
from lima.report.power import power
from lima.report.power_joint import ENOUGH, RatingPower
from lima.report.render.wording import together_in_words
from lima.report.settings import PowerSettings
from lima.statistics.estimates import Estimate
from lima.statistics.intervals import clustered_mean
from lima.statistics.joint_power import effective_judges, of_panel
from lima.statistics.panel import effective_number
from lima.statistics.power import detectable_mean_gap, mean_half_width

TONE = OwnScale(question="How friendly?", choices={"1": "Rude.", "2": "Neutral.", "5": "Warm."})
GROUNDED = OwnScale(question="Borne out?", choices={"no": "No.", "yes": "Yes."})


@pytest.mark.parametrize("prompts", [20, 60])
def test_the_difference_that_is_promised_is_what_the_report_s_interval_finds(prompts: int) -> None:
    gap = detectable_mean_gap(1.3, prompts, alpha=0.05)
    assert gap is not None
    generator = np.random.default_rng(4)
    rows = generator.normal(gap, 1.3, size=(1_500, prompts))
    found = [clustered_mean(row, range(prompts)) for row in rows.tolist()]
    assert np.mean(
        [isinstance(x, Estimate) and x.low is not None and x.low > 0 for x in found]
    ) == pytest.approx(0.8, abs=0.025)
    half = mean_half_width(1.3, prompts, 0.05)
    widths = [x.interval[1] - x.interval[0] for x in found if isinstance(x, Estimate)]
    assert np.mean(widths) / 2 == pytest.approx(half, rel=0.03)
    assert detectable_mean_gap(1.3, 1, alpha=0.05) is None


def test_a_panel_s_mean_is_as_near_to_people_as_promised() -> None:
    """Errors of three judges, correlated by .4 with each other and of such size that each judge is correlated .6 with people."""
    generator = np.random.default_rng(5)
    people, common = generator.normal(size=(2, 200_000))
    own = generator.normal(size=(3, 200_000))
    noise = np.sqrt(0.4) * common + np.sqrt(0.6) * own
    # Scores of variance 1: people and an error with variance 2 (1 - .6), correlated with people by -(1 - .6).
    errors = -0.4 * people + np.sqrt(0.8 - 0.16) * noise
    judges = people + errors
    alike = float(np.corrcoef(errors)[0, 1])
    assert np.corrcoef(judges[0], people)[0, 1] == pytest.approx(0.6, abs=0.01)
    promised = of_panel(0.6, alike, 3)
    assert np.corrcoef(judges.mean(axis=0), people)[0, 1] == pytest.approx(promised, abs=0.01)
    worth = effective_number(errors.T[:2_000].tolist(), range(2_000))
    assert isinstance(worth, Estimate)
    assert effective_judges(3, alike) == pytest.approx(worth.value, abs=0.15)
    assert (of_panel(0.6, 0.4, 1), effective_judges(1, 0.4)) == (0.6, 1)


def with_scales(folder: Path, sample: HumanSample | None) -> Study:
    study = planned(folder, sample)
    protocol = Protocol(plan=Plan(overlap=0, sample=sample), scales={"tone": TONE, "grounded": GROUNDED})
    write_text(study.protocol, protocol.to_yaml())
    return study


def test_every_scale_has_its_row_before_and_after_the_first_rating(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study = with_scales(tmp_path / "two", HumanSample(comparisons=40, items=60))
    before = {row.scale: row for row in power(PowerSettings(study=study.folder)).ratings}
    assert list(before) == ["quality", "helpfulness", "safety", "tone", "grounded"]
    assert before["tone"] == RatingPower(
        "tone",
        True,
        90,
        1.0,
        0,
        mean_half_width(1.0, 90, 0.05),
        detectable_mean_gap(2**0.5, 90, alpha=0.05),
        0.95,
    )  # a quarter of 4
    half = stats.norm.ppf(0.975) * np.sqrt(0.25 / 90 / (1 + stats.norm.ppf(0.975) ** 2 / 90))
    assert before["grounded"].half_width == pytest.approx(half)  # Wilson at a share of one half
    assert before["grounded"].gap is None
    helpful = before["helpfulness"]
    assert helpful.measured >= ENOUGH
    mean = next(r.mean for r in numbers(study).helpfulness if r.group == JUDGE)
    assert isinstance(mean, Estimate)
    assert helpful.half_width == pytest.approx((mean.interval[1] - mean.interval[0]) / 2, rel=0.2)
    assert "tone" in capfd.readouterr().out


def test_people_and_a_judge_on_ratings_where_the_plan_draws_answers(tmp_path: Path) -> None:
    drawn = power(PowerSettings(study=with_scales(tmp_path / "a", HumanSample(items=60)).folder))
    measures = [outlook.measure for outlook in drawn.rated_together]
    assert measures == [
        "excellent (quality), points",
        "mean of helpfulness",
        "mean of tone",
        "yes (grounded), points",
    ]
    helpful = drawn.rated_together[1]
    assert helpful.measured == 60
    assert helpful.correlation > 0.8  # people say the judge's grade, one lower
    assert helpful.rows[0].both < helpful.rows[0].alone
    found = numbers(Study(tmp_path / "a"))
    row = next(r for r in found.together if r.measure == "helpfulness" and r.system == found.systems[0])
    assert isinstance(row.alone, Estimate)
    assert row.alone.standard_error is not None
    promised = next(r for r in helpful.rows if r.votes == 25)
    scaled = promised.alone / stats.t.ppf(0.975, 24) * (25 / row.alone.clusters) ** 0.5
    assert scaled == pytest.approx(row.alone.standard_error, rel=0.25)
    assert (
        power(
            PowerSettings(study=with_scales(tmp_path / "b", HumanSample(comparisons=40)).folder)
        ).rated_together
        == []
    )


def second_judge(study: Study, name: str = "judge:other@99") -> None:
    """A judge who says what the first does, but on every fifth text the contrary."""
    rows: list[Preference] = list(read_jsonl(study.preferences, Preference))
    other = {"a": "b", "b": "a", "tie": "tie", None: None}
    extra = [
        row.model_copy(
            update={
                "id": row.id.replace(JUDGE, name),
                "rater": name,
                "label": other[row.label] if int(row.comparison_id[4:7]) % 5 == 0 else row.label,
            }
        )
        for row in rows
        if row.rater == JUDGE
    ]
    write_jsonl(study.preferences, sorted([*rows, *extra], key=attrgetter("id")))


def test_a_panel_has_a_row_of_its_own_that_says_so(tmp_path: Path) -> None:
    study = planned(tmp_path / "two", HumanSample(comparisons=40))
    alone = {row.measure: row for row in numbers(study).together if row.judge == JUDGE}
    second_judge(study)
    found = numbers(study)
    rows = {(row.judge, row.measure): row for row in found.together if row.measure == "win - loss"}
    assert [judge for judge, _ in rows] == [JUDGE, "judge:other@99", PANEL]
    assert rows[JUDGE, "win - loss"] == alone["win - loss"]  # untouched by the other judge
    assert rows[PANEL, "win - loss"].verdicts == 90
    assert "people and the panel of judges together" in together_in_words(rows[PANEL, "win - loss"])


def test_power_of_a_panel(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    study = planned(tmp_path / "two", HumanSample(comparisons=40))
    one = power(PowerSettings(study=study.folder))
    assert one.panel is None
    three = power(PowerSettings(study=study.folder, judges=3, judge_alike=0.2))
    assert three.panel is not None
    assert three.panel.effective == pytest.approx(3 / 1.4)
    assert [task.calls for task in three.tasks] == [3 * task.calls for task in one.tasks]
    assert one.together is not None
    assert three.together is not None
    assert three.together.correlation == pytest.approx(of_panel(one.together.correlation, 0.2, 3))
    assert "worth 2.1 with independent errors" in " ".join(capfd.readouterr().err.split())
    second_judge(study)
    measured = power(PowerSettings(study=study.folder, judges=2)).panel
    assert measured is not None
    assert measured.measured == 40
    assert yaml.safe_load(study.protocol.read_text())["plan"]["sample"]["comparisons"] == 40
