"""`lima experiment NAME --model ...`: arms from a real data set, and a tiny budget on a real base (slow)."""

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from examples.rule_judge import Rule, serving

from lima.errors import LimaError
from lima.experiments.experiment import experiment
from lima.experiments.real.real import make_arms
from lima.experiments.settings import ExperimentSettings, RealSettings
from lima.files import read_jsonl, write_jsonl
from lima.records import Example, Message, Meta

PROMPT = Example(id="p", source="s", messages=(Message(role="user", content="What is unseen here?"),))


def _example(number: int, *, turns: int = 2, tags: tuple[str, ...] = ()) -> Example:
    roles = ("user", "assistant")
    messages = tuple(Message(role=roles[i % 2], content=f"text {number} {i}") for i in range(turns))
    return Example(id=f"e/{number}", source="s", messages=messages, meta=Meta(tags=tags))


@pytest.fixture
def settings(tmp_path: Path) -> RealSettings:
    rows = [_example(n, turns=4 if n < 3 else 2, tags=("format",) if n > 17 else ()) for n in range(20)]
    write_jsonl(tmp_path / "data.jsonl", rows)
    write_jsonl(tmp_path / "raw.jsonl", [_example(n + 100) for n in range(30)])
    write_jsonl(tmp_path / "prompts.jsonl", [PROMPT])
    return RealSettings(
        data=tmp_path / "data.jsonl", other=tmp_path / "raw.jsonl", prompts=tmp_path / "prompts.jsonl"
    )


def test_sizes_are_nested(settings: RealSettings) -> None:
    arms = make_arms("quantity", settings, [PROMPT], seed=0)
    assert list(arms) == ["2 examples", "5 examples", "10 examples", "20 examples"]
    ids = [{one.id for one in rows} for rows in arms.values()]
    assert all(small < large for small, large in itertools.pairwise(ids))
    assert make_arms("quantity", settings, [PROMPT], seed=1)["2 examples"] != arms["2 examples"]


def test_two_files_give_as_many_examples_each(settings: RealSettings) -> None:
    assert {name: len(rows) for name, rows in make_arms("quality", settings, [PROMPT], seed=0).items()} == {
        "data": 20,
        "raw": 20,
    }


def test_special_rows_are_in_one_arm_alone(settings: RealSettings) -> None:
    dialogue = make_arms("dialogue", settings, [PROMPT], seed=0)
    assert {name: len(rows) for name, rows in dialogue.items()} == {
        "without dialogues": 17,
        "with 3 dialogues": 20,
    }
    structure = make_arms("structure", settings, [PROMPT], seed=0)
    assert [len(rows) for rows in structure.values()] == [18, 20]


def test_what_is_missing_is_said(settings: RealSettings, tmp_path: Path) -> None:
    with pytest.raises(LimaError, match="--other is missing"):
        make_arms("quality", settings.model_copy(update={"other": None}), [PROMPT], seed=0)
    plain = tmp_path / "plain.jsonl"
    write_jsonl(plain, [_example(n) for n in range(3)])
    with pytest.raises(LimaError, match=r"plain\.jsonl: 0 of 3 rows are dialogues"):
        make_arms("dialogue", settings.model_copy(update={"data": plain}), [PROMPT], seed=0)
    leaked = PROMPT.model_copy(update={"messages": (_example(5).messages[0],)})
    with pytest.raises(LimaError, match="prompts"):
        make_arms("quantity", settings, [leaked], seed=0)


def test_claims_that_need_a_ground_truth_stay_in_the_world(tmp_path: Path) -> None:
    with pytest.raises(LimaError, match="'refusals' needs the built-in world"):
        experiment(ExperimentSettings(name="refusals", model="m", out=tmp_path))
    with pytest.raises(LimaError, match="'adapters' runs on a real base"):
        experiment(ExperimentSettings(name="adapters", out=tmp_path))
    with pytest.raises(LimaError, match="--scale small is for a real base"):
        experiment(ExperimentSettings(name="scratch", scale="small", out=tmp_path))


@pytest.fixture(scope="module")
def judge() -> Iterator[str]:
    with serving(Rule()) as address:
        yield f"{address}/v1#rule-judge"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif("LIMA_DATA" not in os.environ, reason="LIMA_DATA names no folder of real data")
def test_a_tiny_budget_on_a_real_base(judge: str, tmp_path: Path) -> None:
    """`stories260k` and released LIMA rows: every stage runs, and the second call repeats nothing."""
    from lima.formats.convert import import_file
    from lima.formats.settings import ImportSettings

    data = Path(os.environ["LIMA_DATA"])
    for name in ("train", "test"):
        source = data / "lima" / f"{name}.jsonl"
        import_file(ImportSettings(format="lima", files=(source,), out=tmp_path / f"{name}.jsonl"))
    rows = list(read_jsonl(tmp_path / "train.jsonl", Example))
    write_jsonl(tmp_path / "few.jsonl", rows[:64] + rows[-20:])
    shared = {
        "model": str(data / "models" / "stories260k"),
        "data": tmp_path / "few.jsonl",
        "prompts": tmp_path / "test.jsonl",
        "judge": judge,
        "limit": 6,
        "samples": 2,
        "max_length": 512,
        "max_new_tokens": 16,
        "keep_eot": True,
        "fit": {"steps": 3, "learning_rate": 1e-3},
        "out": tmp_path / "out",
    }
    for name in ("quantity", "dialogue", "token-shift"):
        experiment(ExperimentSettings.model_validate({"name": name, **shared}))
    report = json.loads((tmp_path / "out/quantity/study/report.json").read_text())
    assert [row["system"] for row in report["helpfulness"]] == [
        "84 examples",
        "42 examples",
        "21 examples",
        "10 examples",
    ]
    shares = json.loads((tmp_path / "out/token-shift/token-shift.json").read_text())["shares"]
    assert set(shares["first token"]) == {"unshifted", "marginal", "shifted"}
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("model.safetensors")}
    experiment(ExperimentSettings.model_validate({"name": "quantity", **shared}))
    assert {path: path.stat().st_mtime_ns for path in made} == made
