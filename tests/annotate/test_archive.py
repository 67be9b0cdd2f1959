"""A whole database as a file and back: every table the same, on the other kind of database too, and work goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.annotate.conftest import MakeSite, Site, field, on_both_databases
from tests.annotate.test_checks import gold, work_through
from tests.annotate.test_dialogues import Parrot, answer_of, hold, parrots
from tests.annotate.test_review import decide, desk, form_of, write

from lima.annotate.archive import SECRET_TABLES, TableRow, database, export_database, import_database
from lima.annotate.compare.exchange import export_rows
from lima.annotate.database import Database, sqlite_url
from lima.annotate.migrate import prepare
from lima.annotate.settings import AnnotateSettings, DatabaseSettings
from lima.annotate.tables import metadata
from lima.errors import InputError, LimaError
from lima.files import read_jsonl, write_jsonl


def everything(base: Database) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables but the ways in, in the order of their keys."""
    found = {}
    with base.read() as connection:
        for table in metadata.sorted_tables:
            if table.name not in SECRET_TABLES:
                columns = [column for column in table.c if column.name != "external_hash"]
                query = sa.select(*columns).order_by(*table.primary_key)
                found[table.name] = [tuple(row) for row in connection.execute(query)]
    return found


def moved(here: Site, there: Database, path: Path) -> None:
    """Export, import, and compare."""
    assert export_database(here.base, path) == import_database(there, path) > 0
    assert everything(there) == everything(here.base)


def elsewhere(tmp_path: Path) -> Database:
    return Database(sqlite_url(tmp_path / "elsewhere.sqlite"))


@on_both_databases
def test_votes_checks_repeats_and_decisions(
    site: MakeSite, tmp_path: Path, database_url: Callable[[], str]
) -> None:
    here = site(8, overlap=4, gold=gold(tmp_path), gold_every=2, gold_misses=2, attention_every=3)
    work_through(here.rater("crowd"), right=True)
    work_through(here.rater("crowd"), right=False)  # ends after two misses
    work_through(here.rater("author"), right=True)
    lead = here.lead()
    csrf = field(lead.get("/lead").text, "csrf")
    decision = {"csrf": csrf, "comparison": "cmp-000", "label": "tie", "reason": "Both are fine."}
    assert lead.post("/lead/adjudicate", data=decision).status_code == 200
    lead.post("/lead/raters/3/exclude", data={"csrf": csrf})
    for number, there in enumerate((elsewhere(tmp_path), Database(database_url()))):
        moved(here, there, tmp_path / f"all-{number}.jsonl")
        assert export_rows(there) == export_rows(here.base)
        there.close()
    text = (tmp_path / "all-0.jsonl").read_text()
    with here.base.read() as connection:
        secrets = connection.scalars(
            sa.text("SELECT token_hash FROM sessions UNION SELECT code_hash FROM invitations")
        )
        assert not [secret for secret in secrets if secret in text]


@on_both_databases
def test_work_goes_on_where_it_was(
    site: MakeSite, study: Callable[[int], Path], tmp_path: Path, database_url: Callable[[], str]
) -> None:
    """New rows get new ids on PostgreSQL, too, whose counters have not seen those of the file."""
    folder = study(6)
    before = site(folder=folder, overlap=0)
    work_through(before.rater(), right=True, most=2)
    export_database(before.base, tmp_path / "all.jsonl")
    url = database_url()
    there = Database(url)
    import_database(there, tmp_path / "all.jsonl")
    there.close()
    after = Site(AnnotateSettings(study=folder, overlap=0), url)
    work_through(after.rater(), right=True)
    assert len(export_rows(after.base).preferences) == 6
    assert {row.rater for row in export_rows(after.base).preferences} == {"crowd:01", "crowd:02"}
    after.base.close()


@on_both_databases
def test_dialogues(site: MakeSite, tmp_path: Path) -> None:
    here = parrots(tmp_path, site, Parrot("red"), Parrot("blue"))
    browser = here.rater()
    hold(browser)
    hold(browser)
    choice = {"csrf": field(browser.get("/dialogue").text, "csrf"), "opening": "open-0", "best": "0"}
    assert browser.post("/dialogue/choose", data=choice).status_code == 200
    assert answer_of(browser)  # the next dialogue has begun: nothing is under way while the two are compared
    moved(here, elsewhere(tmp_path), tmp_path / "all.jsonl")
    assert everything(here.base)["turns"]


@on_both_databases
def test_the_desk(site: MakeSite, tmp_path: Path) -> None:
    here = desk(site, tmp_path)
    one = here.rater("A")
    decide(one, "accept")
    write(one, "How do I sharpen a knife at home?")
    assert form_of(one)
    moved(here, elsewhere(tmp_path), tmp_path / "all.jsonl")
    assert everything(here.base)["drafts"]


def test_what_does_not_fit_is_refused_and_nothing_is_kept(site: MakeSite, tmp_path: Path) -> None:
    here = site(3, overlap=0)
    work_through(here.rater(), right=True)
    path = tmp_path / "all.jsonl"
    export_database(here.base, path)
    with pytest.raises(LimaError, match="holds a study already"):
        import_database(here.base, path)
    first, *lines = read_jsonl(path, TableRow)
    other, damaged, odd = (tmp_path / f"{name}.jsonl" for name in ("other", "damaged", "odd"))
    write_jsonl(other, [first.model_copy(update={"row": {"version": "0000"}}), *lines])
    with pytest.raises(InputError, match="version 0000"):
        import_database(elsewhere(tmp_path), other)
    write_jsonl(damaged, [first, *(line for line in lines if line.table != "raters")])
    with pytest.raises(LimaError, match=r"a row of .* does not fit"):
        import_database(elsewhere(tmp_path), damaged)
    write_jsonl(odd, [first, TableRow(table="sessions", row={"token_hash": "x"})])
    with pytest.raises(LimaError, match="no table 'sessions'"):
        import_database(elsewhere(tmp_path), odd)
    assert not any(everything(elsewhere(tmp_path)).values())
    with pytest.raises(LimaError, match="no tables of this version"):
        export_database(Database(sqlite_url(tmp_path / "new.sqlite")), path)


def test_by_the_command(site: MakeSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = site(3, overlap=0)
    work_through(here.rater(), right=True)
    source, target = str(here.base.engine.url), sqlite_url(tmp_path / "copy.sqlite")
    database(DatabaseSettings(action="export", url=source, file=tmp_path / "all.jsonl"))
    database(DatabaseSettings(action="import", url=target, file=tmp_path / "all.jsonl"))
    copy = Database(target)
    assert everything(copy) == everything(here.base)
    assert "import: " in capsys.readouterr().err
    for action, file in (("export", None), ("upgrade", tmp_path / "all.jsonl")):
        with pytest.raises(LimaError, match="--file"):
            DatabaseSettings(action=action, url=target, file=file)
    prepare(copy)
    copy.close()
