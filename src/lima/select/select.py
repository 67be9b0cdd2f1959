"""``lima select``: a pool of examples -> the chosen ones, a random choice of the same size, and a page that compares them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np

from lima import console
from lima.commands import command
from lima.curate.choose.embeddings import Embedder, Vectors, fit_embedder, read_embeddings
from lima.curate.choose.spread import nearest_similarity
from lima.curate.rules import RULES
from lima.errors import LimaError
from lima.files import read_jsonl, replacing, sibling, write_json, write_jsonl, write_text
from lima.records import Example
from lima.runs import open_map, open_run
from lima.select.comparison import COLUMNS, Choice, Line, as_json, as_markdown, cells, compare_choices
from lima.select.methods import Figures, Numbers, choose
from lima.select.page import as_html
from lima.select.pool import Pool, read_pool, text_of
from lima.select.quality import marks, quality_of
from lima.select.settings import Method, SelectSettings

SAMPLE = 20_000
"""Examples on which the embedding is fitted."""
BLOCK = 2_000
"""Texts that are embedded together."""


def select(settings: SelectSettings) -> list[Line]:
    """Choose, write, compare; returns the lines of the comparison, the chosen one first.

    Raises:
        LimaError: an empty or broken pool, a quota that nothing fills, a file of vectors that does not fit.
    """
    _check_places(settings)
    if settings.model is not None:
        from lima.model import read_config

        read_config(settings.model)  # a mistyped name is told before a pool of a million is read
    pool = read_pool(settings.pool)
    _check(settings, pool)
    if settings.dry_run:
        _explain(settings, pool)
        return []
    work = beside(settings.out, "work")
    with open_run(beside(settings.out, "run.json"), "select", settings) as run:
        spent = _Spent()
        figures = _figures(settings, pool, work, spent)
        choices = [_choose(method, settings, pool, figures, spent) for method in methods(settings)]
        marked = _marked(settings, pool, figures, choices)
        lines, topics = compare_choices(choices, figures, marked, seed=settings.seed)
        wrote = [_write(choice, settings, pool) for choice in choices]
        facts = _facts(settings, pool, topics)
        write_text(beside(settings.out, "comparison.md"), as_markdown(lines, facts))
        write_json(beside(settings.out, "comparison.json"), as_json(lines, facts))
        write_text(beside(settings.out, "comparison.html"), as_html(lines, choices, pool, facts))
        if pool.rejects:
            write_jsonl(beside(settings.out, "rejects.jsonl"), pool.rejects)
        run.finish(pool=len(pool), chosen=len(choices[0].places), rejects=len(pool.rejects))
    _show(settings, pool, lines, topics)
    console.done(
        [*wrote, beside(settings.out, "comparison.html")],
        command("train", "MODEL", settings.out, "--out", "RUN"),
    )
    return lines


def beside(out: Path, ending: str) -> Path:
    """A file that belongs to the chosen ones: ``train.jsonl`` -> ``train.comparison.md``."""
    return sibling(out, f"{out.name.removesuffix('.jsonl')}.{ending}")


def methods(settings: SelectSettings) -> list[Method]:
    """The methods to carry out, each once; the random choice is always among them."""
    return list(dict.fromkeys([*settings.by, "random"]))


class _Spent:
    """Seconds and tokens by what they were spent on."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.tokens: dict[str, int] = {}

    @contextmanager
    def on(self, what: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - start


NEEDS: dict[Method, tuple[str, ...]] = {
    "random": (),
    "longest": (),
    "quality": ("quality",),
    "diverse": ("vectors",),
    "quality-diverse": ("quality", "vectors"),
    "ifd": ("ifd",),
    "likeness": ("vectors", "likeness"),
    "rds": ("states",),
}


def _figures(settings: SelectSettings, pool: Pool, work: Path, spent: _Spent) -> Figures:
    """All that the chosen methods and the comparison need to know."""
    wanted = {need for method in settings.by for need in NEEDS[method]}
    targets = list(read_jsonl(settings.target, Example)) if settings.target else []
    quality, difficulty, states, target_states = None, None, None, None
    if "quality" in wanted:
        with spent.on("quality"):
            quality = quality_of(settings, pool, work / "judged")
    if settings.embed == "model" and settings.embeddings is None:
        wanted.add("states")
    if wanted & {"ifd", "states"}:
        difficulty, states, target_states = _read_by_model(settings, pool, targets, work, wanted, spent)
    with spent.on("vectors"):
        vectors, embedder = _vectors(settings, pool, states)
    likeness = None
    if targets and settings.embeddings is None:
        with spent.on("likeness"):
            near = target_states if embedder is None else _target_vectors(embedder, targets, settings)
            assert near is not None
            likeness = nearest_similarity(vectors, near).astype(np.float64)
    return Figures(
        pool.lengths, quality, vectors, likeness, difficulty, states, target_states, settings.most_alike
    )


def _marked(
    settings: SelectSettings, pool: Pool, figures: Figures, choices: Sequence[Choice]
) -> Numbers | None:
    """The quality of what was chosen, for the comparison; a judge is not asked for that alone."""
    if settings.quality == "judge":
        return figures.quality.all() if figures.quality else None
    return marks(settings, pool, [place for choice in choices for place in choice.places])


def _read_by_model(
    settings: SelectSettings, pool: Pool, targets: list[Example], work: Path, wanted: set[str], spent: _Spent
) -> tuple[Numbers | None, Vectors | None, Vectors | None]:
    """IFD of the pool, states of the pool and of the targets, as far as they are wanted."""
    from lima.select.reading import following_difficulty, load_reader
    from lima.select.reading import states as read_states

    assert settings.model is not None
    difficulty, states, target_states = None, None, None
    # One process without Ray: torch has threads of its own.
    workers = (settings.workers or os.cpu_count() or 1) if settings.engine == "ray" else 1
    with open_map(settings.engine, workers, on_gpus=True) as run:
        reader = load_reader(
            settings.model, max_length=settings.max_length, batch_tokens=settings.batch_tokens, run=run
        )
        if "ifd" in wanted:
            with spent.on("ifd"):
                difficulty = following_difficulty(reader, pool.examples, len(pool), work / "ifd")
            spent.tokens["ifd"], reader.tokens = reader.tokens, 0
        if "states" in wanted:
            with spent.on("states"):
                states = read_states(reader, pool.examples, len(pool), work / "states")
                if targets:
                    target_states = read_states(reader, lambda: iter(targets), len(targets))
            spent.tokens["states"] = reader.tokens
    return difficulty, states, target_states


def _vectors(settings: SelectSettings, pool: Pool, states: Vectors | None) -> tuple[Vectors, Embedder | None]:
    """The user's vectors, the model's states, or TF-IDF and SVD of the texts with what was fitted for them."""
    if settings.embeddings is not None:
        return read_embeddings(settings.embeddings, len(pool)), None
    if settings.embed == "model":
        assert states is not None
        return states, None
    places = np.linspace(0, len(pool) - 1, min(SAMPLE, len(pool))).astype(int).tolist()
    sample = [text_of(example, settings.text) for example in pool.examples(places)]
    embedder = fit_embedder(sample, seed=settings.seed)
    vectors = np.empty(
        (len(pool), embedder.width), dtype=np.float32
    )  # in place: a pool may fill half the memory
    texts = pool.texts(settings.text)
    with console.progress("embedding", len(pool), "examples") as bar:
        for start in range(0, len(pool), BLOCK):
            found = embedder.transform(list(islice(texts, BLOCK)))
            vectors[start : start + len(found)] = found
            bar.advance(len(found))
    return vectors, embedder


def _target_vectors(embedder: Embedder, targets: list[Example], settings: SelectSettings) -> Vectors:
    return embedder.transform([text_of(example, settings.text) for example in targets])


def _choose(method: Method, settings: SelectSettings, pool: Pool, figures: Figures, spent: _Spent) -> Choice:
    start = time.perf_counter()
    quotas = [
        (np.asarray([i for i, names in enumerate(pool.groups) if name in names], dtype=np.int64), number)
        for name, number in settings.quotas.items()
    ]
    places = choose(method, figures, min(settings.number, len(pool)), quotas=quotas, seed=settings.seed)
    own = time.perf_counter() - start
    needs = NEEDS[method]
    return Choice(
        method,
        places,
        seconds=own + sum(spent.seconds.get(need, 0.0) for need in needs),
        tokens=sum(spent.tokens.get(need, 0) for need in needs),
    )


def _write(choice: Choice, settings: SelectSettings, pool: Pool) -> Path:
    """The chosen examples as they stand in the pool, in the order of choice."""
    first = choice.name == settings.by[0]
    path = settings.out if first else beside(settings.out, f"{choice.name}.jsonl")
    with replacing(path) as stream:
        stream.writelines(pool.lines(choice.places))
    return path


def _check_places(settings: SelectSettings) -> None:
    """Before anything is read: nothing that is written may lie where an input does, or a folder."""
    further = (f"{method}.jsonl" for method in methods(settings)[1:])
    wrote = [settings.out, *(beside(settings.out, ending) for ending in (*further, "rejects.jsonl"))]
    for path in wrote:
        if path.is_dir():
            raise LimaError(f"--out {path}: is a folder. Name a file in it: {path / 'train.jsonl'}.")
        for source in (settings.pool, settings.target):
            if source is not None and path.resolve() == source.resolve():
                raise LimaError(f"--out {settings.out}: would overwrite {source}. Name another file.")


def _check(settings: SelectSettings, pool: Pool) -> None:
    if settings.number > len(pool):
        console.warn(
            f"{settings.pool}: {len(pool):,} examples, fewer than --number {settings.number:,}: all are taken."
        )
    if sum(settings.quotas.values()) > settings.number:
        raise LimaError(
            f"--quota: {sum(settings.quotas.values()):,} in all, over --number {settings.number:,}."
        )
    names = set().union(*set(pool.groups))
    for name, number in settings.quotas.items():
        if name not in names:
            known = ", ".join(sorted(names)[:12])
            raise LimaError(
                f"--quota {name}={number}: no example has this tag, category or source. There are: {known}."
            )


def _facts(settings: SelectSettings, pool: Pool, topics: int) -> dict[str, object]:
    return {
        "pool": f"{settings.pool} ({len(pool):,} examples, {topics} topics)",
        "chosen": f"{min(settings.number, len(pool)):,}, seed {settings.seed}",
        "embeddings": _embedded_by(settings),
        "quality": settings.quality
        if settings.quality != "rules"
        else f"{len(RULES)} rules, how many are kept",
    }


def _embedded_by(settings: SelectSettings) -> str:
    if settings.embeddings:
        return str(settings.embeddings)
    what = {"both": "prompts and answers", "prompt": "prompts", "answer": "answers"}[settings.text]
    return f"states of {settings.model}" if settings.embed == "model" else f"TF-IDF and SVD of {what}"


def _explain(settings: SelectSettings, pool: Pool) -> None:
    console.note(
        f"would choose {min(settings.number, len(pool)):,} of {len(pool):,} examples by {', '.join(methods(settings))}; "
        f"embeddings: {_embedded_by(settings)}. Nothing was written."
    )


def _show(settings: SelectSettings, pool: Pool, lines: list[Line], topics: int) -> None:
    if pool.rejects:
        console.warn(
            f"{len(pool.rejects):,} rows without an answer were left out (rejects.jsonl beside the output)."
        )
    used = [place for place in range(len(COLUMNS)) if any(cells(line)[place] for line in lines)]
    console.table(
        f"{len(pool):,} examples, {topics} topics",
        [COLUMNS[place] for place in used],
        [[cells(line)[place] for place in used] for line in lines],
    )
