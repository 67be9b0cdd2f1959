"""A small study of two made-up systems, whose answers differ in length by a known rule."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lima.evaluate.comparisons import compare
from lima.evaluate.settings import CompareSettings
from lima.evaluate.study import Study
from lima.files import write_jsonl
from lima.records import Completion, Example, Message, Meta

FIRST, SECOND = "zebra-system", "quokka-system"

MakeStudy = Callable[..., Study]


def prompt(number: int) -> Example:
    message = Message(role="user", content=f"What is the answer to question {number}?")
    return Example(id=f"p/{number:03d}", source="test", messages=(message,), meta=Meta(tags=("format",)))


def answer(system: str, number: int, content: str, sample: int = 0, status: str = "ok") -> Completion:
    row = {"prompt_id": f"p/{number:03d}", "system": system, "sample": sample, "content": content}
    row |= {"id": f"{system}/{number}/{sample}", "finish_reason": "eot", "tokens": 3, "seed": number}
    return Completion.model_validate(row | {"status": status})


def write_inputs(folder: Path, pairs: int, samples: int = 1) -> tuple[Path, Path, Path]:
    """Prompts and two files; of pair i the first system's answer is longer when i % 3 == 0, equal when 1."""
    folder.mkdir(parents=True, exist_ok=True)
    length = {0: (300, 60), 1: (100, 100), 2: (60, 300)}
    paths = folder / "prompts.jsonl", folder / "first.jsonl", folder / "second.jsonl"
    write_jsonl(paths[0], [prompt(i) for i in range(pairs)])
    for side, name in enumerate((FIRST, SECOND)):
        rows = [
            answer(name, i, f"{i}:{sample} ".ljust(length[i % 3][side], "xy"[side]), sample)
            for i in range(pairs)
            for sample in range(samples)
        ]
        write_jsonl(paths[side + 1], rows)
    return paths


@pytest.fixture
def make_study(tmp_path: Path) -> MakeStudy:
    def make(pairs: int = 12, name: str = "study", samples: int = 1, seed: int = 0) -> Study:
        prompts, first, second = write_inputs(tmp_path / f"inputs-{pairs}-{samples}", pairs, samples)
        return compare(
            CompareSettings(answers=(first, second), prompts=prompts, out=tmp_path / name, seed=seed)
        )

    return make
