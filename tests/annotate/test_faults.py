"""Faults of the machine: each is one sentence for whoever can mend it, and no vote is lost by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.annotate.conftest import MakeSite, MakeStudy, Site, field, form

from lima.annotate.compare.exchange import export_rows
from lima.annotate.database import Database, sqlite_url
from lima.annotate.facts import DATABASE_NAME
from lima.annotate.serve import LOCK_NAME, only_server, open_database
from lima.annotate.settings import AnnotateSettings
from lima.annotate.tables import events
from lima.errors import LimaError


@pytest.fixture
def voted(study: MakeStudy) -> tuple[Path, int]:
    """A study with answers in the database of its folder, and how many pages that has."""
    folder = study(12)
    here = Site(AnnotateSettings(study=folder, overlap=0), sqlite_url(folder / DATABASE_NAME))
    rater = here.rater()
    for _ in range(8):
        here.clock.now += 10
        rater.post("/answer", data=form(rater.get("/work").text, pairwise="tie"))
    with here.base.look() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    here.base.close()
    return folder, pages


def test_a_database_that_was_damaged_is_refused_at_the_start(voted: tuple[Path, int]) -> None:
    folder, pages = voted
    path = folder / DATABASE_NAME
    whole, size = path.read_bytes(), path.stat().st_size // pages
    middle = pages // 2 * size
    overwritten = whole[:middle] + b"\xff" * 4 * size + whole[middle + 4 * size :]
    for damaged in (whole[: -6 * size], overwritten):
        path.write_bytes(damaged)
        base = Database(sqlite_url(path))
        with pytest.raises(LimaError, match="cannot be used") as told:
            open_database(AnnotateSettings(study=folder), base)
        base.close()
        assert "\n" not in str(told.value)
        assert path.read_bytes() == damaged  # who brings the rest back from a copy finds what was there


def test_a_folder_that_cannot_be_written_is_named() -> None:
    place = Path("/proc/no-study-here")  # nothing can be made there, by root neither
    with pytest.raises(LimaError, match=r"/proc/no-study-here: cannot write there"):
        only_server(place / LOCK_NAME)


def test_on_a_full_disk_a_vote_is_not_acknowledged_and_can_be_sent_again(site: MakeSite) -> None:
    here = site(8, overlap=0)
    rater = here.rater()
    page = rater.get("/work").text
    full = is_full(here.base)
    refused = rater.post("/answer", data=form(page, pairwise="first"), headers={"accept": "application/json"})
    assert refused.status_code == 503
    assert "cannot save just now" in refused.json()["problem"]
    full()
    assert export_rows(here.base).preferences == ()
    sent = rater.post("/answer", data=form(page, pairwise="first"), headers={"accept": "application/json"})
    assert sent.json()["saved"]
    assert len(export_rows(here.base).preferences) == 1


def is_full(base: Database) -> Any:
    """From now on SQLite finds no page beyond those in use, and none of them is empty; call what comes back for space."""
    if not base.is_sqlite:
        pytest.skip("of PostgreSQL's disk its own server tells")

    def shrink(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # SQLite makes it the number of those in use

    with base.write() as connection:  # a vote fits into half of a page: leave none
        connection.exec_driver_sql("CREATE TABLE filler (x)")
        connection.exec_driver_sql("INSERT INTO filler VALUES (zeroblob(100))")
    sa.event.listen(base.engine, "connect", shrink)
    base.engine.dispose()
    fill_up(base)

    def space() -> None:
        sa.event.remove(base.engine, "connect", shrink)
        base.engine.dispose()

    return space


def fill_up(base: Database) -> None:
    """Use up the space in pages that are in use, in the tables of a vote."""
    row = {"kind": "x", "at": 0.0, "payload": {}}
    with pytest.raises(sa.exc.OperationalError, match="full"):  # noqa: PT012
        for number in range(10_000):
            with base.write() as connection:
                connection.execute(sa.insert(events), row | {"key": f"x{number}"})


def test_a_broken_line_at_export_is_named_and_nothing_is_overwritten(site: MakeSite) -> None:
    here = site(4, overlap=0)
    rater, lead = here.rater(), here.lead()
    rater.post("/answer", data=form(rater.get("/work").text, pairwise="first"))
    assert here.settings.study is not None
    path = here.settings.study / "preferences.jsonl"
    path.write_text('{"id": "half a li')
    csrf = field(lead.get("/lead").text, "csrf")
    refused = lead.post("/lead/export", data={"csrf": csrf})
    assert refused.status_code == 409
    assert "preferences.jsonl:1" in refused.text
    assert path.read_text() == '{"id": "half a li'
    path.unlink()
    assert lead.post("/lead/export", data={"csrf": csrf}).status_code == 200
    assert len(path.read_text().splitlines()) == 1
