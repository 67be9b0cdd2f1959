"""The tables: made by migrations, checked against the code, kept apart from other studies, copied before a change."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import OperationalError
from tests.annotate.conftest import MakeSite, MakeStudy, form, on_both_databases

from lima.annotate import archive, migrate, people
from lima.annotate.compare import open as compare
from lima.annotate.compare import plan
from lima.annotate.compare.texts import read_texts
from lima.annotate.database import Database, DiskSync, open_engine, sqlite_url
from lima.annotate.settings import AnnotateSettings, DatabaseSettings
from lima.annotate.tables import metadata
from lima.errors import LimaError


@on_both_databases
def test_the_migrations_make_the_tables_that_the_code_uses(database_url: Callable[[], str]) -> None:
    base = Database(database_url())
    migrate.prepare(base)
    migrate.prepare(base)
    with base.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert migrate.version(base) == migrate.newest()
    base.close()


@on_both_databases
def test_a_filled_database_of_the_first_version_comes_forward_with_every_row(
    database_url: Callable[[], str], tmp_path: Path
) -> None:
    base = Database(database_url())
    config = Config()
    config.set_main_option("script_location", str(migrate.FOLDER))
    with base.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    with base.write() as connection:
        first = sa.MetaData()
        first.reflect(connection)
        old = [table for table in first.sorted_tables if table.name != "alembic_version"]
        for table in old:
            for number in (1, 2):
                connection.execute(table.insert().values({c.name: _sample(c, number) for c in table.columns}))
    before = _rows(base, old)
    assert len(before) >= 7
    assert all(len(rows) == 2 for rows in before.values())
    if not base.is_sqlite:
        with pytest.raises(LimaError, match=r"older tables \(version 0001\)\. Back it up"):
            migrate.prepare(base)
        migrate.upgrade(base)
    migrate.prepare(base)
    assert migrate.version(base) == migrate.newest()
    assert _rows(base, old) == before
    with base.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    if base.is_sqlite:
        (copy,) = tmp_path.glob("*.0001.backup")
        saved = Database(sqlite_url(copy))
        assert (migrate.version(saved), _rows(saved, old)) == ("0001", before)
        saved.close()
    base.close()


def _sample(column: sa.Column[Any], number: int) -> Any:
    """A value of the column's type; the same number in every table, so that references hold."""
    samples: dict[type[Any], Any] = {int: number, float: number + 0.5, bool: number == 1, dict: {"n": number}}
    return samples.get(
        column.type.python_type, f"{column.name[:6]}{number}"[: getattr(column.type, "length", 9)]
    )


def _rows(base: Database, tables: Sequence[sa.Table]) -> dict[str, list[Any]]:
    with base.read() as connection:
        found = {table.name: connection.execute(sa.select(table)).all() for table in tables}
    return {name: sorted(map(tuple, rows), key=str) for name, rows in found.items()}


@pytest.mark.parametrize("durable", [True, False])
def test_sqlite_writes_ahead_and_a_vote_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    """The log is synced after the commit and before the block ends: NORMAL (1) leaves that to `DiskSync`."""
    (tmp_path / "a?b").mkdir()
    path, synced = tmp_path / "a?b" / "x.sqlite", list[tuple[str, int]]()

    def sync(descriptor: int, really: Callable[[int], None] = os.fdatasync) -> None:
        with sqlite3.connect(path) as other:
            (rows,) = other.execute("SELECT count(*) FROM t").fetchone()
        synced.append((os.readlink(f"/proc/self/fd/{descriptor}"), rows))
        really(descriptor)

    base = Database(sqlite_url(path))
    with base.write() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    monkeypatch.setattr(os, "fdatasync", sync)
    with base.write(durable=durable) as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 5_000}
    assert synced == ([(f"{path}-wal", 1)] if durable else [])
    base.close()


def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(LimaError, match="kept in a file"):
        open_engine("sqlite://")


