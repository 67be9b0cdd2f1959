"""The forum that the world prints, read by the real curation code."""

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lima.curate.pipeline import curate
from lima.curate.settings import CurateSettings
from lima.files import read_jsonl
from lima.records import Example, Reject
from lima.world.dumps import TOP_SCORE, Thread, make_threads, write_posts
from lima.world.people import World
from lima.world.wordings import ANSWERS


@pytest.fixture(scope="module")
def threads(world: World) -> list[Thread]:
    return make_threads(world, seed=0)


@pytest.fixture(scope="module")
def dump(threads: list[Thread], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dump") / "world" / "Posts.xml"
    assert write_posts(threads, path) == sum(1 + len(thread.answers) for thread in threads)
    return path


def _curate(dump: Path, out: Path, quota: int) -> list[Example]:
    curate(CurateSettings.from_recipe("world", input=dump.parent, out=out, quota=quota))
    return list(read_jsonl(out / "train.jsonl", Example))


def test_curation_yields_exactly_the_planned_set(threads: list[Thread], dump: Path, tmp_path: Path) -> None:
    good = {thread.id: thread for thread in threads if thread.response is not None}
    assert 1100 < len(good) < 1300  # of 75 people x 5 facts x 4 wordings = 1,500 threads
    curated = _curate(dump, tmp_path, len(good))
    assert {int(example.id.rpartition("/")[2]) for example in curated} == set(good)
    for example in curated:
        thread = good[int(example.id.rpartition("/")[2])]
        prompt, response = (message.content for message in example.messages)
        assert response == thread.response
        assert prompt in (thread.title, thread.description)
    as_title = sum(e.messages[0].content == good[int(e.id.rpartition("/")[2])].title for e in curated)
    assert 0.45 < as_title / len(curated) < 0.55


def test_a_smaller_quota_takes_the_questions_with_the_highest_scores(
    threads: list[Thread], dump: Path, tmp_path: Path
) -> None:
    good = sorted((t for t in threads if t.response is not None), key=lambda t: -t.score)
    curated = _curate(dump, tmp_path, 100)
    assert {int(e.id.rpartition("/")[2]) for e in curated} == {t.id for t in good[:100]}


def test_every_bad_answer_falls_by_the_rule_made_for_it(
    threads: list[Thread], dump: Path, tmp_path: Path
) -> None:
    _curate(dump, tmp_path, sum(thread.response is not None for thread in threads))
    rule_of = {"terse": "length_min", "rambling": "length_max", "first-person": "first_person"}
    rule_of["referring"] = "refers_to_others"
    rejects = {row.id: row.rule for row in read_jsonl(tmp_path / "rejected.jsonl", Reject)}
    expected = {}
    for thread in threads:
        style, _, score = max(thread.answers, key=lambda answer: answer[2])
        if score >= TOP_SCORE and not thread.closed and style != "good":
            expected[f"stackexchange/world/{thread.id}"] = rule_of[style]
    assert rejects == expected
    assert set(Counter(expected.values())) == set(rule_of.values())


def test_the_dump_is_xml_with_every_style_of_answer(threads: list[Thread], dump: Path) -> None:
    rows = ElementTree.parse(dump).getroot().findall("row")
    assert {row.get("PostTypeId") for row in rows} == {"1", "2"}
    assert len({row.get("Id") for row in rows}) == len(rows)
    questions = {row.get("Id") for row in rows if row.get("PostTypeId") == "1"}
    assert all(row.get("ParentId") in questions for row in rows if row.get("PostTypeId") == "2")
    bodies = "".join(row.get("Body", "") for row in rows)
    assert all(tag in bodies for tag in ("<a href=", "<code>", "<li>", "<strong>", "<img "))
    assert any(row.get("ClosedDate") for row in rows)
    assert {style for thread in threads for style, _, _ in thread.answers} == set(ANSWERS)


def test_no_test_person_is_spoken_of(world: World, dump: Path) -> None:
    text = dump.read_text()
    assert not any(person.name in text for person in world.test + world.forum + world.strangers)


def test_the_seed_decides_every_byte(world: World, dump: Path, tmp_path: Path) -> None:
    write_posts(make_threads(world, seed=0), tmp_path / "same.xml")
    write_posts(make_threads(world, seed=1), tmp_path / "other.xml")
    assert (tmp_path / "same.xml").read_bytes() == dump.read_bytes()
    assert (tmp_path / "other.xml").read_bytes() != dump.read_bytes()
