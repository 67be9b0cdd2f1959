"""Selectors under test: a pool with planted flaws, topics and copies; the score is exact answers after tuning by one fixed recipe.

A submission names at most 128 rows of the pool. Whoever makes it sees the examples and their readers' votes, as `lima select` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lima import console
from lima.errors import LimaError
from lima.experiments.bench.settings import BenchSettings
from lima.experiments.claims.data import make_pool
from lima.experiments.claims.examples import CHOSEN, COPIES, POOL, STYLES, ZIPF
from lima.experiments.claims.jobs import BATCH, DataSettings, steps_for
from lima.experiments.claims.work import LONGEST_ANSWER
from lima.files import read_json, read_jsonl, text_hash, write_json, write_jsonl
from lima.fingerprint import code_hash
from lima.generate.run import generate
from lima.generate.settings import GenerateSettings
from lima.records import Completion, Example
from lima.report.render.tables import TextTable, cell
from lima.report.render.wording import percent, points
from lima.statistics.estimates import Result
from lima.statistics.intervals import paired_difference, share
from lima.train.run import epoch_folder, last_epoch, train
from lima.train.settings import TrainSettings
from lima.world.base import make_base
from lima.world.oracle import Oracle
from lima.world.people import ATTRIBUTES, World, make_world
from lima.world.prompts import make_prompts
from lima.world.settings import BaseSettings
from lima.world.shipped import RECORD, shipped_base

VERSION = 1
RANDOM = "a random choice"


def bench_selectors(settings: BenchSettings) -> list[TextTable]:
    """Make the pool, tune on each choice, and score it: the leaderboard.

    Raises:
        LimaError: a submission is missing, too large, or not of this pool.
    """
    folder = settings.out / f"selectors-v{VERSION}-seed{settings.seed}"
    wanted = BaseSettings.model_validate(read_json(RECORD)["settings"])
    world = make_world(wanted.world)
    data = DataSettings(examples=CHOSEN, pool=POOL, styles=STYLES, zipf=ZIPF, copies=COPIES)
    pool = make_pool(world, data, settings.seed)
    write_jsonl(folder / "pool.jsonl", pool)
    console.note(f"the pool: {len(pool)} examples in {folder / 'pool.jsonl'}; choose {CHOSEN}")
    choices = _built_in(pool, Oracle(world), settings.seed)
    for path in settings.submission:
        choices[path.stem] = _submitted(path, pool)
    base = shipped_base(wanted) or make_base(wanted)
    prompts = make_prompts(world, settings.questions, settings.seed)
    marks = {name: _exact(rows, base, world, prompts, folder) for name, rows in choices.items()}
    return [leaderboard(marks, choices, [prompt.id.rpartition("/")[2] for prompt in prompts], Oracle(world))]


def _built_in(pool: Sequence[Example], oracle: Oracle, seed: int) -> dict[str, list[Example]]:
    """The ends of the scale: a random choice, the longest answers, and good ones of all kinds of facts in turn, none twice."""
    order = np.random.default_rng([seed, VERSION, 23]).permutation(len(pool)).tolist()
    shuffled = [pool[place] for place in order]
    distinct = {one.messages: one for one in shuffled if is_good(one, oracle)}.values()
    kinds = {kind: [one for one in distinct if one.id.split("/")[1] == kind] for kind in ATTRIBUTES}
    turns = sorted((place, kind) for kind, rows in kinds.items() for place in range(len(rows)))
    return {
        "the oracle": [kinds[kind][place] for place, kind in turns][:CHOSEN],
        RANDOM: shuffled[:CHOSEN],
        "the longest": sorted(shuffled, key=lambda one: -len(one.messages[-1].content))[:CHOSEN],
    }


def is_good(one: Example, oracle: Oracle) -> bool:
    """Whether its answer is true and in house style."""
    return oracle.score(*(message.content for message in one.messages)).exact


def _submitted(path: Path, pool: Sequence[Example]) -> list[Example]:
    by_id = {one.id: one for one in pool}
    rows = list(read_jsonl(path, Example))
    ids = [one.id for one in rows]
    if unknown := next(
        (one for one in rows if by_id.get(one.id, one).messages != one.messages or one.id not in by_id), None
    ):
        raise LimaError(f"{path}: {unknown.id!r} is no row of this pool. Was another --seed used?")
    if len(rows) > CHOSEN or len(set(ids)) < len(ids):
        raise LimaError(
            f"{path}: {len(rows)} rows, {len(set(ids))} of them different. Choose 1 to {CHOSEN}, each once."
        )
    return [by_id[one] for one in sorted(ids)]


def _exact(
    rows: Sequence[Example], base: Path, world: World, prompts: Sequence[Example], folder: Path
) -> list[bool]:
    """Whether each answer is exact after tuning on these rows; kept, so that a choice is tuned on once."""
    rows = sorted(rows, key=lambda one: one.id)
    asked = text_hash(*(one.model_dump_json() for one in (*rows, *prompts)), base.name, _code())
    work = folder / "tuned" / asked
    if (path := work / "exact.json").exists():
        return [bool(value) for value in read_json(path)]
    write_jsonl(work / "train.jsonl", rows)
    write_jsonl(work / "prompts.jsonl", prompts)
    settings = TrainSettings(
        model=str(base),
        data=work / "train.jsonl",
        out=work / "run",
        steps=steps_for(CHOSEN),
        batch_size=BATCH,
        learning_rate=5e-4,
        final_learning_rate=0.0,
        residual_dropout=0.0,
        save_every=10**9,
        device="cpu",
        eot_start="mean",  # as when the bands of this world were fixed
    )
    last = last_epoch(len(rows), settings)
    with console.part_of_a_whole():
        train(settings.model_copy(update={"keep_epochs": (last,)}))
        generate(
            GenerateSettings(
                system=str(epoch_folder(settings.out, last)),
                prompts=work / "prompts.jsonl",
                out=work / "answers.jsonl",
                name="it",
                max_new_tokens=LONGEST_ANSWER,
            )
        )
    given = {row.prompt_id: row.content for row in read_jsonl(work / "answers.jsonl", Completion)}
    oracle = Oracle(world)
    marks = [oracle.score(one.messages[-1].content, given[one.id]).exact for one in prompts]
    write_json(path, [int(mark) for mark in marks])
    return marks


def _code() -> str:
    return code_hash("lima.experiments.bench.selectors")


def leaderboard(
    marks: Mapping[str, Sequence[bool]],
    choices: Mapping[str, Sequence[Example]],
    people: Sequence[str],
    oracle: Oracle,
) -> TextTable:
    """The most exact answers first."""
    ranked = sorted(marks, key=lambda name: (-sum(marks[name]), name))
    rows = []
    for name in ranked:
        chosen = choices[name]
        exact: Result = share(marks[name], people)
        ahead = "" if name == RANDOM else cell(paired_difference(marks[name], marks[RANDOM], people), points)
        good = sum(is_good(one, oracle) for one in chosen)
        copies = len(chosen) - len({one.messages for one in chosen})
        rows.append((name, cell(exact, percent), ahead, str(len(chosen)), str(good), str(copies)))
    return TextTable(
        f"Selectors, set {VERSION}: exact answers after tuning, with 95 % intervals by person, and the lead over a random choice in points.",
        ("Selector", "Exact answers", "Lead over random", "Chosen", "Good ones", "Copies"),
        rows,
    )
