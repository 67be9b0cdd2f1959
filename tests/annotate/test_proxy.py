"""A study behind a real nginx, under a path, as docs/human-study.md shows it."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
from benchmarks.web import Visitor, hidden, server
from tests.annotate.conftest import MakeStudy, free_port

from lima.annotate import people
from lima.annotate.database import Database, sqlite_url
from lima.annotate.facts import DATABASE_NAME
from lima.annotate.serve import SECRET_NAME

DOCS = Path(__file__).parents[2] / "docs" / "human-study.md"


@contextmanager
def nginx(folder: Path, port: int, behind: int) -> Iterator[None]:
    found = shutil.which("nginx")
    if found is None:
        pytest.skip("nginx is not installed (Debian: apt-get install nginx-light)")
    location = re.search(r"```nginx\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)
    assert location
    inner = location[1].replace("127.0.0.1:8400", f"127.0.0.1:{behind}")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{}} http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port};\n{inner} }} }}"
    )
    process = subprocess.Popen([found, "-p", str(folder), "-c", str(folder / "nginx.conf")])
    time.sleep(0.5)
    yield
    process.terminate()
    process.wait(10)


async def sign_in(base: str, secret: str, address: str) -> int:
    """The status of an attempt to enter the lead's console, made from one of the loopback's addresses."""
    jar = aiohttp.CookieJar(unsafe=True)
    connector = aiohttp.TCPConnector(local_addr=(address, 0))
    async with aiohttp.ClientSession(cookie_jar=jar, connector=connector) as session:
        async with session.get(f"{base}/lead/sign-in") as reply:
            form = {"csrf": hidden(await reply.text(), "csrf"), "secret": secret}
        async with session.post(f"{base}/lead/sign-in", data=form) as reply:
            return reply.status


async def work_through(base: str, code: str) -> int:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        visitor, votes = Visitor(base, session), 0
        await visitor.join(code)
        while await visitor.next():
            await visitor.vote("first")
            votes += 1
        return votes


@pytest.mark.slow
def test_a_study_under_a_path_of_a_proxy(study: MakeStudy, tmp_path: Path) -> None:
    folder, behind, port = study(3), free_port(), free_port()
    base = f"http://127.0.0.1:{port}/study"
    (tmp_path / "nginx").mkdir()
    with (
        server(folder, behind, "--overlap", "0", "--public-url", base),
        nginx(tmp_path / "nginx", port, behind),
    ):
        database = Database(sqlite_url(folder / DATABASE_NAME))
        code = people.invite(database, "crowd", "", time.time())
        database.close()
        assert asyncio.run(work_through(base, code)) == 3
        guesses = [asyncio.run(sign_in(base, "a wrong secret", "127.0.0.2")) for _ in range(12)]
        assert guesses[0] == 401
        assert guesses[-1] == 429, "one visitor has guessed too often"
        secret = (folder / SECRET_NAME).read_text().strip()
        assert asyncio.run(sign_in(base, secret, "127.0.0.1")) == 200, "the lead is another visitor"
