"""A real data set -> the arms of an experiment: parts of it that differ in one property (LIMA, sections 5 and 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lima.checkpoint.inputs import check_apart
from lima.errors import LimaError
from lima.experiments.real.settings import RealSettings
from lima.files import read_jsonl
from lima.records import Example

Arms = dict[str, list[Example]]
FORMAT_TAG = "format"


def make_arms(name: str, settings: RealSettings, prompts: Sequence[Example], seed: int) -> Arms:
    """The examples of each arm.

    Raises:
        LimaError: a file is missing, prompts are in the data, or the data lack what the experiment varies.
    """
    data = _examples(settings.data, "--data")
    other = _examples(settings.other, "--other") if name in ("quality", "diversity") else []
    assert settings.prompts is not None, settings
    assert settings.data is not None, settings
    check_apart(prompts, [*data, *other], dev=settings.prompts, data=settings.data)
    if name == "quantity":
        return _sizes(data, seed)
    if name in ("quality", "diversity"):
        return _two_files(data, other, seed, settings)
    if name == "dialogue":
        return _without(data, lambda one: len(one.turns) > 2, "dialogues", settings.data)
    if name == "structure":
        return _without(
            data, lambda one: FORMAT_TAG in one.meta.tags, "examples tagged 'format'", settings.data
        )
    return {"tuned": data}


def _examples(path: Path | None, flag: str) -> list[Example]:
    if path is None:
        raise LimaError(f"{flag} is missing: with --model, this experiment needs it.")
    return list(read_jsonl(path, Example))


def _sizes(data: list[Example], seed: int) -> Arms:
    """An eighth, a quarter, a half and all of the data, each inside the next."""
    order = np.random.default_rng([seed, 11]).permutation(len(data)).tolist()
    sizes = sorted({max(1, len(data) // part) for part in (8, 4, 2, 1)})
    return {f"{size} examples": [data[i] for i in sorted(order[:size])] for size in sizes}


def _two_files(data: list[Example], other: list[Example], seed: int, settings: RealSettings) -> Arms:
    """As many of each: the larger file is cut at random."""
    count = min(len(data), len(other))
    arms = {}
    for path, rows in ((settings.data, data), (settings.other, other)):
        assert path is not None
        chosen = np.random.default_rng([seed, 11]).permutation(len(rows))[:count].tolist()
        arms[path.stem] = [rows[i] for i in sorted(chosen)]
    if len(arms) < 2:
        raise LimaError(
            f"{settings.data} and {settings.other}: name the two files differently; arms bear their names."
        )
    return arms


def _without(data: list[Example], special: Callable[[Example], bool], words: str, path: Path) -> Arms:
    kept = [one for one in data if not special(one)]
    count = len(data) - len(kept)
    if not count or not kept:
        raise LimaError(
            f"{path}: {count} of {len(data)} rows are {words}; this experiment needs some, and some others."
        )
    return {f"without {words}": kept, f"with {count} {words}": data}
