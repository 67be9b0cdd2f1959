"""Stopped at any point and begun again: the bytes of an undisturbed run, and no finished dump is read twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.curate.calls import Stop, stopping, watched
from tests.curate.dump import LONG, answer, posts, question, write
from tests.curate.test_compressed import UNPACK, solid

from lima.curate.choose.duplicates import DuplicateSettings
from lima.curate.pipeline import curate
from lima.curate.settings import CurateSettings
from lima.curate.stackexchange import reading
from lima.curate.stackexchange.source import StackExchange

OFF = DuplicateSettings(same_prompt=False)
SITES = {"cooking": 30, "physics": 20, "gardening": 12}


def forum(number: int, seed: int = 0) -> list[dict[str, Any]]:
    rows = []
    for n in range(1, number + 1):
        unlike = " ".join(f"word{n * i}" for i in range(seed, seed + 400))
        body = f"<p>In case {n}:</p><p>{unlike}</p>" + ("<p>I think so.</p>" if n % 3 == 0 else "")
        title = f"Why does water boil sooner on mountain number {n} of {seed}?"
        rows += [question(n, title, Score=n), answer(1000 + n, n, body=body)]
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dumps = tmp_path_factory.mktemp("resume") / "dumps"
    for site, number in SITES.items():
        write(dumps, posts(*forum(number, 1000 * number)), site)
    solid(dumps, posts(*forum(9, 7)).encode())
    (dumps / "cooking.stackexchange.com.7z").rename(dumps / "chess.stackexchange.com.7z")
    return dumps


@pytest.fixture(scope="module")
def expected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed run writes."""
    out = tmp_path_factory.mktemp("resume") / "whole"
    run(folder, out)
    return contents(out)


def run(folder: Path, out: Path) -> None:
    source = {"all": StackExchange(train=20, dev=4), "heldout": StackExchange(heldout=5)}
    values = {"input": folder, "out": out, "sources": source, "duplicates": OFF, "card": False}
    curate(CurateSettings.from_recipe("stackexchange", **values))


def contents(out: Path) -> dict[str, bytes]:
    """All but the record of the run, which holds times."""
    return {path.name: path.read_bytes() for path in out.iterdir() if "run.json" not in path.name}


HEADERS = "curate/stackexchange/reading.py read_headers"
POINTS: dict[str, tuple[str, range]] = {
    "while headers are read": (HEADERS, range(4)),
    "between lines": ("curate/stackexchange/reading.py read", range(0, 60, 19)),
    "when headers are kept": ("curate/stackexchange/reading.py save_headers", range(4)),
    "while an archive is unpacked": ("curate/stackexchange/archives.py write", range(0, 4, 2)),
    "while candidates are judged": ("curate/rules.py first_problem", range(0, 40, 13)),
    "while duplicates are looked for": ("curate/choose/duplicates.py gram_set", range(0, 30, 13)),
    "while files are written": ("", range(9)),
}


@pytest.mark.parametrize("point", POINTS)
def test_stopped_anywhere(
    point: str, folder: Path, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LINES_AT_A_TIME", 3)
    place, counts = POINTS[point]
    stopped = 0
    for count in counts:
        out = tmp_path / f"stopped-{count}"
        try:
            with stop_at(place, count):
                run(folder, out)
        except Stop:
            stopped += 1
        kept = {path.name.partition("-")[0] for path in out.glob("scratch/*.npz")}
        again: set[str] = set()
        with watched({HEADERS: partial(add_site, again), UNPACK: partial(add_site, again)}):
            run(folder, out)
        assert contents(out) == expected
        assert not again & kept, "a finished dump is read again"
    assert stopped >= len(counts) - 1, stopped


def add_site(sites: set[str], given: Mapping[str, Any]) -> None:
    path = given["path"]
    sites.add(path.name.partition(".")[0] if path.suffix == ".7z" else path.parent.name)


@contextmanager
def stop_at(place: str, count: int) -> Iterator[None]:
    """At the call of that number, of the package's function at the place or else of the system's to replace a file."""
    if place:
        with watched({place: stopping(count)}):
            yield
        return
    stop, real = stopping(count), os.replace

    def replace(*paths: Any) -> None:
        stop({})
        real(*paths)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", replace)
        yield


@pytest.mark.parametrize(
    "runs", [pytest.param(3, marks=pytest.mark.slow), pytest.param(12, marks=pytest.mark.acceptance)]
)
def test_killed_at_any_time(runs: int, tmp_path: Path) -> None:
    """SIGKILL after times drawn over the length of a run, until it comes to its end: the same bytes."""
    rows = [
        row
        for n in range(1, 4001)
        for row in (
            question(n, f"Why does water boil on mountain {n}?", Score=n % 90),
            answer(9000 + n, n, body=f"<p>{n}</p>{LONG}"),
        )
    ]
    for site in ("cooking", "physics", "gardening", "chess"):
        write(tmp_path / "dumps", posts(*rows), site)
    command = [
        sys.executable, "-m", "lima", "curate", "stackexchange", "--input", str(tmp_path / "dumps"), "--quota", "800",
        "--duplicates.jaccard", "None", "--no-card", "--out",
    ]  # fmt: skip
    began = time.monotonic()
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    length = time.monotonic() - began
    expected, chance, kills, trial = contents(tmp_path / "whole"), random.Random(0), 0, 0
    while trial < runs or kills < runs:
        out, trial = tmp_path / f"out-{trial}", trial + 1
        while not finished(out):
            fresh, began = not out.exists(), time.monotonic()
            process = subprocess.Popen(
                [*command, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                assert process.wait(length * chance.uniform(0.3, 1.6)) == 0
                # The machine may have got quicker since, or slower: a moment must fall into the run, and a run end.
                length = time.monotonic() - began if fresh else length
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                kills, length = kills + 1, length * 1.1
        assert contents(out) == expected


def finished(out: Path) -> bool:
    note = out / "run.json"
    return note.exists() and b'"finished": true' in note.read_bytes()
