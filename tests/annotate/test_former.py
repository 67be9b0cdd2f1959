"""Study folders and databases of a former version come forward with the same answers.

The files in ``databases/0002`` were made by the code before panels, remarks and quizzes: comparisons and ratings with repeats,
an answer taken back, a decision of the lead, an excluded rater and an item in hand; dialogues of two raters, one unfinished.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.annotate.conftest import Site, field
from tests.annotate.test_dialogues import Parrot

from lima.annotate import migrate
from lima.annotate.database import Database, sqlite_url
from lima.annotate.facts import DATABASE_NAME
from lima.annotate.settings import AnnotateSettings
from lima.files import read_jsonl
from lima.records import Dialogue, Grade, Item, Preference

FORMER = Path(__file__).parent / "databases" / "0002"
RECORDS: dict[str, Any] = {
    "preferences": Preference,
    "grades": Grade,
    "dialogues": Dialogue,
    "items": Item,
}


@pytest.mark.parametrize("kind", ["compare", "dialogue"])
def test_a_study_of_the_former_version_goes_on_with_its_answers(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "study"
    shutil.copytree(FORMER / kind, folder)
    url = sqlite_url(folder / DATABASE_NAME)
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as connection:
        connection.executescript((folder / "annotations.sql").read_text())
    with closing(Database(url)) as base:
        assert migrate.version(base) == "0002"
    here = compare_site(folder, url) if kind == "compare" else dialogue_site(folder, url)
    assert migrate.version(here.base) == migrate.newest()
    found = {path.name.split(".")[1] for path in folder.glob("people.*.jsonl")} & RECORDS.keys()
    assert len(found) == (2 if kind == "compare" else 4)
    for name in found:
        assert list(here.work.rows(f"{name}.jsonl")) == former_rows(folder, name), name
    lead = here.lead()
    done = lead.post("/lead/export", data={"csrf": field(lead.get("/lead").text, "csrf")})
    assert "Wrote" in done.text
    written = list(read_jsonl(folder / "preferences.jsonl", Preference))
    assert written == former_rows(folder, "preferences")
    assert "crowd:02" in lead.get("/lead").text
    assert here.rater().get(here.work.home).status_code == 200
    here.base.close()


def former_rows(folder: Path, name: str) -> list[Any]:
    """What the former version exported. It called the side of a dialogue known, which it is not: A is always first."""
    rows = list(read_jsonl(folder / f"people.{name}.jsonl", RECORDS[name]))
    if name == "preferences" and "dialogues/" in rows[0].id:
        return [row.model_copy(update={"shown": None}) for row in rows]
    return rows


def compare_site(folder: Path, url: str) -> Site:
    return Site(
        AnnotateSettings(study=folder, overlap=2, tasks=("pairwise", "quality"), attention_every=2), url
    )


def dialogue_site(folder: Path, url: str) -> Site:
    systems = (Parrot("red"), Parrot("blue"))
    settings = AnnotateSettings(
        study=folder,
        dialogue=tuple(f"runs/{system.name}" for system in systems),
        openings=folder / "openings.jsonl",
        dialogue_votes=2,
    )
    return Site(settings, url, systems)
