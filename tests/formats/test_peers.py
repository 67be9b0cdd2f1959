"""Round trips through other tools as they are installed: alpaca_eval and inspect_ai read what we write, and we what they write."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from lima.files import read_json, read_jsonl, write_jsonl
from lima.formats.convert import export_file, import_file
from lima.formats.settings import ExportSettings, ImportSettings
from lima.records import Completion, Example, Grade, Item, Message

pytestmark = pytest.mark.acceptance
LEADERBOARD = {
    "vicuna-13b": (70.43478260869566, 1.6069688407799696),
    "text_davinci_001": (15.17412935323383, 1.235107892276849),
    "alpaca-7b_weighted": (2.591450540223603, 0.4870855382635108),
}


@pytest.mark.parametrize("name", LEADERBOARD)
def test_alpaca_eval_computes_its_leaderboard_from_our_export(tmp_path: Path, name: str) -> None:
    metrics = pytest.importorskip("alpaca_eval.metrics")
    source = Path(os.environ["LIMA_DATA"]) / "preferences" / "alpaca_eval" / name / "annotations.json"
    study, back = tmp_path / "study", tmp_path / "annotations.json"
    import_file(ImportSettings(format="alpaca-eval", files=(source,), out=study))
    export_file(ExportSettings(format="alpaca-eval", file=study, out=back))
    utils = pytest.importorskip("alpaca_eval.utils")
    found = metrics.get_winrate(utils.load_or_convert_to_dataframe(back))
    rate, error = LEADERBOARD[name]
    assert found["win_rate"] == pytest.approx(rate, abs=1e-6)
    assert found["standard_error"] == pytest.approx(error, abs=1e-6)
    mine = {row["instruction"]: row for row in read_json(back)}
    for row in read_json(source):
        own = mine[row["instruction"]]
        assert {
            k: own[k] for k in ("output_1", "generator_1", "output_2", "generator_2", "annotator", "dataset")
        } == {
            k: row[k] for k in ("output_1", "generator_1", "output_2", "generator_2", "annotator", "dataset")
        }


def answers(folder: Path) -> tuple[Path, Path]:
    prompts, rows = folder / "prompts.jsonl", folder / "answers.jsonl"
    asked = [Message(role="user", content=text) for text in ("Capital of France?", "1 < 2 & 3?\nÜber")]
    write_jsonl(prompts, [Example(id=f"p/{n}", source="x", messages=(m,)) for n, m in enumerate(asked)])
    write_jsonl(
        rows,
        [
            Completion(
                id=f"me/{n}",
                prompt_id=f"p/{n}",
                system="me",
                sample=0,
                content=text,
                finish_reason="eot",
                tokens=2,
                seed=0,
            )
            for n, text in enumerate(("Paris.", "Yes,\n\n``` {x} ```"))
        ],
    )
    return prompts, rows


def test_alpaca_eval_reads_our_answers(tmp_path: Path) -> None:
    utils = pytest.importorskip("alpaca_eval.utils")
    prompts, rows = answers(tmp_path)
    out = tmp_path / "outputs.json"
    export_file(ExportSettings(format="alpaca-eval-outputs", file=rows, prompts=prompts, out=out))
    table = utils.load_or_convert_to_dataframe(out)
    assert list(table["output"]) == ["Paris.", "Yes,\n\n``` {x} ```"]
    assert set(table["generator"]) == {"me"}
    import_file(ImportSettings(format="alpaca-eval-outputs", files=(out,), out=tmp_path / "back.jsonl"))
    back = {row.content for row in read_jsonl(tmp_path / "back.jsonl", Completion)}
    assert back == set(table["output"])


def inspect_log(folder: Path) -> Path:
    """A log as inspect_ai writes it: three samples, one graded C, one I, one not at all."""
    inspect_ai = pytest.importorskip("inspect_ai")
    data, models, scorers, solvers = (
        pytest.importorskip(f"inspect_ai.{part}") for part in ("dataset", "model", "scorer", "solver")
    )
    said = {"q1": ("Paris.", "C"), "q2": ("Rome?", "I"), "q3": ("Hm {x}", "N")}

    @solvers.solver
    def speaks() -> Any:
        async def solve(state: Any, generate: Any) -> Any:
            state.output = models.ModelOutput.from_content("mockllm/model", said[state.sample_id][0])
            return state

        return solve

    @scorers.scorer(metrics=[scorers.accuracy()])
    def grader() -> Any:
        async def score(state: Any, target: Any) -> Any:
            return scorers.Score(
                value=said[state.sample_id][1], explanation=f"It is {said[state.sample_id][1]}."
            )

        return score

    samples = [data.Sample(input=f"Question {name}?", target="x", id=name) for name in said]
    task = inspect_ai.Task(dataset=samples, solver=speaks(), scorer=grader())
    (log,) = inspect_ai.eval(
        task,
        model="mockllm/model",
        log_dir=str(folder),
        log_format="json",
        display="none",
        score_display=False,
    )
    assert log.status == "success", log.error
    return Path(str(log.location).removeprefix("file://"))


def test_a_log_of_inspect_and_back(tmp_path: Path) -> None:
    log = inspect_log(tmp_path / "logs")
    study, out = tmp_path / "study", tmp_path / "back.json"
    import_file(ImportSettings(format="inspect", files=(log,), out=study))
    items = {row.id: row for row in read_jsonl(study / "items.jsonl", Item)}
    found = {items[row.item_id].content: row for row in read_jsonl(study / "grades.jsonl", Grade)}
    assert {text: (row.value, row.status, row.rater) for text, row in found.items()} == {
        "Paris.": ("excellent", "ok", "judge:grader"),
        "Rome?": ("fail", "ok", "judge:grader"),
        "Hm {x}": (None, "unparsable", "judge:grader"),
    }
    assert found["Paris."].raw == "It is C."
    export_file(ExportSettings(format="inspect", file=study, out=out))

    read = pytest.importorskip("inspect_ai.log").read_eval_log(str(out))
    assert [(s.input, s.output.completion, s.scores["grader"].value) for s in read.samples] == [
        ("Question q1?", "Paris.", "C"),
        ("Question q2?", "Rome?", "I"),
    ]
    import_file(ImportSettings(format="inspect", files=(out,), out=tmp_path / "again"))
    again = [(row.value, row.raw) for row in read_jsonl(tmp_path / "again" / "grades.jsonl", Grade)]
    assert again == [("excellent", "It is C."), ("fail", "It is I.")]


def test_answers_in_a_log_of_inspect(tmp_path: Path) -> None:
    log = inspect_log(tmp_path / "logs")
    back = tmp_path / "back.jsonl"
    import_file(ImportSettings(format="inspect-outputs", files=(log,), out=back))
    rows = list(read_jsonl(back, Completion))
    assert [row.content for row in rows] == ["Paris.", "Rome?", "Hm {x}"]
    prompts = tmp_path / "back.jsonl.prompts.jsonl"
    assert [row.messages[0].content for row in read_jsonl(prompts, Example)] == [
        f"Question q{n}?" for n in (1, 2, 3)
    ]
    out = tmp_path / "log.json"
    export_file(ExportSettings(format="inspect-outputs", file=back, prompts=prompts, out=out))
    read = pytest.importorskip("inspect_ai.log").read_eval_log(str(out))
    assert [s.output.completion for s in read.samples] == ["Paris.", "Rome?", "Hm {x}"]
    assert json.loads(out.read_text())["status"] == "success"
