"""`lima annotate` under load: many raters with exponential think time, on the machine that the load comes from.

Prints the time of "next item" and "vote" (median, p99, longest) against the target of 150 ms at p99, on SQLite or,
with ``--database postgresql://...``, on PostgreSQL. The peer is the floor of this stack: requests to the same server,
in the same run, for a page that touches no database (the lead's sign-in, which waits for a thread and is rendered as
every page is). ``bare`` is /health: a line of JSON from the event loop, with neither.

    python benchmarks/web.py --raters 200 --seconds 300
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from lima.annotate import people
from lima.annotate.database import Database, sqlite_url
from lima.annotate.facts import DATABASE_NAME
from lima.evaluate.protocol import Protocol
from lima.files import write_jsonl, write_text
from lima.records import Comparison, Message

TARGET_SECONDS = 0.150
COMPARISONS = 1_500
STARTING_SECONDS = 300.0
"""Imports alone take five seconds of processor time, which a busy machine spreads out."""
SETTLING_SECONDS = 20.0
"""A new server renders its texts in the background for a while; the load comes to one that has been up."""


@dataclass
class Visitor:
    """A rater's browser: joins once, then asks for items and votes."""

    base: str
    session: aiohttp.ClientSession
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    page: str = ""

    async def join(self, code: str) -> None:
        """Accept an invitation."""
        welcome = await self._request("join", "GET", f"/join/{code}")
        if 'name="csrf"' not in welcome:  # the answer to an earlier attempt got lost
            return
        await self._request("join", "POST", f"/join/{code}", {"csrf": hidden(welcome, "csrf")})

    async def next(self) -> str | None:
        """Open the item in hand or the next one; its name, or None when there is none."""
        self.page = await self._request("next", "GET", "/work")
        return hidden(self.page, "item") if 'name="item"' in self.page else None

    async def vote(self, choice: str) -> None:
        """Answer the item on the page; returns when the server has acknowledged."""
        values = {name: hidden(self.page, name) for name in ("csrf", "item", "attempt")}
        await self._request("vote", "POST", "/answer", values | {"pairwise": choice})

    async def floor(self) -> None:
        """A page that reaches the server and no database, and a reply without a page."""
        await self._request("floor", "GET", "/lead/sign-in")
        await self._request("bare", "GET", "/health")

    async def _request(self, kind: str, method: str, path: str, form: dict[str, str] | None = None) -> str:
        started = time.perf_counter()
        headers = {"accept": "application/json"} if kind == "vote" else {}
        async with self.session.request(method, self.base + path, data=form, headers=headers) as reply:
            text = await reply.text()
            reply.raise_for_status()
        self.times[kind].append(time.perf_counter() - started)
        return text


