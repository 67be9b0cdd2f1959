"""What tuning made a model forget: paired by item, from the files that lm-evaluation-harness writes."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from lima.errors import LimaError
from lima.files import read_json
from lima.regress import harness
from lima.regress.harness import Scores, models_of, read_scores
from lima.regress.regress import compare_scores, regress
from lima.regress.settings import RegressSettings
from lima.statistics.estimates import Estimate, Significance

STAMP = "2026-11-29T21-10-32.077488"


def write_run(folder: Path, scores: dict[str, list[float]], stamp: str = STAMP, **row: Any) -> None:
    """Files of one run in the harness's shapes (0.4.13): one task a name, one metric each."""
    place = folder / "model"
    place.mkdir(parents=True, exist_ok=True)
    better = {task: {"acc": True} for task in scores}
    (place / f"results_{stamp}.json").write_text(json.dumps({"results": {}, "higher_is_better": better}))
    for task, values in scores.items():
        lines = [
            {
                "doc_id": n,
                "doc": {"q": n},
                "filter": "none",
                "metrics": ["acc"],
                "doc_hash": f"h{n}",
                "acc": value,
            }
            | row
            for n, value in enumerate(values)
        ]
        (place / f"samples_{task}_{stamp}.jsonl").write_text(
            "".join(json.dumps(line) + "\n" for line in lines)
        )


def changes(tmp_path: Path, base: dict[str, list[float]], tuned: dict[str, list[float]]) -> Any:
    write_run(tmp_path / "base", base)
    write_run(tmp_path / "tuned", tuned)
    found = compare_scores(read_scores(tmp_path / "base"), read_scores(tmp_path / "tuned"), alpha=0.05)
    return {row.task: row for row in found}


def test_forgetting_is_seen_by_pairs(tmp_path: Path) -> None:
    """30 of 200 right answers become wrong, 2 the other way: - 14 points, which means alone could not tell from noise."""
    base = [1.0] * 120 + [0.0] * 80
    tuned = [1.0] * 90 + [0.0] * 30 + [1.0] * 2 + [0.0] * 78
    found = changes(tmp_path, {"mine": base, "same": base}, {"mine": tuned, "same": base})
    mine = found["mine"]
    assert isinstance(mine.difference, Estimate)
    assert isinstance(mine.test, Significance)
    assert (mine.base, mine.tuned, mine.n, mine.verdict) == (0.6, 0.46, 200, "forgot")
    assert mine.difference.value == pytest.approx(-0.14)
    assert mine.difference.level == pytest.approx(0.975)  # two tasks share 5 %
    low, high = mine.difference.interval
    assert -0.22 < low < -0.14 < high < -0.07
    assert mine.test.p < 1e-6
    assert mine.sentence.startswith("mine: forgot: accuracy -0.140 [")
    assert found["same"].verdict == "kept"
    assert "no change is shown" in found["same"].sentence


def test_direction_and_numbers_that_are_no_shares() -> None:
    place = ("t", "loss", "none")
    base = Scores({place: {str(n): 1.0 + 0.01 * n for n in range(40)}}, {("t", "loss"): False})
    worse = Scores({place: {name: x + 0.5 for name, x in base.items[place].items()}}, {})
    noisy = {name: x + (0.4 if int(name) % 2 else 0.6) for name, x in base.items[place].items()}
    (row,) = compare_scores(base, Scores({place: noisy}, {}), alpha=0.05)
    assert row.verdict == "forgot"  # a higher loss
    (alike,) = compare_scores(base, worse, alpha=0.05)
    assert alike.verdict in ("forgot", "unknown")  # each item worse by the very same amount


def test_few_items_show_nothing(tmp_path: Path) -> None:
    found = changes(tmp_path, {"t": [1.0] * 4}, {"t": [0.0] * 4})["t"]
    assert found.verdict == "kept"  # four of four signs: p = 1/8
    assert isinstance(found.difference, Estimate)
    assert found.difference.interval[1] >= 0


def test_other_items_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LimaError, match="t: base and tuned model were asked other items"):
        changes(tmp_path, {"t": [1.0] * 4}, {"t": [0.0] * 3})
    write_run(tmp_path / "b", {"t": [1.0]})
    write_run(tmp_path / "c", {"u": [1.0]})
    with pytest.raises(LimaError, match="no metric of items in common"):
        compare_scores(read_scores(tmp_path / "b"), read_scores(tmp_path / "c"), alpha=0.05)


