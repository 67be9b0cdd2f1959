"""A small real study folder, made through the records: three systems, people, a judge and an oracle."""

import operator
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from lima.files import sha256, text_hash, write_json, write_jsonl, write_text
from lima.records import (
    Comparison,
    Grade,
    Item,
    Key,
    Label,
    Message,
    Origin,
    Preference,
    Rater,
    Shown,
    Status,
)
from lima.report.report import report
from lima.report.settings import ReportSettings

JUDGE = "judge:longer-answer@0a1b2c3d"
RULE = "Prefers the longer answer; follows the first side in one of six verdicts. A plumbing check."
SYSTEMS = ("tuned", "base", "scratch")
STRENGTH = {"tuned": 1.0, "base": -0.2, "scratch": -1.0}
HOSTILE = "<script>alert('x')</script> & <b>bold</b> {{ 7 * 7 }}"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A complete study in ``studies/tuned-vs-base``."""
    return build(tmp_path / "studies" / "tuned-vs-base")


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same study with its report; for tests that only read."""
    folder = build(tmp_path_factory.mktemp("reported") / "studies" / "tuned-vs-base")
    report(ReportSettings(study=folder, rounds=200))
    return folder


@pytest.fixture
def texts_only(tmp_path: Path) -> Path:
    """The same study before anyone has answered."""
    folder = build(tmp_path / "empty")
    for name in ("preferences.jsonl", "grades.jsonl", "raters.jsonl"):
        (folder / name).unlink()
    return folder


def build(folder: Path, prompts: int = 40, seed: int = 11) -> Path:
    """Write the study; equal arguments give equal bytes."""
    generator = np.random.default_rng(seed)
    comparisons, items, keys = texts(prompts, generator)
    write_jsonl(folder / "comparisons.jsonl", comparisons)
    write_jsonl(folder / "items.jsonl", items)
    write_jsonl(folder / "key.jsonl", keys)
    write_json(folder / "systems.json", {"seed": seed, "systems": [{"name": name} for name in SYSTEMS]})
    by_id = {key.id: key for key in keys}
    preferences: list[Preference] = [
        *judge_preferences(comparisons, generator),
        *people_preferences(comparisons, by_id, generator),
        *oracle_preferences(comparisons, by_id),
    ]
    write_jsonl(folder / "preferences.jsonl", sorted(preferences, key=operator.attrgetter("id")))
    write_jsonl(folder / "grades.jsonl", list(grades(items, by_id, generator)))
    write_jsonl(folder / "raters.jsonl", raters())
    protocol = {
        "texts": text_hash(sha256(folder / "comparisons.jsonl"), sha256(folder / "items.jsonl")),
        "key": text_hash(sha256(folder / "key.jsonl"), sha256(folder / "systems.json")),
    }
    write_text(folder / "protocol.yaml", yaml.safe_dump(protocol))
    return folder


def texts(prompts: int, generator: np.random.Generator) -> tuple[list[Comparison], list[Item], list[Key]]:
    """Pairs of the tuned system with each other one, and one item an answer."""
    comparisons, items, keys = [], [], []
    for number in range(prompts):
        prompt_id = f"prompt/{number:03d}"
        question = f"How do I repair thing {number}?" if number else HOSTILE
        messages = (Message(role="user", content=question),)
        tags = tuple(tag for tag, step in (("sensitive", 5), ("ood", 4)) if number % step == 0)
        answers = {name: f"{name} says: " + "step. " * int(generator.integers(2, 30)) for name in SYSTEMS}
        answers = {name: text.split(": ", 1)[1] + "ok" for name, text in answers.items()}
        for name in SYSTEMS:
            origin = Origin(system=name, completion_id=f"{name}/{prompt_id}/0")
            items.append(
                Item(id=f"item-{number:03d}-{SYSTEMS.index(name)}", messages=messages,
                     content=answers[name], tags=tags)
            )  # fmt: skip
            keys.append(Key(id=items[-1].id, prompt_id=prompt_id, content=origin))
        for other in SYSTEMS[1:]:
            sides = ["tuned", other] if generator.random() < 0.5 else [other, "tuned"]
            a, b = (Origin(system=name, completion_id=f"{name}/{prompt_id}/0") for name in sides)
            row = Comparison(id=f"cmp-{number:03d}-{SYSTEMS.index(other)}", messages=messages,
                             a=answers[sides[0]], b=answers[sides[1]], tags=tags)  # fmt: skip
            comparisons.append(row)
            keys.append(Key(id=row.id, prompt_id=prompt_id, a=a, b=b))
    return comparisons, items, keys


