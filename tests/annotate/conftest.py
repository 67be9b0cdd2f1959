"""A small study, a clock that tests can turn, and the database on SQLite and on PostgreSQL."""

from __future__ import annotations

import glob
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from starlette.testclient import TestClient

from lima.annotate import people
from lima.annotate.app import create_app
from lima.annotate.compare.assignment import Assignment
from lima.annotate.database import Database, sqlite_url
from lima.annotate.dialogue.open import open_work as open_dialogues
from lima.annotate.migrate import prepare
from lima.annotate.serve import KINDS
from lima.annotate.settings import AnnotateSettings
from lima.evaluate.protocol import Protocol
from lima.files import write_jsonl, write_text
from lima.records import Comparison, Item, Message

SECRET = "a secret for the lead"
MakeStudy = Callable[[int], Path]


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Site:
    """The app of one study with its database, and browsers to visit it."""

    def __init__(
        self, settings: AnnotateSettings, url: str, backends: Sequence[Callable[[], Any]] = ()
    ) -> None:
        self.settings, self.clock = settings, Clock()
        self.base = Database(url)
        prepare(self.base)
        self.work: Any = (
            open_dialogues(settings, self.base, self.clock, backends)
            if backends
            else KINDS[settings.mode].open_work(settings, self.base, self.clock)
        )
        self.app = create_app(settings, self.work, self.base, lead_secret=SECRET, clock=self.clock)

    @property
    def name(self) -> str:
        """Of the study, in its cookies."""
        return str(self.app.state.site.name)

    def reopen(self) -> None:
        """Claim the database again, as a server that starts anew does."""
        KINDS[self.settings.mode].open_work(self.settings, self.base, self.clock)

    @property
    def assignment(self) -> Assignment:
        """Of a site where people compare and rate."""
        found: Assignment = self.work.assignment
        return found

    def browser(self) -> TestClient:
        return TestClient(self.app, base_url="http://127.0.0.1", raise_server_exceptions=True)

    def rater(self, group: str = "crowd") -> TestClient:
        """A browser that has accepted an invitation."""
        code = people.invite(self.base, group, "", self.clock())
        browser = self.browser()
        welcome = browser.get(f"/join/{code}")
        entered = browser.post(f"/join/{code}", data={"csrf": field(welcome.text, "csrf")})
        assert entered.status_code == 200, entered.text
        return browser

    def lead(self) -> TestClient:
        browser = self.browser()
        csrf = field(browser.get("/lead/sign-in").text, "csrf")
        console = browser.post("/lead/sign-in", data={"secret": SECRET, "csrf": csrf})
        assert 'id="invitations"' in console.text
        return browser


MakeSite = Callable[..., Site]


def cookie_of(browser: TestClient, kind: str) -> str:
    """The token in a browser's cookie: of a ``rater``, or of the ``lead``."""
    return next(value for name, value in browser.cookies.items() if name.startswith(f"lima_{kind}_"))


