"""``lima align --plan``: the steps with their time, disk and cost, before anything is done."""

from __future__ import annotations

from pathlib import Path

import torch

from lima import console
from lima.align.data import curate_settings, holds_examples
from lima.align.settings import AlignSettings
from lima.align.stages import Stages
from lima.commands import command
from lima.curate.reading.conversations import Talk
from lima.curate.reading.nested import nested
from lima.curate.reading.tables import read_table
from lima.curate.sources.table import Table
from lima.files import read_jsonl
from lima.records import Example
from lima.train.metrics import product_rate
from lima.train.save import disk

TOKENS_AN_EXAMPLE = 400
"""Prompt and answer, where the data are raw files that are not read for a plan."""
CHARACTERS_A_TOKEN = 4
SHARE = 0.5
"""Of a float32 product's rate, what a whole training step reaches on a machine with other work; in bfloat16 it is sooner done."""
DECODING_SHARE = 0.1
"""The same while answers grow: skinny products."""
JUDGE_TOKENS = 1_200
ROWS_A_SECOND = 500
"""That are read and curated."""


def show_plan(stages: Stages) -> None:
    """Print the table. Times are estimates from one matrix product on this machine."""
    settings, training = stages.settings, stages.train()
    weights = sum(parameter.numel() for parameter in stages.base.parameters())
    rate = product_rate(torch.device("cuda" if torch.cuda.is_available() else "cpu"), torch.float32)
    rows_read, long = data_size(settings)
    dev, test = settings.apart(rows_read)
    examples = min(settings.number, max(1, rows_read - dev - test))
    tokens = round(examples * min(long, training.max_length))
    train_seconds = 6 * weights * tokens * training.epochs / (rate * SHARE)
    answers = 2 * test + (dev * training.epochs if settings.judge or settings.oracle else 0)
    answer_seconds = 2 * weights * answers * settings.max_new_tokens / 2 / (rate * DECODING_SHARE)
    need = disk(stages.base, training, training.epochs)
    calls = 2 * test + dev * training.epochs if settings.judge else 0
    rows = [
        ["data", data_words(settings, rows_read), _minutes(rows_read / ROWS_A_SECOND), "", ""],
        ["select", f"{examples:,} examples at most, by {settings.by}", "under a minute", "", ""],
        ["doctor", "every check", _minutes(12 * weights * 512 / rate), "", ""],
        [
            "train",
            f"{training.epochs} epochs of about {tokens:,} tokens, rate {training.learning_rate:g}",
            _minutes(train_seconds),
            f"{_gigabytes(need.model * need.models)}, {_gigabytes(need.total)} at most",
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
    if said := stages.template_note():
        console.note(said)
    if need.total > need.free:
        console.warn(
            f"{settings.out}: {_gigabytes(need.free)} are free, and training needs {_gigabytes(need.total)}: --train keep_epochs='[5]'"
        )


def data_size(settings: AlignSettings) -> tuple[int, float]:
    """Answered rows of the data, before any rule drops one, and the mean number of tokens of each, roughly.

    Raises:
        LimaError: the file cannot be read, or has no such columns: better now than in the first stage.
    """
    if settings.data.suffix in (".yaml", ".yml"):
        return settings.number + sum(settings.apart(settings.number)), TOKENS_AN_EXAMPLE
    if holds_examples(settings.data):
        lengths = [
            sum(len(turn.content) for turn in row.messages) for row in read_jsonl(settings.data, Example)
        ]
    else:
        (source,) = curate_settings(settings, settings.out / "data" / "curated").sources.values()
        assert isinstance(source, Table)
        lengths = _lengths(settings.data, source)
    return len(lengths), sum(lengths) / max(1, len(lengths)) / CHARACTERS_A_TOKEN


def _lengths(path: Path, source: Table) -> list[int]:
    """Characters of each row's texts, or of each conversation's."""
    wanted = {source.columns.prompt, source.columns.answer}
    messages, lengths = [], []
    for _, row in read_table(path, encoding=source.encoding, delimiter=source.delimiter):
        if (told := source.messages(row, path)) is not None:
            messages += told
        else:
            lengths.append(
                sum(
                    len(str(cell))
                    for name, cell in row.items()
                    if source.format or nested(row) or name in wanted
                )
            )
    talks = (talk for _, talk in source.talks(messages, path) if isinstance(talk, Talk))
    return lengths + [sum(len(turn.text) for turn in talk.turns) for talk in talks]


def data_words(settings: AlignSettings, rows: int) -> str:
    """What the first stage does."""
    if settings.data.suffix in (".yaml", ".yml"):
        return command("curate", settings.data)
    return f"{rows:,} rows, as many as the rules keep"


def _gigabytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB"


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:,.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"
