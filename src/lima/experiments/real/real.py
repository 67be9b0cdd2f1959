"""``lima experiment NAME --model BASE --data FILE``: an ablation on a real base, by the stages that users call.

Each arm is tuned by the same recipe and answers the same prompts; the answers go into one blind study, which a judge
rates for helpfulness 1 to 6 (LIMA, section 5) or which is left for people. Every stage resumes by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lima import console
from lima.checkpoint.checkpoint import checkpoint
from lima.checkpoint.settings import CheckpointSettings
from lima.commands import command
from lima.errors import LimaError
from lima.evaluate.comparisons import compare
from lima.evaluate.judge import judge
from lima.evaluate.settings import CompareSettings, JudgeSettings
from lima.evaluate.study import Study
from lima.experiments.real.arms import make_arms
from lima.experiments.real.settings import EXPERIMENTS, RealSettings
from lima.experiments.real.shift import show_shift
from lima.experiments.settings import ExperimentSettings
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


def real_experiment(settings: ExperimentSettings) -> None:
    """Run one experiment on a real base.

    Raises:
        LimaError: the experiment needs the world's ground truth, an input is missing, or a stage fails.
    """
    if settings.name not in EXPERIMENTS:
        raise LimaError(
            f"'{settings.name}' needs the built-in world, where every answer can be checked. "
            f"With --model there are: {', '.join(EXPERIMENTS)}."
        )
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
        runs = {arm: _tune(settings, folder / "arms" / _slug(arm), rows) for arm, rows in arms.items()}
        if settings.name == "perplexity":
            _perplexity(settings, folder, runs["tuned"])
        elif settings.name == "token-shift":
            show_shift(settings, folder, _last(settings, runs["tuned"], arms["tuned"]), prompts)
        else:
            checkpoints = {arm: _last(settings, runs[arm], rows) for arm, rows in arms.items()}
            _rate(settings, folder, checkpoints)
        run.finish(arms={arm: len(rows) for arm, rows in arms.items()}, prompts=len(prompts))


def _explain(arms: Mapping[str, list[Example]], prompts: int, settings: RealSettings) -> None:
    console.table(
        f"would tune {len(arms)} models, each answering {prompts} prompts {settings.samples} times",
        ["arm", "examples"],
        [[arm, len(rows)] for arm, rows in arms.items()],
    )


def _slug(arm: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in arm).split())


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
        keep_epochs=() if keep_all else (last_epoch(len(rows), settings.fit),),
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
        out=folder / "answers" / f"{_slug(arm)}.jsonl",
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
