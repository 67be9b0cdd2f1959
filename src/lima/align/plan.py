"""``lima align --plan``: the steps with their time, disk and cost, before anything is done."""

from __future__ import annotations

import shutil
import time

import torch

from lima import console
from lima.align.stages import Stages

TOKENS_AN_EXAMPLE = 400
"""Prompt and answer, where nothing is known yet."""
SIDE = 1024
"""Rows of the matrix product whose rate stands for the machine."""
SHARE = 0.5
"""Of that rate, what a whole training step reaches on a machine with other work."""
DECODING_SHARE = 0.1
"""The same while answers grow: skinny products."""
JUDGE_TOKENS = 1_200


def show_plan(stages: Stages) -> None:
    """Print the table. Times are estimates from one matrix product on this machine."""
    settings, training = stages.settings, stages.train()
    weights = sum(parameter.numel() for parameter in stages.base.parameters())
    rate = _product_rate()
    examples = settings.number
    tokens = examples * min(TOKENS_AN_EXAMPLE, training.max_length)
    train_seconds = 6 * weights * tokens * training.epochs / (rate * SHARE)
    answers = 2 * settings.test + (settings.dev * training.epochs if settings.judge or settings.oracle else 0)
    answer_seconds = 2 * weights * answers * settings.max_new_tokens / 2 / (rate * DECODING_SHARE)
    kept = len(training.keep_epochs) or training.epochs
    gigabytes = kept * weights * 4 / 1e9
    calls = 2 * settings.test + settings.dev * training.epochs if settings.judge else 0
    rows = [
        ["data", "lima curate, or a seeded draw", "under a minute", "", ""],
        ["select", f"{examples:,} examples by {settings.by}, at most", "about a minute", "", ""],
        ["doctor", "every check", _minutes(12 * weights * 512 / rate), "", ""],
        [
            "train",
            f"{training.epochs} epochs of about {tokens:,} tokens, rate {training.learning_rate:g}",
            _minutes(train_seconds),
            f"{gigabytes:.1f} GB",
            "",
        ],
        ["choose", f"by {settings.judge or settings.oracle or 'nobody: the last epoch'}", "", "", ""],
        [
            "answers",
            f"{answers:,} of at most {settings.max_new_tokens} tokens",
            _minutes(answer_seconds),
            "",
            "",
        ],
        [
            "judge",
            f"{calls:,} calls" if calls else "people, later",
            "",
            "",
            f"{calls * JUDGE_TOKENS:,} tokens" if calls else "",
        ],
    ]
    console.table(
        f"lima align, in {settings.out}",
        ["stage", "what", "time, about", "disk", "judge reads"],
        rows,
        align="left",
    )
    console.note(
        f"{weights / 1e6:,.0f} M parameters; this machine multiplies at {rate / 1e9:,.0f} GFLOP/s. Nothing was written."
    )
    free = shutil.disk_usage(
        next(path for path in (settings.out, *settings.out.resolve().parents) if path.exists())
    ).free
    if gigabytes * 1e9 > free:
        console.warn(
            f"{settings.out}: {free / 1e9:.1f} GB are free, and the checkpoints need {gigabytes:.1f}: --train keep_epochs='[5]'"
        )


def _product_rate() -> float:
    """FLOP/s of one large float32 product, the best of three."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    matrix = torch.randn(SIDE, SIDE, device=device)
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        torch.mm(matrix, matrix).sum().item()
        best = min(best, time.perf_counter() - start)
    return 2 * SIDE**3 / best


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:,.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"
