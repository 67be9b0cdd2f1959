"""Import and export: round trips, ids, named rejects, and the released set where it is at hand."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest

from lima import cli
from lima.cli import run
from lima.errors import LimaError
from lima.files import read_jsonl, write_jsonl
from lima.formats.convert import FORMATS, export_file, import_file
from lima.formats.settings import ExportSettings, FormatName, ImportSettings
from lima.records import Example, Message, Meta, Preference, Reject

SINGLE = Example(
    id="a/1",
    source="authored",
    messages=(Message(role="user", content="Why?"), Message(role="assistant", content="Böcause.\n\n* x")),
    meta=Meta(tags=("ood",), score=3),
)
DIALOGUE = Example(
    id="a/2",
    source="dialogue",
    messages=(*SINGLE.messages, *SINGLE.messages),
    meta=Meta(tags=("dialogue",)),
)
WITH_SYSTEM = SINGLE.model_copy(
    update={"id": "a/3", "messages": (Message(role="system", content="Be brief."), *SINGLE.messages)}
)
OPEN_END = DIALOGUE.model_copy(update={"id": "a/4", "messages": DIALOGUE.messages[:3]})


def import_rows(folder: Path, kind: FormatName, rows: list[Any], **options: Any) -> list[Example]:
    file, out = folder / "rows.jsonl", folder / "out.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    import_file(ImportSettings(format=kind, files=(file,), out=out, **options))
    return list(read_jsonl(out, Example))


def rejects(folder: Path) -> list[Reject]:
    return list(read_jsonl(folder / "out.jsonl.rejects.jsonl", Reject))


def test_every_format_of_the_settings_is_there() -> None:
    assert set(FORMATS) == set(get_args(FormatName))


@pytest.mark.parametrize("kind", get_args(FormatName))
@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_round_trip_keeps_messages_ids_and_meta(kind: FormatName, suffix: str, tmp_path: Path) -> None:
    examples = [SINGLE, DIALOGUE] if kind == "lima" else [SINGLE, DIALOGUE, WITH_SYSTEM]
    ours, theirs, back = tmp_path / "ours.jsonl", tmp_path / f"theirs{suffix}", tmp_path / "back.jsonl"
    write_jsonl(ours, examples)
    export_file(ExportSettings(format=kind, file=ours, out=theirs, provenance=True))
    import_file(ImportSettings(format=kind, files=(theirs,), out=back))
    assert list(read_jsonl(back, Example)) == examples
    if suffix == ".json":
        assert len(json.loads(theirs.read_text())) == len(examples)
    else:
        assert [type(json.loads(line)) for line in theirs.read_text().splitlines()] == [dict] * len(examples)


@pytest.mark.parametrize("kind", get_args(FormatName))
def test_round_trip_without_provenance_keeps_the_messages(kind: FormatName, tmp_path: Path) -> None:
    ours, theirs, back = (tmp_path / name for name in ("ours.jsonl", "theirs.jsonl", "back.jsonl"))
    write_jsonl(ours, [SINGLE, DIALOGUE])
    export_file(ExportSettings(format=kind, file=ours, out=theirs))
    import_file(ImportSettings(format=kind, files=(theirs,), out=back))
    assert [e.messages for e in read_jsonl(back, Example)] == [SINGLE.messages, DIALOGUE.messages]


@pytest.mark.parametrize(("kind", "example"), [("alpaca", OPEN_END), ("lima", WITH_SYSTEM)])
def test_export_names_what_a_format_cannot_hold(kind: FormatName, example: Example, tmp_path: Path) -> None:
    ours, out = tmp_path / "ours.jsonl", tmp_path / "out.jsonl"
    write_jsonl(ours, [SINGLE, example])
    outcome = export_file(ExportSettings(format=kind, file=ours, out=out))
    assert (outcome.kept, [row.id for row in rejects(tmp_path)]) == (1, [example.id])


def test_a_five_turn_row_stays_a_dialogue(tmp_path: Path) -> None:
    row = {"conversations": ["a", "b", "c", "d", "e"], "source": "multi_turn"}
    (example,) = import_rows(tmp_path, "lima", [row])
    assert example.id == "lima/rows/0"
    assert example.source == "dialogue"
    assert example.is_prompt
    assert len(example.messages) == 5
    assert example.meta.tags == ("dialogue",)


def test_alpaca_input_follows_after_a_blank_line(tmp_path: Path) -> None:
    rows = [
        {"instruction": "Sum up.", "input": "Long text.", "output": "Short."},
        {"instruction": "Hi", "input": "", "output": "Hello"},
    ]
    first, second = import_rows(tmp_path, "alpaca", rows)
    assert first.messages[0].content == "Sum up.\n\nLong text."
    assert second.messages[0].content == "Hi"


def test_openai_parts_and_developer_role(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "One "}, {"type": "text", "text": "two"}]
    row = {
        "messages": [
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": parts},
            {"role": "assistant", "content": "three"},
        ]
    }
    (example,) = import_rows(tmp_path, "openai", [row])
    assert [(m.role, m.content) for m in example.messages[:2]] == [
        ("system", "Be kind."),
        ("user", "One two"),
    ]


GOOD = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
BAD_ROWS = [
    ("missing", {"text": "no messages"}),
    ("empty", {"messages": []}),
    ("type", {"messages": "Hi"}),
    ("type", {"messages": ["Hi"]}),
    ("role", {"messages": [{"role": "tool", "content": "4"}]}),
    ("content", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}),
    ("content", {"messages": [{"role": "user", "content": None}]}),
    ("empty", {"messages": [{"role": "user", "content": "  "}]}),
    ("turns", {"messages": [{"role": "assistant", "content": "first"}]}),
]


@pytest.mark.parametrize(("rule", "row"), BAD_ROWS)
def test_a_bad_row_is_named_and_the_rest_goes_on(rule: str, row: dict[str, Any], tmp_path: Path) -> None:
    examples = import_rows(tmp_path, "openai", [GOOD, row, GOOD])
    assert [example.id for example in examples] == ["openai/rows/0", "openai/rows/2"]
    assert [(reject.id, reject.rule) for reject in rejects(tmp_path)] == [("openai/rows/1", rule)]


def test_an_id_used_twice_does_not_lose_a_row(tmp_path: Path) -> None:
    row = {"id": "x", "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yo"}]}
    assert [e.id for e in import_rows(tmp_path, "sharegpt", [row, row])] == ["x", "sharegpt/rows/1"]


def test_strict_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(LimaError, match=r"rows\.jsonl: 1 rows cannot be used.*openai/rows/1"):
        import_rows(tmp_path, "openai", [GOOD, {}], strict=True)
    assert not (tmp_path / "out.jsonl").exists()


def test_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(GOOD))
    import_file(ImportSettings(format="openai", files=(file,), out=tmp_path / "out.jsonl", dry_run=True))
    assert "would write 1 rows" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rows.jsonl"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "no such file"),
        ("", "holds no rows"),
        ("[]", "holds no rows"),
        ('{"messages": [}\n', r":1: not JSON"),
        ('{"a": 1}\n[1]\n', r":2: a JSON list"),
        ('[{"a": 1}, 2]', "element 1 is a int"),
        ("[1, ", r":1: not JSON"),
        ('{"a": 1}\n', "no row can be used"),
    ],
)
def test_bad_files_end_in_one_line(content: str | None, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    if content is not None:
        file.write_text(content)
    with pytest.raises(LimaError, match=problem):
        import_file(ImportSettings(format="openai", files=(file,), out=tmp_path / "out.jsonl"))
    assert not (tmp_path / "out.jsonl").exists()


needs_data = pytest.mark.skipif("LIMA_DATA" not in os.environ, reason="LIMA_DATA is not set")


@needs_data
def test_the_released_set(tmp_path: Path) -> None:
    folder = Path(os.environ["LIMA_DATA"]) / "lima"
    found = {}
    for name in ("train", "test"):
        out = tmp_path / f"{name}.jsonl"
        import_file(ImportSettings(format="lima", files=(folder / f"{name}.jsonl",), out=out, strict=True))
        found[name] = list(read_jsonl(out, Example))
        back = tmp_path / f"{name}.back.jsonl"
        export_file(ExportSettings(format="lima", file=out, out=back))
        original = [json.loads(line) for line in (folder / f"{name}.jsonl").open()]
        assert [json.loads(line) for line in back.open()] == original
    turns = Counter(len(example.messages) for example in found["train"])
    assert turns == {2: 1000, 4: 15, 6: 10, 8: 3, 20: 1, 5: 1}
    assert len(found["test"]) == 300
    assert found["test"][83].messages[0].content == found["train"][547].messages[0].content
    assert found["train"][547].id == "lima/train/547"


PAIRS = [
    {"idx": 3, "motivation_app": "Gmail", "cmp_key": "bloom_llama", "instruction": "Shorten.", "input": "",
     "response1": "L.", "response2": "S.", "annotator1": 0, "annotator2": 1, "annotator3": 2},
]  # fmt: skip


def test_published_judgments_become_a_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One pair, three people and one judge whose verdict is unreadable: 4 verdicts, 1 missing."""
    people, judge, out = tmp_path / "testset-v1.json", tmp_path / "gpt-testset-v1.json", tmp_path / "study"
    people.write_text(json.dumps(PAIRS))
    judge.write_text(json.dumps([{"idx": 3, "gpt_result": "?", "gpt_reason": ""}]))
    cli.run(["import", "pandalm", str(people), str(judge), "--out", str(out), "--dry-run"])
    assert not out.exists()
    with pytest.raises(LimaError, match="1 verdicts are missing, and --strict"):
        cli.run(["import", "pandalm", str(people), str(judge), "--out", str(out), "--strict"])
    assert not out.exists()
    cli.run(["import", "pandalm", str(people), str(judge), "--out", str(out)])
    text = capsys.readouterr().err
    assert "1 comparisons of bloom, llama; 4 verdicts of 4 raters, 1 of them missing" in text
    assert f"lima report {out}" in text
    rows = list(read_jsonl(out / "preferences.jsonl", Preference))
    assert [row.label for row in rows] == ["tie", "a", "b", None]
    with pytest.raises(LimaError, match="holds a study already"):
        cli.run(["import", "pandalm", str(people), "--out", str(out)])


