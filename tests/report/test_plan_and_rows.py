"""The plan of a study in its report, the rows behind numbers, single raters, self-preference, lineage and its curves."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lima.errors import LimaError
from lima.evaluate.lineage import Lineage, lineage_of
from lima.evaluate.protocol import Plan
from lima.evaluate.study import Study, add_preferences, noting_plan
from lima.files import read_json, write_json, write_jsonl
from lima.records import SCALE_VALUES, Preference, Rater
from lima.report.numbers.analysis import analyse
from lima.report.numbers.preferences import direction
from lima.report.numbers.ratings import Rating, mean_gaps
from lima.report.numbers.study import read_study
from lima.report.power import power
from lima.report.render.figures import drawings
from lima.report.report import earlier_commands, report
from lima.report.settings import PowerSettings, ReportSettings
from lima.statistics.estimates import Estimate
from lima.statistics.intervals import clustered_mean, mean_share
from lima.train.metrics import Metrics as Row


def quick(folder: Path) -> ReportSettings:
    return ReportSettings(study=folder, rounds=100)


def rewrite(folder: Path, **plan: object) -> None:
    path = folder / "protocol.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"plan": plan}))


def test_what_the_plan_does_not_name_is_exploratory(study: Path) -> None:
    rewrite(study, tests={"pairwise": ["crowd"]})
    numbers = analyse(read_study(study), quick(study))
    planned = {pair.group.partition(":")[0]: pair.planned for pair in numbers.pairs}
    assert planned == {"crowd": True, "author": False, "judge": False, "oracle": False}
    assert not any(gap.planned for gap in numbers.helpfulness_gaps)
    report(quick(study))
    page = (study / "report.html").read_text()
    assert "Planned tests: pairwise by crowd. Every other figure is exploratory." in page
    assert page.count("exploratory") == 1  # said once; the planned ones are marked
    assert page.count(", planned</span>") == 2
    assert read_json(study / "report.json")["plan"]["tests"] == {"pairwise": ["crowd"]}


def test_a_study_without_a_protocol_planned_nothing(study: Path) -> None:
    (study / "protocol.yaml").unlink()
    numbers = analyse(read_study(study), quick(study))
    assert numbers.plan is None
    assert not any(pair.planned for pair in numbers.pairs)


def test_a_plan_that_changed_after_the_first_verdicts_shows_itself(study: Path) -> None:
    rewrite(study, overlap=50)
    judge = noting_plan(Study(study), Rater(id="judge:m@1-p1", kind="judge", settings={"calls": "1"}))
    add_preferences(Study(study), judge, [])
    assert not [text for text in read_study(study).changes if "plan" in text]
    rewrite(study, overlap=3)
    (change,) = [text for text in read_study(study).changes if "plan" in text]
    assert change == "The plan in protocol.yaml is not the one under which judge:m@1-p1 began."
    newer = judge.model_copy(update={"id": "judge:m@1-p2", "settings": {"calls": "1"}})
    assert noting_plan(Study(study), newer).settings == judge.settings  # the same replies, read again
    assert change in analyse(read_study(study), quick(study)).warnings


def test_power_counts_the_work_of_people(texts_only: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """40 prompts against two baselines: 80 comparisons, 50 of them shared, as the paper did."""
    found = power(PowerSettings(study=texts_only))
    assert found.votes == {"crowd": 50 * 2 + 30, "author": 50 * 2}
    rewrite(texts_only, overlap=10, overlap_votes=3, groups=["author"], alpha=0.01)
    strict = power(PowerSettings(study=texts_only))
    assert strict.votes == {"author": 10 * 3 + 70}
    assert (strict.pairs[0].gap or 1) > (found.pairs[0].gap or 1)
    assert "Planned tests: pairwise by crowd" in capsys.readouterr().err.replace("\n", " ")


def test_a_plan_is_checked() -> None:
    assert Plan().human_votes(350) == {"crowd": 50 * 2 + 300, "author": 100}
    assert Plan().plans("pairwise", "judge:m@1")
    assert not Plan().plans("helpfulness", "crowd:01")
    assert Plan(overlap=3).hash != Plan().hash
    with pytest.raises(Exception, match="name each group once"):
        Plan(groups=("crowd", "crowd"))


def test_every_number_links_to_its_rows(study: Path) -> None:
    (study / "report_rows").mkdir()
    (study / "report_rows" / "old.html").write_text("of a former report")
    report(quick(study))
    page = (study / "report.html").read_text()
    links = set(re.findall(r'href="(report_rows/[^"]+)"', page))
    assert links == {f"report_rows/{path.name}" for path in (study / "report_rows").iterdir()}
    numbers = analyse(read_study(study), quick(study))
    pair = next(pair for pair in numbers.pairs if pair.group == "crowd")
    name = next(link for link in links if f"preference-crowd-{pair.system}-{pair.baseline}" in link)
    rows = (study / name).read_text()
    assert rows.count("<tr><th") == 1 + pair.result.n + pair.missing
    for outcome, count in pair.result.counts.items():
        assert rows.count(f"<td>{outcome}</td>") == count
    assert 'href="../report.html#' in rows
    assert "<script" not in rows


def test_rows_link_to_all_items_where_the_report_holds_a_sample(study: Path) -> None:
    report(quick(study).model_copy(update={"samples": 4, "all_items": True}))
    rows = "".join(path.read_text() for path in (study / "report_rows").iterdir())
    for file, text_id in set(re.findall(r'href="\.\./([^"#]+)#([^"]+)"', rows)):
        assert f'id="{text_id}"' in (study / file).read_text()
    assert "report_items/comparisons-001.html#" in rows


def test_each_two_raters_and_the_majority(study: Path) -> None:
    numbers = analyse(read_study(study), quick(study))
    pairs = {(row.first, row.second): row for row in numbers.rater_pairs}
    one, two = pairs["crowd:01", "crowd:02"], pairs["author:01", "author:02"]
    assert isinstance(one.kappa, Estimate)
    assert isinstance(two.same, Estimate)
    assert numbers.majority is not None
    assert sum(numbers.majority.counts.values()) == numbers.majority.n
    many = [
        Preference(id=f"x{k}", comparison_id=next(iter(read_study(study).comparisons)), rater=f"crowd:{k}",
                   shown="ab", label="a")
        for k in range(20, 40)
    ]  # fmt: skip
    for row in many:
        add_preferences(Study(study), Rater(id=row.rater, kind="crowd"), [row])
    assert analyse(read_study(study), quick(study)).rater_pairs == []


def test_a_judge_that_is_a_system_is_compared_with_the_others(study: Path) -> None:
    """A judge that gives every verdict to its own answers, beside people who do not."""
    loaded = read_study(study)
    rows = []
    for comparison, key in loaded.keys.items():
        if key.a and key.b and "tuned" in (key.a.system, key.b.system):
            own = "a" if key.a.system == "tuned" else "b"
            rows.append(
                Preference(
                    id=f"self/{comparison}",
                    comparison_id=comparison,
                    rater="judge:Tuned@9",
                    shown="ab",
                    label=own,
                )
            )
    add_preferences(Study(study), Rater(id="judge:Tuned@9", kind="judge"), rows)
    (found,) = analyse(read_study(study), quick(study)).self_preferences
    assert (found.judge, found.system) == ("judge:Tuned@9", "tuned")
    assert isinstance(found.own, Estimate)
    assert isinstance(found.others, Estimate)
    assert isinstance(found.difference, Estimate)
    assert found.own.value == 1.0
    assert found.difference.value == pytest.approx(1.0 - found.others.value)
    report(quick(study))
    assert "is itself the system tuned" in (study / "report.html").read_text()


def test_the_model_that_answered_counts_not_only_its_name(study: Path) -> None:
    systems = json.loads((study / "systems.json").read_text())
    systems["systems"][1]["model"] = "http://127.0.0.1:1/v1#longer-answer"
    write_json(study / "systems.json", systems)
    (found,) = analyse(read_study(study), quick(study)).self_preferences
    assert (found.judge, found.system) == ("judge:longer-answer@0a1b2c3d", "base")


def test_lineage_of_a_checkpoint_of_a_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_json(run / "run.json", {"command": "train", "facts": {"examples": 1030}})
    write_jsonl(
        run / "metrics.jsonl",
        [Row(step=9, epoch=1, heldout_nll=1.0), Row(step=18, epoch=2, heldout_nll=2.0)],
    )
    (run / "epoch-01").mkdir()
    assert lineage_of(str(run / "epoch-01")) == Lineage(examples=1030, epoch=1, heldout_perplexity=math.e)
    assert lineage_of(str(run)) == Lineage(examples=1030, heldout_perplexity=math.exp(2.0))
    assert lineage_of(str(tmp_path)) is None
    assert lineage_of("http://127.0.0.1:1/v1#m") is None


def test_curves_need_three_places(study: Path) -> None:
    systems = json.loads((study / "systems.json").read_text())
    for system, examples in zip(systems["systems"], (1000, 2000, 4000), strict=True):
        system["lineage"] = {"examples": examples, "epoch": 5, "heldout_perplexity": 5.0}
    write_json(study / "systems.json", systems)
    names = [drawing.name for drawing in drawings(analyse(read_study(study), quick(study)))]
    assert "quantity" in names
    assert "perplexity" not in names  # all at one place
    assert "agreement" in names
    report(quick(study))
    assert (study / "figures" / "quantity.svg").read_text().count("1,000") == 1


def test_the_report_gives_the_commands_that_made_the_study(study: Path) -> None:
    """What was given, without the defaults; no key and no secret is among the settings."""
    file = {"path": "my answers/tuned.jsonl", "sha256": ""}
    write_json(
        study / "compare.run.json",
        {"command": "compare", "settings": {"out": "st", "names": ["a", "b"], "seed": 3, "strict": False, "dry_run": False},
         "inputs": {"answers:0": file, "answers:1": file | {"path": "base.jsonl"}}},
    )  # fmt: skip
    write_json(
        study / "judges" / "0a1b2c3d" / "run.json",
        {"command": "judge", "inputs": {}, "settings": {"study": "st", "judge": "http://h/v1#m", "repeats": 2, "reparse": True}},
    )  # fmt: skip
    assert earlier_commands(study) == [
        "lima compare 'my answers/tuned.jsonl' base.jsonl --out st --names a b --seed 3",
        "lima judge st --judge 'http://h/v1#m' --repeats 2 --reparse",
    ]
    report(quick(study))
    page = (study / "report.html").read_text()
    assert "lima compare &#39;my answers/tuned.jsonl&#39; base.jsonl --out st" in page
    assert "arXiv 2305.11206" in page


def test_a_planned_test_is_held_to_the_level_of_the_plan(study: Path) -> None:
    rewrite(study, alpha=1e-30)
    strict = {pair.group: pair for pair in analyse(read_study(study), quick(study)).pairs}
    assert strict["crowd"].alpha == 1e-30
    assert all(direction(pair) == 0 for pair in strict.values())
    rewrite(study, alpha=1e-30, tests={"pairwise": ["author"]})
    pairs = {pair.group: pair for pair in analyse(read_study(study), quick(study)).pairs}
    assert (pairs["crowd"].planned, direction(pairs["crowd"])) == (False, 1)
    report(quick(study))
    assert "(1e-30 for planned tests)" in (study / "report.html").read_text()


def test_a_protocol_without_a_plan_planned_nothing(study: Path) -> None:
    assert "plan" not in yaml.safe_load((study / "protocol.yaml").read_text())
    assert analyse(read_study(study), quick(study)).plan is None


def test_another_setting_of_the_same_judge_is_no_other_rater(study: Path) -> None:
    for name in ("judge:tuned@1", "judge:tuned@2"):
        rows = [
            Preference(id=f"{name}/{comparison}", comparison_id=comparison, rater=name, shown="ab",
                       label="a" if key.a.system == "tuned" else "b")
            for comparison, key in read_study(study).keys.items() if key.a
        ]  # fmt: skip
        add_preferences(Study(study), Rater(id=name, kind="judge"), rows)
    first, second = analyse(read_study(study), quick(study)).self_preferences
    assert isinstance(first.others, Estimate)
    assert first.others.value < 1.0
    assert (first.own, first.others) == (second.own, second.others)


def test_intervals_of_credits_stay_in_their_range() -> None:
    found = mean_share([1.0, 1.0, 1.0, 1.0, 0.5], range(5))
    assert isinstance(found, Estimate)
    assert found.high == 1.0
    rounding = clustered_mean([0.1 + 0.2 - 0.3, 0.0, 0.0], range(3))
    assert isinstance(rounding, Estimate)
    assert rounding.low is None


def test_a_size_has_one_point_that_of_its_last_epoch(study: Path) -> None:
    numbers = analyse(read_study(study), quick(study))
    rating = numbers.helpfulness[0]
    systems = {
        f"{size}-{epoch}": Lineage(examples=size, epoch=epoch) for size in (1, 2, 4) for epoch in (5, 9, 7)
    }
    ratings = [replace(rating, system=name, group=f"judge:m@{n}") for n in range(6) for name in systems]
    found = next(
        drawing
        for drawing in drawings(replace(numbers, lineages=systems, helpfulness=ratings))
        if drawing.name == "quantity"
    )
    draw: Any = found.draw
    assert [[point.x for point in points] for _, points in draw.args[0]] == [[1.0, 2.0, 4.0]] * 4
    svg = found.draw(500.0)
    assert "Not drawn, as lines would be too many: judge m @4, judge m @5." in found.note
    assert all(f"judge m @{n}" in svg for n in range(4))
    assert "judge m @4" not in svg


def test_a_lineage_that_is_none_is_named_with_its_file(study: Path) -> None:
    systems = json.loads((study / "systems.json").read_text())
    systems["systems"][0]["lineage"] = {"examples": "many"}
    write_json(study / "systems.json", systems)
    with pytest.raises(LimaError, match=r"systems\.json: lineage: Input should be a valid integer"):
        read_study(study)


def test_the_plan_of_helpfulness_is_about_the_tested_system_alone() -> None:
    ratings = [
        Rating(
            item=f"{system}{n}",
            prompt=f"p{n}",
            group="judge:m",
            rater="judge:m",
            system=system,
            scale="helpfulness",
            value=n + 1,
            tags=(),
            values=SCALE_VALUES["helpfulness"],
        )
        for system in "abc"
        for n in range(6)
    ]
    found = {(gap.first, gap.second): gap.planned for gap in mean_gaps(ratings, 0.95, Plan(), "a")}
    assert found == {("a", "b"): True, ("a", "c"): True, ("b", "c"): False}
