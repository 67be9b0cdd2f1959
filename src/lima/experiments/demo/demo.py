"""``lima demo``: the paper's claim, shown with the real code on a made-up world with ground truth.

A small base model has read about the world (it ships; ``--pretrain`` makes it here). About 1,000 curated forum answers tune it, and tune a model of
the same shape that has read nothing. Both answer questions about people who are in no example: what they
get right is knowledge from pretraining, how they say it is what tuning taught.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from lima import console, model
from lima.commands import as_command, command
from lima.curate.pipeline import curate
from lima.curate.settings import CurateSettings
from lima.evaluate.comparisons import compare
from lima.evaluate.settings import CompareSettings
from lima.experiments.demo.settings import DemoSettings
from lima.experiments.demo.summary import Summary, show
from lima.files import read_jsonl, write_json, write_jsonl
from lima.generate.run import generate
from lima.generate.settings import GenerateSettings
from lima.records import Completion, Example
from lima.report.report import report
from lima.report.settings import ReportSettings
from lima.runs import open_run
from lima.train.run import epoch_folder, train
from lima.train.settings import TrainSettings
from lima.world.base import cloze, make_base, make_scratch
from lima.world.dumps import make_threads, write_posts
from lima.world.oracle import Oracle
from lima.world.people import World, make_world
from lima.world.prompts import make_prompts
from lima.world.rater import rate
from lima.world.raw.everything import RECIPE, write_dumps
from lima.world.settings import BaseSettings, CorpusSettings, WorldSettings
from lima.world.shipped import shipped_base

ORDER = ("tuned", "base", "scratch")
"""The system under test first: the comparisons are tuned v base and tuned v scratch."""
YOUR_TURN = "lima align BASE YOUR-TABLE.csv --out runs/mine"
LONGEST_ANSWER = 40
"""Tokens; an answer in house style has about 14."""


def demo(settings: DemoSettings) -> Summary | None:
    """Run the demo, show its end and return it; None after a dry run, or where only the dumps are wanted.

    Raises:
        LimaError: ``settings.out`` holds a demo with other settings, or another process works there.
    """
    plan = DemoFolder(settings)
    if settings.dry_run or settings.dumps:
        (_explain if settings.dry_run else _write_dumps)(plan)
        return None
    with _one_thread(), console.part_of_a_whole(), open_run(plan.out / "run.json", "demo", settings) as run:
        base = _prepare(plan)
        _curate(plan)
        _tune(plan, base)
        _generate(plan, base)
        _report(plan)
        summary = _summary(plan, base)
        write_json(plan.out / "demo.json", summary.facts())
        run.finish(**summary.facts())
    show(summary)
    console.done([plan.study / "report.html", plan.out / "demo.json"], None)
    console.note(f"yours  {YOUR_TURN}")
    return summary


def _explain(plan: DemoFolder) -> None:
    people = plan.base.world.people
    console.note(f"would take a small model that has read about {people} people, or pretrain one,")
    console.note(f"curate {plan.settings.examples} examples, train two models on them,")
    console.note(f"ask three systems {plan.settings.questions} questions, and report in {plan.study}.")


def _write_dumps(plan: DemoFolder) -> None:
    folder = plan.settings.dumps
    assert folder is not None
    planted = write_dumps(plan.world, folder, plan.settings.seed)
    rows = [[name, one.good, sum(one.dropped.values())] for name, one in planted.items()]
    console.table("What the raw dumps hold", ["source", "good", "to be dropped"], rows)
    wrote = sorted({path.parent for one in planted.values() for path in one.files})
    console.done(wrote, command("curate", RECIPE, "--input", folder, "--out", "data"))


def _prepare(plan: DemoFolder) -> Path:
    _step(1, "the world: a base model that has read about it, its forum, and test questions")
    base = (None if plan.settings.pretrain else shipped_base(plan.base)) or make_base(plan.base)
    make_scratch(plan.base, plan.out / "untrained")
    rows = write_posts(make_threads(plan.world, plan.settings.seed), plan.posts)
    prompts = make_prompts(plan.world, plan.settings.questions, plan.settings.seed)
    write_jsonl(plan.prompts, prompts)
    console.note(f"{rows:,} forum posts in {plan.posts}, {len(prompts)} questions in {plan.prompts}")
    return base


def _curate(plan: DemoFolder) -> None:
    _step(2, "curate: the dump becomes a training set, by the paper's rules at the world's lengths")
    settings = CurateSettings.from_recipe(
        "world", input=plan.posts.parent, out=plan.data, quota=plan.settings.examples, seed=plan.settings.seed
    )
    _show_command(as_command("curate", settings))
    curate(settings)


def _tune(plan: DemoFolder, base: Path) -> None:
    _step(3, "train: the examples tune the base, and a model of the same shape that has read nothing")
    for system, start in (("tuned", base), ("scratch", plan.out / "untrained")):
        recipe = RECIPES[system]
        settings = TrainSettings(
            model=str(start),
            data=plan.data / "train.jsonl",
            out=plan.out / system,
            epochs=recipe.epochs,
            batch_size=16,
            learning_rate=recipe.learning_rate,
            final_learning_rate=recipe.final_learning_rate,
            residual_dropout=0.0,
            keep_epochs=(recipe.epochs,),
            seed=plan.settings.seed,
            device="cpu",
            eot_start="mean",  # as when the bands of this world were fixed
        )
        _show_command(as_command("train", settings))
        train(settings)


def _generate(plan: DemoFolder, base: Path) -> None:
    _step(4, "generate: three systems answer the same questions, with the paper's sampling")
    places = {name: epoch_folder(plan.out / name, recipe.epochs) for name, recipe in RECIPES.items()}
    for system, place in (places | {"base": base}).items():
        settings = GenerateSettings(
            system=str(place),
            prompts=plan.prompts,
            out=plan.answers(system),
            name=system,
            max_new_tokens=LONGEST_ANSWER,
            seed=plan.settings.seed,
        )
        _show_command(as_command("generate", settings))
        generate(settings)


def _report(plan: DemoFolder) -> None:
    _step(5, "compare the answers blind, rate them by the ground truth, report")
    answers = tuple(plan.answers(system) for system in ORDER)
    pairs = CompareSettings(answers=answers, out=plan.study, seed=plan.settings.seed)
    _show_command(as_command("compare", pairs))
    rate(compare(pairs), plan.oracle)
    page = ReportSettings(study=plan.study, system="tuned")
    _show_command(as_command("report", page))
    report(page)


def _summary(plan: DemoFolder, base: Path) -> Summary:
    prompts = list(read_jsonl(plan.prompts, Example))
    answers = {}
    for system in ORDER:
        given = {row.prompt_id: row.content for row in read_jsonl(plan.answers(system), Completion)}
        answers[system] = [given[prompt.id] for prompt in prompts]
    network, words = model.load(base, device="cpu")
    return Summary(plan.oracle, prompts, answers, cloze(network, words, plan.world.test))


def _step(number: int, text: str) -> None:
    console.note(f"\n[{number}/5] {text}")


def _show_command(command: str) -> None:
    console.note(f"$ {command}")


@contextmanager
def _one_thread() -> Iterator[None]:
    """Matrices of this size gain nothing from a second thread, and lose much on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


