"""lm-evaluation-harness gets the same numbers from `lima serve` as from the weights in transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.generate.test_server import Running

from lima.generate.settings import ServeSettings

pytestmark = pytest.mark.acceptance

ROWS = [
    {"question": "Tom went to the", "choices": ["park", "moonlight machine", "dog"], "gold": 0},
    {"question": "The cat sat on the", "choices": ["mat", "zebra", "yesterday"], "gold": 0},
    {"question": "Once upon a time, there was a little", "choices": ["girl", "tax", "the"], "gold": 0},
]
TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
doc_to_text: "{{{{question}}}}"
"""
CHOOSE = """output_type: multiple_choice
doc_to_choice: "{{choices}}"
doc_to_target: gold
metric_list: [{metric: acc}]
"""
WRITE = """output_type: generate_until
doc_to_target: "{{choices[0]}}"
generation_kwargs: {until: ["."], max_gen_toks: 16, do_sample: false}
metric_list: [{metric: exact_match}]
"""


def test_local_completions(real_data: Path, tmp_path: Path) -> None:
    lm_eval = pytest.importorskip("lm_eval")
    tasks = pytest.importorskip("lm_eval.tasks")
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    for name, kind in (("own_choice", CHOOSE), ("own_text", WRITE)):
        (tmp_path / f"{name}.yaml").write_text(TASK.format(name=name, data=data) + kind)
    folder = real_data / "models" / "stories260k"

    def responses(backend: str, **arguments: Any) -> dict[str, list[Any]]:
        found = lm_eval.simple_evaluate(
            model=backend,
            model_args={"max_length": 256, **arguments},
            tasks=["own_choice", "own_text"],
            task_manager=tasks.TaskManager(include_path=str(tmp_path)),
            gen_kwargs={"repetition_penalty": 1.0},
            device="cpu",
        )["samples"]
        return {name: [row["filtered_resps"] for row in rows] for name, rows in found.items()}

    running = Running(ServeSettings(model=str(folder), name="tiny"))
    try:
        served = responses(
            "local-completions",
            model="tiny",
            base_url=f"{running.url}/v1/completions",
            tokenizer=str(folder),
            tokenizer_backend="huggingface",
            add_bos_token=True,
        )
    finally:
        running.stop()
    loaded = responses("hf", pretrained=str(folder), dtype="float32")
    assert len(served["own_choice"]) == len(ROWS)
    for mine, theirs in zip(served["own_choice"], loaded["own_choice"], strict=True):
        assert [float(value) for value, _ in mine] == pytest.approx([float(v) for v, _ in theirs], abs=1e-4)
        assert [greedy for _, greedy in mine] == [greedy for _, greedy in theirs]
    for mine, theirs in zip(served["own_text"], loaded["own_text"], strict=True):
        assert [text.strip() for text in mine] == [text.strip() for text in theirs]
