"""Is a base ready? Figures on answers written by hand, and bases of the built-in world (acceptance)."""

from pathlib import Path

import numpy as np
import pytest

from lima.doctor.readiness import STAGES, StageFigures, measure_answers, measure_stages, readiness, verdict
from lima.doctor.settings import DoctorSettings
from lima.errors import LimaError
from lima.experiments.claims.data import make_data
from lima.experiments.claims.jobs import DataSettings
from lima.experiments.claims.knowledge import NO_QUESTIONS
from lima.files import read_jsonl, write_jsonl
from lima.records import Completion, Example, Message
from lima.world.base import make_base
from lima.world.people import World
from lima.world.settings import BaseSettings
from lima.world.wordings import answer


def _dev(number: int, asked: str, told: str) -> Example:
    return Example(
        id=f"d/{number}",
        source="s",
        messages=(Message(role="user", content=asked), Message(role="assistant", content=told)),
    )


DEV = [
    _dev(0, "What does Ada play?", "Good question! Ada plays the harp."),
    _dev(1, "What does Leo play?", "Good question! Leo plays the tuba."),
]


def _answers(*texts: str, ended: str = "eot") -> list[Completion]:
    rows = []
    for number, text in enumerate(texts):
        row = {
            "id": f"x/{number}",
            "prompt_id": f"d/{number}",
            "system": "x",
            "sample": 0,
            "content": text,
            "seed": 0,
        }
        rows.append(Completion.model_validate(row | {"finish_reason": ended, "tokens": 3}))
    return rows


def test_content_is_what_a_reference_has_of_its_own() -> None:
    # own words: harp, tuba. The name is in the prompt; good, question, plays, the are in every reference.
    right = measure_answers(
        DEV, _answers("Good question! Ada plays the harp.", "Good question! Leo plays the tuba.")
    )
    assert right == StageFigures(content=1.0, chance=0.0, style=1.0, ended=1.0)
    swapped = measure_answers(
        DEV, _answers("Good question! Ada plays the tuba.", "Good question! Leo plays the harp.")
    )
    assert (swapped.content, swapped.chance, swapped.knowledge) == (0.0, 1.0, -1.0)
    lists = measure_answers(DEV, _answers("harp tuba", "harp tuba", ended="length"))
    assert (lists.knowledge, lists.ended) == (0.0, 0.0)
    # 0 of 4 usual words, 2 of 6 words long
    assert lists.style == pytest.approx((0 + 2 / 6) / 2)


def test_an_answer_that_is_missing_has_said_nothing() -> None:
    found = measure_answers(DEV, _answers("Good question! Ada plays the harp."))
    assert (found.content, found.ended) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("tuned", "before", "says"),
    [
        (StageFigures(0.6, 0.1, 0.9, 1.0), StageFigures(0.5, 0.1, 0.2, 0.0), "Ready, with a style gap"),
        (StageFigures(0.6, 0.1, 0.9, 1.0), StageFigures(0.5, 0.1, 0.85, 1.0), "Ready: the base knows"),
        (StageFigures(0.2, 0.1, 0.9, 1.0), StageFigures(0.1, 0.1, 0.2, 0.0), "Knowledge gap"),
        (StageFigures(0.6, 0.1, 0.4, 0.3), StageFigures(0.1, 0.1, 0.2, 0.0), "Too small"),
    ],
)
def test_the_verdict_is_in_plain_words(tuned: StageFigures, before: StageFigures, says: str) -> None:
    assert verdict({STAGES[0]: before, STAGES[1]: before, STAGES[2]: tuned}).startswith(says)


def test_dev_prompts_need_answers_and_stay_apart(tmp_path: Path, tiny_model: Path) -> None:
    write_jsonl(tmp_path / "data.jsonl", DEV)
    write_jsonl(tmp_path / "dev.jsonl", [DEV[0].model_copy(update={"messages": DEV[0].messages[:1]})])
    settings = DoctorSettings(model=str(tiny_model), data=tmp_path / "data.jsonl", dev=tmp_path / "dev.jsonl")
    with pytest.raises(LimaError, match="0 answered prompts"):
        readiness(settings)
    with pytest.raises(LimaError, match="prompts"):
        readiness(settings.model_copy(update={"dev": tmp_path / "data.jsonl"}))


@pytest.mark.acceptance
@pytest.mark.timeout(3000)
def test_bases_of_the_world_are_ranked(world: World, tmp_path: Path) -> None:
    """The figures, which know words alone, rank four bases as the oracle does by the facts of the same answers.

    250 and 1,000 steps know too little, and so does a base that has read no questions; 2,500 steps are ready.
    """
    from lima.world.oracle import Oracle
    from lima.world.prompts import make_prompts

    oracle, rng = Oracle(world), np.random.default_rng(0)
    dev = []
    for prompt in make_prompts(world, 150, seed=0):
        person, kind = oracle.subject(prompt.messages[-1].content)
        told = Message(role="assistant", content=answer("good", person, kind, rng))
        dev.append(prompt.model_copy(update={"messages": (*prompt.messages, told)}))
    write_jsonl(tmp_path / "dev.jsonl", dev)
    data = make_data(world, DataSettings(examples=200), 0, base=tmp_path, folder=tmp_path).examples
    write_jsonl(tmp_path / "data.jsonl", data)
    bases = {
        "250": BaseSettings(steps=250),
        "1000": BaseSettings(steps=1000),
        "2500": BaseSettings(steps=2500),
        "unasked": BaseSettings(steps=2500, corpus=NO_QUESTIONS),
    }
    looks, truth = {}, {}
    for name, base in bases.items():
        settings = DoctorSettings(
            model=str(make_base(base)), data=tmp_path / "data.jsonl", dev=tmp_path / "dev.jsonl",
            dev_limit=150, pilot_learning_rate=5e-4, max_length=256, max_new_tokens=40,
        )  # fmt: skip
        (tmp_path / name).mkdir()
        looks[name] = measure_stages(settings, data, dev, tmp_path / name)
        answers = {row.prompt_id: row.content for row in read_jsonl(tmp_path / name / "2.jsonl", Completion)}
        facts = [oracle.score(row.messages[0].content, answers.get(row.id, "")).knowledge for row in dev]
        truth[name] = sum(facts) / len(facts)
    known = {name: found[STAGES[2]].knowledge for name, found in looks.items()}
    assert sorted(known, key=lambda name: known[name]) == sorted(truth, key=lambda name: truth[name])
    assert known["250"] < known["1000"] < known["2500"]
    assert 2 * known["unasked"] < known["2500"]
    assert verdict(looks["2500"]).startswith("Ready, with a style gap")
    for name in ("250", "1000", "unasked"):
        assert verdict(looks[name]).startswith(("Knowledge gap", "Too small"))
