"""``lima judge`` against a bare aiohttp loop that sends the same requests to the same server.

Both run at a fixed concurrency of 64 against the rule server in a process of its own with 20 ms latency, in
turns. lima plans, logs every attempt to the disk, parses, and writes the study's rows; the bare loop reads
the replies and throws them away. Prints the ratio of the medians, the ideal time and lima's peak memory.

    python benchmarks/judge.py --count 2000
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import aiohttp

from lima.evaluate.comparisons import compare
from lima.evaluate.judge import judge
from lima.evaluate.settings import CompareSettings, JudgeSettings
from lima.evaluate.study import Study
from lima.files import read_jsonl, write_jsonl
from lima.records import Completion, Example, Message
from lima.remote.log import ChatCall

CONCURRENCY = 64
LATENCY = 0.02
PEERS = Path(__file__).with_name("judge_peers.py")
SERVER = Path(__file__).parent.parent / "examples" / "rule_judge.py"


def main(count: int, rounds: int, peer: Path | None) -> None:
    ours, bare = [], []
    with tempfile.TemporaryDirectory() as folder, _server() as address:
        # First, while this process is small: Linux counts what a child shared with it before it began.
        peak = _peak_memory(_study(Path(folder) / "memory", count // 2), address)
        for number in range(rounds):
            study = _study(Path(folder) / str(number), count // 2)  # each pair is judged in both orders
            settings = JudgeSettings(
                study=study.folder, judge=address, concurrency=CONCURRENCY, start_concurrency=CONCURRENCY
            )
            ours.append(_seconds(lambda settings=settings: judge(settings)))
            path = next(study.folder.glob("judges/*/requests.jsonl"))
            bodies = [request.encoded for request in read_jsonl(path, ChatCall)]
            assert len(bodies) == sum(1 for _ in study.preferences.open()) == count
            bare.append(_seconds(lambda bodies=bodies: asyncio.run(_bare_loop(address, bodies))))
        peers = _peers(peer, address, path) if peer else {}
    _print(count, ours, bare, peak)
    for name, seconds in peers.items():
        print(f"{name:<15} {seconds:6.2f} s   {seconds / _median(ours, 0):.1f} x lima")


def _print(
    count: int, ours: Sequence[tuple[float, float]], bare: Sequence[tuple[float, float]], peak: float
) -> None:
    ideal = count * LATENCY / CONCURRENCY
    print(
        f"{count} requests, concurrency {CONCURRENCY}, latency {LATENCY * 1000:.0f} ms, aiohttp {aiohttp.__version__}"
    )
    print(f"ideal           {ideal:6.2f} s")
    for name, runs in (("bare aiohttp", bare), ("lima judge", ours)):
        walls = ", ".join(f"{wall:.2f}" for wall, _ in runs)
        print(f"{name:<15} {_median(runs, 0):6.2f} s, CPU {_median(runs, 1):.2f} s   ({walls})")
    ratios = [_median(ours, k) / _median(bare, k) for k in (0, 1)]
    print(f"lima / bare     {ratios[0]:6.2f}, CPU {ratios[1]:.2f}     peak memory {peak:.0f} MiB")


def _median(runs: Sequence[tuple[float, float]], place: int) -> float:
    return statistics.median(run[place] for run in runs)


def _peak_memory(study: Study, address: str) -> float:
    """MiB of the command in a process of its own, as a user runs it."""
    command = [sys.executable, "-m", "lima", "judge", str(study.folder), "--judge", address]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return usage.ru_maxrss / 1024


def _peers(interpreter: Path, address: str, requests: Path) -> dict[str, float]:
    """Seconds of other tools' clients, with the interpreter that has them."""
    command = [str(interpreter), str(PEERS), address, str(requests)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    pairs = [line.split("\t") for line in lines if "\t" in line]
    return {name: float(seconds) for name, seconds in pairs}


def _seconds(work: object) -> tuple[float, float]:
    """On the wall, and of this process's time on a core, which other work on the machine changes little."""
    assert callable(work)
    began, busy = time.perf_counter(), time.process_time()
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        work()
    return time.perf_counter() - began, time.process_time() - busy


async def _bare_loop(address: str, bodies: list[bytes]) -> None:
    url = f"{address.partition('#')[0]}/chat/completions"
    source = iter(bodies)
    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def work() -> None:
            for body in source:
                async with session.post(url, data=body) as response:
                    assert response.status == 200
                    await response.read()

        await asyncio.gather(*(work() for _ in range(CONCURRENCY)))


@contextmanager
def _server() -> Iterator[str]:
    command = [sys.executable, str(SERVER), "--latency", str(LATENCY)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def _study(folder: Path, pairs: int) -> Study:
    """Two systems with answers of 200 to 1,000 characters."""
    draw = random.Random(0)
    prompts = [
        Example(id=f"p/{i}", source="made", messages=(Message(role="user", content=f"Question {i}?"),))
        for i in range(pairs)
    ]
    write_jsonl(folder / "prompts.jsonl", prompts)
    paths = []
    for system in ("one", "two"):
        rows = [
            Completion(
                id=f"{system}/{i}",
                prompt_id=f"p/{i}",
                system=system,
                sample=0,
                content="word " * draw.randint(40, 200),
                finish_reason="eot",
                tokens=1,
                seed=i,
            )
            for i in range(pairs)
        ]
        paths.append(folder / f"{system}.jsonl")
        write_jsonl(paths[-1], rows)
    settings = CompareSettings(answers=tuple(paths), prompts=folder / "prompts.jsonl", out=folder / "study")
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        return compare(settings)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", type=Path, help="interpreter with other tools (benchmarks/judge_peers.py)")
    options = parser.parse_args()
    main(options.count, options.rounds, options.peer)
