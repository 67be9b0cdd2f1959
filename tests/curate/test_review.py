"""Picking by hand: what is offered, how decisions come back, and dialogues from chains of comments."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.curate.dump import answer, posts, question, write

from lima.curate.choose.duplicates import DuplicateSettings
from lima.curate.pipeline import curate
from lima.curate.settings import CurateSettings
from lima.curate.sources.table import ColumnMap, Table
from lima.curate.stackexchange.dialogues import Dialogues, dialogue
from lima.curate.stackexchange.source import StackExchange
from lima.errors import LimaError
from lima.files import read_jsonl, write_jsonl
from lima.records import Example, Message, Reject, Review

OFF = DuplicateSettings(same_prompt=False, jaccard=None)


def forum(folder: Path, count: int = 20) -> Path:
    rows = [
        r
        for n in range(1, count + 1)
        for r in (
            question(n, f"Why does water boil sooner on mountain number {n}?", Score=n),
            answer(100 + n, n),
        )
    ]
    return write(folder / "dumps", posts(*rows))


def pick(folder: Path, out: Path, review: Path, quota: int = 2, **source: Any) -> list[str]:
    sources = {"forum": StackExchange(train=quota, review=True, **source)}
    curate(
        CurateSettings.from_recipe(
            "stackexchange", input=folder, out=out, review=review, sources=sources, duplicates=OFF
        )
    )
    path = out / "train.jsonl"
    return [example.id.rpartition("/")[2] for example in read_jsonl(path, Example)] if path.exists() else []


def decide(review: Path, **decisions: str) -> None:
    """Decisions by the question's number: ``n20="accept"``."""
    rows = []
    for row in read_jsonl(review, Review):
        decision = decisions.get("n" + row.candidate.id.rpartition("/")[2])
        changes: dict[str, Any] = {"decision": decision, "reviewer": "lead"} if decision else {}
        if decision == "edit":
            messages = (row.candidate.messages[0], Message(role="assistant", content="Shorter."))
            changes["edited"] = row.candidate.model_copy(update={"messages": messages})
        rows.append(row.model_copy(update=changes))
    write_jsonl(review, rows)


def numbers(review: Path) -> list[str]:
    return [row.candidate.id.rpartition("/")[2] for row in read_jsonl(review, Review)]


