"""Rows of many raters meet in the same files."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.evaluate.conftest import MakeStudy

from lima.errors import LimaError
from lima.evaluate.study import add_grades, add_preferences, open_study, replace_rater
from lima.files import read_jsonl
from lima.records import Grade, Preference, Rater


def vote(rater: str, comparison: str, label: str = "a") -> Preference:
    row = {"id": f"{rater}/{comparison}", "comparison_id": comparison, "rater": rater, "shown": "ab"}
    return Preference.model_validate(row | {"label": label})


def test_raters_that_write_at_once_lose_no_row(make_study: MakeStudy) -> None:
    study = make_study(10)
    pairs = [row.id for row in study.read_comparisons()]
    names = [f"oracle:{number:02d}" for number in range(12)]

    def write(name: str) -> None:
        add_preferences(study, Rater(id=name, kind="oracle"), [vote(name, pair) for pair in pairs])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, names))
    rows = list(read_jsonl(study.preferences, Preference))
    assert Counter(row.rater for row in rows) == dict.fromkeys(names, 10)
    assert [row.id for row in rows] == sorted(row.id for row in rows)
    assert [row.id for row in read_jsonl(study.raters, Rater)] == names


def test_an_id_that_is_there_is_replaced_in_place(make_study: MakeStudy) -> None:
    study, rater = make_study(3), Rater(id="author:01", kind="author")
    pair = study.read_comparisons()[0].id
    add_preferences(study, rater, [vote(rater.id, pair, "a")])
    add_preferences(study, rater, [vote(rater.id, pair, "tie")])
    assert [row.label for row in read_jsonl(study.preferences, Preference)] == ["tie"]


def test_replacing_a_rater_takes_its_old_rows_and_those_of_former_selves(make_study: MakeStudy) -> None:
    study = make_study(3)
    pairs, item = [row.id for row in study.read_comparisons()], study.read_items()[0].id
    old, new, other = (Rater(id=f"judge:m@{name}", kind="judge") for name in ("old", "new", "other"))
    for rater in (old, new, other):
        add_preferences(study, rater, [vote(rater.id, pair) for pair in pairs])
    add_grades(study, old, [Grade(id="g", item_id=item, rater=old.id, scale="safety", value="safe")])
    gone = replace_rater(study, new, [vote(new.id, pairs[0])], former=lambda row: row.id.endswith("old"))
    assert gone == [old.id]
    assert Counter(row.rater for row in read_jsonl(study.preferences, Preference)) == {new.id: 1, other.id: 3}
    assert study.grades.read_bytes() == b""
    assert {row.id for row in read_jsonl(study.raters, Rater)} == {new.id, other.id}


def test_rows_of_another_rater_are_a_mistake_of_the_caller(make_study: MakeStudy) -> None:
    study = make_study(3)
    with pytest.raises(AssertionError, match="given as rows of"):
        add_preferences(study, Rater(id="crowd:01", kind="crowd"), [vote("crowd:02", "c")])


def test_a_folder_without_a_protocol_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(LimaError, match="no study here"):
        open_study(tmp_path)
