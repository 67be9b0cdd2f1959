"""The same bytes from every engine, with any number of workers; what is decoded ahead is not counted."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from tests.curate.dump import LONG, answer, posts, question, write

from lima.curate import pipeline
from lima.curate.choose.duplicates import DuplicateSettings
from lima.curate.pipeline import curate
from lima.curate.settings import CurateSettings
from lima.curate.stackexchange import shards
from lima.curate.stackexchange.source import StackExchange
from lima.curate.workers import Ahead, open_engine
from lima.errors import LimaError

OFF = DuplicateSettings(same_prompt=False, jaccard=None)
SITES = {"cooking": 120, "physics": 60, "gardening": 20}


def forum(number: int) -> list[dict[str, Any]]:
    """Every third answer is in the first person, every fifth title does not stand alone."""
    rows = []
    for n in range(1, number + 1):
        title = "Help me" if n % 5 == 0 else f"Why does water boil sooner on mountain number {n}?"
        body = f"<p>In case {n}:</p>{LONG}" + ("<p>I think so.</p>" if n % 3 == 0 else "")
        rows += [question(n, title, Score=n), answer(1000 + n, n, body=body)]
    return rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for site, number in SITES.items():
        write(tmp_path / "dumps", posts(*forum(number)), site)
    return tmp_path / "dumps"


def outputs(folder: Path, out: Path, **values: Any) -> dict[str, bytes]:
    source = {"all": StackExchange(train=60, dev=10)}
    curate(
        CurateSettings.from_recipe(
            "stackexchange", input=folder, out=out, sources=source, duplicates=OFF, **values
        )
    )
    return {
        path.name: path.read_bytes()
        for path in out.iterdir()
        if path.name not in (".run.json.lock", "run.json")
    }


class Counting:
    """Does the work at once, and remembers what was asked for."""

    def __init__(self) -> None:
        self.tasks: list[tuple[str, Any]] = []

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        self.tasks.append((function.__name__, arguments[0]))
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future


def small_chunks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(shards, "CHUNK", 7)


def test_decoding_ahead_changes_no_byte(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rejections too: what was decoded ahead of its use, but not used, is in no count."""
    expected = outputs(folder, tmp_path / "here")
    engine = Counting()
    small_chunks(monkeypatch)
    monkeypatch.setattr(pipeline, "open_engine", lambda name, workers: _Given(engine))
    assert outputs(folder, tmp_path / "there", workers=3) == expected
    dumps = [dump.exchange.name for name, dump in engine.tasks if name == "_index"]
    assert dumps == ["cooking", "physics", "gardening"], "the longest first"
    chunks = [task for name, task in engine.tasks if name == "_judged"]
    assert len(chunks) > 10
    assert {chunk.reader.dump.exchange.name for chunk in chunks} == set(SITES)


class _Given:
    def __init__(self, engine: Counting) -> None:
        self.engine = engine

    def __enter__(self) -> Counting:
        return self.engine

    def __exit__(self, *problem: object) -> None:
        pass


def test_processes_give_the_same_bytes(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = outputs(folder, tmp_path / "here")
    small_chunks(monkeypatch)
    assert outputs(folder, tmp_path / "there", workers=2) == expected


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_ray_gives_the_same_bytes(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local Ray of two processors; an error of a task is one line as well."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    expected = outputs(folder, tmp_path / "here")
    small_chunks(monkeypatch)
    assert outputs(folder, tmp_path / "there", workers=2, engine="ray") == expected
    write(folder, posts(*forum(5))[:-100], "physics")
    with pytest.raises(LimaError, match=r"physics/Posts.xml:\d+: the file ends here"):
        outputs(folder, tmp_path / "bad", workers=2, engine="ray")


def test_results_come_in_the_order_of_their_tasks() -> None:
    engine = Counting()
    results = Ahead(engine, str, iter(range(5)), 2)
    results.begin()
    assert len(engine.tasks) == 2
    assert next(results) == "0"
    assert len(engine.tasks) == 3, "as one is taken, the next is begun"
    assert list(results) == ["1", "2", "3", "4"]


def test_one_worker_needs_no_engine() -> None:
    with open_engine("processes", 1) as engine:
        assert engine is None


def test_a_worker_that_dies_is_told_of() -> None:
    with pytest.raises(LimaError, match="a worker process died"):
        _run_elsewhere(_die)


def _run_elsewhere(function: Callable[[], None]) -> None:
    with open_engine("processes", 2) as engine:
        assert engine is not None
        engine.submit(function).result()


def _die() -> None:
    os._exit(1)