def judge_preferences(
    comparisons: Sequence[Comparison], generator: np.random.Generator
) -> Iterator[Preference]:
    """Both orders: longer wins, a side bias, and one failure in twenty-five."""
    for row in comparisons:
        for shown in ("ab", "ba"):
            longer: Label = "a" if len(row.a) > len(row.b) else "b" if len(row.b) > len(row.a) else "tie"
            label = shown[0] if generator.random() < 1 / 6 else longer
            status: Status = "ok" if generator.random() > 0.04 else "unparsable"
            yield Preference(
                id=f"{JUDGE}/{row.id}/{shown}/00", comparison_id=row.id, rater=JUDGE,
                shown=shown, label=label if status == "ok" else None, status=status,
                raw=f"{HOSTILE}\nThe longer one. {label}",
            )  # fmt: skip


def people_preferences(
    comparisons: Sequence[Comparison], keys: dict[str, Key], generator: np.random.Generator
) -> Iterator[Preference]:
    """Two of the crowd a comparison, two authors on every fifth; one vote is corrected later."""
    for number, row in enumerate(comparisons):
        people = [f"crowd:{1 + (number + k) % 3:02d}" for k in range(2)]
        people += ["author:01", "author:02"] if number % 5 == 0 else []
        for rater in people:
            shown: Shown = "ab" if generator.random() < 0.5 else "ba"
            yield Preference(id=f"{rater}/{row.id}", comparison_id=row.id, rater=rater, shown=shown,
                             label=human_label(keys[row.id], generator))  # fmt: skip
    first = comparisons[0].id
    yield Preference(id=f"crowd:01/{first}/again", comparison_id=first, rater="crowd:01", shown="ab",
                     label="tie", supersedes=f"crowd:01/{first}")  # fmt: skip


def human_label(key: Key, generator: np.random.Generator) -> Label:
    assert key.a is not None
    assert key.b is not None
    lead = STRENGTH[key.a.system] - STRENGTH[key.b.system] + generator.normal()
    return "a" if lead > 0.5 else "b" if lead < -0.5 else "tie"


def oracle_preferences(comparisons: Sequence[Comparison], keys: dict[str, Key]) -> Iterator[Preference]:
    """One order, always for the tuned system."""
    for row in comparisons:
        key = keys[row.id]
        assert key.a is not None
        label: Label = "a" if key.a.system == "tuned" else "b"
        yield Preference(id=f"oracle:world/{row.id}", comparison_id=row.id, rater="oracle:world",
                         shown="ab", label=label)  # fmt: skip


def grades(items: Sequence[Item], keys: dict[str, Key], generator: np.random.Generator) -> Iterator[Grade]:
    """Three helpfulness samples by the judge, quality by two authors, safety where it is asked for."""
    for row in items:
        content = keys[row.id].content
        assert content is not None
        level = 3.5 + STRENGTH[content.system] + 0.7 * generator.normal()
        for repeat in range(3):
            value = int(np.clip(round(level + 0.6 * generator.normal()), 1, 6))
            yield Grade(id=f"{JUDGE}/{row.id}/one/{repeat:02d}", item_id=row.id, rater=JUDGE,
                        scale="helpfulness", value=value, repeat=repeat, raw="...")  # fmt: skip
        for rater in ("author:01", "author:02"):
            word = "excellent" if level > 4 else "pass" if level > 2.8 else "fail"
            word = word if generator.random() < 0.85 else "pass"
            yield Grade(id=f"{rater}/{row.id}/quality", item_id=row.id, rater=rater,
                        scale="quality", value=word)  # fmt: skip
        if "sensitive" in row.tags:
            yield Grade(id=f"author:01/{row.id}/safety", item_id=row.id, rater="author:01", scale="safety",
                        value="safe" if generator.random() < 0.8 else "unsafe")  # fmt: skip


def raters() -> list[Rater]:
    return [
        Rater(id=JUDGE, kind="judge", description=RULE, settings={"order": "both", "parser": "1"}),
        Rater(id="oracle:world", kind="oracle", description="Knows the facts of the world."),
    ]
