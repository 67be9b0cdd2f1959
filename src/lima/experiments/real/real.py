"""``lima experiment NAME --model BASE --data FILE``: an ablation on a real base, by the stages that users call.

Each arm is a part of a real data set (LIMA, sections 5 and 6). It is tuned by the same recipe and answers the same
prompts; the answers go into one blind study, which a judge rates for helpfulness 1 to 6 or which is left for people.
Every stage resumes by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from lima import console
from lima.checkpoint.checkpoint import checkpoint
from lima.checkpoint.inputs import check_apart
from lima.checkpoint.settings import CheckpointSettings
from lima.commands import command
from lima.errors import LimaError
from lima.evaluate.comparisons import compare
from lima.evaluate.judge import judge
from lima.evaluate.settings import CompareSettings, JudgeSettings
from lima.evaluate.study import Study
from lima.experiments.real.jobs import slug
from lima.experiments.real.measured import measured_experiment, measured_shift
from lima.experiments.real.recipes import RECIPES
from lima.experiments.real.shift import show_shift
from lima.experiments.settings import ON_REAL_BASES, ExperimentSettings, RealSettings
from lima.files import read_jsonl, write_jsonl
from lima.generate.jobs import beside
from lima.generate.prompts import read_prompts
from lima.generate.run import generate
from lima.generate.settings import GenerateSettings
from lima.records import Completion, Example
from lima.report.render.tables import cell
from lima.report.render.wording import plain
from lima.report.report import report
from lima.report.settings import ReportSettings
from lima.runs import is_finished, open_run
from lima.train.run import epoch_folder, last_epoch, train
from lima.train.settings import TrainSettings

SHIFT = "token-shift"


def real_experiment(settings: ExperimentSettings) -> None:
    """Run one experiment on a real base.

    Raises:
        LimaError: the experiment needs the world's ground truth, an input is missing, or a stage fails.
    """
    if settings.prompts is None and settings.judge is None and settings.name in (*RECIPES, SHIFT):
        (measured_shift if settings.name == SHIFT else measured_experiment)(settings)
        return
    if settings.name not in ON_REAL_BASES:
        raise LimaError(_refusal(settings))
    if settings.prompts is None:
        raise LimaError("--prompts is missing: the questions that every arm answers.")
    folder = settings.out / settings.name
    prompts = list(read_prompts(settings.prompts))[: settings.limit]
    arms = make_arms(settings.name, settings, prompts, settings.fit.seed)
    if settings.dry_run:
        _explain(arms, len(prompts), settings)
        return
    with open_run(folder / "run.json", "experiment", settings) as run, console.part_of_a_whole():
        write_jsonl(folder / "prompts.jsonl", prompts)
        runs = {arm: _tune(settings, folder / "arms" / slug(arm), rows) for arm, rows in arms.items()}
        if settings.name == "perplexity":
            _perplexity(settings, folder, runs["tuned"])
        elif settings.name == "token-shift":
            show_shift(settings, folder, _last(settings, runs["tuned"], arms["tuned"]), prompts)
        else:
            checkpoints = {arm: _last(settings, runs[arm], rows) for arm, rows in arms.items()}
            _rate(settings, folder, checkpoints)
        run.finish(arms={arm: len(rows) for arm, rows in arms.items()}, prompts=len(prompts))


def _refusal(settings: ExperimentSettings) -> str:
    if settings.name in RECIPES:
        return (
            f"'{settings.name}' on a real base is measured by programs: leave --prompts and --judge out. "
            f"A judge or people rate: {', '.join(ON_REAL_BASES)}."
        )
    known = sorted({*ON_REAL_BASES, *RECIPES})
    return (
        f"'{settings.name}' needs the built-in world, where every answer can be checked. "
        f"With --model there are: {', '.join(known)}."
    )


def _explain(arms: Mapping[str, list[Example]], prompts: int, settings: RealSettings) -> None:
    console.table(
        f"would tune {len(arms)} models, each answering {prompts} prompts {settings.samples} times",
        ["arm", "examples"],
        [[arm, len(rows)] for arm, rows in arms.items()],
    )


def _tune(settings: ExperimentSettings, folder: Path, rows: list[Example]) -> Path:
    """The run folder of one arm."""
    assert settings.model is not None
    write_jsonl(folder / "train.jsonl", rows)
    keep_all = settings.name == "perplexity"
    wanted = TrainSettings(
        **settings.fit.model_dump(),
        model=settings.model,
        data=folder / "train.jsonl",
        out=folder / "run",
        max_length=settings.max_length,
        keep_eot=settings.keep_eot,
        keep_epochs=(0,) if keep_all else (last_epoch(len(rows), settings.fit),),
        heldout=settings.heldout if keep_all else None,
    )
    if not is_finished(wanted.out / "run.json", "train", wanted):
        train(wanted)
    return wanted.out


def _last(settings: ExperimentSettings, run: Path, rows: list[Example]) -> Path:
    return epoch_folder(run, last_epoch(len(rows), settings.fit))


def _rate(settings: ExperimentSettings, folder: Path, checkpoints: Mapping[str, Path]) -> None:
    """Answers of all arms -> one blind study -> ratings -> a table, and the study's own report."""
    answers = [_answers(settings, folder, arm, place) for arm, place in checkpoints.items()]
    wanted = CompareSettings(
        answers=tuple(reversed(answers)),
        out=folder / "study",
        prompts=folder / "prompts.jsonl",
        seed=settings.fit.seed,
    )
    study = Study(wanted.out)
    if not is_finished(wanted.out / "compare.run.json", "compare", wanted):
        study = compare(wanted)
    if settings.judge:
        judge(JudgeSettings(study=study.folder, judge=settings.judge, task="helpfulness", moved=True))
    _show(settings, study, dict(zip(checkpoints, answers, strict=True)))


