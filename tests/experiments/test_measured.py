"""`lima experiment NAME --model DIR --data FILE` without a judge: every part on a tiny model, and a run that is interrupted again and again."""

import json
import multiprocessing
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from lima import model as models
from lima.errors import LimaError
from lima.experiments.experiment import experiment
from lima.experiments.real.data import read_data
from lima.experiments.real.jobs import ArmResult
from lima.experiments.real.material import Statement
from lima.experiments.real.measures import UnitValues, completes
from lima.experiments.real.outcome import RealOutcome, read_bands
from lima.experiments.real.recipes import RECIPES, SCALES, arms_of
from lima.experiments.real.shift import CLASSES, PLACES
from lima.experiments.settings import ExperimentSettings
from lima.files import read_json, write_jsonl
from lima.records import Example, Message


@pytest.fixture(scope="module")
def base(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with room for every prompt in bytes."""
    folder = tmp_path_factory.mktemp("base") / "tiny"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 2048}))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty short rows, a third of them of the own style, and one that fits no scale."""
    path = tmp_path_factory.mktemp("data") / "train.jsonl"
    rows = [_row(n, f"It is {n}. That is all.") for n in range(40)]
    write_jsonl(path, [*rows, _row(99, "too long " * 100)])
    return path


def _row(number: int, answer: str) -> Example:
    messages = (
        Message(role="user", content=f"What is number {number}?"),
        Message(role="assistant", content=answer),
    )
    return Example(id=f"e/{number}", source="stackexchange" if number % 3 else "authored", messages=messages)


def _settings(base: Path, rows: Path, out: Path, **more: Any) -> ExperimentSettings:
    values = {
        "name": "scratch",
        "model": str(base),
        "data": rows,
        "limit": 3,
        "max_new_tokens": 4,
        "out": out,
    }
    return ExperimentSettings.model_validate({**values, **more})


def _files(out: Path) -> dict[str, Any]:
    """What a run leaves that is worth keeping, without times."""
    found = {}
    for path in sorted([*out.glob("results/*.json"), *out.glob("*.md"), out / "scratch.json"]):
        text = path.read_text()
        rows = json.loads(text) if path.parent.name == "results" else text
        found[path.name] = (
            {k: v for k, v in rows.items() if k not in ("seconds", "at")} if isinstance(rows, dict) else rows
        )
    return found


@pytest.fixture(scope="module")
def whole(base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an undisturbed run of ``scratch``."""
    out = tmp_path_factory.mktemp("whole")
    experiment(_settings(base, data, out))
    return out


def test_every_arm_leaves_a_small_file(whole: Path) -> None:
    results = {
        path.name.partition(".")[0]: json.loads(path.read_text()) for path in whole.glob("results/*.json")
    }
    assert set(results) == {"base", "tuned", "tuned-from-random-weights"}
    for name, result in results.items():
        assert set(result["measures"]) >= {
            "demands",
            "ended",
            "likeness",
            "cloze",
            "question",
            "nll own",
            "nll others",
        }
        assert len(result["answers"]) == 3, name
        assert result["rows"] == (0 if name == "base" else 16)
        assert len(result["model_sha256"]) == 64
    assert results["tuned"]["data_sha256"] == results["tuned-from-random-weights"]["data_sha256"]
    assert max(path.stat().st_size for path in whole.glob("results/*.json")) < 20_000
    page = (whole / "scratch.md").read_text()
    assert "### tuned from random weights, seed 0" in page
    assert "no evidence about models of 65 billion" in page


@pytest.mark.slow
def test_a_run_that_is_killed_ten_times_ends_in_the_same_files(
    base: Path, data: Path, whole: Path, tmp_path: Path
) -> None:
    shutil.copy(whole / "timing.json", tmp_path)  # seconds differ from run to run; no result depends on them
    for tenth in range(1, 11):
        _killed_after(tenth / 10, partial(experiment, _settings(base, data, tmp_path)))
    experiment(_settings(base, data, tmp_path))
    assert _files(tmp_path) == _files(whole)


def _killed_after(seconds: float, run: Callable[[], object]) -> None:
    """Run it in a process of its own and kill that after so long, whatever it does at that moment.

    A copy of this process starts at once, with every module in memory: the moments lie in the run, not in its imports.
    """
    worker = multiprocessing.get_context("fork").Process(target=run)
    worker.start()
    worker.join(seconds)
    worker.kill()
    worker.join()


def test_finished_results_are_reported_without_weights(
    base: Path, data: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The small files alone make the table: that is what a repository keeps."""
    shutil.copytree(whole / "results", tmp_path / "results")
    experiment(_settings(base, data, tmp_path, finished=True))
    assert (tmp_path / "scratch.md").read_text() == (whole / "scratch.md").read_text()
    assert not (tmp_path / "jobs").exists()
    (next(tmp_path.glob("results/base*"))).unlink()
    experiment(_settings(base, data, tmp_path, finished=True))
    page = (tmp_path / "scratch.md").read_text()
    assert "No result yet of: base." in page
    assert "tuned minus tuned from random weights" in page
    assert "minus base" not in page
    shutil.rmtree(tmp_path / "results")
    with pytest.raises(LimaError, match="no arm is finished yet"):
        experiment(_settings(base, data, tmp_path, finished=True))


def test_an_arm_is_one_file_whatever_experiment_asks_for_it(
    base: Path, data: Path, whole: Path, tmp_path: Path
) -> None:
    """And it stays where only what a step holds in memory differs: hours of work do not go with a default."""
    shutil.copytree(whole / "results", tmp_path / "results")
    changed = _settings(base, data, tmp_path, name="in-context", finished=True)
    fit = changed.fit.model_copy(update={"micro_batch_tokens": 77})
    experiment(changed.model_copy(update={"fit": fit}))
    assert {path.name for path in tmp_path.glob("results/*")} == {
        path.name for path in whole.glob("results/*")
    }
    found = read_json(tmp_path / "in-context.json")
    assert {row["arm"] for row in found["values"]} == {"base", "tuned"}, "two of its three arms are there"
    fit = changed.fit.model_copy(update={"learning_rate": 3e-3})
    with pytest.raises(LimaError, match="no arm is finished"):
        experiment(changed.model_copy(update={"name": "adapters", "fit": fit}))


def test_what_is_held_out_is_not_learnt_from_the_other_file(base: Path, data: Path) -> None:
    _, tokenizer = models.load(base, device="cpu")
    found = read_data(data, data, SCALES["demo"], tokenizer)
    held = {one.id for part in found.heldout.values() for one in part}
    assert len(held) == 4
    assert {one.id for one in found.other} == {f"e/{n}" for n in range(40)} - held


def test_the_cost_is_shown_and_a_dry_run_makes_nothing(
    base: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment(_settings(base, data, tmp_path, name="quantity", dry_run=True))
    shown = capsys.readouterr().out
    assert "cost in minutes" in shown
    assert "in all 0.0 h" in shown
    assert {path.name for path in tmp_path.iterdir()} == {"timing.json"}
    seconds = read_json(tmp_path / "timing.json")["seconds"]
    assert 1e-5 < seconds["answer_token"] < 0.1, "the time of whole prompts drowned that of the tokens"


def test_what_is_missing_or_too_small_is_said(base: Path, data: Path, tmp_path: Path) -> None:
    for more, words in (
        ({"data": None}, "--data is missing"),
        ({"name": "quality"}, "--other is missing"),
        ({"model": "nobody/nothing"}, "no such folder"),
        ({"scale": "small"}, "--scale small takes 300"),
        ({"name": "adapters", "judge": "http://127.0.0.1:1#m"}, "leave --prompts and --judge out"),
    ):
        with pytest.raises(LimaError, match=words):
            experiment(_settings(base, data, tmp_path, **more))


@pytest.mark.parametrize("scale", SCALES.values(), ids=list(SCALES))
def test_every_recipe_can_be_made_at_every_scale(scale: Any) -> None:
    for recipe in RECIPES.values():
        arms = list(arms_of(recipe, scale, {}))
        assert len(arms) == len(recipe.arms), (recipe.name, arms)
        assert all(0 <= place < len(arms) for a, b, _ in recipe.contrasts for place in (a, b)), recipe.name


def _result(arm: str, seed: int, values: list[float]) -> ArmResult:
    measure = UnitValues(
        unit="prompt", items=tuple(f"p{i}" for i in range(len(values))), values=tuple(values)
    )
    facts = dict.fromkeys(("key", "model", "model_sha256", "data_sha256", "bands_sha256", "at"), "x")
    return ArmResult(
        arm=arm, seed=seed, measures={"demands": measure}, settings={}, rows=1, answers=[], versions={},
        threads=1, git_commit=None, seconds=0.0, **facts,
    )  # fmt: skip


def test_sentences_come_from_the_intervals(tmp_path: Path) -> None:
    """Three arms of twenty prompts, one seed for the base and two for the others; the differences can be told by hand."""
    low, high = [0.0] * 20, [1.0] * 16 + [0.0] * 4
    results = {
        "0 examples": [_result("0 examples", 0, low)],
        "2 examples": [_result("2 examples", s, high) for s in (0, 1)],
        "16 examples": [_result("16 examples", s, high[::-1] if s else high) for s in (0, 1)],
    }
    limits = [
        {
            "id": "Q1",
            "experiment": "quantity",
            "words": "gain",
            "arm": "2 examples",
            "minus": "0 examples",
            "measure": "demands",
            "sense": "at least",
            "limit": 0.3,
        },
        {
            "id": "Q2",
            "experiment": "quantity",
            "words": "base",
            "arm": "0 examples",
            "measure": "demands",
            "sense": "at least",
            "limit": 0.3,
        },
        {
            "id": "X",
            "experiment": "quality",
            "words": "-",
            "arm": "a",
            "measure": "demands",
            "sense": "at least",
            "limit": 0.3,
        },
    ]
    (tmp_path / "bands.yaml").write_text(yaml.safe_dump(limits))
    outcome = RealOutcome(
        RECIPES["quantity"], list(results), results, read_bands(tmp_path / "bands.yaml", "quantity")
    )
    first, second = outcome.verdicts()
    assert first.startswith("demands kept, all of a prompt's, 2 examples minus 0 examples: +80.0 points [")
    assert first.endswith("Higher: the interval lies above 0.")
    assert second.endswith("Not decided: the interval holds 0.")
    assert [(check.band.id, check.state) for check in outcome.checks()] == [("Q1", "met"), ("Q2", "missed")]
    assert outcome.seeds("16 examples", "demands") == [0.8, 0.8]
    (tmp_path / "bands.yaml").write_text("- {id: Q1, experiment: quantity}")
    with pytest.raises(LimaError, match="Expected a YAML list with id"):
        read_bands(tmp_path / "bands.yaml", "quantity")


def test_the_likelier_end_is_chosen(base: Path) -> None:
    """Against the model's own log-probabilities, end by end, without padding."""
    import torch

    from lima import chat
    from lima import model as models

    network, tokenizer = models.load(base)
    ends = ("aa", "bbbb", "c", "dd dd")
    scores = []
    for end in ends:
        start, rest = (
            chat.encode_plain(tokenizer, "So it is"),
            tokenizer.encode(f" {end}.", add_special_tokens=False),
        )
        with torch.no_grad():
            logits = network(input_ids=torch.tensor([start + rest])).logits[0, len(start) - 1 : -1]
        chosen = logits.log_softmax(-1)[range(len(rest)), rest]
        scores.append(float(chosen.sum()) / len(f" {end}."))
    best = max(range(4), key=scores.__getitem__)
    for place in range(4):
        wrong = tuple(end for i, end in enumerate(ends) if i != place)
        one = Statement("s", "So it is", "?", (ends[place],), wrong)
        assert completes(network, tokenizer, one) == (place == best)


def test_predictions_in_the_repository_name_arms_that_there_are() -> None:
    places = list((Path(__file__).parents[2] / "docs" / "results").glob("*/bands.yaml"))
    assert places
    for path in places:
        for name, recipe in RECIPES.items():
            arms = arms_of(recipe, SCALES["small"], {})
            for _, where in read_bands(path, name):
                assert {where["arm"], where.get("minus", where["arm"])} <= set(arms), where


def test_ranks_of_tokens_by_place_and_class(base: Path, data: Path, tmp_path: Path) -> None:
    experiment(_settings(base, data, tmp_path, name="token-shift"))
    shares = read_json(tmp_path / "token-shift.json")["shares"]
    assert set(shares) <= {*PLACES, *CLASSES}
    first = shares["first token"]
    assert sum(first[figure]["value"] for figure in ("unshifted", "marginal", "shifted")) == pytest.approx(1)
    assert "| first token |" in (tmp_path / "token-shift.md").read_text()


def test_an_epoch_chosen_by_answers_is_compared_on_other_prompts() -> None:
    """Epoch 3 is best on prompts 0, 2, 4 ... and epoch 1 has the least loss; on 1, 3, 5 ... epoch 3 keeps all, epoch 1 half."""
    kept = {
        "epoch 1": [0.5] * 20,
        "epoch 2": [0.6, 0.5] * 10,
        "epoch 3": [1.0] * 20,
        "epoch 4": [0.9, 1.0] * 10,
    }
    results = {}
    for loss, (arm, values) in enumerate(kept.items(), start=1):
        measures = {
            "demand share": UnitValues(unit="prompt", items=tuple(map(str, range(20))), values=tuple(values)),
            "nll others": UnitValues(unit="row", items=("r",), values=(float(loss),)),
        }
        results[arm] = [_result(arm, 0, []).model_copy(update={"measures": measures})]
    outcome = RealOutcome(RECIPES["checkpoint"], list(results), results, [])
    (sentence,) = outcome.verdicts()
    assert "on every second prompt: epoch 3; by the least loss on held-out answers: epoch 1." in sentence
    assert "On the other 10 prompts, the first minus the second: +50.0 points." in sentence
    assert sentence.endswith("Higher: the interval lies above 0.")