def hidden(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, f"no field {name!r} in {page[:500]!r}"
    return found[1]


def make_study(folder: Path, size: int) -> Path:
    """A study of texts about as long as those of LIMA's test set."""
    folder.mkdir(parents=True)
    prose = "A sentence of *plain* words, with `code` and one number: 42. " * 30

    def comparison(number: int) -> Comparison:
        asked = (Message(role="user", content=f"Question {number}?"),)
        return Comparison(
            id=f"cmp-{number:06d}", messages=asked, a=f"{number}\n\n{prose}", b=f"{prose}\n\n{number}"
        )

    write_jsonl(folder / "comparisons.jsonl", map(comparison, range(size)))
    write_text(folder / "protocol.yaml", Protocol(systems=2, comparisons=size).to_yaml())
    return folder


@contextmanager
def server(study: Path, port: int, *flags: str) -> Iterator[subprocess.Popen[bytes]]:
    """`lima annotate` as a process of its own, ended with the block."""
    process = start_server(study, port, *flags)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def start_server(study: Path, port: int, *flags: str) -> subprocess.Popen[bytes]:
    """`lima annotate` as a process of its own, ready to answer."""
    command = [sys.executable, "-m", "lima", "annotate", str(study), "--port", str(port), *flags]
    with (study / "server.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    wait_until_ready(port, process)
    return process


def wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    """Block until the server answers."""
    end = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, f"the server ended with code {process.returncode}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the server did not start")


async def one_rater(visitor: Visitor, code: str, end: float, think: float, generator: random.Random) -> None:
    """Join at a random moment, then read and vote until the time is over."""
    await asyncio.sleep(generator.uniform(0, 2 * think))
    await visitor.join(code)
    while time.monotonic() < end and await visitor.next():
        await asyncio.sleep(generator.expovariate(1 / think))
        await visitor.vote(generator.choice(["first", "second", "tie"]))


async def probe_floor(visitor: Visitor, end: float) -> None:
    """Ten of each a second that need no database, for comparison."""
    while time.monotonic() < end:
        await visitor.floor()
        await asyncio.sleep(0.1)


async def load(base: str, codes: list[str], seconds: float, think: float) -> dict[str, list[float]]:
    """All raters at once; the times of all requests by kind. A failed request is an error, not a time."""
    end = time.monotonic() + seconds
    async with aiohttp.TCPConnector(limit=0) as connector:
        sessions = [
            aiohttp.ClientSession(
                connector=connector, connector_owner=False, cookie_jar=aiohttp.CookieJar(unsafe=True)
            )
            for _ in codes
        ]
        visitors = [Visitor(base, session) for session in sessions]
        raters = [
            one_rater(visitor, code, end, think, random.Random(number))
            for number, (visitor, code) in enumerate(zip(visitors, codes, strict=True))
        ]
        try:
            await asyncio.gather(*raters, probe_floor(visitors[0], end))
        finally:
            for session in sessions:
                await session.close()
    merged: dict[str, list[float]] = defaultdict(list)
    for visitor in visitors:
        for kind, values in visitor.times.items():
            merged[kind] += values
    return merged


def show(times: dict[str, list[float]], seconds: float) -> None:
    """A line for each kind of request."""
    print(
        f"{'':8}{'requests':>10}{'per s':>8}{'median':>10}{'p99':>10}{'longest':>10}   p99 / target   p99 / floor"
    )
    floor = percentile(times["floor"], 0.99)
    for kind in ("next", "vote", "join", "floor", "bare"):
        values = times[kind]
        p99 = percentile(values, 0.99)
        cells = "".join(f"{1000 * value:>7.1f} ms" for value in (percentile(values, 0.5), p99, max(values)))
        ratios = f"{p99 / TARGET_SECONDS:>12.2f} {p99 / floor:>13.1f}"
        print(f"{kind:8}{len(values):>10}{len(values) / seconds:>8.1f}{cells}{ratios}")


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    """Run one measurement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raters", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--think", type=float, default=2.0, help="mean seconds between an item and its vote")
    parser.add_argument("--database", help="an empty PostgreSQL database; not given: SQLite")
    parser.add_argument("--port", type=int, default=8490)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lima-web-") as folder:
        # The size of the paper's study: 300 prompts, five baselines; as many votes each as the time may take.
        study = make_study(Path(folder) / "study", COMPARISONS)
        votes = 2 + int(2 * options.raters * options.seconds / options.think / COMPARISONS)
        flags = [
            "--overlap",
            "0",
            "--votes",
            str(votes),
            *(["--database", options.database] if options.database else []),
        ]
        with server(study, options.port, *flags):
            base = Database(options.database or sqlite_url(study / DATABASE_NAME))
            codes = [people.invite(base, "crowd", "", time.time()) for _ in range(options.raters)]
            base.close()
            time.sleep(SETTLING_SECONDS)
            times = asyncio.run(
                load(f"http://127.0.0.1:{options.port}", codes, options.seconds, options.think)
            )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{options.raters} raters, think time {options.think} s, {options.seconds:.0f} s, {base.engine.dialect.name}"
    )
    show(times, options.seconds)
    load_now = os.getloadavg()[0]
    print(
        f"server: {used.ru_utime + used.ru_stime:.0f} CPU s; load of the machine at the end: {load_now:.1f}"
    )


if __name__ == "__main__":
    main()
