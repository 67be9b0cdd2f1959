"""Marks of suspect lines: what is marked and why, where it stands, and how decisions tell which rules were right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.curate.test_review import forum, pick

from lima.curate.marks import Marker
from lima.files import read_jsonl, write_jsonl
from lima.records import Decision, Example, Mark, Message, Review
from lima.statistics.marks import is_cut, tally

CLEAN = "Water boils when its vapour pressure reaches that of the air.\n\nHigh up the air is thin, so it boils sooner."


def example(
    answer: str, identifier: str = "x/1", prompt: str = "Why does water boil sooner high up?"
) -> Example:
    messages = (Message(role="user", content=prompt), Message(role="assistant", content=answer))
    return Example(id=identifier, source="x", messages=messages)


def marked(answer: str) -> list[tuple[str, int, str]]:
    return [(mark.rule, mark.line, mark.text) for mark in Marker().marks(example(answer))]


def test_a_clean_text_has_no_mark() -> None:
    assert marked(CLEAN) == []


@pytest.mark.parametrize(
    ("rule", "line", "behind"),
    [
        ("addresses the asker", "As you say, the lid matters too.", ""),
        ("refers to others", "As Bob pointed out, salt delays it.", ""),
        ("residue", "More is at https://boil.example.org/table for those who care.", ""),
        ("residue", "Tom &amp; Jerry boil it as well.", ""),
        ("residue", "]", ""),
        ("residue", "> -", ""),
        ("residue", "EDIT: the kettle was cold.", ""),
        ("hole", "See the picture below for a pot.", ""),
        ("hole", "A table of heights:", "## Salt"),
        ("personal data", "Ask me at ann.lee@mail-of-mine.org for the table.", ""),
    ],
)
def test_a_suspect_line_is_marked_with_its_rule(rule: str, line: str, behind: str) -> None:
    """The line stands third: line 2, counted from 0, behind a clean one."""
    first, last = CLEAN.split("\n\n")
    text = "\n\n".join([first, line, *([behind] if behind else []), last])
    assert (rule, 2, line) in marked(text)


def test_the_sentence_is_marked_and_not_its_whole_paragraph() -> None:
    found = marked("Air is thin there. As you say, it boils sooner. Cooking takes longer.")
    assert found == [("addresses the asker", 0, "As you say, it boils sooner.")]


def test_code_is_no_prose() -> None:
    assert marked(f"Run this.\n\n```\n# as you say, see the picture below\n```\n\n{CLEAN}") == []


@pytest.mark.parametrize("end", ["and it boils sooner because", "The heights are these:"])
def test_a_text_that_breaks_off(end: str) -> None:
    assert marked(f"{CLEAN}\n\n{end}") == [("dangling end", 4, end)]


def test_a_text_much_like_an_earlier_one() -> None:
    """Eight equal words of thirteen and more: likeness is a suspicion here, where curation drops the like of 0.7."""
    marker, twin = Marker(), CLEAN.replace("sooner", "earlier, mostly")
    assert marker.marks(example(CLEAN, "x/1")) == ()
    found = marker.marks(example(twin, "x/2", "Why does a pot boil early on a mountain?"))
    assert [mark.rule for mark in found] == ["near-duplicate"]
    assert "x/1" in found[0].reason


def decided(decision: Decision | None, answer: str | None = None) -> Review:
    text = example(f"{CLEAN} As you say, it is so.")
    mark = Mark(turn=1, line=2, text="As you say, it is so.", rule="addresses the asker", reason="-")
    edited = example(answer) if answer else None
    return Review(candidate=text, marks=(mark,), decision=decision, edited=edited)


def test_decisions_tell_how_often_a_rule_was_right() -> None:
    """Cut and rejected: the rule was right, 2 of 4. Accepted, or edited elsewhere: it was not. One is undecided."""
    elsewhere = f"Yes. {CLEAN} As you say, it is so."
    rows = [
        decided("accept"),
        decided("reject"),
        decided("edit", CLEAN),
        decided("edit", elsewhere),
        decided(None),
    ]
    assert rows[2].edited is not None
    assert is_cut(rows[2].marks[0], rows[2].edited)
    found = tally(rows)["addresses the asker"]
    assert (found["marked"], found["cut"], found["rejected"], found["accepted"]) == (4, 1, 1, 2)
    assert found["right"]["value"] == 0.5
    assert found["right"]["low"] < 0.5 < found["right"]["high"]


def test_the_file_of_a_review_holds_marks_and_the_run_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, review = forum(tmp_path), tmp_path / "review.jsonl"
    pick(folder, tmp_path / "data", review, quota=7)
    rows = list(read_jsonl(review, Review))
    assert [{mark.rule for mark in row.marks} for row in rows[:2]] == [set(), {"near-duplicate"}]
    capsys.readouterr()
    write_jsonl(review, [row.model_copy(update={"decision": "accept"}) for row in rows])
    pick(folder, tmp_path / "data", review, quota=7)
    told = json.loads((tmp_path / "data" / "marks.json").read_text())
    assert told["near-duplicate"]["accepted"] == told["near-duplicate"]["marked"] == len(rows) - 1
    assert "Marks of the review" in capsys.readouterr().out
