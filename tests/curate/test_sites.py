"""Names of folders and archives -> exchanges; licences by date."""

from __future__ import annotations

import csv
from collections import Counter
from importlib import resources
from pathlib import Path

import pytest

from lima.curate.stackexchange.pairs import licence
from lima.curate.stackexchange.source import ExchangeTable
from lima.errors import LimaError

TABLE = ExchangeTable.read()


def test_the_shipped_table_has_the_paper_s_counts() -> None:
    """The sites that it does not count are so marked, and known all the same."""
    text = resources.files("lima.curate.stackexchange").joinpath("exchanges.tsv").read_text()
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    assert Counter(row["set"] for row in rows if not row["paper"]) == {"stem": 75, "other": 99, "niche": 5}
    assert {row["exchange"] for row in rows if row["paper"]} >= {"genai", "langdev"}
    assert len(TABLE.sets) == len(rows)


@pytest.mark.parametrize(
    ("text", "name", "host"),
    [
        ("cooking", "cooking", "cooking.stackexchange.com"),
        ("cooking.stackexchange.com", "cooking", "cooking.stackexchange.com"),
        ("Cooking.StackExchange.com", "cooking", "cooking.stackexchange.com"),
        ("matheducators_2014", "matheducators", "matheducators.stackexchange.com"),
        ("beer_2017", "alcohol", "alcohol.stackexchange.com"),
        ("health.stackexchange.com", "medicalsciences", "medicalsciences.stackexchange.com"),
        ("stackoverflow.com-Posts", "stackoverflow", "stackoverflow.com"),
        ("es.stackoverflow.com", "es.stackoverflow", "es.stackoverflow.com"),
        ("mathoverflow.net", "mathoverflow.net", "mathoverflow.net"),
        ("bicycles_meta_2023", "bicycles.meta", "bicycles.meta.stackexchange.com"),
        ("bicycles.meta.stackexchange.com", "bicycles.meta", "bicycles.meta.stackexchange.com"),
        ("meta.superuser.com", "superuser.meta", "meta.superuser.com"),
        ("es.meta.stackoverflow.com", "es.stackoverflow.meta", "es.meta.stackoverflow.com"),
        ("meta.stackexchange.com", "meta", "meta.stackexchange.com"),
    ],
)
def test_names(text: str, name: str, host: str) -> None:
    found = TABLE.get(text, "here")
    assert (found.name, found.host) == (name, host)
    assert found.meta == ("meta" in text)


def test_an_unknown_name_lists_near_ones() -> None:
    with pytest.raises(LimaError, match=r"^x/Posts.xml: no exchange is called 'cookin'. Near names: cooking"):
        TABLE.get("cookin", "x/Posts.xml")


DUMPS = {
    "in/beer/Posts.xml": "beer",
    "in/loom/Posts.xml": "loom",
    "in/kiln/Posts.xml": "kiln.meta.stackexchange.com",
}


def test_unknown_sites_are_named_together() -> None:
    known, warning = TABLE.resolve(DUMPS, "skip")
    assert list(known) == ["in/beer/Posts.xml"]
    assert "kiln.meta.stackexchange.com, loom." in warning
    with pytest.raises(
        LimaError, match=r"these sites: kiln.meta.stackexchange.com, loom\. .*--unknown-sites other"
    ):
        TABLE.resolve(DUMPS, "stop")
    known, warning = TABLE.resolve(DUMPS, "other")
    assert not warning
    assert [(e.name, e.set, e.meta) for e in known.values()] == [
        ("alcohol", "other", False), ("loom", "other", False), ("kiln.meta", "other", True),
    ]  # fmt: skip
    with pytest.raises(LimaError, match="these sites: a, b"):
        TABLE.resolve({"x": "a", "y": "b"}, "skip")
    with pytest.raises(LimaError, match=r"^x: no exchange is called 'a'"):
        TABLE.resolve({"x": "a"}, "skip")


def test_a_user_s_table_and_further_exchanges(tmp_path: Path) -> None:
    path = tmp_path / "mine.tsv"
    path.write_text("exchange\tset\told_dump_name\nforum\tother\tboard\n")
    table = ExchangeTable.read(path, {"lab": "stem"})
    assert [table.get(name, "").set for name in ("forum", "board", "lab")] == ["other", "other", "stem"]
    path.write_text("exchange\tset\nforum\twhatever\n")
    with pytest.raises(LimaError, match=r"mine.tsv:2"):
        ExchangeTable.read(path)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"CreationDate": "2011-04-07T23:59:59.999"}, "CC BY-SA 2.5"),
        ({"CreationDate": "2011-04-08T00:00:00.000"}, "CC BY-SA 3.0"),
        ({"CreationDate": "2018-05-01T23:59:59.999"}, "CC BY-SA 3.0"),
        ({"CreationDate": "2018-05-02T00:00:00.000"}, "CC BY-SA 4.0"),
        ({"CreationDate": "2010-01-01", "LastEditDate": "2019-01-01"}, "CC BY-SA 4.0"),
        ({"CreationDate": "2019-01-01", "ContentLicense": "CC BY-SA 3.0"}, "CC BY-SA 3.0"),
    ],
)
def test_licence_of_the_shown_revision(attributes: dict[str, str], expected: str) -> None:
    assert licence(attributes) == expected
