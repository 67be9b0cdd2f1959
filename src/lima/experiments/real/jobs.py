"""One arm and seed -> its small JSON file: tune, answer, measure, by the stages that users call; each resumes by itself.

The file holds every value, settings, hashes and the commit. So runs on several days add up, and a table can be made anew from the
files alone, without the weights.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from lima import console
from lima import model as models
from lima.experiments.real.data import RealData
from lima.experiments.real.form import AnswerForm
from lima.experiments.real.material import Statement, VerifiedPrompt, spread, statements, verified_prompts
from lima.experiments.real.measures import Measures, UnitValues, of_answers, of_model, of_questions
from lima.experiments.real.recipes import Arm, RealScale
from lima.files import read_jsonl, text_hash, write_json, write_jsonl
from lima.fingerprint import code_hash
from lima.generate.jobs import beside
from lima.generate.run import generate
from lima.generate.settings import GenerateSettings
from lima.records import Completion, Example
from lima.runs import git_commit, is_finished, now, versions
from lima.settings import Settings
from lima.train.run import epoch_folder, last_epoch, train
from lima.train.settings import TrainSettings

FIRST_ANSWERS = 6
"""Answers shown: those to the first prompts of the list, unchosen."""
QUESTION_TOKENS = 24
"""Longest answer, in tokens, to a question of knowledge: the right answer is a word or two."""

EOT_START = str(TrainSettings.model_fields["eot_start"].default)
"""What the end-of-turn token starts as in every arm: it decides whether short tuning teaches a base to stop."""
ROUNDING = {"micro_batch_tokens", "activation_checkpointing", "compile", "save_every"}
"""Settings of training that save memory or time: a result differs by them in rounding alone, so that their defaults may change."""


class ArmResult(Settings):
    """The outcome of one arm and seed."""

    arm: str
    seed: int
    key: str
    """Of settings, model, data and what measures (`Workshop.key`)."""
    settings: dict[str, Any]
    """Of the arm and the scale, defaults left out."""
    model: str
    """The base's name."""
    model_sha256: str
    data_sha256: str
    """Of the rows that it was tuned on."""
    bands_sha256: str
    """Of the limits fixed in advance; empty: there were none."""
    rows: int
    measures: dict[str, UnitValues]
    answers: list[dict[str, str]]
    """The first prompts of the list with their answers."""
    versions: dict[str, str]
    threads: int
    git_commit: str | None
    seconds: float
    at: str


@dataclass(frozen=True)
class Workshop:
    """What all arms share: base, data, scale, and the folder they work in."""

    base: Path
    base_sha256: str
    data: RealData
    scale: RealScale
    folder: Path
    bands_sha256: str = ""

    @cached_property
    def prompts(self) -> list[VerifiedPrompt]:
        """The prompts that every arm answers."""
        return spread(verified_prompts(), self.scale.prompts)

    @cached_property
    def statements(self) -> list[Statement]:
        """The statements that every arm completes, and answers as questions."""
        return spread(statements(), self.scale.statements)

    @cached_property
    def form(self) -> AnswerForm:
        """The form of the answers in the data."""
        return AnswerForm.of([one.messages[-1].content for one in self.data.pool])

    def key(self, arm: Arm, seed: int) -> str:
        """A key of an arm's work: its settings, the base, the rows, and the code that asks and measures."""
        chosen = arm.model_dump_json(exclude_defaults=True, exclude={"fit": ROUNDING})
        scale = repr({**vars(self.scale), "fit": self.scale.fit.model_dump(exclude=ROUNDING)})
        rows = _rows_hash(self, arm, seed)
        return text_hash(chosen, EOT_START, str(seed), self.base_sha256, scale, rows, _code())

    def result_path(self, name: str, arm: Arm, seed: int) -> Path:
        """The path of its result: a readable name, with the key. An arm that other experiments have is one file, named by the first."""
        end = f"seed{seed}.{self.key(arm, seed)[:8]}.json"
        there = sorted((self.folder / "results").glob(f"*.{end}"))
        return there[0] if there else self.folder / "results" / f"{slug(name)}.{end}"


def slug(name: str) -> str:
    """A name for a file.

    >>> slug("3 examples in context")
    '3-examples-in-context'
    """
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name).split())


def read_result(path: Path) -> ArmResult | None:
    """A finished arm, or None."""
    return ArmResult.model_validate_json(path.read_bytes()) if path.exists() else None


def run_arm(shop: Workshop, name: str, arm: Arm, seed: int) -> ArmResult:
    """The arm's file, made where it is missing."""
    path = shop.result_path(name, arm, seed)
    if found := read_result(path):
        return found
    began, commit = time.monotonic(), git_commit()
    with console.part_of_a_whole():
        measures, answers = _measure(shop, arm, seed)
    result = ArmResult(
        arm=name,
        seed=seed,
        key=shop.key(arm, seed),
        settings={
            "arm": arm.model_dump(mode="json", exclude_defaults=True),
            "scale": shop.scale.name,
            "max_length": shop.scale.max_length,
            "new_tokens": shop.scale.new_tokens,
        },
        model=shop.base.name,
        model_sha256=shop.base_sha256,
        data_sha256=_rows_hash(shop, arm, seed),
        bands_sha256=shop.bands_sha256,
        rows=len(shop.data.rows(arm, seed)) if arm.is_tuned else 0,
        measures=dict(measures),
        answers=answers,
        versions=versions(),
        threads=torch.get_num_threads(),
        git_commit=commit,
        seconds=round(time.monotonic() - began, 1),
        at=now(),
    )
    write_json(path, result.model_dump(mode="json"))
    return result


