"""The summary of a data file counts what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lima.curate.inspect import inspect_file
from lima.curate.settings import InspectSettings
from lima.errors import LimaError
from lima.files import write_jsonl
from lima.records import Completion, Example, Message, Meta


def example(
    identifier: str, prompt: str, answer: str | None = "An answer of five words.", **meta: object
) -> Example:
    messages = [Message(role="user", content=prompt)]
    if answer is not None:
        messages.append(Message(role="assistant", content=answer))
    return Example(id=identifier, source="wikihow", messages=tuple(messages), meta=Meta.model_validate(meta))


def cell(text: str, name: str) -> str:
    """The first number of a table's line."""
    found = re.search(rf"│ {re.escape(name)} +│ +([\d.]+)", text)
    assert found, f"{name!r} is not in:\n{text}"
    return found.group(1)


def test_examples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [
        example("a", "How to boil?", licence="CC BY-SA 4.0", tags=("ood",)),
        example("b", "how to  BOIL?", "Another."),
        example("c", "How to fry?", None),
    ]
    write_jsonl(path, rows)
    inspect_file(InspectSettings(file=path))
    text = capsys.readouterr().out
    assert cell(text, "single-turn") == "2"
    assert cell(text, "end on a user turn") == "1"
    assert cell(text, "equal first prompts") == "1"
    assert cell(text, "equal answers") == "0"
    assert cell(text, "wikihow") == "3"
    assert cell(text, "CC BY-SA 4.0") == "1"
    assert cell(text, "first prompts, characters") == "12.0", "(12 + 13 + 11) / 3"
    assert cell(text, "answers, words") == "3.0", "(5 + 1) / 2"


def test_completions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "answers.jsonl"
    rows = [
        Completion(
            id=f"{n}",
            prompt_id="p",
            system="tiny",
            sample=n,
            content="x" * n,
            finish_reason="eot",
            tokens=n,
            seed=0,
        )
        for n in range(3)
    ]
    write_jsonl(path, rows)
    inspect_file(InspectSettings(file=path, samples=1))
    text = capsys.readouterr().out
    assert (cell(text, "prompts"), cell(text, "empty"), cell(text, "mean tokens")) == ("1", "1", "1.0")
    assert cell(text, "tiny") == "3"


def test_files_for_the_card_without_a_card_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [example("a", "How to boil?")])
    with pytest.raises(
        LimaError, match="--against and --embeddings are for the card: say where it goes, --card"
    ):
        inspect_file(InspectSettings(file=path, against=(path,)))


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "no such file"), ("", "empty"), ('{"a": 1}\n', "neither Examples nor completions; .* has a")],
)
def test_bad_files(content: str | None, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(LimaError, match=problem):
        inspect_file(InspectSettings(file=path))
