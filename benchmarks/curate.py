"""Curation against its peers, all in one run: reading a dump, the whole path to examples, Reddit, near-duplicates.

    python benchmarks/curate.py --peer-python peers/bin/python

Every task runs in a process of its own, so that peak memory is its own; times are CPU seconds. The peers' environment
holds lima and them: ``pip install '.[curate]' lxml selectolax beautifulsoup4 datasketch zstandard``. A peer that is
missing is named and left out. What both sides found is compared before a ratio is printed. Times are the best of as many
runs for the peer with a target as for ours. Defaults take some eight minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("COLUMNS", "140")  # a table on one line each, also into a file

from lima import console

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from benchmarks.curation.data import write_posts, write_reddit  # noqa: E402

SAME_SHARE = 0.9
"""Whole paths clean with different libraries, so some texts cross a limit of length; the share is printed."""


@dataclass(frozen=True)
class Result:
    """What one process measured; None seconds where the peer is missing or failed."""

    seconds: float | None
    megabytes: float = 0
    found: Any = None
    note: str = ""


@dataclass(frozen=True)
class Line:
    """One comparison, as it is printed."""

    name: str
    ours: Result
    peer: Result
    target: str = ""
    met: Callable[[float], bool] = lambda ratio: True

    def cells(self) -> list[object]:
        """Name, seconds and memory of both, ratio, target."""
        if self.peer.seconds is None or self.ours.seconds is None:
            return [self.name, f"{self.ours.seconds:.2f}", "-", "-", self.peer.note, self.target, ""]
        ratio = self.peer.seconds / self.ours.seconds
        verdict = "" if not self.target else "yes" if self.met(ratio) else "NO"
        memory = f"{self.ours.megabytes:.0f} / {self.peer.megabytes:.0f}"
        return [
            self.name,
            f"{self.ours.seconds:.2f}",
            f"{self.peer.seconds:.2f}",
            memory,
            f"{ratio:.1f}",
            self.target,
            verdict,
        ]


class Bench:
    """Runs tasks, ours and the peers', and keeps what they measured."""

    def __init__(self, folder: Path, peer_python: str) -> None:
        self.folder, self._python = folder, peer_python

    def run(self, task: str, argument: Path | int, repeats: int = 1) -> Result:
        """One task in a process of its own."""
        command = [
            self._python,
            str(ROOT / "benchmarks/curation/tasks.py"),
            task,
            str(argument),
            str(repeats),
        ]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            problem = (
                done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"
            )
            if not task.endswith("_ours") and "No module named" in problem:
                return Result(None, note=problem.rpartition(": ")[2])
            raise SystemExit(f"{task}: {problem}")
        measured = json.loads(done.stdout.splitlines()[-1])
        console.note(f"{task}: {measured['seconds']:.2f} s, {measured['megabytes']:.0f} MB")
        return Result(measured["seconds"], measured["megabytes"], measured["result"])


def headers(bench: Bench, dump: Path) -> list[Line]:
    """The same five counts from every reader."""
    ours, lines = bench.run("headers_ours", dump, 3), []
    for task, name, target in (
        ("headers_lxml", "lxml iterparse", ">= 8"),
        ("headers_iterparse", "ElementTree iterparse", ""),
        ("headers_lines", "ElementTree a line", ""),
    ):
        peer = bench.run(task, dump, 3 if target else 1)
        assert peer.found in (None, ours.found), (name, peer.found, ours.found)
        lines.append(Line(f"headers: {name}", ours, peer, target, lambda ratio: ratio >= 8))
    return lines


def paths(bench: Bench, dump: Path) -> list[Line]:
    """Posts.xml to accepted examples; nearly the same questions from every path."""
    ours, lines = bench.run("path_ours", dump, 2), []
    for task, name, target in (
        ("path_selectolax", "lxml + selectolax, every body cleaned", ">= 8"),
        ("path_selectolax_good", "lxml + selectolax, good answers cleaned", ""),
        ("path_selectolax_lazy", "lxml + selectolax, cleaned until full (its best)", ""),
        ("path_soup_lazy", "lxml + BeautifulSoup, cleaned until full (its best)", ""),
        ("path_lines_lazy", "ElementTree a line + selectolax, until full (its best)", ""),
    ):
        peer = bench.run(task, dump, 2 if "selectolax" in task else 1)
        if peer.found is not None:
            same = len(set(peer.found) & set(ours.found)) / len(ours.found)
            assert same >= SAME_SHARE, f"{name} selects other questions: {same:.0%} the same"
            name = f"{name} ({same:.0%} the same)"
        lines.append(Line(f"whole path: {name}", ours, peer, target, lambda ratio: ratio >= 8))
    return [*lines, _slow_path(bench, max(1, int(dump.stat().st_size / 1e6 / 5)))]


