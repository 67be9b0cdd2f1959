"""Scales that protocol.yaml declares: rated by a judge in every form and by people, reported like the standard ones."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from tests.evaluate.conftest import MakeStudy
from tests.evaluate.test_forms import tells
from tests.evaluate.test_judge import grades, run
from tests.hostile import answering, said

from lima.errors import LimaError
from lima.evaluate.comparisons import compare
from lima.evaluate.protocol import Protocol, read_protocol
from lima.evaluate.settings import CompareSettings, VerdictForm
from lima.evaluate.study import Study, add_grades
from lima.files import read_json, write_jsonl, write_text
from lima.records import Drawn, Grade, Rater
from lima.report.numbers.schema import report_schema
from lima.report.power import power
from lima.report.report import report
from lima.report.settings import PowerSettings, ReportSettings

SCALES = {
    "tone": {"question": "How friendly is it?", "choices": {0: "Rude.", 5: "Neutral.", 10: "Warm."}},
    "grounded": {"question": "Do the sources bear it out?", "choices": {False: "They do not.", "partly": "Half.", True: "They do."}},
}  # fmt: skip


@pytest.fixture
def study(make_study: MakeStudy) -> Study:
    made = make_study(12)
    protocol = yaml.safe_load(made.protocol.read_text()) | {"scales": SCALES}
    write_text(made.protocol, yaml.safe_dump(protocol, sort_keys=False))
    return made


def length_of_answer(body: dict[str, Any]) -> int:
    text = body["messages"][0]["content"]
    found = re.search(r"=== Answer \(\w+\) ===\n(.*?)\n=== end", text, re.DOTALL)
    assert found
    return len(found[1])


def tone(body: dict[str, Any], form: VerdictForm) -> web.Response:
    value = 10 if length_of_answer(body) > 200 else 0
    if form == "json":
        offered = body["response_format"]["json_schema"]["schema"]["properties"]["verdict"]
        assert offered == {"type": "integer", "enum": [0, 5, 10]}
        return said(json.dumps({"reasons": "Friendly enough.", "verdict": value}))
    if form == "logprobs":
        return web.json_response(
            tells(str(value), {"10": 0.75, "0": 0.25} if value else {"0": 0.5, "5": 0.5})
        )
    return said(f"It is friendly enough.\n{value}\n{value}")


@pytest.mark.parametrize("form", ["text", "json", "logprobs"])
def test_a_judge_rates_on_a_scale_of_numbers(study: Study, form: VerdictForm) -> None:
    with answering(lambda body, _: tone(body, form)) as (url, bodies):
        rater = run(study, url, task="tone", verdict=form)
    asked = bodies[0]["messages"][0]["content"]
    assert "How friendly is it?" in asked
    assert "- 10: Warm." in asked
    lengths = {row.id: len(row.content) for row in study.read_items()}
    rows = grades(study)
    assert {row.rater for row in rows} == {rater.id}
    assert {
        (row.scale, row.status, row.value == (10 if lengths[row.item_id] > 200 else 0)) for row in rows
    } == {("tone", "ok", True)}
    if form == "logprobs":
        assert {row.probabilities["10"] for row in rows if row.value == 10 and row.probabilities} == {0.75}


def test_a_judge_and_people_rate_in_the_same_words_and_the_report_has_both(study: Study) -> None:
    with answering(
        lambda body, _: said("Verdict: yes" if length_of_answer(body) > 200 else "Verdict: partly")
    ) as (url, _):
        judge = run(study, url, task="grounded")
    with answering(lambda body, _: tone(body, "text")) as (url, _):
        run(study, url, task="tone")
    person = Rater(id="author:01", kind="author")
    rows = [
        Grade(id=f"author:01/{scale}/{item.id}", item_id=item.id, rater=person.id, scale=scale, value=value)
        for item in study.read_items()
        for scale, value in (("tone", 10 if len(item.content) > 80 else 5), ("grounded", "yes"))
    ]
    add_grades(study, person, rows)
    texts = [row.id for row in study.read_comparisons()] + [row.id for row in study.read_items()]
    write_jsonl(study.sample, [Drawn(id=name, probability=1.0, drawn=True) for name in texts])
    protocol = yaml.safe_load(study.protocol.read_text())
    protocol["plan"]["sample"] = {"items": 24}
    write_text(study.protocol, yaml.safe_dump(protocol, sort_keys=False))
    report(ReportSettings(study=study.folder, rounds=100))
    found = read_json(study.folder / "report.json")
    Draft202012Validator(report_schema()).validate(found)
    scales = {entry["scale"]: entry for entry in found["scales"]}
    assert scales["grounded"]["choices"] == {"no": "They do not.", "partly": "Half.", "yes": "They do."}
    shares = {
        (row["group"], row["system"]): row["shares"]["yes"]["value"] for row in scales["grounded"]["shares"]
    }
    assert shares["author", "zebra-system"] == 1
    assert shares[judge.id, "zebra-system"] == pytest.approx(1 / 3)  # 4 of its 12 answers are long
    means = {(row["group"], row["system"]): row["mean"] for row in scales["tone"]["means"]}
    mean = means["author", "zebra-system"]  # lengths 300, 100, 60: ten, ten, five
    assert (mean["value"], mean["n"], mean["clusters"]) == (pytest.approx(25 / 3), 12, 12)
    assert [gap["scale"] for gap in scales["tone"]["gaps"]] == ["tone", "tone"]
    joined = {(row["measure"], row["form"]) for row in found["together"]}
    assert joined == {("mean of tone", "plain"), ("yes (grounded)", "percent")}
    page, tables = (study.folder / "report.html").read_text(), (study.folder / "tables.tex").read_text()
    assert "How friendly is it?" in page
    assert "Tone, 0 to 10: means" in tables
    assert "Grounded: shares" in tables
    assert {row["task"] for row in found["coverage"]} == {"tone", "grounded"}


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        ({"choices": {3: "x", 1: "y"}}, "the numbers rise"),
        (
            {"choices": {"very good": "x", "bad": "y"}},
            "single words in small letters a to z .found: 'very good'",
        ),
        ({"choices": {1: "x", "two": "y"}}, "found: '1'"),
        ({"choices": {-1: "x", 1: "y"}}, "found: '-1'"),
        ({"choices": {"only": "x"}}, "at least 2"),
    ],
)
def test_a_scale_that_could_not_be_read_is_refused(tmp_path: Path, scale: dict[str, Any], words: str) -> None:
    path = tmp_path / "protocol.yaml"
    write_text(path, yaml.safe_dump({"scales": {"tone": {"question": "?", **scale}}}, sort_keys=False))
    with pytest.raises(LimaError, match=words):
        read_protocol(path)


@pytest.mark.parametrize("name", ["quality", "pairwise", "csrf", "Tone", "a b"])
def test_names_that_mean_something_else_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "protocol.yaml"
    write_text(path, yaml.safe_dump({"scales": {name: SCALES["tone"]}}))
    with pytest.raises(LimaError, match=r"scales"):
        read_protocol(path)


def test_an_undeclared_scale_and_a_changed_one_are_named(study: Study) -> None:
    with pytest.raises(
        LimaError, match="no task 'tune': there are pairwise, quality, helpfulness, safety, tone, grounded"
    ):
        run(study, "http://127.0.0.1:9", task="tune")
    item = study.read_items()[0].id
    person = Rater(id="author:01", kind="author")
    add_grades(study, person, [Grade(id="g", item_id=item, rater=person.id, scale="tone", value=7)])
    with pytest.raises(LimaError, match="'g' has 7 on 'tone', whose values are 0, 5, 10"):
        report(ReportSettings(study=study.folder))
    add_grades(study, person, [Grade(id="g", item_id=item, rater=person.id, scale="taste", value=7)])
    with pytest.raises(LimaError, match=r"on the scale 'taste', which protocol\.yaml does not declare"):
        report(ReportSettings(study=study.folder))
    write_text(study.protocol, yaml.safe_dump({"scales": ["tone"]}))
    with pytest.raises(LimaError, match=r"protocol\.yaml: scales must give each name .*found: \['tone'\]"):
        report(ReportSettings(study=study.folder))


def test_the_cost_of_a_scale_of_ones_own_is_told(study: Study) -> None:
    of_pairs, of_items = power(PowerSettings(study=study.folder)).tasks
    assert (of_pairs.task, of_items.task) == (
        "pairwise",
        "helpfulness, quality, safety, tone or grounded, each",
    )
    assert of_items.calls == len(study.read_items())


def test_compare_takes_scales_from_a_protocol_of_ones_own(make_study: MakeStudy, tmp_path: Path) -> None:
    made = make_study(3)
    own = tmp_path / "own.yaml"
    write_text(own, yaml.safe_dump({"scales": {"tone": SCALES["tone"]}}))
    inputs = tmp_path / "inputs-3-1"
    answers = (inputs / "first.jsonl", inputs / "second.jsonl")
    again = compare(
        CompareSettings(answers=answers, prompts=inputs / "prompts.jsonl", out=tmp_path / "own", protocol=own)
    )
    assert again.read_protocol().words("tone").values == (0, 5, 10)
    assert Protocol().scales == {}
    assert made.read_protocol().scales == {}
