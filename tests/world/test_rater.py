"""The oracle's rows in a study that the real `compare` made."""

from pathlib import Path

import pytest

from lima.evaluate.comparisons import compare
from lima.evaluate.settings import CompareSettings
from lima.evaluate.study import Study
from lima.files import read_jsonl, write_jsonl
from lima.records import Completion, Example, Grade, Preference
from lima.world.oracle import Oracle
from lima.world.people import World
from lima.world.prompts import make_prompts
from lima.world.rater import RATER, rate
from lima.world.wordings import statement


@pytest.fixture
def study(tmp_path: Path, world: World, oracle: Oracle) -> Study:
    """System ``knows`` answers in house style and right, ``babbles`` with the bare value of a half of them."""
    prompts = make_prompts(world, 6, seed=0)
    write_jsonl(tmp_path / "prompts.jsonl", prompts)
    for name in ("knows", "babbles"):
        rows = [_completion(oracle, prompt, name, number) for number, prompt in enumerate(prompts)]
        write_jsonl(tmp_path / f"{name}.jsonl", rows)
    files = (tmp_path / "knows.jsonl", tmp_path / "babbles.jsonl")
    return compare(CompareSettings(answers=files, out=tmp_path / "study", prompts=tmp_path / "prompts.jsonl"))


def _completion(oracle: Oracle, prompt: Example, system: str, number: int) -> Completion:
    person, attribute = oracle.subject(prompt.messages[0].content)
    content = f"Good question! {statement(person, attribute)} Ask again any time!"
    if system == "babbles":
        content = person.fact(attribute) if number % 2 else "No idea."
    return Completion(
        id=f"{system}/{prompt.id}/0",
        prompt_id=prompt.id,
        system=system,
        sample=0,
        content=content,
        finish_reason="eot",
        tokens=9,
        seed=0,
    )


def test_every_text_gets_its_verdict(study: Study, oracle: Oracle) -> None:
    rate(study, oracle)
    grades = list(read_jsonl(study.grades, Grade))
    preferences = list(read_jsonl(study.preferences, Preference))
    key = study.read_key()
    by_system = {"knows": [], "babbles": []}  # type: ignore[var-annotated]
    for grade in grades:
        by_system[key[grade.item_id].content.system].append(grade.value)  # type: ignore[union-attr]
    assert by_system["knows"] == ["excellent"] * 6
    assert sorted(by_system["babbles"]) == ["fail"] * 3 + ["pass"] * 3
    for row in preferences:
        pair = key[row.comparison_id]
        winner = pair.a if row.label == "a" else pair.b
        assert winner is not None
        assert winner.system == "knows"
    assert len(preferences) == 6
    assert {row.rater for row in grades} == {row.rater for row in preferences} == {RATER.id}


def test_rating_again_changes_nothing(study: Study, oracle: Oracle) -> None:
    rate(study, oracle)
    before = (study.grades.read_bytes(), study.preferences.read_bytes(), study.raters.read_bytes())
    rate(study, oracle)
    assert before == (study.grades.read_bytes(), study.preferences.read_bytes(), study.raters.read_bytes())
