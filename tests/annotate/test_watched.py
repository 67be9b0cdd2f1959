"""The lead sees win - loss of a study that may be watched; no name of a system is in the server's pages."""

from pathlib import Path

import pytest
from tests.annotate.conftest import MakeSite, Site, form
from tests.report.many_systems import NAMES, build

from lima.annotate import people
from lima.annotate.compare.plan import make_plan
from lima.annotate.compare.watch import watched_lines
from lima.evaluate.protocol import HumanSample, Plan, Protocol
from lima.evaluate.study import Study
from lima.files import read_jsonl, write_text
from lima.records import Drawn, Preference
from lima.report.numbers.study import read_study
from lima.report.numbers.watched import watched_rows


def study_of(folder: Path, plan: Plan, prompts: int = 14) -> Study:
    """A study of two systems without a verdict."""
    study = Study(build(folder, 2, prompts=prompts))
    study.preferences.unlink()
    study.grades.unlink()
    study.raters.unlink()
    write_text(study.protocol, Protocol(plan=plan).to_yaml())
    return study


def test_the_console_says_when_it_is_decided_and_so_does_the_report(site: MakeSite, tmp_path: Path) -> None:
    """One person always prefers the first system. Wins alone are decided after ten prompts."""
    study = study_of(tmp_path / "two", Plan(watched=True, overlap=0))
    firsts = {name: key.a and key.a.system == NAMES[0] for name, key in study.read_key().items()}
    here = site(folder=study.folder, tasks=("pairwise",))
    lead, rater = here.lead(), here.rater()
    ((line,), _) = watched_lines(here.base, here.work.texts)
    assert (line.pair, line.gap) == ("system 1 against system 2", "no vote yet")
    comparisons = {row.messages[0].content: row.id for row in study.read_comparisons()}
    for _ in range(12):
        page = rater.get("/work").text
        (name,) = [found for asked, found in comparisons.items() if asked in page]
        shown = here.assignment.next(here_person(here))
        first_is_a = bool(firsts[name])
        choice = "first" if first_is_a == (shown.shown == "ab") else "second"  # type: ignore[union-attr]
        rater.post("/answer", data=form(page, pairwise=choice))
    console = lead.get("/lead").text
    assert "decided after 10 prompts" in console
    assert "+100 [" in console
    assert not any(system in console for system in NAMES[:2])
    here.work.export(closed=False)
    (row,) = watched_rows(read_study(study.folder), NAMES[:2])
    assert (row.group, row.decided_at, row.planned, row.saved) == ("crowd", 10, 14, 2)


def here_person(here: Site) -> people.Participant:
    """The one rater of the site."""
    (found,) = people.raters_joined(here.base)
    return people.Participant(id=found.id, name=found.name, group=found.group)


def test_what_was_declared_late_is_not_shown(site: MakeSite, tmp_path: Path) -> None:
    study = study_of(tmp_path / "two", Plan(overlap=0), prompts=4)
    here = site(folder=study.folder, tasks=("pairwise",))
    assert "Win \u2212 loss so far" not in here.lead().get("/lead").text
    write_text(study.protocol, Protocol(plan=Plan(watched=True, overlap=0)).to_yaml())
    here.reopen()
    object.__setattr__(here.work.texts, "protocol", study.read_protocol())
    object.__setattr__(here.work.texts, "plan", study.read_protocol().plan)
    assert "declared after this study began" in here.lead().get("/lead").text


def test_people_get_what_was_drawn_and_the_draw_is_written_down(site: MakeSite, tmp_path: Path) -> None:
    study = study_of(tmp_path / "two", Plan(overlap=0, sample=HumanSample(comparisons=5)))
    here = site(folder=study.folder, tasks=("pairwise",))
    rows = list(read_jsonl(study.sample, Drawn))
    drawn = {row.id for row in rows if row.drawn and row.id.startswith("cmp")}
    assert len(drawn) == 5
    told = f"People see 5 of {len(here.work.texts.comparisons)} texts, drawn with probabilities from"
    assert told in here.lead().get("/lead").text
    assert {unit.text_id for unit in make_plan(here.work.texts, here.settings)} == drawn
    rater = here.rater()
    for _ in range(5):
        rater.post("/answer", data=form(rater.get("/work").text, pairwise="tie"))
    assert 'name="item"' not in rater.get("/work").text  # nothing is left
    here.work.export(closed=False)
    assert {row.comparison_id for row in read_jsonl(study.preferences, Preference)} == drawn
    here.reopen()
    assert list(read_jsonl(study.sample, Drawn)) == rows
    assert pytest.approx(5) == sum(row.probability for row in rows if row.id.startswith("cmp"))