def test_an_older_sqlite_file_is_copied_before_it_is_changed(tmp_path: Path) -> None:
    base = Database(sqlite_url(tmp_path / "x.sqlite"))
    migrate.prepare(base)
    with base.write() as connection:
        connection.execute(sa.text("DROP TABLE slots"))
        for table in reversed(metadata.sorted_tables):
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {table.name}"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0000'"))
    copy = migrate.copy_sqlite(base, "0000")
    assert copy.name == "x.sqlite.0000.backup"
    assert Database(sqlite_url(copy)).engine.connect().exec_driver_sql(
        "SELECT * FROM alembic_version"
    ).one() == ("0000",)


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    base = Database(sqlite_url(tmp_path / "x.sqlite"))
    migrate.prepare(base)
    with base.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LimaError, match="tables of a newer lima"):
        migrate.prepare(base)


@on_both_databases
def test_the_command_upgrades_and_tells_the_version(
    database_url: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    url = database_url()
    archive.database(DatabaseSettings(action="status", url=url))
    assert "version none" in capsys.readouterr().err
    archive.database(DatabaseSettings(action="upgrade", url=url))
    assert f"version {migrate.newest()}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("nonsense", "no database address"),
        ("mysql://x/y", "only sqlite and postgresql"),
        ("postgresql://lima@127.0.0.1:1/x", "cannot connect"),
    ],
)
def test_a_bad_address_is_named(url: str, problem: str) -> None:
    with pytest.raises(LimaError, match=problem):
        open_engine(url)


def test_a_password_is_not_shown_in_an_error() -> None:
    with pytest.raises(LimaError) as caught:
        open_engine("postgresql://lima:geheim@127.0.0.1:1/x")
    assert "geheim" not in str(caught.value)


def test_other_texts_are_refused(site: MakeSite) -> None:
    here = site(3)
    path = here.settings.place / "comparisons.jsonl"
    path.write_text(path.read_text().replace("left-0", "other"))
    with pytest.raises(LimaError, match="answers to other texts"):
        compare.open_work(here.settings, here.base, here.clock)


def test_another_plan_is_refused_with_the_difference(site: MakeSite) -> None:
    here = site(3)
    other = here.settings.model_copy(update={"votes": 3, "host": "0.0.0.0"})
    with pytest.raises(LimaError, match=r"\(votes: 1 there, 3 here\)"):
        compare.open_work(other, here.base, here.clock)


def test_the_protocol_plans_and_the_settings_overrule(study: MakeStudy) -> None:
    folder = study(6)
    words = (folder / "protocol.yaml").read_text()
    own = {"plan": {"overlap": 4, "overlap_votes": 3, "groups": ["author"]}}
    (folder / "protocol.yaml").write_text(yaml.safe_dump(yaml.safe_load(words) | own))
    planned = AnnotateSettings(study=folder)
    assert plan.describe(plan.make_plan(read_texts(planned), planned)) == [["pairwise", "author", 6, 14]]
    overruled = AnnotateSettings(study=folder, overlap=0, votes=2)
    assert plan.describe(plan.make_plan(read_texts(overruled), overruled)) == [["pairwise", "author", 6, 12]]
    with pytest.raises(LimaError, match="crowd is not among the groups"):
        read_texts(AnnotateSettings(study=folder, panel="prolific", panel_return="https://example.org/back"))


def test_the_plan_of_the_paper(study: MakeStudy) -> None:
    """LIMA, section 4.1: 50 shared comparisons, each seen by two of the crowd and two authors; the rest by one."""
    settings = AnnotateSettings(study=study(60), tasks=("pairwise", "quality"), rate_items=50)
    units = plan.make_plan(read_texts(settings), settings)
    assert plan.describe(units) == [
        ["pairwise", "author", 50, 100],
        ["pairwise", "crowd", 60, 110],
        ["rate", "author", 50, 50],
    ]


def test_every_item_gets_its_first_vote_before_any_gets_its_second(study: MakeStudy) -> None:
    settings = AnnotateSettings(study=study(6), overlap=3, groups=("crowd",))
    units = plan.make_plan(read_texts(settings), settings)
    order = [position for position, _ in plan.slots_of(units)]
    assert sorted(order[:6]) == list(range(6))
    assert len(order) == 6 + 3


