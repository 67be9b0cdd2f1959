"""The built-in world: pretraining, and one job of an experiment, beside plain PyTorch loops over the same model.

In pretraining both do equal work: the same windows in the same order, the same optimiser, schedule and clipping;
the losses are compared. A job is compared with
padded batches and greedy answers of all questions in one batch with a cache. Run: OMP_NUM_THREADS=1 python benchmarks/world.py
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy

from lima import chat, console, model
from lima.chat import Tokens
from lima.experiments.claims.data import make_data
from lima.experiments.claims.jobs import BATCH, DataSettings, TuneJob
from lima.experiments.claims.work import LONGEST_ANSWER, carry_out
from lima.files import read_jsonl
from lima.train.batches import epoch_batches
from lima.train.loop import fit
from lima.train.metrics import Metrics
from lima.train.optimizer import adamw, learning_rate_at, set_learning_rate
from lima.world.base import make_base, recipe, untrained
from lima.world.corpus import WINDOW, documents, windows
from lima.world.oracle import Oracle
from lima.world.people import make_world
from lima.world.prompts import make_prompts
from lima.world.settings import BaseSettings
from lima.world.tokenizer import make_tokenizer

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

STEPS, ROUNDS = 60, 3
SETTINGS = BaseSettings(steps=STEPS)


def ours(network: LlamaForCausalLM, pieces: list[list[int]]) -> float:
    """The last loss of `lima.train.loop.fit`."""
    sequences = [Tokens(ids, ids) for ids in pieces]
    with tempfile.TemporaryDirectory() as folder:
        fit(network, sequences, recipe(SETTINGS), Path(folder))
        losses = [
            row.loss for row in read_jsonl(Path(folder) / "metrics.jsonl", Metrics) if row.loss is not None
        ]
    return losses[-1]


def plain(network: LlamaForCausalLM, pieces: list[list[int]]) -> float:
    """The last loss of a loop as one would write it by hand."""
    settings = recipe(SETTINGS)
    optimizer = adamw(network, settings)
    batches = epoch_batches(len(pieces), SETTINGS.batch, seed=settings.seed, epoch=1)
    network.train()
    for step, batch in enumerate(batches):
        set_learning_rate(optimizer, learning_rate_at(step, STEPS, settings))
        ids = torch.tensor([pieces[position] for position in batch])
        logits = network(input_ids=ids).logits[:, :-1]
        loss = cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
    return float(loss.detach())


def measure(
    loop: Callable[[LlamaForCausalLM, list[list[int]]], float], pieces: list[list[int]]
) -> tuple[float, float]:
    """Processor seconds and the last loss."""
    network = untrained(SETTINGS)
    began = time.process_time()
    loss = loop(network, pieces)
    return time.process_time() - began, loss


def our_job(job: TuneJob) -> float:
    """Processor seconds of the job with the stages: examples, training, answers, marks and their files."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        carry_out(job, Path(folder) / "job")
    return time.process_time() - began


def plain_job(job: TuneJob) -> float:
    """Processor seconds of the same by hand, in memory."""
    assert job.data, job
    began = time.process_time()
    world = make_world(job.base.world)
    network, words = model.load(make_base(job.base), device="cpu")
    model.add_eot(network, words)
    rows = make_data(world, job.data, job.seed, base=Path(), folder=Path()).examples
    _train(network, [chat.encode_example(words, row.messages) for row in rows], job)
    prompts, oracle = make_prompts(world, job.questions, job.base.world.seed), Oracle(world)
    answers = _answer(network, words, [chat.encode_prompt(words, one.messages) for one in prompts])
    for prompt, answer in zip(prompts, answers, strict=True):
        oracle.score(prompt.messages[-1].content, answer)
    return time.process_time() - began