def test_conversations_come_from_one_file(tmp_path: Path) -> None:
    with pytest.raises(LimaError, match="2 files given, expected one"):
        cli.run(["import", "openai", "a.jsonl", "b.jsonl", "--out", str(tmp_path / "out.jsonl")])


@pytest.mark.skipif("LIMA_DATA" not in os.environ, reason="LIMA_DATA is not set")
def test_the_published_pandalm_set_becomes_a_study(tmp_path: Path) -> None:
    """999 pairs, three people: 105 / 422 / 472 are the published counts of the majority's labels."""
    folder = Path(os.environ["LIMA_DATA"]) / "preferences" / "pandalm"
    cli.run(["import", "pandalm", str(folder / "testset-v1.json"), "--out", str(tmp_path / "study")])
    votes: dict[str, Counter[str | None]] = {}
    for row in read_jsonl(tmp_path / "study" / "preferences.jsonl", Preference):
        votes.setdefault(row.comparison_id, Counter())[row.label] += 1
    majority = Counter(max(labels, key=lambda label: labels[label]) for labels in votes.values())
    assert (majority["tie"], majority["a"], majority["b"]) == (105, 422, 472)


def test_the_input_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "alpaca.json"
    path.write_text('[{"instruction": "Say hi.", "output": "Hi."}]')
    before = path.read_bytes()
    with pytest.raises(LimaError, match="--out is the input itself"):
        run(["import", "alpaca", str(path), "--out", str(path)])
    assert path.read_bytes() == before
