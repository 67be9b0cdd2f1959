"""docs/walkthrough.md tells the truth: a question goes through its stops, each called by the one before it or by one above."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import pytest
from examples.rule_judge import MODEL, Rule, serving
from tests.curate.dump import LONG, answer, posts, question, write

import lima
from lima.curate.pipeline import curate
from lima.curate.settings import CurateSettings
from lima.curate.stackexchange.source import StackExchange
from lima.evaluate.comparisons import compare
from lima.evaluate.judge import judge
from lima.evaluate.settings import CompareSettings, JudgeSettings
from lima.files import read_json, read_jsonl
from lima.generate.run import generate
from lima.generate.settings import GenerateSettings
from lima.records import Comparison, Completion, Example, Key
from lima.report.report import report
from lima.report.settings import ReportSettings
from lima.train.run import train
from lima.train.settings import TrainSettings

PACKAGE = str(Path(lima.__file__).parent) + "/"
PAGE = Path(__file__).parents[1] / "docs" / "walkthrough.md"
STOP = re.compile(r"^\*\*(\d+)\. \[`([\w/]+\.py)`\]\(\.\./src/lima/\2\): `([\w.]+)`\.\*\*", re.MULTILINE)
OURS = "stackexchange/cooking/3"
QUESTIONS = (
    "How do I sharpen a kitchen knife at home?",
    "What makes bread rise in the oven?",
    "Why does water boil sooner on a mountain?",
    "Why do onions make people cry?",
    "How long can cooked rice stay in the fridge?",
)

Stop = tuple[str, str]
"""A file below the package, and the name of a function in it."""


@dataclass
class Calls:
    """Which stop was running when another one was called, by a run of the way; an empty one: none."""

    stops: frozenset[Stop]
    found: dict[tuple[Stop | None, Stop], int] = field(default_factory=dict)
    """By caller and called, when that happened first."""

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        """As `sys.setprofile` wants it."""
        if event == "call" and (stop := self._stop(frame)):
            caller = frame.f_back
            while caller is not None and self._stop(caller) is None:
                caller = caller.f_back
            self.found.setdefault((caller and self._stop(caller), stop), len(self.found))

    def _stop(self, frame: FrameType) -> Stop | None:
        name = frame.f_code.co_filename
        place = (name.removeprefix(PACKAGE), frame.f_code.co_qualname)
        return place if name.startswith(PACKAGE) and place in self.stops else None


def stops() -> list[Stop]:
    """The stops of the page, in its order."""
    found = STOP.findall(PAGE.read_text(encoding="utf-8"))
    assert [int(number) for number, _, _ in found] == list(range(1, len(found) + 1))
    return [(path, name) for _, path, name in found]


def go(folder: Path, base: Path, watch: Callable[..., None]) -> None:
    """The way of `OURS`, from a dump to a report, in ``folder``."""
    rows = []
    for number, title in enumerate(QUESTIONS, start=1):
        body = LONG.replace("Water", f"Matter {number}").replace("mountain", f"place{number}")
        rows += [question(number, title), answer(100 + number, number, 20 - number, body)]
    dumps, data, study = write(folder / "dumps", posts(*rows)), folder / "data", folder / "study"
    forum = StackExchange(train=3, test=2, title_prompts=1)
    recipe = CurateSettings.from_recipe(
        "stackexchange", input=dumps, out=data, sources={"forum": forum}, card=False
    )
    tuned, answers = folder / "run" / "epoch-01", [folder / "tuned.jsonl", folder / "base.jsonl"]
    with serving(Rule()) as url:
        sys.setprofile(watch)
        try:
            curate(recipe)
            train(
                TrainSettings(
                    model=str(base), data=data / "train.jsonl", out=folder / "run", epochs=1, max_length=200
                )
            )
            for system, out in zip((tuned, base), answers, strict=True):
                generate(
                    GenerateSettings(
                        system=str(system),
                        prompts=data / "test.jsonl",
                        out=out,
                        name=out.stem,
                        max_new_tokens=8,
                    )
                )
            compare(CompareSettings(answers=tuple(answers), prompts=data / "test.jsonl", out=study))
            judge(JudgeSettings(study=study, judge=f"{url}#{MODEL}", backoff=0.01))
            report(ReportSettings(study=study, rounds=100))
        finally:
            sys.setprofile(None)


@pytest.fixture(scope="module")
def gone(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[Path, Calls]:
    """The folder of a run of the way, and its calls."""
    folder, calls = tmp_path_factory.mktemp("way"), Calls(frozenset(stops()))
    go(folder, tiny_model, calls)
    return folder, calls


def test_the_question_goes_the_whole_way(gone: tuple[Path, Calls]) -> None:
    folder, _ = gone
    asked = {row.id: row for row in read_jsonl(folder / "data" / "test.jsonl", Example)}
    assert asked[OURS].is_prompt
    assert asked[OURS].messages[0].content == QUESTIONS[2]
    assert OURS not in {row.id for row in read_jsonl(folder / "data" / "train.jsonl", Example)}
    for name in ("tuned", "base"):
        assert OURS in {row.prompt_id for row in read_jsonl(folder / f"{name}.jsonl", Completion)}
    keys = {row.id: row for row in read_jsonl(folder / "study" / "key.jsonl", Key)}
    pairs = list(read_jsonl(folder / "study" / "comparisons.jsonl", Comparison))
    assert OURS in {keys[pair.id].prompt_id for pair in pairs}
    first_row = read_json(folder / "study" / "report.json")["overview"][0]["systems"][0]
    assert (first_row["system"], first_row["against"]) == ("tuned", "base")
    assert first_row["gap"]["n"] == first_row["gap"]["clusters"] == len(asked)


def test_every_stop_is_called_by_one_above_it(gone: tuple[Path, Calls]) -> None:
    _, calls = gone
    begun = check(stops(), calls.found)
    assert [name for _, name in begun] == ["curate", "train", "generate", "compare", "judge", "report"]


def check(way: list[Stop], found: Mapping[tuple[Stop | None, Stop], int]) -> list[Stop]:
    """A stop is called by the stop before it, by one of those that called that one, or begins a stage; and in this order.

    Returns the stops that begin a stage.
    """
    begun = []
    open_stops: list[Stop | None] = [None]
    last: dict[Stop | None, int] = {}
    for stop in way:
        callers = {caller for caller, called in found if called == stop}
        assert callers, f"{stop} is not called at all"
        while open_stops and open_stops[-1] not in callers:
            open_stops.pop()
        assert open_stops, f"{stop} is called by {callers}, none of which stands above it"
        caller = open_stops[-1]
        when = found[caller, stop]
        assert when > last.get(caller, -1), f"{stop} is called before the stop above it"
        last[caller] = when
        begun += [] if caller else [stop]
        open_stops.append(stop)
    return begun


A, B, C = ("a.py", "a"), ("b.py", "b"), ("c.py", "c")


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ([A, B, C, ("d.py", "d")], "not called at all"),
        ([A, C, B], "is called before"),
        ([B, A], "none of which stands above it"),
    ],
)
def test_a_wrong_page_is_noticed(way: list[Stop], reason: str) -> None:
    found: dict[tuple[Stop | None, Stop], int] = {(None, A): 0, (A, B): 1, (A, C): 2}
    assert check([A, B, C], found) == [A]
    with pytest.raises(AssertionError, match=reason):
        check(way, found)