def _train(network: PreTrainedModel, rows: list[chat.Tokens], job: TuneJob) -> None:
    optimizer = torch.optim.AdamW(
        network.parameters(), job.learning_rate, betas=(0.9, 0.95), weight_decay=0.1
    )
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, job.steps)
    network.train()
    done = 0
    while done < job.steps:
        for batch in epoch_batches(len(rows), BATCH, seed=job.seed, epoch=done):
            chosen = [rows[position] for position in batch]
            longest = max(len(row.ids) for row in chosen)
            ids = torch.tensor([row.ids + [0] * (longest - len(row.ids)) for row in chosen])
            labels = torch.tensor([row.labels + [chat.IGNORE] * (longest - len(row.ids)) for row in chosen])
            logits = network(input_ids=ids, attention_mask=(ids > 0).long()).logits[:, :-1]
            cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=chat.IGNORE).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            decay.step()
            done += 1
            if done == job.steps:
                break


@torch.no_grad()
def _answer(network: PreTrainedModel, words: PreTrainedTokenizerBase, prompts: list[list[int]]) -> list[str]:
    eot = chat.eot_id(words)
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(one)) + one for one in prompts])
    mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in prompts])
    network.eval()
    given, cache, ended = [], None, torch.zeros(len(prompts), dtype=torch.bool)
    for _ in range(LONGEST_ANSWER):
        out = network(input_ids=ids, attention_mask=mask, cache=cache, use_cache=True)
        ids, cache = out.logits[:, -1:].argmax(-1), out.cache
        given.append(ids[:, 0])
        ended |= ids[:, 0] == eot
        if ended.all():
            break
        mask = torch.cat([mask, torch.ones_like(ids)], 1)
    return [chat.decode_answer(words, row) for row in torch.stack(given, 1).tolist()]


def job_times() -> None:
    """A job of 160 steps on 128 examples, which answers 300 questions; both loops in turn."""
    job = TuneJob(base=BaseSettings(steps=300), data=DataSettings(examples=128))
    make_base(job.base)  # and keeps it in the cache: not part of a job
    console.results.quiet = True
    rounds = [(our_job(job), plain_job(job)) for _ in range(ROUNDS)]
    console.results.quiet = False
    rows = [
        [name, f"{median(pair[side] for pair in rounds):.2f}"]
        for name, side in (("lima", 0), ("plain PyTorch", 1))
    ]
    console.table(
        f"one job: {job.steps} steps, {job.questions} answers, median of {ROUNDS}", ["loop", "CPU s"], rows
    )
    ratio = median(a / b for a, b in rounds)
    console.results.print(f"our time is {ratio:.2f} x the plain loop's (limit 1.3)")


def main() -> None:
    torch.set_num_threads(1)
    console.notes.quiet = True
    pretraining_times()
    job_times()


def pretraining_times() -> None:
    """Steps of pretraining; both loops in turn."""
    stream = documents(make_world(SETTINGS.world), SETTINGS.corpus, SETTINGS.seed)
    pieces = windows(stream, make_tokenizer(), STEPS * SETTINGS.batch)
    rounds = [(measure(ours, pieces), measure(plain, pieces)) for _ in range(ROUNDS)]
    tokens = STEPS * SETTINGS.batch * WINDOW
    rows = []
    for name, side in (("lima", 0), ("plain PyTorch", 1)):
        seconds = median(pair[side][0] for pair in rounds)
        rows.append([name, f"{seconds:.2f}", f"{tokens / seconds:,.0f}", f"{rounds[0][side][1]:.4f}"])
    console.table(
        f"{STEPS} steps of pretraining, median of {ROUNDS}",
        ["loop", "CPU s", "tokens/CPU s", "last loss"],
        rows,
    )
    ratio = median(pair[0][0] / pair[1][0] for pair in rounds)
    console.results.print(f"our time is {ratio:.2f} x the plain loop's (limit 1.3)")
    assert abs(rounds[0][0][1] - rounds[0][1][1]) < 0.01, "the loops must do equal work"


if __name__ == "__main__":
    main()
