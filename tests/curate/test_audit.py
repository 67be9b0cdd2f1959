"""The audit: a blind draw, the figures that follow from verdicts, and the whole way by the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.curate.dump import LONG, answer, posts, question, write

from lima import cli
from lima.curate.audit import Selection, agreement, draw, report, write_draw
from lima.errors import LimaError
from lima.files import read_jsonl, write_jsonl
from lima.records import Decision, Example, Message, Meta, Reject, Review
from lima.statistics.intervals import wilson


def example(identifier: str) -> Example:
    messages = (Message(role="user", content="Q"), Message(role="assistant", content=identifier))
    return Example(id=identifier, source="x", messages=messages, meta=Meta(score=99, category="c"))


def selection(accepted: int, rejected: int, rule: str = "hollow") -> Selection:
    rejects = [Reject(id=f"r{n}", rule=rule, reason="-") for n in range(rejected)]
    return Selection.of(
        [example(f"a{n}") for n in range(accepted)], [*rejects, Reject(id="s", rule="score", reason="-")]
    )


def test_the_draw_is_blind_even_and_repeatable(tmp_path: Path) -> None:
    found = selection(30, 50)
    assert "s" not in found.rejected, "no reader can judge a score"
    drawn = draw(found, 20, 1, lambda ids: {i: example(i) for i in ids})
    ids = [row.id for row in drawn]
    assert (sum(i[0] == "a" for i in ids), sum(i[0] == "r" for i in ids)) == (20, 20)
    assert all(row.meta == Meta() for row in drawn)
    assert [row.id for row in draw(found, 20, 1, lambda ids: {i: example(i) for i in ids})] == ids
    assert {row.id for row in draw(found, 20, 2, lambda ids: {i: example(i) for i in ids})} != set(ids)
    write_draw(drawn, tmp_path / "one.jsonl", 1)
    write_draw(drawn, tmp_path / "two.jsonl", 1)
    orders = [
        [row.candidate.id for row in read_jsonl(tmp_path / f"{name}.jsonl", Review)]
        for name in ("one", "two")
    ]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(ids)
    assert orders[0] != orders[1]
    places = [place for place, i in enumerate(orders[0]) if i[0] == "a"]
    assert 10 < np.mean(places) < 30, "mixed"


def test_shares_and_recall() -> None:
    """80 of 100 accepted are kept, 10 are cut; 5 of 50 rejected would be kept. 200 were accepted, 1,000 rejected in all."""
    found = selection(200, 1000)
    verdicts: dict[str, Decision] = {
        f"a{n}": "accept" if n < 80 else "edit" if n < 90 else "reject" for n in range(100)
    }
    verdicts |= {f"r{n}": "accept" if n < 5 else "reject" for n in range(50)}
    verdicts["gone"] = "accept"
    told = report(found, verdicts, 0)
    assert told["read"] == {"accepted": 100, "rejected": 50, "not_of_this_run": 1}
    expected = wilson(80, 100)
    assert (told["precision"]["value"], told["precision"]["low"]) == (expected.value, expected.low)  # type: ignore[union-attr]
    assert (told["kept_or_edited_of_accepted"]["value"], told["kept_of_rejected"]["value"]) == (0.9, 0.1)
    assert told["recall"]["value"] == pytest.approx(200 * 0.8 / (200 * 0.8 + 1000 * 0.1))
    assert told["recall"]["low"] < told["recall"]["value"] < told["recall"]["high"]
    assert told["wrongly_rejected_by"] == {"hollow": 5}
    with pytest.raises(LimaError, match="drawn with other settings"):
        report(found, {"gone": "accept"}, 0)


def test_the_interval_of_recall_covers_the_truth() -> None:
    """Of 300 simulated audits with a precision of .8 and a tenth missed, some 95 % of the intervals hold the true recall."""
    found, random = selection(300, 900), np.random.default_rng(0)
    truth = 300 * 0.8 / (300 * 0.8 + 900 * 0.1)
    covered = 0
    for seed in range(300):
        kept, missed = random.binomial(100, 0.8), random.binomial(100, 0.1)
        verdicts: dict[str, Decision] = {f"a{n}": "accept" if n < kept else "reject" for n in range(100)}
        verdicts |= {f"r{n}": "accept" if n < missed else "reject" for n in range(100)}
        recall = report(found, verdicts, seed)["recall"]
        covered += recall["low"] <= truth <= recall["high"]
    assert 0.92 < covered / 300 < 0.98


def test_agreement_of_two_readers() -> None:
    one: dict[str, Decision] = {"a": "accept", "b": "reject", "c": "edit", "d": "accept"}
    two: dict[str, Decision] = {"a": "accept", "b": "reject", "c": "reject", "e": "accept"}
    told = agreement(one, two)
    assert (told["read_by_both"], told["equal"]["value"]) == (3, pytest.approx(2 / 3))
    assert -1 <= told["kappa"]["value"] <= 1


def test_the_command_draws_and_then_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    for n in range(1, 13):
        text = LONG.replace("mountain", f"hill {n}") if n < 9 else LONG + "<p>I think so.</p>"
        rows += [
            question(n, f"Why does water boil sooner on mountain number {n}?"),
            answer(100 + n, n, body=text),
        ]
    rows += [question(20), answer(120, 20, body="<p>Short.</p>")]
    write(tmp_path / "in", posts(*rows))
    flags = f"--input {tmp_path / 'in'} --out {tmp_path / 'out'} --duplicates.jaccard null --audit-size 3"
    files = [tmp_path / "ann.jsonl", tmp_path / "bob.jsonl"]
    command = ["curate", "stackexchange", *flags.split(), "--audit", *map(str, files)]
    cli.run(command)
    drawn = list(read_jsonl(files[0], Review))
    numbers = [int(row.candidate.id.rpartition("/")[2]) for row in drawn]
    assert (sum(n < 9 for n in numbers), sum(9 <= n < 13 for n in numbers)) == (3, 3)
    assert all(
        "I think so." in row.candidate.messages[1].content
        for row, n in zip(drawn, numbers, strict=True)
        if n >= 9
    )
    assert not (tmp_path / "out/audit.json").exists()
    for path in files:
        decided = [
            row.model_copy(
                update={"decision": "accept" if int(row.candidate.id.rpartition("/")[2]) < 9 else "reject"}
            )
            for row in read_jsonl(path, Review)
        ]
        write_jsonl(path, decided)
    cli.run(command)
    told = json.loads((tmp_path / "out/audit.json").read_text())
    assert list(told["readers"]) == list(map(str, files))
    reader = told["readers"][str(files[0])]
    assert (reader["precision"]["value"], reader["kept_of_rejected"]["value"], reader["recall"]["value"]) == (
        1,
        0,
        1,
    )
    assert next(iter(told["agreement"].values()))["equal"]["value"] == 1
    assert "Audit (95 % intervals)" in capsys.readouterr().out
