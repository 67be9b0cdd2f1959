"""Pretraining of the built-in world: our loop beside a plain PyTorch loop over the same model and windows.

Both do equal work: the same windows in the same order, the same optimiser, schedule and clipping; the losses are
compared. Run: OMP_NUM_THREADS=1 python benchmarks/world.py
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

from lima import console
from lima.chat import Tokens
from lima.experiments.world.base import recipe, untrained
from lima.experiments.world.corpus import WINDOW, documents, windows
from lima.experiments.world.people import make_world
from lima.experiments.world.settings import BaseSettings
from lima.experiments.world.tokenizer import make_tokenizer
from lima.files import read_jsonl
from lima.train.batches import epoch_batches
from lima.train.loop import fit
from lima.train.metrics import Metrics
from lima.train.optimizer import adamw, learning_rate_at, set_learning_rate

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

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


def main() -> None:
    torch.set_num_threads(1)
    console.notes.quiet = True
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