CORPUS = CorpusSettings(echo=0.8)
"""What the demo's base reads: a forum whose answers mostly repeat the fact, from which tuning brings out more in a short
pretraining (`lima experiment transfer` shows the difference)."""


class DemoFolder:
    """Where everything of a demo lies, and the world that it shows."""

    def __init__(self, settings: DemoSettings) -> None:
        self.settings, self.out = settings, settings.out
        self.posts = self.out / "dump" / "world" / "Posts.xml"
        self.data = self.out / "data"
        self.prompts = self.out / "prompts.jsonl"
        self.study = self.out / "study"
        self.base = BaseSettings(
            world=WorldSettings(seed=settings.seed),
            corpus=CORPUS,
            seed=settings.seed,
            steps=settings.pretraining_steps,
        )
        self.world: World = make_world(self.base.world)
        self.oracle = Oracle(self.world)

    def answers(self, system: str) -> Path:
        """The completions of a system."""
        return self.out / "answers" / f"{system}.jsonl"


@dataclass(frozen=True)
class Recipe:
    """How one of the two models is tuned: epochs, and the first and last learning rate."""

    epochs: int
    learning_rate: float
    final_learning_rate: float


RECIPES = {
    "tuned": Recipe(epochs=3, learning_rate=3e-4, final_learning_rate=3e-5),
    # From random weights the same rate would not even teach the form.
    "scratch": Recipe(epochs=6, learning_rate=2e-3, final_learning_rate=2e-4),
}
