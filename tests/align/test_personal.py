"""`--pii`: after `lima align` no planted value stands in any file of the folder, in any page, or on the screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.align.messy import write_tickets

from lima.align.data import without_personal
from lima.cli import run
from lima.files import read_jsonl, write_jsonl
from lima.records import Example, Reject

FLAGS = [
    "--dev",
    "3",
    "--test",
    "4",
    "--number",
    "12",
    "--max-new-tokens",
    "8",
    "--in-context",
    "1",
    "--train",
    "epochs=1",
    "batch_size=4",
    "learning_rate=1e-3",
]


def left_in(folder: Path, values: list[str]) -> Iterator[str]:
    """Where a planted value stands, in any file: text, JSON, HTML, weights."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            yield from (
                f"{path.relative_to(folder)}: {value}" for value in values if value.encode() in content
            )


def test_redacted_tickets_leave_no_trace(
    tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    values = write_tickets(tmp_path / "tickets.csv")
    out = tmp_path / "out"
    run(
        [
            "align",
            str(tiny_model),
            str(tmp_path / "tickets.csv"),
            "--out",
            str(out),
            "--pii",
            "redact",
            *FLAGS,
        ]
    )
    assert list(left_in(out, values)) == []
    said = capfd.readouterr()
    assert [value for value in values if value in said.out + said.err] == []
    rows = list(read_jsonl(out / "data" / "curated" / "train.jsonl", Example))
    placeholders = [row for row in rows if "_1]" in "".join(turn.content for turn in row.messages)]
    assert len(placeholders) > 5
    rejected = list(read_jsonl(out / "data" / "curated" / "rejected.jsonl", Reject))
    assert {"automatic", "length_min"} <= {row.rule for row in rejected}
    keys = {row.id for row in rows} | {reject.id for reject in rejected}
    assert len(keys) == len(rows) + len(rejected)  # a hash stays the key of one ticket


def test_by_default_it_stays_and_is_warned_of(
    tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    values = write_tickets(tmp_path / "tickets.csv")
    out = tmp_path / "out"
    command = ["align", str(tiny_model), str(tmp_path / "tickets.csv"), "--out", str(out), *FLAGS]
    run([*command, "--until", "data"])
    assert list(left_in(out, values))
    assert "--pii redact puts placeholders in their place" in " ".join(capfd.readouterr().err.split())


def test_examples_are_treated_like_a_table(tmp_path: Path, examples: list[Example]) -> None:
    told = examples[0].messages[1].model_copy(update={"content": "Write to ann@example.com."})
    rows = [examples[0].model_copy(update={"messages": (examples[0].messages[0], told)}), examples[1]]
    write_jsonl(tmp_path / "mine.jsonl", rows)
    kept, rejects = without_personal(rows, "redact")
    assert kept[0].messages[1].content == "Write to [EMAIL_1]."
    assert not rejects
    kept, rejects = without_personal(rows, "drop")
    assert [row.id for row in kept] == [rows[1].id]
    assert [(row.id, row.rule) for row in rejects] == [(rows[0].id, "personal-data")]
