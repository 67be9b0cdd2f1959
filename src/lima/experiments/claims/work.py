"""Carries out one job with the real stages: curate, train, generate, and the oracle's marks."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from lima import model
from lima.experiments.claims.data import Data, make_data, references
from lima.experiments.claims.jobs import BATCH, RESULT, BaseJob, Job, JobResult, Measure, TuneJob, epochs
from lima.experiments.claims.probes import make_probe
from lima.experiments.claims.probes import measures as probe_measures
from lima.experiments.claims.shift import token_shift
from lima.files import read_jsonl, write_json, write_jsonl
from lima.generate.run import generate
from lima.generate.settings import GenerateSettings
from lima.records import Completion, Example
from lima.train.metrics import Metrics
from lima.train.run import epoch_folder, train
from lima.train.settings import TrainSettings
from lima.world.base import cloze, make_base, make_scratch
from lima.world.oracle import Oracle
from lima.world.people import ATTRIBUTES, World, make_world
from lima.world.prompts import make_prompts
from lima.world.wordings import STATEMENTS, Style

LONGEST_ANSWER = 40
"""Tokens; an answer in house style has about 14."""
SHIFT_QUESTIONS = 100
DEV_QUESTIONS = 50
"""Questions on which a checkpoint is chosen, as many as the paper's dev prompts; none of them is in the marks."""
REFERENCES = 100
"""Questions on whose true answers perplexity is measured."""


def carry_out(job: Job, folder: Path) -> None:
    """Do the job and write ``result.json`` into its folder, last of all. What a killed job left is removed."""
    began = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    measures = _pretrain(job) if isinstance(job, BaseJob) else _tune(job, folder / "work")
    shutil.rmtree(folder / "work", ignore_errors=True)
    write_json(folder / "settings.json", job.model_dump(mode="json"))
    result = JobResult(measures=measures, seconds=round(time.monotonic() - began, 1))
    write_json(folder / RESULT, result.model_dump(mode="json"))


def _pretrain(job: BaseJob) -> dict[str, Measure]:
    network, words = model.load(make_base(job.base), device="cpu")
    people = make_world(job.base.world).test
    # in the order of `cloze`
    names = [p.name for _ in ATTRIBUTES for w in range(STATEMENTS) for p in people[w::STATEMENTS]]
    return {"cloze": Measure(values=tuple(map(float, cloze(network, words, people))), people=tuple(names))}


def _tune(job: TuneJob, folder: Path) -> dict[str, Measure]:
    world = make_world(job.base.world)
    oracle = Oracle(world)
    start = make_scratch(job.base, folder / "untrained") if job.scratch else make_base(job.base)
    prompts = _prompts(job, world)
    write_jsonl(folder / "prompts.jsonl", prompts)
    data = make_data(world, job.data, job.seed, base=start, folder=folder) if job.data else Data([])
    places = _fit(job, world, start, prompts=prompts, examples=data.examples, folder=folder)
    measures = dict(data.measures)
    for name, place in places.items():
        answers = _answers(job, place, folder / "answers" / f"{place.name}.jsonl", folder / "prompts.jsonl")
        measures |= _marks(job, oracle, prompts, answers, name)
    if job.by_epoch:
        measures |= _perplexity(folder / "run" / "metrics.jsonl")
    if job.probe:
        measures |= _probe(job, world, oracle, list(places.values())[-1], folder)
    if job.token_shift:
        tuned = list(places.values())[-1]
        measures |= token_shift(start, tuned, _some(prompts, SHIFT_QUESTIONS), oracle)
    return measures


def _prompts(job: TuneJob, world: World) -> list[Example]:
    """The test questions; the same for all jobs in one world, so that arms can be compared in pairs."""
    extra = DEV_QUESTIONS if job.by_epoch else 0
    return make_prompts(world, job.questions + extra, job.base.world.seed)


