"""``lima checkpoint``: a run's epochs answer the dev prompts, are rated blind, and one is chosen (LIMA, section 3).

Perplexity does not tell which epoch answers best (appendix), so answers are looked at: by a judge model or by
people, without names, on prompts that are not in the training data. Every look is logged.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from lima import console
from lima.checkpoint.heldout import heldout_losses
from lima.checkpoint.inputs import CheckpointInputs, read_inputs
from lima.checkpoint.oracle import find_oracle, rate
from lima.checkpoint.outcome import RatedChoice, log_look, show, write_choice
from lima.checkpoint.rule import EpochChoice, Scores, choose
from lima.checkpoint.settings import CheckpointSettings
from lima.commands import as_command, command
from lima.errors import LimaError
from lima.evaluate.comparisons import compare
from lima.evaluate.judge import judge
from lima.evaluate.settings import CompareSettings, JudgeSettings
from lima.evaluate.study import Study
from lima.generate.jobs import beside
from lima.generate.run import generate
from lima.generate.settings import GenerateSettings
from lima.report.numbers.ratings import Rating, collect_ratings
from lima.report.numbers.study import read_study
from lima.report.numbers.votes import POOLED_KINDS
from lima.runs import is_finished, open_run
from lima.train.run import epoch_folder

POINTS = {"fail": 0.0, "pass": 1.0, "excellent": 2.0}
"""What a grade of quality counts in a mean."""


def checkpoint(settings: CheckpointSettings) -> EpochChoice | None:
    """Choose the epoch whose answers are best; None after a dry run, or where people still have to rate.

    The same settings again repeat no answer and no request. The rule is that of `checkpoint_rule.choose`.

    Raises:
        LimaError: not exactly one kind of rater; see `checkpoint_inputs.read_inputs`; no grades yet.
    """
    if bool(settings.judge) + bool(settings.oracle) + settings.by_hand != 1:
        raise LimaError("who rates? Give one of --judge URL#model, --oracle module:function and --by-hand.")
    if settings.oracle:
        find_oracle(settings.oracle)  # before the answers are made
    inputs = read_inputs(settings)
    if settings.dry_run:
        _explain(settings, inputs)
        return None
    with open_run(settings.folder / "run.json", "checkpoint", settings) as run:
        study, is_new = _study(settings, inputs)
        heldout = heldout_losses(settings, inputs)
        if settings.by_hand and is_new:
            _ask_people(settings, study)
            return None
        ratings = _ratings(settings, study)
        choice = choose(_scores(ratings, inputs, settings), level=settings.level)
        outcome = RatedChoice(choice, tuple(sorted({rating.rater for rating in ratings})), heldout)
        looks = log_look(settings, outcome)
        path = write_choice(settings, inputs, outcome, looks)
        run.finish(chosen=choice.chosen, best=choice.best, prompts=choice.prompts, looks=looks)
    show(settings, inputs, outcome, looks)
    chosen = epoch_folder(settings.run, choice.chosen)
    following = command("generate", chosen, "TEST.jsonl", "--out", "answers.jsonl")
    console.done([path, settings.folder / "looks.jsonl"], following)
    return choice


def _explain(settings: CheckpointSettings, inputs: CheckpointInputs) -> None:
    answers = len(inputs.epochs) * len(inputs.prompts) * settings.samples
    calls = f", {answers * settings.repeats} ratings by {settings.judge}" if settings.judge else ""
    console.note(
        f"would make at most {answers} answers (epochs {', '.join(map(str, inputs.epochs))} to "
        f"{len(inputs.prompts)} prompts){calls}, in {settings.folder}"
    )


def _study(settings: CheckpointSettings, inputs: CheckpointInputs) -> tuple[Study, bool]:
    """The blind study of all epochs' answers, and whether it was made just now."""
    with console.part_of_a_whole():
        answers = tuple(_answers(settings, epoch) for epoch in inputs.epochs)
        name = "-".join(["study", *(f"{epoch:02d}" for epoch in inputs.epochs)])
        wanted = CompareSettings(
            answers=answers, out=settings.folder / name, prompts=settings.dev, seed=settings.seed
        )
        record = wanted.out / "compare.run.json"
        if is_finished(record, "compare", wanted):
            return Study(wanted.out), False
        return compare(wanted), True


