"""The same bytes from every engine, with any number of workers."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest
from tests.curate.calls import watched
from tests.curate.dump import LONG, answer, posts, question, write

from lima.curate.choose.duplicates import DuplicateSettings
from lima.curate.pipeline import curate
from lima.curate.settings import CurateSettings
from lima.curate.stackexchange.source import StackExchange
from lima.errors import LimaError
from lima.runs import open_map

OFF = DuplicateSettings(same_prompt=False, jaccard=None)
SITES = {"gardening": 20, "cooking": 120, "physics": 60}


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


def test_processes_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    expected = outputs(folder, tmp_path / "here")
    read: list[str] = []
    seen = {
        "curate/stackexchange/reading.py read_headers": lambda given: read.append(given["path"].parent.name)
    }
    with watched(seen):
        assert outputs(folder, tmp_path / "there", workers=2) == expected
    assert read == [], "all headers are read by the workers"


def test_the_longest_dump_is_read_first(folder: Path, tmp_path: Path) -> None:
    read: list[str] = []
    seen = {
        "curate/stackexchange/reading.py read_headers": lambda given: read.append(given["path"].parent.name)
    }
    with watched(seen):
        outputs(folder, tmp_path / "here")
    assert read == ["cooking", "physics", "gardening"]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_ray_gives_the_same_bytes(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local Ray of two processors; an error of a task is one line as well."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    expected = outputs(folder, tmp_path / "here")
    assert outputs(folder, tmp_path / "there", workers=2, engine="ray") == expected
    write(folder, posts(*forum(5))[:-100], "physics")
    with pytest.raises(LimaError, match=r"physics/Posts.xml:\d+: the file ends here"):
        outputs(folder, tmp_path / "bad", workers=2, engine="ray")


def test_results_come_in_the_order_of_the_items() -> None:
    with open_map("processes", 2) as map_:
        assert list(map_(str, range(5))) == ["0", "1", "2", "3", "4"]


def test_one_worker_is_this_process() -> None:
    with open_map("processes", 1) as map_:
        assert list(map_(lambda n: (n, os.getpid()), [1, 2])) == [(1, os.getpid()), (2, os.getpid())]


def test_a_worker_that_dies_is_reported() -> None:
    with pytest.raises(LimaError, match="a worker process died"), open_map("processes", 2) as map_:
        list(map_(os._exit, [1]))