def _fit(
    job: TuneJob,
    world: World,
    start: Path,
    *,
    prompts: Sequence[Example],
    examples: Sequence[Example],
    folder: Path,
) -> Mapping[str, Path]:
    """Tune, and return the checkpoint folders to question, by the ending of their measures' names."""
    if job.data is None:
        return {"": start}
    write_jsonl(folder / "train.jsonl", examples)
    shown = epochs(len(examples), job.steps)
    shown = shown if job.by_epoch else shown[-1:]
    held = _references(world, prompts, job.seed, folder) if job.by_epoch else {}
    settings = TrainSettings(
        model=str(start),
        data=folder / "train.jsonl",
        out=folder / "run",
        steps=job.steps,
        batch_size=BATCH,
        learning_rate=job.learning_rate,
        final_learning_rate=0.0,
        residual_dropout=job.residual_dropout,
        keep_epochs=tuple(shown),
        save_every=10**9,  # a job is short; a killed one begins again
        seed=job.seed,
        device="cpu",
        eot_start="mean",  # as when the bands of this world were fixed
        **held,
    )
    train(settings)
    if not job.by_epoch:
        return {"": epoch_folder(folder / "run", shown[-1])}
    return {f"@{epoch}": epoch_folder(folder / "run", epoch) for epoch in shown}


def _references(world: World, prompts: Sequence[Example], seed: int, folder: Path) -> dict[str, Path]:
    """Files of true answers by another author and in house style, as `lima train` measures them."""
    styles: dict[str, Style] = {"heldout": "foreign", "dev": "good"}
    asked = _some(prompts, REFERENCES)
    for name, style in styles.items():
        write_jsonl(folder / f"{name}.jsonl", references(Oracle(world), asked, style, seed))
    return {name: folder / f"{name}.jsonl" for name in styles}


def _answers(job: TuneJob, system: Path, out: Path, prompts: Path) -> list[str]:
    settings = GenerateSettings(
        system=str(system), prompts=prompts, out=out, name="it", max_new_tokens=LONGEST_ANSWER, seed=job.seed
    )
    generate(settings)
    given = {row.prompt_id: row.content for row in read_jsonl(out, Completion)}
    return [given[prompt.id] for prompt in read_jsonl(prompts, Example)]


def _probe(job: TuneJob, world: World, oracle: Oracle, system: Path, folder: Path) -> dict[str, Measure]:
    """Ask the further questions and mark the answers."""
    assert job.probe, job
    asked = make_probe(job.probe, world, oracle, job.base.world.seed)
    write_jsonl(folder / "probe.jsonl", [one.prompt for one in asked])
    return probe_measures(
        asked, _answers(job, system, folder / "answers" / "probe.jsonl", folder / "probe.jsonl")
    )


def _marks(
    job: TuneJob, oracle: Oracle, prompts: Sequence[Example], answers: Sequence[str], ending: str
) -> dict[str, Measure]:
    """Form, knowledge and both, of all questions or of parts of them."""
    asked = [prompt.messages[-1].content for prompt in prompts]
    scores = [oracle.score(text, answer) for text, answer in zip(asked, answers, strict=True)]
    subjects = [oracle.subject(text) for text in asked]
    measures = {}
    for part, positions in _parts(job, [attribute for _, attribute in subjects]):
        people = tuple(subjects[i][0].name for i in positions)
        for name in ("form", "knowledge", "exact"):
            values = tuple(float(getattr(scores[i], name)) for i in positions)
            measures[f"{name}{part}{ending}"] = Measure(values=values, people=people)
    return measures


def _parts(job: TuneJob, attributes: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
    """Names and positions of the parts of the questions that are marked apart."""
    everything = list(range(len(attributes)))
    if job.by_epoch:
        order = np.random.default_rng([job.seed, 7]).permutation(len(everything)).tolist()
        yield " dev", sorted(order[:DEV_QUESTIONS])
        yield "", sorted(order[DEV_QUESTIONS:])
        return
    yield "", everything
    covered = list(ATTRIBUTES)[: job.data.attributes if job.data else len(ATTRIBUTES)]
    if len(covered) < len(ATTRIBUTES):
        yield " covered", [i for i in everything if attributes[i] in covered]
        yield " uncovered", [i for i in everything if attributes[i] not in covered]


def _some(prompts: Sequence[Example], count: int) -> list[Example]:
    """About ``count`` of the prompts, spread over all of them (they are sorted by attribute)."""
    return list(prompts[:: max(1, len(prompts) // count)])


def _perplexity(metrics: Path) -> dict[str, Measure]:
    """Negative log-likelihood a token, in nats, of both kinds of references after each epoch."""
    measures = {}
    for row in read_jsonl(metrics, Metrics):
        if row.heldout_nll is not None and row.dev_nll is not None:
            measures[f"other author@{row.epoch}"] = Measure(values=(row.heldout_nll,))
            measures[f"same style@{row.epoch}"] = Measure(values=(row.dev_nll,))
    return measures