def _settings(arm: Arm) -> str:
    return arm.model_dump_json(exclude_defaults=True)


def _rows_hash(shop: Workshop, arm: Arm, seed: int) -> str:
    rows = shop.data.rows(arm, seed) if arm.is_tuned else shop.data.shown(arm.in_context)
    held = [one for part in shop.data.heldout.values() for one in part]
    return text_hash(*(one.model_dump_json() for one in (*rows, *held)))


def _code() -> str:
    """A hash of the code that asks and measures: a changed statement there voids results. Training and generation are left out, since their commit is recorded and a changed message there should not void hours of work."""
    return code_hash("lima.experiments.real.measures", package="lima.experiments.real")


def _measure(shop: Workshop, arm: Arm, seed: int) -> tuple[Measures, list[dict[str, str]]]:
    place, work = tuned(shop, arm, seed), shop.folder / "jobs" / shop.key(arm, seed)
    asked = [one.example for one in shop.prompts]
    answers = _answers(shop, arm, place, work / "answers.jsonl", asked, shop.scale.new_tokens)
    questions = [one.prompt for one in shop.statements]
    short = _answers(shop, arm, place, work / "questions.jsonl", questions, QUESTION_TOKENS)
    found = {**of_answers(shop.prompts, answers, shop.form), **of_questions(shop.statements, short)}
    if not arm.in_context:
        network, tokenizer = models.load(place)
        if not arm.is_tuned:
            models.set_template(network, tokenizer)
        found |= of_model(network, tokenizer, shop.statements, shop.data.heldout)
    given = {row.prompt_id: row for row in answers}
    first = [_shown(one, given[one.id]) for one in asked[:FIRST_ANSWERS] if one.id in given]
    return found, first


def _shown(prompt: Example, answer: Completion) -> dict[str, str]:
    said = "\n\n".join(message.content for message in prompt.messages)
    return {"prompt": said, "answer": answer.content, "ended": answer.finish_reason}


def tuned(shop: Workshop, arm: Arm, seed: int) -> Path:
    """The checkpoint of an arm; arms that differ in the epoch alone share a run."""
    if not arm.is_tuned:
        return shop.base
    rows = shop.data.rows(arm, seed)
    settings = _train_settings(shop, arm, seed)
    write_jsonl(settings.data, rows)
    if arm.scratch:
        random_weights(shop.base, Path(settings.model), seed)
    if not is_trained(shop, arm, seed):
        train(settings)
    return epoch_folder(settings.out, arm.epoch or last_epoch(len(rows), arm.fit))


def is_trained(shop: Workshop, arm: Arm, seed: int) -> bool:
    """Whether the arm's run, which others may share, has ended."""
    settings = _train_settings(shop, arm, seed)
    return settings.data.exists() and is_finished(settings.out / "run.json", "train", settings)


def _train_settings(shop: Workshop, arm: Arm, seed: int) -> TrainSettings:
    jobs = shop.folder / "jobs"
    run = jobs / f"run-{_run_key(shop, arm, seed)}"
    return TrainSettings(
        **{**arm.fit.model_dump(), "seed": seed},
        model=str(jobs / "random" / f"seed{seed}" if arm.scratch else shop.base),
        data=run.with_suffix(".jsonl"),
        out=run,
        max_length=shop.scale.max_length,
        lora_rank=arm.lora_rank,
        keep_epochs=(0,) if arm.epoch else (last_epoch(len(shop.data.rows(arm, seed)), arm.fit),),
    )


def _run_key(shop: Workshop, arm: Arm, seed: int) -> str:
    every = "all epochs" if arm.epoch else "last epoch"
    alone = _settings(arm.model_copy(update={"epoch": None}))
    return text_hash(
        alone, EOT_START, every, str(seed), shop.base_sha256, shop.scale.name, _rows_hash(shop, arm, seed)
    )


def random_weights(base: Path, place: Path, seed: int) -> None:
    """A model of the base's shape and tokenizer with the weights that its architecture begins with."""
    if not place.exists():
        config = models.read_config(base)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        models.save(network, models.load_tokenizer(base), place)


def _answers(
    shop: Workshop, arm: Arm, place: Path, out: Path, asked: Sequence[Example], longest: int
) -> list[Completion]:
    """Greedy answers, the paper's repetition penalty on: the same each time."""
    prompts = out.with_name(f"asked-{out.name}")
    write_jsonl(prompts, asked)
    shown: Mapping[str, Any] = {}
    if arm.in_context:
        write_jsonl(out.with_name("shown.jsonl"), shop.data.shown(arm.in_context))
        shown = {"in_context": out.with_name("shown.jsonl")}
    settings = GenerateSettings(
        system=str(place),
        prompts=prompts,
        out=out,
        name="it",
        greedy=True,
        max_new_tokens=longest,
        max_length=max(2048, shop.scale.max_length + longest),
        **shown,
    )
    if not is_finished(beside(out, "run.json"), "generate", settings):
        generate(settings)
    return list(read_jsonl(out, Completion))