def _answers(settings: CheckpointSettings, epoch: int) -> Path:
    """The file of one epoch's answers; the model is not loaded where they are all there."""
    folder = epoch_folder(settings.run, epoch)
    wanted = GenerateSettings(
        system=str(folder),
        prompts=settings.dev,
        out=settings.folder / "answers" / f"{folder.name}.jsonl",
        name=folder.name,
        samples=settings.samples,
        max_length=settings.max_length,
        max_new_tokens=settings.max_new_tokens,
        seed=settings.seed,
        dtype=settings.dtype,
    )
    if not is_finished(beside(wanted.out, "run.json"), "generate", wanted):
        generate(wanted)
    return wanted.out


def _ask_people(settings: CheckpointSettings, study: Study) -> None:
    console.note(_how_to_rate(settings, study))
    console.done([study.folder], _annotate(settings, study))


def _ratings(settings: CheckpointSettings, study: Study) -> list[Rating]:
    """The ratings that count: of the judge, of the oracle, or of people."""
    judged_by = _judge(settings, study) if settings.judge else None
    if settings.oracle:
        judged_by = rate(study, settings.oracle, settings.rated_on)
    found = read_study(study.folder)
    if found.changes:
        raise LimaError(f"{study.folder}: {found.changes[0]} Remove the folder to make it anew.")
    ratings = [
        rating
        for rating in collect_ratings(found, found.systems)
        if rating.scale == settings.rated_on
        and rating.value is not None
        and (rating.rater == judged_by if judged_by else rating.group in POOLED_KINDS)
    ]
    if ratings:
        return ratings
    if judged_by:
        raise LimaError(f"{judged_by} gave no valid rating. Its replies: {study.folder / 'judges'}")
    raise LimaError(f"{study.grades}: no grades yet. {_how_to_rate(settings, study)}")


def _judge(settings: CheckpointSettings, study: Study) -> str:
    assert settings.judge is not None
    asked = JudgeSettings(
        study=study.folder,
        judge=settings.judge,
        task=settings.rated_on,
        repeats=settings.repeats,
        server=settings.server,
        api_key_env=settings.api_key_env,
        api_key_file=settings.api_key_file,
        concurrency=settings.concurrency,
    )
    with console.part_of_a_whole():
        return judge(asked).id


def _annotate(settings: CheckpointSettings, study: Study) -> str:
    return command("annotate", study.folder, "--tasks", settings.rated_on)


def _how_to_rate(settings: CheckpointSettings, study: Study) -> str:
    again = as_command("checkpoint", settings)
    return (
        f"Rate the answers: {_annotate(settings, study)}, then Export on the lead's page. "
        f"The same command reads the grades: {again}"
    )


def _scores(ratings: list[Rating], inputs: CheckpointInputs, settings: CheckpointSettings) -> Scores:
    """Mean rating of each epoch's answers to each prompt, over samples, raters and repeats."""
    epochs = {epoch_folder(settings.run, epoch).name: epoch for epoch in inputs.epochs}
    points: dict[int, dict[str, list[float]]] = {epoch: defaultdict(list) for epoch in inputs.epochs}
    for rating in ratings:
        assert rating.value is not None, rating
        value = POINTS[rating.value] if isinstance(rating.value, str) else float(rating.value)
        points[epochs[rating.system]][rating.prompt].append(value)
    return {
        epoch: {prompt: sum(values) / len(values) for prompt, values in by_prompt.items()}
        for epoch, by_prompt in points.items()
    }