def _slow_path(bench: Bench, megabytes: int) -> Line:
    """The slowest peer on a fifth of the dump."""
    dump = bench.folder / "small.xml"
    write_posts(dump, megabytes)
    ours, peer = bench.run("path_ours", dump), bench.run("path_soup", dump)
    return Line(f"whole path, {megabytes} MB: lxml + BeautifulSoup, every body cleaned", ours, peer)


def reddit(bench: Bench, megabytes: int) -> list[Line]:
    """The same posts of one subreddit."""
    archive = bench.folder / "submissions.zst"
    write_reddit(archive, megabytes)
    ours = bench.run("reddit_ours", archive, 3)
    plain, fast = bench.run("reddit_json", archive, 3), bench.run("reddit_orjson", archive, 3)
    for peer in (plain, fast):
        assert peer.found in (None, ours.found), (len(peer.found), len(ours.found))
    return [
        Line("Reddit filter: json.loads", ours, plain, ">= 3.5", lambda ratio: ratio >= 3.5),
        Line("Reddit filter: orjson, best", ours, fast),
    ]


def duplicates(bench: Bench, number: int) -> list[Line]:
    """Pairs of Jaccard similarity from .7. The exact join is the truth for the recall of the others."""
    exact = bench.run("duplicates_ours", number)
    truth = {tuple(pair) for pair in exact.found}
    lines = []
    for task, name, target in (
        ("duplicates_datasketch", "datasketch, 128 permutations", "<= 0.6 of its time"),
        ("duplicates_datasketch_256", "datasketch, 256 permutations", ""),
    ):
        peer = bench.run(task, number)
        if peer.found is not None:
            recall = len(truth & {tuple(pair) for pair in peer.found}) / len(truth)
            name = f"{name} (recall {recall:.3f})"
        lines.append(Line(f"near-duplicates: {name}", exact, peer, target, lambda ratio: ratio >= 1 / 0.6))
    sketched = bench.run("duplicates_ours_minhash", number)
    recall = len(truth & {tuple(pair) for pair in sketched.found}) / len(truth)
    lines.append(Line(f"near-duplicates: exact join / our MinHash (recall {recall:.3f})", sketched, exact))
    return lines


def growth(bench: Bench, small: tuple[int, Result], megabytes: int) -> None:
    """Peak memory of the whole path on a dump several times as big."""
    dump = bench.folder / "big.xml"
    write_posts(dump, megabytes)
    big = bench.run("path_ours", dump)
    dump.unlink()
    times = megabytes / small[0]
    rows = [
        [f"{small[0]} MB", f"{small[1].seconds:.2f}", f"{small[1].megabytes:.0f}", "<= 100", _yes(small[1].megabytes <= 100)],
        [f"{megabytes} MB", f"{big.seconds:.2f}", f"{big.megabytes:.0f}", f"<= {times:.0f} x", _yes(big.megabytes <= times * small[1].megabytes)],
    ]  # fmt: skip
    console.table("Whole path: memory", ["Posts.xml", "CPU s", "peak MB", "target", "met"], rows)


def _yes(met: bool) -> str:
    return "yes" if met else "NO"


def main() -> None:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer-python", default=sys.executable, help="the interpreter that has the peers")
    parser.add_argument("--megabytes", type=int, default=500, help="size of the dump")
    parser.add_argument(
        "--big", type=int, default=2000, help="size of the dump for the growth of memory; 0 skips it"
    )
    parser.add_argument("--reddit", type=int, default=200, help="size of the Reddit archive, decompressed")
    parser.add_argument("--texts", type=int, default=100_000, help="texts for near-duplicates")
    parser.add_argument(
        "--only", nargs="*", default=[], choices=["headers", "paths", "reddit", "duplicates", "growth"]
    )
    options = parser.parse_args()
    wanted = set(options.only or ["headers", "paths", "reddit", "duplicates", "growth"])
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.peer_python)
        dump, lines = bench.folder / "Posts.xml", []
        if wanted & {"headers", "paths", "growth"}:
            write_posts(dump, options.megabytes)
        if "headers" in wanted:
            lines += headers(bench, dump)
        if "paths" in wanted:
            lines += paths(bench, dump)
        if "reddit" in wanted:
            lines += reddit(bench, options.reddit)
        if "duplicates" in wanted:
            lines += duplicates(bench, options.texts)
        if lines:
            columns = ["against", "our CPU s", "its CPU s", "MB ours / its", "ratio", "target", "met"]
            console.table(f"Curation, {options.megabytes} MB dump", columns, [line.cells() for line in lines])
        if "growth" in wanted and options.big:
            growth(bench, (options.megabytes, bench.run("path_ours", dump)), options.big)


if __name__ == "__main__":
    main()
