"""Stopped at any point and begun again: the bytes of an undisturbed run, and no finished dump is read twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.curate.dump import LONG, answer, posts, question, write
from tests.curate.test_compressed import solid

import lima.curate.stackexchange.dumps as dumps_module
import lima.curate.stackexchange.posts as posts_module
from lima.curate import pipeline
from lima.curate.choose import duplicates
from lima.curate.choose.duplicates import DuplicateSettings
from lima.curate.pipeline import curate
from lima.curate.settings import CurateSettings
from lima.curate.stackexchange import blocks
from lima.curate.stackexchange.source import StackExchange

OFF = DuplicateSettings(same_prompt=False)
SITES = {"cooking": 30, "physics": 20, "gardening": 12}


class Stop(BaseException):
    """As a key or a signal stops a program."""


def forum(number: int, seed: int = 0) -> list[dict[str, Any]]:
    rows = []
    for n in range(1, number + 1):
        unlike = " ".join(f"word{n * i}" for i in range(seed, seed + 400))
        body = f"<p>In case {n}:</p><p>{unlike}</p>" + ("<p>I think so.</p>" if n % 3 == 0 else "")
        title = f"Why does water boil sooner on mountain number {n} of {seed}?"
        rows += [question(n, title, Score=n), answer(1000 + n, n, body=body)]
    return rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for site, number in SITES.items():
        write(tmp_path / "dumps", posts(*forum(number, 1000 * number)), site)
    solid(tmp_path / "dumps", posts(*forum(9, 7)).encode())
    (tmp_path / "dumps" / "cooking.stackexchange.com.7z").rename(
        tmp_path / "dumps" / "chess.stackexchange.com.7z"
    )
    return tmp_path / "dumps"


def run(folder: Path, out: Path) -> None:
    source = {"all": StackExchange(train=20, dev=4), "heldout": StackExchange(heldout=5)}
    values = {"input": folder, "out": out, "sources": source, "duplicates": OFF, "card": False}
    curate(CurateSettings.from_recipe("stackexchange", **values))


def contents(out: Path) -> dict[str, bytes]:
    """All but the record of the run, which holds times."""
    return {path.name: path.read_bytes() for path in out.iterdir() if "run.json" not in path.name}


POINTS = {
    "while headers are read": (dumps_module, "read_headers", range(4)),
    "between blocks": (posts_module, "read_fields", range(0, 60, 7)),
    "when headers are kept": (dumps_module, "_save", range(4)),
    "while candidates are judged": (pipeline, "first_problem", range(0, 40, 7)),
    "while duplicates are looked for": (duplicates, "gram_set", range(0, 30, 7)),
    "while files are written": (os, "replace", range(9)),
}


@pytest.mark.parametrize("point", POINTS)
def test_stopped_anywhere(point: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 4096)
    run(folder, tmp_path / "whole")
    expected = contents(tmp_path / "whole")
    module, name, counts = POINTS[point]
    stopped = 0
    for count in counts:
        out = tmp_path / f"stopped-{count}"
        read = counted(monkeypatch)
        with monkeypatch.context() as patch:
            patch.setattr(module, name, stopping(getattr(module, name), count))
            try:
                run(folder, out)
            except Stop:
                stopped += 1
        kept = {path.name.partition("-")[0] for path in out.glob("scratch/*.npz")}
        before = Counter(read)
        run(folder, out)
        assert contents(out) == expected
        again = {site for site in read if read[site] > before[site]}
        assert not again & kept, "a finished dump is read again"
    assert stopped >= len(counts) - 1, stopped


def stopping(real: Any, count: int) -> Any:
    """The function, which stops the program at its call number ``count``."""
    calls = 0

    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > count:
            raise Stop
        return real(*arguments, **named)

    return call


def counted(patch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each dump's posts are opened."""
    opened: Counter[str] = Counter()
    real = dumps_module._open_posts

    def open_posts(dump: Any, scratch: Any) -> Any:
        opened[dump.exchange.name] += 1
        return real(dump, scratch)

    patch.setattr(dumps_module, "_open_posts", open_posts)
    return opened


@pytest.mark.slow
def test_killed_at_any_time(tmp_path: Path) -> None:
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
    while trial < 6 or kills < 6:
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
