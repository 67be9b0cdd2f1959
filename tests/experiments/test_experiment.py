"""`lima experiment`: arms, findings, verdicts and reports; the bands at demo scale in a slow test."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from lima.errors import LimaError
from lima.experiments.claims import amount, quality, training
from lima.experiments.claims.bands import QUALITY, Band
from lima.experiments.claims.catalogue import EXPERIMENTS
from lima.experiments.claims.experiment import SCALES, Arms, Experiment, Scale, job_names, limited
from lima.experiments.claims.findings import Check, Conclusion, Findings, Unit, single
from lima.experiments.claims.jobs import JobResult, Measure, TuneJob
from lima.experiments.claims.outcome import Outcome
from lima.experiments.experiment import experiment, run_experiments
from lima.experiments.settings import ExperimentSettings, Name
from lima.statistics.estimates import Estimate
from lima.world.settings import BaseSettings

TINY = Scale(
    "demo",
    (BaseSettings(steps=2, batch=2, layers=1, hidden=16, heads=2),),
    seeds=1,
    questions=10,
    unit="person",
)


def _result(values: list[float], people: str) -> JobResult:
    measures = {
        name: Measure(values=tuple(values), people=tuple(people)) for name in ("form", "exact", "knowledge")
    }
    return JobResult(measures=measures, seconds=0)


def _findings(unit: Unit, **arms: list[list[float]]) -> Findings:
    return Findings({arm: [_result(run, "aabb") for run in runs] for arm, runs in arms.items()}, unit)


def _interval(result: object) -> tuple[float, float, float]:
    assert isinstance(result, Estimate)
    return (result.value, *result.interval)


def test_the_command_knows_every_experiment() -> None:
    assert set(get_args(Name)) == {*EXPERIMENTS, "all"}


def test_arms_of_all_experiments_have_jobs_of_their_own() -> None:
    for wanted in EXPERIMENTS.values():
        arms = wanted.arms(TuneJob())
        assert len({job.model_dump_json() for job in arms.values()}) == len(arms), wanted.name


def test_runs_differ_by_base_and_seed_alone() -> None:
    plan = job_names(quality.QUALITY, replace(SCALES["full"], seeds=2))
    assert len(plan) == 5 * 2 * 2  # arms x bases x seeds
    jobs = [job for (arm, _), (_, job) in plan.items() if arm == "clean 128"]
    assert all(isinstance(job, TuneJob) for job in jobs)
    assert [(job.base.seed, job.seed) for job in jobs if isinstance(job, TuneJob)] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]


def test_an_experiment_may_take_fewer_seeds_and_says_so() -> None:
    full = SCALES["full"]
    bases = {job.base.seed for _, job in job_names(training.DROPOUT, full).values()}
    assert len(job_names(training.DROPOUT, full)) == 2 * 2 * 2  # arms x bases x seeds
    assert bases == {0, 1}
    assert limited(full, training.DROPOUT).seeds == 2
    assert limited(full, quality.QUALITY) == full
    assert limited(replace(full, seeds=1), training.DROPOUT).seeds == 1


def test_by_seed_the_run_is_the_unit() -> None:
    found = _findings(
        "seed", a=[[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]], b=[[0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]]
    )
    # gaps of the runs 1, .25, .5: mean .5833, s = .3819, t(.975, 2) = 4.303, half = 4.303 x .3819 / sqrt(3) = .9487
    value, low, high = _interval(found.difference(("a", "exact"), ("b", "exact")))
    assert (value, low, high) == pytest.approx((0.5833, -0.3654, 1.5321), abs=1e-3)


def test_by_person_the_questions_of_one_person_stand_together() -> None:
    found = _findings("person", a=[[1, 1, 0, 0]], b=[[0, 0, 0, 0]])
    result = found.difference(("a", "exact"), ("b", "exact"))
    assert isinstance(result, Estimate)
    assert (result.value, result.n, result.clusters) == (0.5, 4, 2)


def test_a_base_that_all_seeds_share_counts_once() -> None:
    found = _findings("seed", a=[[1, 0, 0, 0], [1, 0, 0, 0]])
    result = found.value("a", "exact")
    assert isinstance(result, Estimate)
    assert (result.value, result.n, result.low) == (0.25, 1, None)


@pytest.mark.parametrize(("noisy", "met"), [([0, 0, 0, 0], True), ([1, 1, 1, 0], False)])
def test_a_missed_band_is_said(noisy: list[float], met: bool) -> None:
    arms: dict[str, list[list[float]]] = {
        "clean 128": [[1, 1, 1, 1]],
        "noisy 128": [[0, 0, 0, 0]],
        "noisy 512": [noisy],
        "all sources, filtered": [[1, 1, 1, 1]],
        "all sources, unfiltered": [[0, 0, 0, 1]],
    }
    conclusion = quality.QUALITY.conclude(_findings("person", **arms))
    assert [check.met for check in conclusion.checks] == [met]
    assert conclusion.verdict.endswith("All bands met." if met else "Missed: W6.")
    assert "128 clean examples give 100 % exact answers" in conclusion.verdict
    assert "give 100 % with the rules and 25 % without them" in conclusion.verdict


def test_a_plateau_needs_its_whole_interval_within_the_margin() -> None:
    arms = [*amount.QUANTITY.arms(TuneJob())]
    wide = {arm: [[0.0, 1, 0, 1]] for arm in arms} | {"512, 192 steps": [[1.0, 1, 0, 0]]}
    told = amount.QUANTITY.conclude(_findings("person", **wide))
    # the mean gap is 0, well inside, but two people with gaps +.5 and -.5 say little
    assert told.checks[0].met
    assert "at equal steps is not shown" in told.verdict


def test_bands_hold_on_their_limit() -> None:
    assert Band("W", "", "at least", 0.3).holds(0.3)
    assert not Band("W", "", "at most", 0.3).holds(0.31)
    assert Conclusion([], "Told.").verdict == "Told. No band was set."
    assert Check(QUALITY, single(0.3, "made")).met


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("unit", ["person", "seed"])
def test_every_experiment_says_something(name: str, unit: Unit) -> None:
    wanted, scale = EXPERIMENTS[name], replace(SCALES["demo"], unit=unit, seeds=2)
    dev = {f"exact dev@{epoch}" for epoch in training.EPOCHS}
    measures = {column for e in EXPERIMENTS.values() for column in e.columns} | dev | {"tokens read"}
    rng = np.random.default_rng(0)
    results: dict[str, list[JobResult]] = {}
    for arm, _ in job_names(wanted, scale):
        drawn = {
            m: Measure(values=tuple(rng.integers(0, 2, 4).tolist()), people=tuple("aabb")) for m in measures
        }
        results.setdefault(arm, []).append(JobResult(measures=drawn, seconds=0))
    found = Findings(results, unit)
    outcome = Outcome(wanted, scale, found, wanted.conclude(found))
    assert re.search(r"(Missed: W\d+(, W\d+)*|All bands met|No band was set)\.$", outcome.conclusion.verdict)
    assert len(outcome.table) == 1 + (len(results) if len(results) > 1 else len(wanted.columns))
    assert outcome.draw(250).startswith("<?xml")
    assert outcome.as_json()["scale"]["size"] == "1 base x 2 seeds, 300 questions a base"


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiments")
    settings = ExperimentSettings(name="all", out=folder / "out", workers=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMA_CACHE", str(folder / "cache"))
        chosen = [_cheap(EXPERIMENTS[name]) for name in ("quality", "token-shift", "checkpoint")]
        first = run_experiments(chosen, TINY, settings)
        numbers = (settings.out / "all" / "experiment.json").read_bytes()
        assert len(run_experiments(chosen, TINY, settings)) == len(first)
        assert (settings.out / "all" / "experiment.json").read_bytes() == numbers
    return settings.out / "all"


def _cheap(wanted: Experiment) -> Experiment:
    """The experiment with two steps of training; a model that has learnt nothing takes the same path."""

    def arms(job: TuneJob) -> Arms:
        found = {name: arm for name, arm in wanted.arms(job).items() if isinstance(arm, TuneJob)}
        return {
            name: arm.model_copy(update={"steps": 320 if arm.by_epoch else 2}) for name, arm in found.items()
        }

    return replace(wanted, arms=arms)


def test_the_report_holds_every_number_and_the_missed_band(reported: Path) -> None:
    facts = json.loads((reported / "experiment.json").read_text())["experiments"]
    assert [row["name"] for row in facts] == ["quality", "token-shift", "checkpoint"]
    band = facts[0]["bands"][0]
    assert (band["band"], band["wanted"], band["met"]) == ("W6", "at least 0.3", False)
    assert len([row for row in facts[0]["values"] if row["measure"] == "exact"]) == 5
    page = (reported / "experiment.html").read_text()
    assert page.count("<svg") == 2 * 3  # wide and narrow
    assert "Missed: W6." in page
    assert "no evidence about models" in page
    assert (reported / "quality.svg").read_text().startswith("<?xml")


def test_the_markdown_page_says_the_same(reported: Path) -> None:
    page = (reported / "experiment.md").read_text()
    facts = json.loads((reported / "experiment.json").read_text())["experiments"]
    for row in facts:
        assert f"| {row['name']} | {row['claim']} | {row['paper']} | {row['verdict']} |" in page
    assert "| W6 |" in page
    assert "missed | quality |" in page
    assert "no evidence about models" in page


def test_finished_reports_on_whole_runs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMA_CACHE", str(tmp_path / "cache"))
    chosen = [_cheap(EXPERIMENTS[name]) for name in ("quality", "token-shift")]
    settings = ExperimentSettings(name="all", out=tmp_path / "out", workers=1, finished=True)
    with pytest.raises(LimaError, match="no run is finished yet"):
        run_experiments(chosen, TINY, settings)
    run_experiments(chosen[1:], TINY, settings.model_copy(update={"finished": False}))
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "jobs").rglob("*")}
    (outcome,) = run_experiments(chosen, replace(TINY, seeds=2, unit="seed"), settings)
    assert outcome.experiment.name == "token-shift"  # of quality, not one arm was run
    assert outcome.size == "1 base x 2 seeds (1 of 2 runs is finished), 10 questions a base"
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "jobs").rglob("*")} == made


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert experiment(ExperimentSettings(name="all", out=tmp_path / "out", dry_run=True)) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_bands_at_demo_scale(tmp_path: Path) -> None:
    """W1-W4, W6 and W11; the base comes from this machine's cache, or goes into it."""
    chosen = [EXPERIMENTS[name] for name in ("scratch", "quality", "token-shift")]
    outcomes = run_experiments(chosen, SCALES["demo"], ExperimentSettings(name="all", out=tmp_path))
    checks = [check for outcome in outcomes for check in outcome.conclusion.checks]
    assert {check.band.id for check in checks} == {"W1", "W2", "W3", "W4", "W6", "W11"}
    assert [(check.band.id, check.result) for check in checks if not check.met] == []
