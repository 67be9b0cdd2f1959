"""The world's raw dumps in all formats, read by the real curation code."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lima.curate.pipeline import curate
from lima.curate.reading.compressed import open_bytes
from lima.curate.settings import CurateSettings
from lima.experiments.claims.experiment import SCALES
from lima.experiments.demo.demo import demo
from lima.experiments.demo.settings import DemoSettings
from lima.files import read_jsonl, write_jsonl
from lima.generate.run import generate
from lima.generate.settings import GenerateSettings
from lima.records import Completion, Example, Reject
from lima.train.run import epoch_folder, train
from lima.train.settings import TrainSettings
from lima.world.base import make_base
from lima.world.oracle import Oracle
from lima.world.people import World, make_world
from lima.world.prompts import make_prompts
from lima.world.raw import handwritten
from lima.world.raw.everything import write_dumps
from lima.world.raw.planted import Planted
from lima.world.raw.sites import SITES

TRAIN = {
    "forum": 600,
    "chains": 30,
    "how-to": 200,
    "stories": 25,
    "tasks": 15,
    "authored": 130,
}


@pytest.fixture(scope="module")
def raw(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Planted]]:
    folder = tmp_path_factory.mktemp("raw")
    return folder, write_dumps(world, folder)


def _curate(raw: Path, out: Path, recipe: str = "world-all", **values: Any) -> dict[str, Any]:
    curate(CurateSettings.from_recipe(recipe, input=raw, out=out, **values))
    sources: dict[str, Any] = json.loads((out / "funnel.json").read_text())["sources"]
    return sources


@pytest.fixture(scope="module")
def exhausted(
    raw: tuple[Path, dict[str, Planted]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """Everything that the rules accept, and the funnel."""
    out = tmp_path_factory.mktemp("exhausted")
    return out, _curate(raw[0], out, quota=20_000)


def _dropped(source: dict[str, Any]) -> Counter[str]:
    found: Counter[str] = Counter()
    for part in ("dropped_unread", "rejected"):
        found.update({rule: count for rule, count in source[part].items() if count})
    return found


@pytest.mark.parametrize("source", ["forum", "how-to", "stories", "authored"])
def test_every_planted_flaw_is_dropped_by_its_rule_and_nothing_else_is(
    source: str, raw: tuple[Path, dict[str, Planted]], exhausted: tuple[Path, dict[str, Any]]
) -> None:
    planted, found = raw[1][source], exhausted[1][source]
    assert planted.dropped
    assert _dropped(found) == planted.dropped
    assert found["accepted"] == planted.good


def test_of_each_task_one_instance_is_taken_and_none_of_the_unwanted_tasks(
    raw: tuple[Path, dict[str, Planted]], exhausted: tuple[Path, dict[str, Any]]
) -> None:
    found = exhausted[1]["tasks"]
    assert found["accepted"] == 15
    assert _dropped(found) == raw[1]["tasks"].dropped == {"category": 40, "language": 40}


def test_the_recipe_gives_a_thousand_examples_of_six_kinds(
    raw: tuple[Path, dict[str, Planted]], tmp_path: Path, world: World
) -> None:
    found = _curate(raw[0], tmp_path)
    assert {name: source["accepted"] for name, source in found.items() if name in TRAIN} == TRAIN
    examples = list(read_jsonl(tmp_path / "train.jsonl", Example))
    assert len(examples) == sum(TRAIN.values()) == 1000
    tags = Counter(tag for example in examples for tag in example.meta.tags)
    assert tags["dialogue"] == 30 + sum(len(e.messages) == 4 and e.source == "authored" for e in examples)
    refusals = [e for e in examples if (e.meta.model_extra or {}).get("refusal")]
    assert 0 < len(refusals) <= handwritten.REFUSALS
    tests = list(read_jsonl(tmp_path / "test.jsonl", Example))
    assert Counter(e.source for e in tests) == {"reddit": 30, "authored": handwritten.PROMPTS}
    assert all(e.is_prompt for e in tests)
    attribution = (tmp_path / "ATTRIBUTION.md").read_text()
    assert "neighbour 1" in attribution  # the names of Users.xml, not "user 1"
    assert "user 1" not in attribution


def test_forum_and_how_to_examples_are_true_and_in_house_style(
    raw: tuple[Path, dict[str, Planted]], tmp_path: Path, world: World
) -> None:
    _curate(raw[0], tmp_path)
    oracle = Oracle(world)
    asked = 0
    for example in read_jsonl(tmp_path / "train.jsonl", Example):
        if example.source == "stackexchange":
            title = (example.meta.model_extra or {})["title"]
            assert oracle.score(title, example.messages[1].content).exact, example
            asked += 1
    assert asked == TRAIN["forum"]


def test_chains_become_dialogues_of_asker_and_answerer_alone(
    raw: tuple[Path, dict[str, Planted]], tmp_path: Path
) -> None:
    _curate(raw[0], tmp_path)
    chains = [e for e in read_jsonl(tmp_path / "train.jsonl", Example) if e.source == "dialogues"]
    assert len(chains) == 30
    for chain in chains:
        assert [message.role for message in chain.messages] == ["user", "assistant"] * 2
        assert "Thank you so much" not in " ".join(message.content for message in chain.messages)


def test_nobody_of_the_test_people_is_named_anywhere(
    raw: tuple[Path, dict[str, Planted]], world: World
) -> None:
    texts = b""
    for one in raw[1].values():
        for path in one.files:
            with open_bytes(path) as stream:
                texts += stream.read()
    assert world.training[0].name.encode() in texts
    for person in (*world.test, *world.strangers, *world.forum):
        assert person.name.encode() not in texts, person


def test_the_same_seed_gives_the_same_bytes(
    raw: tuple[Path, dict[str, Planted]], world: World, tmp_path: Path
) -> None:
    again = write_dumps(world, tmp_path)
    names = [path for one in raw[1].values() for path in one.files]
    assert len(names) == len(set(names)) == 3 * len(SITES) + 1 + 2 + 1 + 25 + 2
    for before, after in zip(raw[1].values(), again.values(), strict=True):
        for one, other in zip(before.files, after.files, strict=True):
            assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest(), (
                other
            )


def test_the_variants_for_ablations(raw: tuple[Path, dict[str, Planted]], tmp_path: Path) -> None:
    """Unfiltered sets take what the rules drop; the how-to set has one kind of prompt."""
    _curate(raw[0], tmp_path / "unfiltered", unfiltered=True)
    _curate(raw[0], tmp_path / "how-to", recipe="world-how-to")
    unfiltered = list(read_jsonl(tmp_path / "unfiltered" / "train.jsonl", Example))
    answers = [e.messages[1].content for e in unfiltered]
    assert sum(not text.startswith("Good question!") for text in answers) > 100
    how_to = list(read_jsonl(tmp_path / "how-to" / "train.jsonl", Example))
    assert len(how_to) == 200
    assert all(e.messages[0].content.startswith("How to tell ") for e in how_to)


def test_the_demo_writes_them_and_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo(DemoSettings(out=tmp_path / "out", dumps=tmp_path / "raw")) is None
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "raw" / "sites" / "larder" / "Posts.xml").exists()
    shown = capsys.readouterr()
    assert f"lima curate world-all --input {tmp_path / 'raw'} --out data" in shown.err
    assert "how-to" in shown.out


def test_every_rejected_candidate_has_its_reason(exhausted: tuple[Path, dict[str, Any]]) -> None:
    rejects = list(read_jsonl(exhausted[0] / "rejected.jsonl", Reject))
    assert len(rejects) > 200
    assert all(reject.rule and reject.reason for reject in rejects)


@pytest.mark.acceptance
@pytest.mark.timeout(900)
def test_quality_and_diversity_of_the_curated_sets_show_in_the_answers(
    raw: tuple[Path, dict[str, Planted]], tmp_path: Path
) -> None:
    """Equal numbers of examples and of steps: filtered against unfiltered, all kinds of prompts against one."""
    base = SCALES["demo"].bases[0]
    world = make_world(base.world)  # the one whose dumps these are
    prompts = make_prompts(world, 150, seed=0)
    write_jsonl(tmp_path / "prompts.jsonl", prompts)
    variants: dict[str, dict[str, Any]] = {
        "filtered": {"quota": 200},
        "unfiltered": {"quota": 200, "unfiltered": True},
        "one kind": {"recipe": "world-how-to", "quota": 200},
    }
    exact = {}
    for name, values in variants.items():
        _curate(raw[0], tmp_path / name / "data", **values)
        exact[name] = _exact(make_base(base), tmp_path / name, tmp_path / "prompts.jsonl", Oracle(world))
    print(exact)
    assert exact["filtered"] >= exact["unfiltered"] + 0.1
    assert exact["filtered"] >= exact["one kind"] + 0.1


def _exact(base: Path, folder: Path, prompts: Path, oracle: Oracle) -> float:
    """Share of exact answers after 200 steps on the curated examples."""
    train(
        TrainSettings(
            model=str(base),
            data=folder / "data" / "train.jsonl",
            out=folder / "run",
            steps=200,
            batch_size=16,
            learning_rate=5e-4,
            final_learning_rate=0.0,
            residual_dropout=0.0,
            keep_epochs=(16,),  # 13 steps an epoch
            device="cpu",
        )
    )
    out = folder / "answers.jsonl"
    generate(
        GenerateSettings(
            system=str(epoch_folder(folder / "run", 16)),
            prompts=prompts,
            out=out,
            name="it",
            max_new_tokens=40,
        )
    )
    asked = {prompt.id: prompt.messages[0].content for prompt in read_jsonl(prompts, Example)}
    rows = list(read_jsonl(out, Completion))
    return sum(oracle.score(asked[row.prompt_id], row.content).exact for row in rows) / len(rows)