def test_candidates_are_offered_best_first_and_decisions_come_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Quota 2: 6 are offered, by score. One rejection offers a seventh; accepted and edited ones are taken."""
    folder, out, review = forum(tmp_path), tmp_path / "data", tmp_path / "review.jsonl"
    assert pick(folder, out, review) == []
    assert "6 candidates wait for a decision" in capsys.readouterr().err
    assert numbers(review) == ["20", "19", "18", "17", "16", "15"]
    assert not (out / "train.jsonl").exists()
    decide(review, n20="reject", n18="edit", n15="accept", n16="accept")
    assert pick(folder, out, review) == ["16", "18"], "15 is accepted too, but the quota is full"
    edited = next(e for e in read_jsonl(out / "train.jsonl", Example) if e.id.endswith("/18"))
    assert edited.messages[1].content == "Shorter."
    assert edited.meta.transforms[-1] == "edited by hand"
    assert numbers(review) == ["20", "19", "18", "17", "16", "15", "14"]
    rules = {r.id.rpartition("/")[2]: r.rule for r in read_jsonl(out / "rejected.jsonl", Reject)}
    assert rules == {
        "20": "rejected_by_hand", "19": "undecided", "17": "undecided", "15": "over_quota", "14": "undecided",
    }  # fmt: skip
    funnel = json.loads((out / "funnel.json").read_text())["sources"]["forum"]
    assert funnel["decoded"] == funnel["accepted"] + sum(funnel["rejected"].values()) == 7


def test_the_same_decisions_give_the_same_bytes(tmp_path: Path) -> None:
    folder, review = forum(tmp_path), tmp_path / "review.jsonl"
    pick(folder, tmp_path / "a", review)
    decide(review, n20="accept", n17="accept")
    pick(folder, tmp_path / "a", review)
    recorded = review.read_bytes()
    assert pick(folder, tmp_path / "b", review) == ["17", "20"]
    assert review.read_bytes() == recorded
    for name in ("train.jsonl", "rejected.jsonl", "funnel.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_decision_about_another_text_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, review = forum(tmp_path), tmp_path / "review.jsonl"
    pick(folder, tmp_path / "a", review, title_prompts=1)
    decide(review, n20="accept")
    assert pick(folder, tmp_path / "b", review, title_prompts=0) == []
    assert "its text has changed since it was decided" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda rows: [*rows, rows[0]], "two rows of"),
        (lambda rows: [rows[0].model_copy(update={"decision": "edit"})], "'edited' is empty"),
        (
            lambda rows: [rows[0].model_copy(update={"decision": "edit", "edited": rows[1].candidate})],
            "'edited' has another id",
        ),
    ],
)
def test_bad_review_files(change: Any, problem: str, tmp_path: Path) -> None:
    folder, review = forum(tmp_path), tmp_path / "review.jsonl"
    pick(folder, tmp_path / "a", review)
    write_jsonl(review, change(list(read_jsonl(review, Review))))
    with pytest.raises(LimaError, match=problem):
        pick(folder, tmp_path / "a", review)


def test_a_source_must_be_meant_for_picking(tmp_path: Path) -> None:
    settings = CurateSettings.from_recipe(
        "stackexchange", input=forum(tmp_path), out=tmp_path / "o", review=tmp_path / "r.jsonl"
    )
    with pytest.raises(LimaError, match=r"no source of the recipe is picked by hand \(stem, other\)"):
        curate(settings)


def comment(number: int, user: str | None, text: str, post: int = 101) -> dict[str, str]:
    row = {
        "Id": str(number),
        "PostId": str(post),
        "Text": text,
        "CreationDate": f"2012-05-03T10:00:{number:02d}.000",
    }
    return row | ({"UserId": user} if user else {})


def test_chains_of_comments() -> None:
    chain = [
        comment(9, "2", "Yes."),
        comment(3, "2", "Answerers first words are no turn."),
        comment(4, "1", "@Ann: and with salt, as in [this page](http://a.b/c)?"),
        comment(5, "7", "I do it so."),
        comment(6, "1", "Just a pinch. http://x.y"),
        comment(7, "2", "@Bob A pinch is `nothing`."),
        comment(8, "1", "Really?"),
        comment(10, "1", "Thanks!"),
    ]
    assert [(m.role, m.content) for m in dialogue(chain, "1", "2")] == [
        ("user", "and with salt, as in this page? Just a pinch."),
        ("assistant", "A pinch is `nothing`."),
        ("user", "Really?"),
        ("assistant", "Yes."),
    ]
    assert dialogue(chain[:2], "1", "2") == []
    assert dialogue(chain, "1", "1") == dialogue(chain, None, "2") == []


def test_dialogues_are_candidates_for_review(tmp_path: Path) -> None:
    """Of two answers with comments one has a chain of asker (101) and answerer (201)."""
    folder = forum(tmp_path, 3)
    lines = [
        comment(1, "101", "And with salt?"), comment(2, "201", "A little later."),
        comment(3, "999", "Nice.", post=102),
    ]  # fmt: skip
    attributes = (" ".join(f'{key}="{value}"' for key, value in line.items()) for line in lines)
    rows = "".join(f"  <row {text} />\n" for text in attributes)
    (folder / "cooking" / "Comments.xml").write_text(f"<comments>\n{rows}</comments>")
    settings = CurateSettings.from_recipe(
        "dialogues", input=folder, out=tmp_path / "data", review=tmp_path / "r.jsonl", duplicates=OFF
    )
    result = curate(settings)
    (row,) = read_jsonl(tmp_path / "r.jsonl", Review)
    assert row.candidate.id == "stackexchange/cooking/1/dialogue"
    assert [m.content for m in row.candidate.messages[2:]] == ["And with salt?", "A little later."]
    assert row.candidate.meta.tags == ("dialogue",)
    total = result.funnel.total("dialogues")
    assert total.dropped_unread["no_comments"] == 1
    assert total.rejected == {"no_dialogue": 1, "undecided": 1}


@pytest.mark.skipif("LIMA_DATA" not in os.environ, reason="LIMA_DATA is not set")
def test_dialogues_of_a_real_dump(tmp_path: Path) -> None:
    dump = Path(os.environ["LIMA_DATA"]) / "stackexchange" / "bicycles_meta_2023"
    settings = CurateSettings.from_recipe(
        "dialogues", input=dump, out=tmp_path / "data", review=tmp_path / "r.jsonl", include_meta=True
    )
    curate(settings)
    rows = list(read_jsonl(tmp_path / "r.jsonl", Review))
    assert len(rows) > 10
    assert all(len(r.candidate.messages) >= 4 and len(r.candidate.messages) % 2 == 0 for r in rows)
    assert Dialogues().review


TICKET = "Hallo Frau Fox,\n\nhalten Sie die Taste acht Sekunden, bis die Lampe grün wird.\n\nViele Grüße\nNina\nnina@example.com"


@pytest.mark.parametrize("pii", ["report", "redact", "drop"])
def test_what_was_cut_of_a_ticket_can_be_put_back(pii: Any, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(
        json.dumps({"id": 7, "prompt": "Wie setze ich das Gerät zurück?", "answer": TICKET})
    )
    own = Table(train=1, review=True, columns=ColumnMap(id="id"))
    review, out = tmp_path / "review.jsonl", tmp_path / "out"
    settings = CurateSettings.from_recipe(
        "own-data", input=tmp_path / "t.jsonl", out=out, review=review, sources={"own": own}, pii=pii
    )
    curate(settings)
    (row,) = read_jsonl(review, Review)
    lines = row.candidate.messages[1].content.split("\n")
    assert lines == ["Halten Sie die Taste acht Sekunden, bis die Lampe grün wird."]
    assert [cut.name for cut in row.cuts] == ["greeting", "signature"]
    for cut in reversed(row.cuts):
        lines[cut.line : cut.line + len(cut.instead.split("\n")) * bool(cut.instead)] = cut.text.split("\n")
    told = TICKET if pii == "report" else TICKET.replace("nina@example.com", "[EMAIL_1]")
    assert "\n".join(lines) == told