def test_only_items_with_a_wanted_tag_are_rated(study: MakeStudy) -> None:
    settings = AnnotateSettings(study=study(8), tasks=("safety",), rate_tags=("sensitive",))
    units = plan.make_plan(read_texts(settings), settings)
    assert sorted(unit.text_id for unit in units) == ["item-000", "item-004"]


def test_a_plan_that_asks_nothing_is_refused(study: MakeStudy) -> None:
    settings = AnnotateSettings(study=study(2), votes=0, overlap=0)
    with pytest.raises(LimaError, match="the plan is empty"):
        plan.make_plan(read_texts(settings), settings)


def test_only_what_could_be_done_again_is_not_waited_for(new_postgresql: Callable[[], str]) -> None:
    base = Database(new_postgresql())
    found = []
    for durable in (True, False):
        with base.write(durable=durable) as connection:
            found.append(connection.exec_driver_sql("SHOW synchronous_commit").scalar())
    base.close()
    assert found == ["on", "off"]


@pytest.mark.parametrize("idle_seconds", [0.0, 60.0])
def test_connections_that_died_are_replaced(
    new_postgresql: Callable[[], str], monkeypatch: pytest.MonkeyPatch, idle_seconds: float
) -> None:
    """After a rest they are tried before use; in the middle of work one request fails, and no second one."""
    monkeypatch.setattr("lima.annotate.database.IDLE_SECONDS", idle_seconds)
    base = Database(new_postgresql())
    with base.read() as first, base.read() as second:
        dying = [
            connection.exec_driver_sql("SELECT pg_backend_pid()").scalar() for connection in (first, second)
        ]
    other = Database(new_postgresql())
    with other.write() as connection:
        for number in dying:
            connection.execute(sa.select(sa.func.pg_terminate_backend(number)))
    other.close()
    failed = 0
    for _ in range(3):
        try:
            with base.read() as connection:
                assert connection.exec_driver_sql("SELECT 1").scalar() == 1
        except OperationalError:
            failed += 1
    base.close()
    assert failed == (0 if idle_seconds == 0 else 1)


def test_who_waits_for_the_disk_together_waits_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first sync is held until all others wait: they share the second, since each began before it."""
    held, syncs = threading.Event(), list[int]()

    def sync(descriptor: int) -> None:
        syncs.append(descriptor)
        held.wait(60)

    monkeypatch.setattr(os, "fdatasync", sync)
    (tmp_path / "log").touch()
    disk = DiskSync(tmp_path / "log")
    with ThreadPoolExecutor(30) as pool:
        waits = [pool.submit(disk.sync) for _ in range(30)]
        while disk._waits < 30:
            time.sleep(0.001)
        held.set()
        assert sorted(one.result() for one in waits) == list(range(1, 31))
    assert len(syncs) == 2
    disk.sync()
    assert len(syncs) == 3  # what is committed later is on the disk by a later sync alone


@pytest.mark.parametrize("database", ["sqlite"])
def test_nothing_is_acknowledged_once_the_disk_has_failed(
    site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = site(2, overlap=0)
    rater = here.rater()
    page = rater.get("/work").text

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        assert rater.post("/answer", data=form(page, pairwise="first")).status_code == 503
    assert rater.post("/answer", data=form(page, pairwise="first")).status_code == 503


def test_a_log_is_moved_into_the_database_while_people_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lima.annotate.database.COMMITS_BETWEEN_CHECKPOINTS", 20)
    path = tmp_path / "a.sqlite"
    base = Database(sqlite_url(path))
    migrate.prepare(base)
    before = path.stat().st_size
    for number in range(60):
        with base.write() as connection:
            people.record(connection, "test", 1.0, payload={"text": "x" * 5_000, "number": number})
    assert path.stat().st_size > before + 60 * 5_000 * 0.9
    base.close()
    assert not path.with_name("a.sqlite-wal").exists()
