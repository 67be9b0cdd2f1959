"""Head and cross-entropy alone, forward and backward: lima's against plain chunks of 256 rows and against all logits.

    python benchmarks/loss.py                          # every shape, float32, one thread
    python benchmarks/loss.py --dtype bfloat16 --only 262144

The ways take turns in one process; printed are the lowest CPU seconds of each, the ratio of lima's to the better peer, the memory
above what was there before (weights, hidden states), and how near the products of the step come to the rate of one
1,024^3 product in the same run. Losses and gradients must agree, or nothing is reported.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from lima.train.loss import chunk_rows, chunked_cross_entropy

SHAPES = (
    (16_000, 384, 2048),
    (49_152, 576, 1024),
    (128_000, 512, 1024),
    (128_000, 4096, 64),
    (262_144, 640, 1024),
)
"""Vocabulary, width, rows: the toy's, SmolLM2's, two of 128,000 words, Gemma-3-270m's."""
PLAIN_ROWS = 256
Way = Callable[[torch.Tensor, torch.nn.Linear, torch.Tensor], torch.Tensor]


def all_logits(hidden: torch.Tensor, head: torch.nn.Linear, targets: torch.Tensor) -> torch.Tensor:
    loss = cross_entropy(head(hidden).float(), targets, reduction="sum")
    loss.backward()
    return loss.detach()


def plain_chunks(hidden: torch.Tensor, head: torch.nn.Linear, targets: torch.Tensor) -> torch.Tensor:
    """Chunk by chunk through autograd, so that one chunk of logits is held at a time."""
    total = torch.zeros(())
    for rows, wanted in zip(hidden.split(PLAIN_ROWS), targets.split(PLAIN_ROWS), strict=True):
        total += all_logits(rows, head, wanted)
    return total


def lima(hidden: torch.Tensor, head: torch.nn.Linear, targets: torch.Tensor) -> torch.Tensor:
    loss = chunked_cross_entropy(hidden, head, targets)
    loss.backward()
    return loss.detach()


WAYS: dict[str, Way] = {"lima": lima, "plain chunks": plain_chunks, "all logits": all_logits}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of the products")
    parser.add_argument("--only", type=int, nargs="+", help="only these vocabularies")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dtype = getattr(torch, arguments.dtype)
    ceiling = product_rate(dtype)
    print(f"{arguments.dtype}, {arguments.threads} thread; one 1,024^3 product: {ceiling / 1e9:.0f} GFLOP/s")
    print(
        f"{'vocabulary x width, rows':<28}{'way':<14}{'CPU s':>8}{'lima is':>9}{'of ceiling':>11}{'MB more':>9}{'a chunk':>9}"
    )
    for vocabulary, width, rows in SHAPES:
        if not arguments.only or vocabulary in arguments.only:
            compare(vocabulary, width, rows, dtype=dtype, rounds=arguments.rounds, ceiling=ceiling)


def compare(
    vocabulary: int, width: int, rows: int, *, dtype: torch.dtype, rounds: int, ceiling: float
) -> None:
    torch.manual_seed(0)
    head = torch.nn.Linear(width, vocabulary, bias=False)
    hidden = torch.randn(rows, width, requires_grad=True)
    targets = torch.randint(vocabulary, (rows,))
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    memory: dict[str, float] = {}
    losses: dict[str, float] = {}
    for _ in range(rounds):
        for name, way in WAYS.items():
            head.weight.grad = hidden.grad = None
            before = _reset_peak()
            began = time.process_time()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
                losses[name] = float(way(hidden, head, targets))
            taken[name].append(time.process_time() - began)
            # the gradient of the head is not counted: every way must hold it at the end
            memory[name] = (_peak() - before - head.weight.nbytes) / 1e6
    assert max(losses.values()) - min(losses.values()) < 0.01 * losses["lima"], losses
    best = min(min(taken[name]) for name in WAYS if name != "lima")
    chunk = chunk_rows(rows, vocabulary, size=dtype.itemsize) * vocabulary * dtype.itemsize / 1e6
    for name in WAYS:
        seconds = min(taken[name])
        share = 6 * vocabulary * width * rows / seconds / ceiling
        ratio = f"{seconds / best:.2f} x" if name == "lima" else ""
        line = f"{f'{vocabulary:,} x {width:,}, {rows:,}':<28}{name:<14}{seconds:>8.2f}{ratio:>9}{share:>11.0%}{memory[name]:>9.0f}"
        print(line + (f"{chunk:>9.0f}" if name == "lima" else ""), flush=True)


def product_rate(dtype: torch.dtype) -> float:
    """FLOPs a CPU second of one product of 1,024 x 1,024 matrices."""
    a, b = (torch.randn(1024, 1024).to(dtype) for _ in range(2))
    taken = []
    for _ in range(6):
        began = time.process_time()
        a @ b
        taken.append(time.process_time() - began)
    return 2 * 1024**3 / min(taken)


def _reset_peak() -> float:
    """Forget the highest memory so far; return what is held now, in bytes (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024.0 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


if __name__ == "__main__":
    main()
