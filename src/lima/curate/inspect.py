"""``lima inspect``: what is in a JSON Lines file of Examples or of completions, on one screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from lima import console
from lima.curate.card.card import write_card
from lima.curate.card.sections import CardOptions
from lima.curate.choose.duplicates import LeakSettings
from lima.curate.choose.embeddings import read_embeddings
from lima.curate.settings import InspectSettings
from lima.errors import LimaError
from lima.files import read_jsonl, read_objects
from lima.records import Completion, Example, Record

R = TypeVar("R", bound=Record)
SHOWN_CHARACTERS = 600
TOP = 12
COMPLETION_FIELDS = {"prompt_id", "finish_reason"}


def inspect_file(settings: InspectSettings) -> None:
    """Print a summary of a data file.

    Raises:
        LimaError: the file is missing or empty, or its rows are neither Examples nor completions.
    """
    if settings.card is None and (settings.against or settings.embeddings):
        raise LimaError("--against and --embeddings are for the card: say where it goes, --card FOLDER.")
    first = next((row for _, row in read_objects(settings.file)), None)
    if first is None:
        raise LimaError(f"{settings.file}: the file is empty. Expected one JSON record a line.")
    if first.keys() >= COMPLETION_FIELDS:
        if settings.card:
            raise LimaError(f"{settings.file}: holds completions; a card is about Examples.")
        _completions(list(read_jsonl(settings.file, Completion)), settings)
    elif "messages" in first and "id" in first:
        examples = list(read_jsonl(settings.file, Example))
        _examples(examples, settings)
        if settings.card:
            console.done(_card(examples, settings.card, settings))
    else:
        raise LimaError(
            f"{settings.file}: neither Examples nor completions; the first row has {', '.join(first)}. "
            "Another tool's file: lima import FORMAT FILE"
        )


def _card(examples: Sequence[Example], folder: Path, settings: InspectSettings) -> list[Path]:
    embeddings = None
    if settings.embeddings is not None:
        embeddings = read_embeddings(settings.embeddings, len(examples)).astype(np.float64)
    options = CardOptions(
        seed=settings.seed, leaks=LeakSettings(against=settings.against), embeddings=embeddings
    )
    return write_card(folder, settings.file.name, examples, settings.intended_use, options)


def _examples(examples: Sequence[Example], settings: InspectSettings) -> None:
    prompts = [example for example in examples if example.is_prompt]
    answers = [m.content for example in examples for m in example.turns if m.role == "assistant"]
    console.table(
        f"{settings.file}: {len(examples)} examples",
        ["", "number"],
        [
            ["single-turn", sum(len(example.turns) == 2 for example in examples)],
            ["dialogues", sum(len(example.turns) > 2 for example in examples)],
            ["end on a user turn", len(prompts)],
            ["with a system message", sum(e.messages[0].role == "system" for e in examples)],
            ["equal ids", _repeated(example.id for example in examples)],
            ["equal first prompts", _repeated(_normal(example.turns[0].content) for example in examples)],
            ["equal answers", _repeated(map(_normal, answers))],
        ],
    )
    first_turns = [example.turns[0].content for example in examples]
    _lengths([("first prompts", first_turns), *([("answers", answers)] if answers else [])])
    _shares("source", [example.source for example in examples])
    _shares("category", [example.meta.category for example in examples])
    _shares("tag", [tag for example in examples for tag in example.meta.tags], of=len(examples))
    _shares("licence", [example.meta.licence for example in examples])
    for example in _chosen(examples, settings):
        turns = "\n".join(f"[{message.role}] {_short(message.content)}" for message in example.messages)
        console.results.print(console.visible(f"\n--- {example.id}\n{turns}"), markup=False)


def _completions(completions: Sequence[Completion], settings: InspectSettings) -> None:
    console.table(
        f"{settings.file}: {len(completions)} completions",
        ["", "number"],
        [
            ["prompts", len({completion.prompt_id for completion in completions})],
            ["empty", sum(not completion.content.strip() for completion in completions)],
            ["equal ids", _repeated(completion.id for completion in completions)],
            ["mean tokens", f"{np.mean([completion.tokens for completion in completions]):.1f}"],
        ],
    )
    _lengths([("answers", [completion.content for completion in completions])])
    _shares("system", [completion.system for completion in completions])
    _shares("finish reason", [completion.finish_reason for completion in completions])
    _shares("status", [completion.status for completion in completions])
    for completion in _chosen(completions, settings):
        console.results.print(
            console.visible(f"\n--- {completion.id}\n{_short(completion.content)}"), markup=False
        )


def _lengths(groups: Sequence[tuple[str, Sequence[str]]]) -> None:
    rows: list[list[object]] = []
    for name, texts in groups:
        for unit, sizes in (
            ("characters", [len(text) for text in texts]),
            ("words", [len(text.split()) for text in texts]),
        ):
            low, middle, high = np.percentile(sizes, [5, 50, 95])
            shown = (
                f"{np.mean(sizes):.1f}",
                min(sizes),
                f"{low:.0f}",
                f"{middle:.0f}",
                f"{high:.0f}",
                max(sizes),
            )
            rows.append([f"{name}, {unit}", *shown])
    console.table("Lengths", ["", "mean", "least", "5 %", "median", "95 %", "most"], rows)


def _shares(name: str, values: Sequence[str | None], of: int | None = None) -> None:
    """A table of the commonest values; nothing where no row has one."""
    counts = Counter(value for value in values if value)
    if not counts:
        return
    total = of or len(values)
    rows: list[list[object]] = [
        [value, number, f"{number / total:.1%}"]
        for value, number in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    if len(rows) > TOP:
        rest = sum(int(str(row[1])) for row in rows[TOP:])
        rows = [*rows[:TOP], [f"{len(rows) - TOP} more", rest, f"{rest / total:.1%}"]]
    missing = sum(not value for value in values)
    if missing:
        rows.append(["none", missing, f"{missing / total:.1%}"])
    console.table(f"By {name}", [name, "rows", "share"], rows)


def _repeated(values: Iterable[str]) -> int:
    """Rows beyond the first of each value."""
    counts = Counter(values)
    return sum(counts.values()) - len(counts)


def _normal(text: str) -> str:
    return " ".join(text.lower().split())


def _short(text: str) -> str:
    return (
        text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} [... {len(text)} characters]"
    )


def _chosen(rows: Sequence[R], settings: InspectSettings) -> list[R]:
    random = np.random.default_rng(settings.seed)
    number = min(settings.samples, len(rows))
    return [rows[int(i)] for i in sorted(random.choice(len(rows), number, replace=False))]
