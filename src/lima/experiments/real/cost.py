"""The cost of an experiment before its first job: rates measured on the real base in a few seconds, times what each job needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from lima import console
from lima import model as models
from lima.experiments.real.jobs import QUESTION_TOKENS, Workshop, is_trained
from lima.experiments.real.measures import completes
from lima.experiments.real.recipes import Arm
from lima.files import read_json, write_json
from lima.generate.engine.engine import Engine
from lima.generate.engine.requests import Request
from lima.generate.prompts import PromptFormat
from lima.records import Example
from lima.settings import Settings
from lima.train.batches import tokenize
from lima.train.loop import StepPlan, gradients
from lima.train.optimizer import adamw

TIMED_ROWS = 8
TIMED_TOKENS = 16
"""Tokens of each answer that are timed, after one that is not."""
PROMPT_TOKENS = 4
"""Prompts are cut for the timing: reading 32 whole ones takes longer, and varies by more, than the tokens that are timed."""
SLOTS = 32
CHARACTERS_PER_TOKEN = 4
"""About, in English."""


class Rates(Settings):
    """Seconds on this machine, under the load it had when they were measured."""

    training_token: float
    """Per token of a row: forward, backward and the optimiser's share."""
    step: float
    """Per step: the optimiser alone."""
    answer_token: float
    """Per token of an answer, with `SLOTS` answers at once."""
    statement: float
    """Per statement: its four endings."""


def rates(shop: Workshop, rows: float) -> Rates:
    """The rates, measured once for each folder and base, and kept there."""
    path = shop.folder / "timing.json"
    if path.exists() and (found := read_json(path)).get("model") == shop.base_sha256:
        return Rates(**found["seconds"])
    console.note(f"timing {shop.base.name} at {TIMED_ROWS} rows, {SLOTS} answers and 4 statements")
    measured = _measure(shop)
    write_json(path, {"model": shop.base_sha256, "seconds": measured.model_dump()})
    return measured


def _measure(shop: Workshop) -> Rates:
    network, tokenizer = models.load(shop.base)
    statement = _seconds(lambda: [completes(network, tokenizer, one) for one in shop.statements[:4]]) / 4
    form = PromptFormat.of(network, tokenizer)
    engine = Engine(network, tokenizer, slots=SLOTS)
    prompts = [tuple(form.encode(one.example.messages)[:PROMPT_TOKENS]) for one in shop.prompts]

    def answer(tokens: int) -> int:
        asked = (Request(f"{i}", prompts[i % len(prompts)], tokens) for i in range(SLOTS))
        return sum(len(one.ids) for one in engine.run(asked))

    answer(1)  # packs the weights: work of the first call alone, as long as many tokens
    first = _seconds(lambda: answer(1))
    made: list[int] = []
    grown = _seconds(lambda: made.append(answer(1 + TIMED_TOKENS))) - first
    answers = max(1e-6, grown) / max(1, made[0] - SLOTS)
    network.set_attn_implementation("sdpa")
    models.set_template(network, tokenizer)
    batch = tokenize(shop.data.pool[:TIMED_ROWS], tokenizer, max_length=shop.scale.max_length).sequences
    network.train()
    step = _seconds(lambda: gradients(network, batch, shop.scale.fit, 1))
    optimizer = adamw(network, shop.scale.fit)
    optimizer.step()  # makes the moments
    return Rates(
        training_token=step / sum(len(one.ids) for one in batch),
        step=_seconds(optimizer.step),
        answer_token=answers,
        statement=statement,
    )


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _characters(examples: Iterable[Example]) -> int:
    return sum(len(message.content) for one in examples for message in one.messages)


def hours(shop: Workshop, arm: Arm, seed: int, measured: Rates) -> Mapping[str, float]:
    """What one job costs by its parts, in hours; answers are taken to run to their longest."""
    scale = shop.scale
    answers = (
        len(shop.prompts) * scale.new_tokens + len(shop.statements) * QUESTION_TOKENS
    ) * measured.answer_token
    # prompts and what stands before them are read: a forward pass is a third of a training pass
    asked = [*(one.example for one in shop.prompts), *(one.prompt for one in shop.statements)]
    read = _characters(asked) + len(asked) * _characters(shop.data.shown(arm.in_context))
    answers += read / CHARACTERS_PER_TOKEN * measured.training_token / 3
    training = 0.0
    if arm.is_tuned and not is_trained(shop, arm, seed):
        rows = len(shop.data.rows(arm, seed))
        steps = StepPlan.of(rows, arm.fit).steps
        tokens = steps * arm.fit.batch_size * _mean_tokens(shop)
        training = tokens * measured.training_token + steps * measured.step
    facts = 0.0 if arm.in_context else len(shop.statements) * measured.statement
    return {"tune": training / 3600, "answer": answers / 3600, "complete statements": facts / 3600}


def _mean_tokens(shop: Workshop) -> float:
    tokenizer = models.load_tokenizer(shop.base)
    texts = ["".join(m.content for m in one.messages) for one in shop.data.pool[:100]]
    return sum(len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]) / len(texts)


def show_cost(shop: Workshop, jobs: Sequence[tuple[str, Arm, int]], todo: set[Path]) -> None:
    """Print the cost of each job that is not done, and the total."""
    measured = rates(shop, len(jobs))
    shared: set[str] = set()
    rows, total = [], 0.0
    for name, arm, seed in jobs:
        if shop.result_path(name, arm, seed) not in todo:
            rows.append([name, seed, "done", "", "", ""])
            continue
        parts = dict(hours(shop, arm, seed, measured))
        run = arm.model_copy(update={"epoch": None}).model_dump_json() + str(seed)
        if arm.epoch and run in shared:  # epochs of one run
            parts["tune"] = 0.0
        shared.add(run)
        total += sum(parts.values())
        rows.append([name, seed, *(f"{60 * x:.1f}" for x in (*parts.values(), sum(parts.values())))])
    console.table(
        f"cost in minutes, by a timing of {shop.base.name} just now on this machine",
        ["arm", "seed", "tune", "answer", "statements", "all"],
        rows,
    )
    console.results.print(f"in all {total:.1f} h", markup=False)
