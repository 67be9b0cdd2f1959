"""``lima demo`` from the world to the report, with every real stage."""

import json
from pathlib import Path

import pytest

from lima.errors import SettingsConflict
from lima.evaluate.study import open_study
from lima.experiments.demo.demo import demo
from lima.experiments.demo.settings import DemoSettings
from lima.experiments.demo.summary import SYSTEMS, Summary
from lima.files import read_jsonl
from lima.records import Example, Preference


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoSettings, Summary]:
    """The whole path with two steps of pretraining: every stage is real, nothing is learnt."""
    folder = tmp_path_factory.mktemp("demo")
    settings = DemoSettings(out=folder / "out", pretraining_steps=2, examples=16, questions=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMA_CACHE", str(folder / "cache"))
        summary = demo(settings)
        assert summary is not None
        again = demo(settings)  # finds everything done
        assert again is not None
        assert again.facts() == summary.facts()
    return settings, summary


def test_the_whole_path_leaves_its_files(small: tuple[DemoSettings, Summary]) -> None:
    settings, _ = small
    study = open_study(settings.out / "study")
    # tuned v base and tuned v scratch, on five questions
    assert len(study.read_comparisons()) == len(list(read_jsonl(study.preferences, Preference))) == 10
    assert len(study.read_items()) == 15
    assert len(list(read_jsonl(settings.out / "data" / "train.jsonl", Example))) == 16
    assert (study.folder / "report.html").stat().st_size > 10_000


def test_the_numbers_are_a_recount_of_the_answers(small: tuple[DemoSettings, Summary]) -> None:
    settings, summary = small
    facts = json.loads((settings.out / "demo.json").read_text())
    assert facts == summary.facts()
    for system in SYSTEMS:
        hits = [score.form for score in summary.scores(system)]
        assert facts[system]["form"]["value"] == sum(hits) / 5
        assert facts[system]["form"]["n"] == 5


def test_another_demo_in_the_same_folder_is_refused(small: tuple[DemoSettings, Summary]) -> None:
    settings, _ = small
    with pytest.raises(SettingsConflict, match="examples: 16 there, 17 here"):
        demo(settings.model_copy(update={"examples": 17}))


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert demo(DemoSettings(out=tmp_path / "out", dry_run=True)) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_claim_at_the_demo_s_scale(tmp_path: Path) -> None:
    """Bands fixed before the demo was built; the base comes from this machine's cache, or goes into it."""
    summary = demo(DemoSettings(out=tmp_path / "out"))
    assert summary is not None
    assert summary.known >= 0.9
    assert summary.share("base", "form").value <= 0.05
    assert summary.share("base", "exact").value <= 0.05
    assert summary.share("tuned", "form").value >= 0.9
    assert summary.share("scratch", "form").value >= 0.9
    assert summary.share("scratch", "knowledge").value <= 0.06
    # no band of its own: knowledge of the tuned model lies far above that of the one without pretraining
    assert summary.share("tuned", "exact").value >= 0.4
