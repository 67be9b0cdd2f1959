"""The command itself: starting, refusing, and being killed at any moment under load."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import socket
import sqlite3
import stat
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest
import sqlalchemy as sa
from benchmarks.web import Visitor, hidden, server, start_server
from tests.annotate.conftest import MakeStudy, free_port, make_study, on_both_databases

from lima.annotate import people
from lima.annotate.database import Database, sqlite_url
from lima.annotate.facts import DATABASE_NAME
from lima.annotate.serve import (
    LOCK_NAME,
    SECRET_NAME,
    annotate,
    lead_secret,
    only_server,
    open_database,
)
from lima.annotate.settings import AnnotateSettings
from lima.annotate.tables import events, presentations, slots, units
from lima.errors import LimaError
from lima.remote.listening import listen


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    study: MakeStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = study(4)
    before = sorted(folder.iterdir())
    annotate(AnnotateSettings(study=folder, dry_run=True))
    assert "pairwise" in capsys.readouterr().out
    assert sorted(folder.iterdir()) == before


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LimaError, match="no study here"):
        annotate(AnnotateSettings(study=tmp_path, dry_run=True))


def test_the_leads_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert lead_secret(path) == lead_secret(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("short\n")
    with pytest.raises(LimaError, match="16 or more"):
        lead_secret(path)


def test_a_port_in_use_is_named() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(LimaError, match="Choose another --port"):
        listen("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"panel": "prolific"}, "panel-return"),
        ({"panel": "generic", "panel_return": "javascript:x"}, "http"),
        ({"groups": ("crowd", "crowd")}, "once"),
        ({"panel": "prolific", "panel_return": "https://x.example", "groups": ("author",)}, "not among"),
    ],
)
def test_settings_that_contradict_are_refused(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(LimaError, match=problem):
        AnnotateSettings.model_validate({"study": "x"} | settings)


STALL_SECONDS = 180.0
"""Without one acknowledged answer: something hangs. How long all of them take says more about the machine."""


class Acknowledged(dict[str, str]):
    """Name of the item -> the choice that the server acknowledged; each answer puts a limit of time off."""

    def __init__(self, limit: asyncio.Timeout) -> None:
        super().__init__()
        self.limit = limit

    def __setitem__(self, item: str, choice: str) -> None:
        super().__setitem__(item, choice)
        self.limit.reschedule(asyncio.get_running_loop().time() + STALL_SECONDS)


async def vote_until_done(
    visitor: Visitor, code: str, acknowledged: Acknowledged, generator: random.Random
) -> None:
    """Work through the study; a request that fails is repeated as a browser would, with the same form."""
    await persist(lambda: visitor.join(code))
    while item := await persist(visitor.next):
        choice = generator.choice(["first", "second", "tie"])
        await persist(lambda choice=choice: visitor.vote(choice))  # type: ignore[misc]
        acknowledged[item] = choice
        if generator.random() < 0.2:  # a retry after the acknowledgement got lost
            await persist(lambda choice=choice: visitor.vote(choice))  # type: ignore[misc]


async def persist(request: Callable[[], object]) -> str | None:
    while True:
        try:
            return await request()  # type: ignore[misc, no-any-return]
        except aiohttp.ClientResponseError as error:
            if error.status not in (429, 503):
                raise
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.05)


async def kill_often(
    process: subprocess.Popen[bytes],
    start: Callable[[], subprocess.Popen[bytes]],
    times: int,
    done: Callable[[], float],
) -> subprocess.Popen[bytes]:
    """Kill the server at ``times`` moments spread over the work, and start it again each time; the last one."""
    for number in range(times):
        while done() < (number + 0.5) / (times + 1):
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)
        process = await asyncio.to_thread(start)
    return process


def kill_and_count(folder: Path, url: str | None, *, votes: int, kills: int, raters: int) -> None:
    study, port = make_study(folder / "study", votes), free_port()
    flags = ["--overlap", "0", "--lease-minutes", "0.1", *(["--database", url] if url else [])]

    def start() -> subprocess.Popen[bytes]:
        return start_server(study, port, *flags)

    async def everything(codes: list[str], process: subprocess.Popen[bytes]) -> Acknowledged:
        async with asyncio.timeout(STALL_SECONDS) as limit:
            acknowledged = Acknowledged(limit)
            done = lambda: len(acknowledged) / votes  # noqa: E731
            sessions = [aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) for _ in codes]
            base = f"http://127.0.0.1:{port}"
            work = [
                vote_until_done(Visitor(base, session), code, acknowledged, random.Random(number))
                for number, (session, code) in enumerate(zip(sessions, codes, strict=True))
            ]
            # Not before every rater is through: late answers to a place that was given away are acknowledged
            # too, so their number reaches that of the votes while some are still at work.
            *_, last = await asyncio.gather(*work, kill_often(process, start, kills, done))
            assert last is not None
            for session in sessions:
                await session.close()
            last.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(last.wait) == 130
        return acknowledged

    process = start()
    base = Database(url or sqlite_url(study / DATABASE_NAME))
    codes = [people.invite(base, "crowd", "", time.time()) for _ in range(raters)]
    check_votes(base, asyncio.run(everything(codes, process)), votes)
    base.close()


def check_votes(base: Database, acknowledged: Acknowledged, votes: int) -> None:
    """Every acknowledged vote is there as it was given; none is there twice."""
    frames = {"ab": {"first": "a", "second": "b"}, "ba": {"first": "b", "second": "a"}}
    query = (
        sa.select(presentations.c.token, presentations.c.shown, presentations.c.answer, units.c.text_id)
        .join(slots, slots.c.showing_id == presentations.c.id)
        .join(units, units.c.id == presentations.c.unit_id)
        .where(slots.c.done)
    )
    with base.read() as connection:
        stored = connection.execute(query).all()
        answers = connection.scalars(sa.select(events.c.showing_id).where(events.c.kind == "answer")).all()
        surplus = connection.scalars(
            sa.select(presentations.c.token).where(presentations.c.state == "surplus")
        ).all()
    assert len({row.text_id for row in stored}) == len(stored) == votes
    assert len(set(answers)) == len(answers)
    labels = {row.token: row.answer["pairwise"] for row in stored}
    shown = {row.token: row.shown for row in stored}
    assert set(acknowledged) - set(surplus) == set(labels)
    for token, choice in acknowledged.items():
        if token in labels:
            assert labels[token] == frames[shown[token]].get(choice, "tie")


def url_of(database: str, database_url: Callable[[], str]) -> str | None:
    return None if database == "sqlite" else database_url()


@pytest.mark.slow
@on_both_databases
def test_two_kills_lose_and_double_nothing(
    tmp_path: Path, database: str, database_url: Callable[[], str]
) -> None:
    kill_and_count(tmp_path, url_of(database, database_url), votes=800, kills=2, raters=40)


@pytest.mark.acceptance
@pytest.mark.timeout(10_800)
@on_both_databases
def test_fifty_kills_lose_and_double_nothing(
    tmp_path: Path, database: str, database_url: Callable[[], str]
) -> None:
    kill_and_count(tmp_path, url_of(database, database_url), votes=20_000, kills=50, raters=100)


@pytest.mark.slow
def test_the_command_serves_and_stops(study: MakeStudy) -> None:
    folder, port = study(3), free_port()
    with server(folder, port) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, 130)
    assert (folder / DATABASE_NAME).exists()


@pytest.mark.parametrize("name", ["a?b", "x%20y", "with space", "a#b", "ü"])
def test_a_study_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = make_study(tmp_path / name, 3)
    base = Database(sqlite_url(folder / DATABASE_NAME))
    open_database(AnnotateSettings(study=folder), base)
    base.close()
    assert (folder / DATABASE_NAME).stat().st_size > 0


@pytest.mark.parametrize(
    "content",
    [b"not a database at all, and long enough to be read" * 99, b"SQLite format 3\0" + b"x" * 4_000],
)
def test_a_damaged_database_is_one_line(study: MakeStudy, content: bytes) -> None:
    folder = study(3)
    (folder / DATABASE_NAME).write_bytes(content)
    with pytest.raises(LimaError, match=r"cannot be used|no SQLite database"):
        annotate(AnnotateSettings(study=folder))


def test_a_second_server_of_a_study_is_refused(study: MakeStudy) -> None:
    folder, other = study(3), study(4)
    with only_server(folder / LOCK_NAME), pytest.raises(LimaError, match="serves this study already"):
        annotate(AnnotateSettings(study=folder))
    there = other / "annotations.sqlite"  # a database that another folder's server has
    settings = AnnotateSettings(study=folder, database=sqlite_url(there))
    with only_server(Path(f"{there}-server")), pytest.raises(LimaError, match="serves this study already"):
        annotate(settings)
    only_server(folder / LOCK_NAME).close()


@pytest.mark.slow
def test_headers_are_bounded_and_a_locked_database_lets_health_answer(study: MakeStudy) -> None:
    folder, port = study(3), free_port()
    with server(folder, port):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n")
            with contextlib.suppress(OSError):
                for _ in range(2_000):
                    client.sendall(b"x: " + b"y" * 1_000 + b"\r\n")
            with contextlib.suppress(OSError):
                assert client.recv(64).startswith(b"HTTP/1.1 4")
        with closing(sqlite3.connect(folder / DATABASE_NAME)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            started = time.monotonic()
            status, _ = asyncio.run(sign_in_and_probe(port, (folder / SECRET_NAME).read_text().strip()))
            assert status == 503
            assert time.monotonic() - started < 10


async def sign_in_and_probe(port: int, secret: str) -> tuple[int, float]:
    """A write that waits for the lock, and how long /health takes meanwhile."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        base = f"http://127.0.0.1:{port}"
        async with session.get(f"{base}/lead/sign-in") as page:
            form = {"csrf": hidden(await page.text(), "csrf")}
        form["secret"] = secret
        writing = asyncio.create_task(session.post(f"{base}/lead/sign-in", data=form))
        await asyncio.sleep(0.2)
        started = time.monotonic()
        async with session.get(f"{base}/health") as health:
            assert health.status == 200
        took = time.monotonic() - started
        assert took < 1
        return (await writing).status, took