def _answers(settings: ExperimentSettings, folder: Path, arm: str, place: Path) -> Path:
    wanted = GenerateSettings(
        system=str(place),
        prompts=folder / "prompts.jsonl",
        out=folder / "answers" / f"{slug(arm)}.jsonl",
        name=arm,
        samples=settings.samples,
        max_length=settings.max_length,
        max_new_tokens=settings.max_new_tokens,
        seed=settings.fit.seed,
    )
    if not is_finished(beside(wanted.out, "run.json"), "generate", wanted):
        generate(wanted)
    return wanted.out


def _show(settings: ExperimentSettings, study: Study, answers: Mapping[str, Path]) -> None:
    numbers = report(ReportSettings(study=study.folder)) if settings.judge else None
    ratings = {row.system: cell(row.mean, plain) for row in numbers.helpfulness} if numbers else {}
    rows = [[arm, *_counts(path), ratings.get(arm, "not rated")] for arm, path in answers.items()]
    console.table(
        f"{settings.name}: {settings.model}",
        ["arm", "answers", "ended by EOT", "mean tokens", "helpfulness 1-6, 95 % interval by prompt"],
        rows,
    )
    for gap in numbers.helpfulness_gaps if numbers else ():
        console.results.print(
            f"{gap.first} minus {gap.second}: {cell(gap.gap, plain)}", markup=False, soft_wrap=True
        )
    if numbers is None:
        judge_it = command("judge", study.folder, "--task", "helpfulness", "--judge", "URL#MODEL")
        console.note(f"next   {judge_it}, or {command('annotate', study.folder)}")
    else:
        console.done([study.folder / "report.html"])


def _counts(path: Path) -> tuple[str, str, str]:
    rows = [row for row in read_jsonl(path, Completion) if row.status == "ok"]
    if not rows:
        return "0", "", ""
    ended = sum(row.finish_reason == "eot" for row in rows) / len(rows)
    return str(len(rows)), f"{ended:.0%}", f"{sum(row.tokens for row in rows) / len(rows):.0f}"


def _perplexity(settings: ExperimentSettings, folder: Path, run: Path) -> None:
    """Ratings of every epoch beside the held-out loss: `lima checkpoint` over all epochs."""
    if settings.heldout is None:
        raise LimaError("--heldout is missing: the conversations whose perplexity is measured.")
    checkpoint(
        CheckpointSettings(
            run=run,
            dev=folder / "prompts.jsonl",
            epochs=tuple(range(1, settings.fit.epochs + 1)),
            judge=settings.judge,
            by_hand=settings.judge is None,
            samples=settings.samples,
            max_length=settings.max_length,
            max_new_tokens=settings.max_new_tokens,
            out=folder / "checkpoint",
            seed=settings.fit.seed,
        )
    )


ArmExamples = dict[str, list[Example]]
FORMAT_TAG = "format"


def make_arms(name: str, settings: RealSettings, prompts: Sequence[Example], seed: int) -> ArmExamples:
    """The examples of each arm.

    Raises:
        LimaError: a file is missing, prompts are in the data, or the data lack what the experiment varies.
    """
    data = _examples(settings.data, "--data")
    other = _examples(settings.other, "--other") if name in ("quality", "diversity") else []
    assert settings.prompts is not None, settings
    assert settings.data is not None, settings
    check_apart(prompts, [*data, *other], dev=settings.prompts, data=settings.data)
    if name == "quantity":
        return _sizes(data, seed)
    if name in ("quality", "diversity"):
        return _two_files(data, other, seed, settings)
    if name == "dialogue":
        return _without(data, lambda one: len(one.turns) > 2, "dialogues", settings.data)
    if name == "structure":
        return _without(
            data, lambda one: FORMAT_TAG in one.meta.tags, "examples tagged 'format'", settings.data
        )
    return {"tuned": data}


def _examples(path: Path | None, flag: str) -> list[Example]:
    if path is None:
        raise LimaError(f"{flag} is missing: with --model, this experiment needs it.")
    return list(read_jsonl(path, Example))


def _sizes(data: list[Example], seed: int) -> ArmExamples:
    """An eighth, a quarter, a half and all of the data, each inside the next."""
    order = np.random.default_rng([seed, 11]).permutation(len(data)).tolist()
    sizes = sorted({max(1, len(data) // part) for part in (8, 4, 2, 1)})
    return {f"{size} examples": [data[i] for i in sorted(order[:size])] for size in sizes}


def _two_files(data: list[Example], other: list[Example], seed: int, settings: RealSettings) -> ArmExamples:
    """Equally many of each: the larger file is cut at random."""
    count = min(len(data), len(other))
    arms = {}
    for path, rows in ((settings.data, data), (settings.other, other)):
        assert path is not None
        chosen = np.random.default_rng([seed, 11]).permutation(len(rows))[:count].tolist()
        arms[path.stem] = [rows[i] for i in sorted(chosen)]
    if len(arms) < 2:
        raise LimaError(
            f"{settings.data} and {settings.other}: name the two files differently; arms bear their names."
        )
    return arms


def _without(data: list[Example], special: Callable[[Example], bool], words: str, path: Path) -> ArmExamples:
    kept = [one for one in data if not special(one)]
    count = len(data) - len(kept)
    if not count or not kept:
        raise LimaError(
            f"{path}: {count} of {len(data)} rows are {words}; this experiment needs some, and some others."
        )
    return {f"without {words}": kept, f"with {count} {words}": data}