def test_the_newest_results_count_and_texts_do_not(tmp_path: Path) -> None:
    write_run(tmp_path, {"t": [1.0, 1.0]}, "2026-01-01T00-00-00.0")
    write_run(tmp_path, {"t": [0.0, float("nan")]}, acc_norm=[1, 2], metrics=["acc", "acc_norm", "words"])
    assert read_scores(tmp_path).items == {("t", "acc", "none"): {"0/h0": 0.0}}
    with pytest.raises(LimaError, match="lm_eval left no results"):
        read_scores(tmp_path / "nothing")


def test_without_the_harness_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness.importlib.util, "find_spec", lambda name: None)  # type: ignore[attr-defined]
    settings = RegressSettings(base="one", tuned="two", tasks=("t",), out=tmp_path / "out")
    with pytest.raises(LimaError, match=r"lm-evaluation-harness is missing: pip install .*\[regress\]"):
        regress(settings)
    assert not (tmp_path / "out").exists()
    assert regress(settings.model_copy(update={"dry_run": True})) == []


def test_a_server_needs_a_tokenizer(tmp_path: Path) -> None:
    place = "http://127.0.0.1:1/v1#m"
    with pytest.raises(LimaError, match="--tokenizer FOLDER"):
        models_of(RegressSettings(base=place, tuned="two", tasks=("t",), out=tmp_path))
    served, local = models_of(
        RegressSettings(base=place, tuned="two", tasks=("t",), out=tmp_path, tokenizer="tok")
    )
    assert (served.is_served, served.tokenizer, local.is_served, local.tokenizer) == (
        True,
        "tok",
        False,
        "tok",
    )


TASK = """
task: own_choice
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
doc_to_text: "{{{{question}}}}"
output_type: multiple_choice
doc_to_choice: "{{{{choices}}}}"
doc_to_target: gold
metric_list: [{{metric: acc}}]
"""


@pytest.mark.acceptance
@pytest.mark.skipif("LIMA_DATA" not in os.environ, reason="set LIMA_DATA to the folder of real data")
def test_a_spoilt_model_has_forgotten(tmp_path: Path) -> None:
    """The whole command on stories260k and on a copy whose weights were overwritten: a local YAML task over JSON rows."""
    pytest.importorskip("lm_eval")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base, tuned = Path(os.environ["LIMA_DATA"]) / "models" / "stories260k", tmp_path / "tuned"
    model = AutoModelForCausalLM.from_pretrained(base)
    torch.manual_seed(0)
    for weight in model.parameters():
        weight.data.normal_(std=0.05)
    model.save_pretrained(tuned)
    AutoTokenizer.from_pretrained(base).save_pretrained(tuned)
    starts = [
        "Once upon a time, there was a little",
        "The dog ran to the",
        "Tom and his mom went to the",
        "She was very",
    ]
    ends = [("girl", "tax"), ("park", "zeal"), ("park", "noun"), ("happy", "axis")]
    rows = [
        {"question": f"{lead} {start}".strip(), "choices": list(end), "gold": 0}
        for lead in ("", "One day.", "It was fun.", "They were sad.", "He smiled.", "Then it rained.")
        for start, end in zip(starts, ends, strict=True)
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    (tasks / "own_choice.yaml").write_text(TASK.format(data=data))
    settings = RegressSettings(
        base=str(base),
        tuned=str(tuned),
        tasks=("own_choice",),
        include_path=tasks,
        out=tmp_path / "out",
        dtype="float32",
    )
    (row,) = regress(settings)
    assert row.n == len(rows)
    assert row.base > 0.8
    assert row.verdict == "forgot"
    written = read_json(tmp_path / "out" / "regress.json")
    assert written["tasks"][0]["sentence"] == row.sentence
    stamps = sorted((tmp_path / "out").rglob("results_*.json"))
    assert [done.verdict for done in regress(settings)] == ["forgot"]
    assert sorted((tmp_path / "out").rglob("results_*.json")) == stamps  # a second run asks nobody