def field(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, f"no field {name} in {page[:2000]}"
    return found[1]


def form(page: str, **choices: str) -> dict[str, str]:
    """What the page's form sends for these choices."""
    return {name: field(page, name) for name in ("csrf", "item", "attempt")} | choices


def enter(browser: TestClient, **ids: str) -> str:
    """Come in by a panel's address, read what it is about, and begin; the page that follows."""
    welcome = browser.get("/panel", params=ids)
    if 'name="csrf"' not in welcome.text or "Start" not in welcome.text:
        return welcome.text
    return browser.post("/panel", params=ids, data={"csrf": field(welcome.text, "csrf")}).text


def make_study(folder: Path, size: int) -> Path:
    """A study whose texts name themselves: answer ``left-3`` is side a of comparison 3."""
    folder.mkdir(parents=True)
    comparisons, items = [], []
    for number in range(size):
        asked = (Message(role="user", content=f"question-{number}"),)
        tags = ("sensitive",) if number % 4 == 0 else ()
        comparisons.append(
            Comparison(
                id=f"cmp-{number:03d}", messages=asked, a=f"left-{number}.", b=f"right-{number}.", tags=tags
            )
        )
        items.append(Item(id=f"item-{number:03d}", messages=asked, content=f"single-{number}.", tags=tags))
    write_jsonl(folder / "comparisons.jsonl", comparisons)
    write_jsonl(folder / "items.jsonl", items)
    write_text(folder / "protocol.yaml", Protocol(systems=2, comparisons=size, items=size).to_yaml())
    # Whatever opens these breaks: they name systems.
    for name in ("key.jsonl", "systems.json", "rejects.jsonl", "compare.run.json"):
        (folder / name).mkdir()
    return folder


@pytest.fixture
def study(tmp_path: Path) -> MakeStudy:
    return lambda size: make_study(tmp_path / f"study-{size}", size)


@pytest.fixture
def site(study: MakeStudy, database_url: Callable[[], str]) -> Iterator[MakeSite]:
    """Makes sites on SQLite, or on the database of the test's ``database`` parameter."""
    opened: list[Site] = []

    def make(size: int = 6, **settings: Any) -> Site:
        backends = settings.pop("backends", ())
        folder = settings.pop("folder", None)
        if "review" not in settings:
            settings["study"] = folder or study(size)
        opened.append(Site(AnnotateSettings(**settings), database_url(), backends))
        return opened[-1]

    yield make
    for one in opened:
        one.base.close()


@pytest.fixture
def database() -> str:
    """SQLite; `make slow` runs everything once more with ``LIMA_TEST_DATABASE=postgresql``."""
    return os.environ.get("LIMA_TEST_DATABASE", "sqlite")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Once more on PostgreSQL: only tests that open a database, and have not yet met both."""
    if "LIMA_TEST_DATABASE" not in os.environ:
        return
    left = [item for item in items if not _meets_another_database(item)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def _meets_another_database(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    return "database_url" in fixtures and "database" not in getattr(
        getattr(item, "callspec", None), "params", {}
    )


@pytest.fixture
def database_url(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], str]:
    """Addresses of new, empty databases."""
    numbers = count()
    if database == "sqlite":
        return lambda: sqlite_url(tmp_path / f"annotations-{next(numbers)}.sqlite")
    return request.getfixturevalue("new_postgresql")  # type: ignore[no-any-return]


on_both_databases = pytest.mark.parametrize("database", ["sqlite", "postgresql"])


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL server of our own, on loopback and in a temporary folder."""
    found = shutil.which("initdb") or next(iter(sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))), None)
    if found is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="lima-postgresql-"))
    # The server refuses to run as root.
    user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    if user:
        shutil.chown(folder, "nobody", "nogroup")
    data, port = folder / "data", free_port()
    options: dict[str, Any] = {"check": True, "capture_output": True, "cwd": folder, **user}
    subprocess.run([found, "-D", data, "-U", "lima", "-A", "trust", "--no-sync"], **options)
    control = [str(Path(found).with_name("pg_ctl")), "-D", str(data), "-w"]
    flags = f"-k {folder} -h 127.0.0.1 -p {port} -c max_connections=200"
    started = subprocess.run([*control, "-l", str(folder / "log"), "-o", flags, "start"], **options)
    assert started.returncode == 0
    yield f"postgresql://lima@127.0.0.1:{port}"
    subprocess.run([*control, "-m", "immediate", "stop"], **options)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def new_postgresql(postgresql: str) -> Callable[[], str]:
    numbers = count()

    def make() -> str:
        """A schema of its own is as good as a database of its own, and quicker."""
        name = f"test_{next(numbers)}"
        with psycopg.connect(f"{postgresql}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{postgresql}/postgres?options=-csearch_path%3D{name}"

    return make


def free_port() -> int:
    """A port below those that outgoing connections get: clients that retry must not take a dead server's port."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
