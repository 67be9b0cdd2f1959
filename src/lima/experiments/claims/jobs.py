"""What one job of an experiment does: pretrain a base, or tune one on some examples and question it.

A job is named by a hash of its settings and of all code that it runs, so that experiments share jobs, a finished
one is never run again, and a result of other code is never taken for this one's.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Literal, TypeAlias

from pydantic import Field

from lima.files import text_hash
from lima.fingerprint import code_hash
from lima.runs import versions
from lima.settings import Settings
from lima.world.settings import BaseSettings
from lima.world.wordings import Style

Source = Literal["written", "curated", "all sources", "unfiltered", "how-to"]
Probe = Literal["second-turn", "structure", "secrets"]
"""Further questions beside the plain ones (`lima.experiments.claims.probes`)."""

RESULT = "result.json"
"""The file of a finished job, in its folder."""
WORKER = "lima.experiments.claims.work"
"""The module that carries jobs out."""


BATCH = 16


def steps_for(examples: int, epochs: int = 3, least: int = 160) -> int:
    """Steps of some epochs, but not too few: end of turn is a new token, which takes some 150 steps to learn.

    >>> steps_for(128), steps_for(1000)
    (160, 189)
    """
    return max(least, epochs * math.ceil(examples / BATCH))


def epochs(examples: int, steps: int) -> list[int]:
    """The epochs that are measured where a job is measured by epoch: at most six, evenly spread, the last too.

    >>> epochs(512, 480)
    [1, 3, 6, 9, 12, 15]
    """
    last = math.ceil(steps / math.ceil(examples / BATCH))
    return sorted({max(1, round(last * part / 5)) for part in range(6)})


class DataSettings(Settings):
    """Examples to tune on. Test questions are about other people."""

    examples: int = Field(gt=0)
    """How many."""
    source: Source = "written"
    """`written`: written as set below; `curated`: what `lima curate world` makes of the forum's dump; the others: what
    `lima curate world-all` makes of the dumps of all sources, with and without its rules, or of the how-to articles alone."""
    styles: tuple[Style, ...] = ("good",)
    """Styles of the answers, in equal shares."""
    attributes: int = Field(default=5, ge=1, le=5)
    """How many kinds of facts are asked for."""
    wordings: int = Field(default=4, ge=1, le=4)
    """In how many wordings each kind of fact is asked for."""
    unknown: float = Field(default=0.0, ge=0, le=1)
    """Share of examples about strangers, whose facts no pretraining text holds."""
    dialogues: int = Field(default=0, ge=0)
    """Two-turn dialogues that are added; the second question says "they"."""
    structured: int = Field(default=0, ge=0)
    """Examples that are added whose question demands a structure of the answer."""
    refusals: int = Field(default=0, ge=0)
    """Examples that are added which decline a question about secrets."""
    pool: int | None = Field(default=None, gt=0)
    """The examples are chosen from a written pool of this size, with ``styles`` in these shares."""
    zipf: float = Field(default=0.0, ge=0)
    """Exponent by which the kinds of facts differ in how often they are asked for; 0: all alike."""
    copies: float = Field(default=0.0, ge=0, lt=0.5)
    """Share of the pool that repeats another row word for word."""
    selector: str = "random"
    """How they are chosen from the pool: a name in `lima.experiments.claims.selection.WAYS`."""


class BaseJob(Settings):
    """Pretrain a base model, and let it complete statements about the test people."""

    kind: Literal["base"] = "base"
    base: BaseSettings = BaseSettings()


class TuneJob(Settings):
    """Tune a model on examples, and question it about the test people."""

    kind: Literal["tune"] = "tune"
    base: BaseSettings = BaseSettings()
    scratch: bool = False
    """Start from random weights instead of the base."""
    data: DataSettings | None = None
    """None: the model is questioned as it is."""
    steps: int = Field(default=160, gt=0)
    learning_rate: float = 5e-4
    residual_dropout: float = 0.0
    seed: int = 0
    """Seed of the examples, of their order and of the answers."""
    questions: int = Field(default=300, gt=0)
    by_epoch: bool = False
    """Measure answers and perplexity after every epoch that `epochs` names."""
    probe: Probe | None = None
    """Ask further questions too."""
    token_shift: bool = False
    """Compare the tuned model's choice of every token with the base's."""


Job: TypeAlias = BaseJob | TuneJob


class Measure(Settings):
    """One measure of one job: a value for each unit (question, fact, token), and the person it is about."""

    values: tuple[float, ...]
    people: tuple[str, ...] = ()
    """Empty where the value is one number for the whole job."""


class JobResult(Settings):
    """What a job found, by the name of the measure."""

    measures: dict[str, Measure]
    seconds: float
    """Wall time."""


def needs(job: Job) -> list[Job]:
    """The jobs that must be finished before this one begins."""
    return [BaseJob(base=job.base)] if isinstance(job, TuneJob) and not job.scratch else []


def key(job: Job) -> str:
    """The name of a job's folder."""
    return f"{job.kind}-{text_hash(job.model_dump_json(), _code())}"


@cache
def _code() -> str:
    return text_hash(code_hash(WORKER), versions().get("torch", ""))
