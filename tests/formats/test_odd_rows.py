"""Odd rows and odd files of other tools: each is an Example that means the same, or a named line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lima.errors import LimaError
from lima.files import read_jsonl
from lima.formats.convert import import_file
from lima.formats.settings import ExportSettings, FormatName, ImportSettings
from lima.records import Example, Reject

ASKED, TOLD = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}
SAME = [("user", "Hi"), ("assistant", "Yo")]


def chat(*turns: Any, **fields: Any) -> dict[str, Any]:
    return {"messages": list(turns), **fields}


def share(*turns: Any, **fields: Any) -> dict[str, Any]:
    pairs = [
        {"from": turn[0], "value": turn[1], **(turn[2] if len(turn) > 2 else {})}
        if isinstance(turn, tuple)
        else turn
        for turn in turns
    ]
    return {"conversations": pairs, **fields}


def told(**fields: Any) -> dict[str, Any]:
    return {**TOLD, **fields}


def alpaca(**fields: Any) -> dict[str, Any]:
    return {"instruction": "Hi", "input": "", "output": "Yo", **fields}


HUMAN, GPT = ("human", "Hi"), ("gpt", "Yo")
PICTURE = {"type": "image_url", "image_url": {"url": "x"}}

OPENAI: list[tuple[str, Any, Any]] = [
    ("plain", chat(ASKED, TOLD), SAME),
    ("empty system", chat({"role": "system", "content": ""}, ASKED, TOLD), SAME),
    ("developer", chat({"role": "developer", "content": "S"}, ASKED, TOLD), [("system", "S"), *SAME]),
    ("two systems", chat(*[{"role": "system", "content": "S"}] * 2, ASKED, TOLD), "turns"),
    ("system in the middle", chat(ASKED, TOLD, {"role": "system", "content": "S"}, ASKED, TOLD), "turns"),
    ("weight 0", chat(ASKED, told(weight=0)), [("user", "Hi"), ("assistant", "Yo", 0)]),
    ("weight 1", chat(ASKED, told(weight=1)), SAME),
    ("weight null", chat(ASKED, told(weight=None)), SAME),
    ("weight 0.0", chat(ASKED, told(weight=0.0)), [("user", "Hi"), ("assistant", "Yo", 0)]),
    ("weight between", chat(ASKED, told(weight=0.5)), "weight"),
    ("weight as text", chat(ASKED, told(weight="0")), "weight"),
    ("weight of a user", chat({**ASKED, "weight": 0}, TOLD), SAME),
    ("train false", chat(ASKED, told(train=False)), [("user", "Hi"), ("assistant", "Yo", 0)]),
    ("training true", chat(ASKED, told(training=True)), SAME),
    ("loss false", chat(ASKED, told(loss=False)), [("user", "Hi"), ("assistant", "Yo", 0)]),
    ("loss true", chat({**ASKED, "loss": False}, told(loss=True)), SAME),
    ("a measured loss", chat(ASKED, told(loss=1.3)), "weight"),
    ("mask 0", chat(ASKED, told(mask=0)), "meaning"),
    ("masked", chat(ASKED, told(masked=True)), "meaning"),
    ("train on: no", chat(ASKED, told(train_on=False)), "meaning"),
    ("no mask", chat(ASKED, told(mask=None)), SAME),
    ("weight 0 of the row", chat(ASKED, TOLD, weight=0), "weight"),
    ("train false of the row", chat(ASKED, TOLD, train=False), "weight"),
    ("weight 1 of the row", chat(ASKED, TOLD, weight=1.0), SAME),
    ("mask of the row", chat(ASKED, TOLD, loss_mask=[0, 1]), "meaning"),
    ("row's system", chat(ASKED, TOLD, system="S"), [("system", "S"), *SAME]),
    ("row's empty system", chat(ASKED, TOLD, system=""), SAME),
    ("both systems", chat({"role": "system", "content": "S"}, ASKED, TOLD, system="T"), "turns"),
    ("system of parts", chat(ASKED, TOLD, system=[{"type": "text", "text": "S"}]), "type"),
    ("train detail", chat(ASKED, told(train_detail=[{"begin_offset": 0}])), "meaning"),
    ("function call", chat(ASKED, told(function_call={"name": "f", "arguments": "{}"})), "meaning"),
    ("tool calls, null text", chat(ASKED, {"role": "assistant", "content": None, "tool_calls": [{}]}), "meaning"),
    ("null tool calls", chat(ASKED, told(tool_calls=None, function_call=None, refusal=None)), SAME),
    ("empty tool calls", chat(ASKED, told(tool_calls=[])), SAME),
    ("answer of a tool", chat(ASKED, {"role": "tool", "content": "4", "tool_call_id": "c"}, TOLD), "meaning"),
    ("role function", chat(ASKED, {"role": "function", "name": "f", "content": "4"}), "role"),
    ("reasoning", chat(ASKED, told(reasoning_content="Hm.")), "meaning"),
    ("reasoning, other name", chat(ASKED, told(reasoning="Hm.")), "meaning"),
    ("thinking", chat(ASKED, told(thinking="Hm.")), "meaning"),
    ("empty reasoning", chat(ASKED, told(reasoning_content="")), SAME),
    ("refusal", chat(ASKED, {"role": "assistant", "content": None, "refusal": "No."}), "meaning"),
    ("tools of the row", chat(ASKED, TOLD, tools=[{"type": "function"}]), "meaning"),
    ("tools as text", chat(ASKED, TOLD, tools='[{"name": "f"}]'), "meaning"),
    ("no tools", chat(ASKED, TOLD, tools=[], functions=None), SAME),
    ("no tools as text", chat(ASKED, TOLD, tools="[]"), SAME),
    ("template arguments", chat(ASKED, TOLD, chat_template_kwargs={"enable_thinking": True}), "meaning"),
    ("images of the row", chat(ASKED, TOLD, images=["a.png"]), "meaning"),
    ("a bad answer", chat(ASKED, TOLD, label=False), "meaning"),
    ("a good answer", chat(ASKED, TOLD, kto_tag=True), "meaning"),
    ("a label in words", chat(ASKED, TOLD, label="greeting"), SAME),
    ("a better and a worse answer", chat(ASKED, chosen=TOLD, rejected=TOLD), "meaning"),
    ("thoughts in a channel", chat(ASKED, told(channel="analysis")), "meaning"),
    ("image part", chat({"role": "user", "content": [PICTURE]}, TOLD), "content"),
    ("text and image", chat({"role": "user", "content": [{"type": "text", "text": "Hi"}, PICTURE]}, TOLD), "content"),
    ("text parts", chat({"role": "user", "content": [{"type": "text", "text": t} for t in "Hi"]}, TOLD), SAME),
    ("no parts", chat({"role": "user", "content": []}, TOLD), "empty"),
    ("parts that are texts", chat({"role": "user", "content": ["Hi"]}, TOLD), "content"),
    ("content is a number", chat(ASKED, told(content=5)), "content"),
    ("content is an object", chat(ASKED, told(content={"text": "Yo"})), "content"),
    ("content is null", chat(ASKED, told(content=None)), "content"),
    ("content is missing", chat(ASKED, {"role": "assistant"}), "content"),
    ("blank answer", chat(ASKED, told(content=" \n")), "empty"),
    ("answer without width", chat(ASKED, told(content="\u200b")), "empty"),
    ("begins with the assistant", chat(TOLD, ASKED, TOLD), "turns"),
    ("two questions", chat(ASKED, ASKED, TOLD), "turns"),
    ("only a system", chat({"role": "system", "content": "S"}), "turns"),
    ("only a question", chat(ASKED), [("user", "Hi")]),
    ("upper-case role", chat({**ASKED, "role": "User"}, TOLD), "role"),
    ("role is a list", chat({**ASKED, "role": ["user"]}, TOLD), "role"),
    ("a turn is a text", chat("Hi", TOLD), "type"),
    ("messages as text", {"messages": json.dumps([ASKED, TOLD])}, "type"),
    ("messages null", {"messages": None}, "missing"),
    ("another format", {"prompt": "Hi", "completion": "Yo"}, "missing"),
    ("texts keep their blanks", chat(ASKED, told(content="  a\r\nb\n")), [("user", "Hi"), ("assistant", "  a\r\nb\n")]),
    ("special text", chat(ASKED, told(content="</s><|eot|>")), [("user", "Hi"), ("assistant", "</s><|eot|>")]),
    ("other fields", chat(ASKED, told(timestamp=1), split="train", score=0.5), SAME),
]  # fmt: skip

SHAREGPT: list[tuple[str, Any, Any]] = [
    ("plain", share(HUMAN, GPT), SAME),
    ("row's system", share(HUMAN, GPT, system="S"), [("system", "S"), *SAME]),
    ("null system", share(HUMAN, GPT, system=None), SAME),
    ("system turn", share(("system", "S"), HUMAN, GPT), [("system", "S"), *SAME]),
    ("empty system turn", share(("system", ""), HUMAN, GPT), SAME),
    ("both systems", share(("system", "S"), HUMAN, GPT, system="T"), "turns"),
    ("weights of OpenHermes", share(("human", "Hi", {"weight": 0.0}), ("gpt", "Yo", {"weight": 1.0})), SAME),
    ("null weights", share(("human", "Hi", {"weight": None}), ("gpt", "Yo", {"weight": None})), SAME),
    ("weight 0", share(HUMAN, ("gpt", "Yo", {"weight": 0})), [("user", "Hi"), ("assistant", "Yo", 0)]),
    ("loss false", share(HUMAN, ("gpt", "Yo", {"loss": False})), [("user", "Hi"), ("assistant", "Yo", 0)]),
    ("function call", share(HUMAN, ("function_call", "{}"), ("observation", "4"), GPT), "role"),
    ("tool", share(HUMAN, ("tool", "4"), GPT), "role"),
    ("tools", share(HUMAN, GPT, tools="[{}]"), "meaning"),
    ("no tools", share(HUMAN, GPT, tools=""), SAME),
    ("other speakers", share(("User", "Hi"), ("ChatGPT", "Yo")), SAME),
    ("unknown speaker", share(("narrator", "Hi"), GPT), "role"),
    ("role and content", {"conversations": [ASKED, TOLD]}, "missing"),
    ("value null", share(HUMAN, ("gpt", None)), "missing"),
    ("value a list", share(HUMAN, ("gpt", ["Yo"])), "type"),
    ("begins with gpt", share(GPT, HUMAN, GPT), "turns"),
    ("texts instead of turns", {"conversations": ["Hi", "Yo"]}, "type"),
    ("empty list", {"conversations": []}, "empty"),
    ("ends on a human", share(HUMAN, GPT, HUMAN), [*SAME, ("user", "Hi")]),
    ("images", share(HUMAN, GPT, image="a.png"), "meaning"),
]

ALPACA: list[tuple[str, Any, Any]] = [
    ("plain", alpaca(), SAME),
    ("input", alpaca(input="Ann"), [("user", "Hi\n\nAnn"), ("assistant", "Yo")]),
    ("input null", alpaca(input=None), SAME),
    ("no input", {"instruction": "Hi", "output": "Yo"}, SAME),
    ("<noinput>", alpaca(input="<noinput>"), SAME),
    ("<nooutput>", alpaca(output="<nooutput>"), "empty"),
    ("instruction in input", alpaca(instruction="", input="Hi"), SAME),
    ("nothing asked", alpaca(instruction="", input=" "), "empty"),
    ("empty output", alpaca(output=""), "empty"),
    ("output a number", alpaca(output=5), "type"),
    ("output a list", alpaca(output=["Yo"]), "type"),
    ("output an object", alpaca(output={"text": "Yo"}), "type"),
    ("output true", alpaca(output=True), "type"),
    ("no output", {"instruction": "Hi"}, "missing"),
    ("system", alpaca(system="S"), [("system", "S"), *SAME]),
    ("history", alpaca(history=[["a", "b"]]), [("user", "a"), ("assistant", "b"), *SAME]),
    ("history null", alpaca(history=None), SAME),
    ("history of one", alpaca(history=[["a"]]), "type"),
    ("history a text", alpaca(history="a"), "type"),
    ("tools", alpaca(tools="[{}]"), "meaning"),
    ("images", alpaca(images=["a.png"]), "meaning"),
]

LIMA: list[tuple[str, Any, Any]] = [
    ("plain", {"conversations": ["Hi", "Yo"], "source": "wikihow"}, SAME),
    ("no source", {"conversations": ["Hi"]}, [("user", "Hi")]),
    ("a number", {"conversations": ["Hi", 5]}, "type"),
    ("blank", {"conversations": ["Hi", ""]}, "empty"),
    ("objects", {"conversations": [{"from": "human", "value": "Hi"}]}, "type"),
    ("source a number", {"conversations": ["Hi"], "source": 5}, "type"),
]

ROWS = [
    pytest.param(kind, row, outcome, id=f"{kind}, {name}")
    for kind, cases in (("openai", OPENAI), ("sharegpt", SHAREGPT), ("alpaca", ALPACA), ("lima", LIMA))
    for name, row, outcome in cases
]


def imported(folder: Path, kind: FormatName, content: bytes) -> tuple[list[Example], list[Reject]]:
    file, out = folder / "in.jsonl", folder / "out.jsonl"
    file.write_bytes(content)
    import_file(ImportSettings(format=kind, files=(file,), out=out))
    rejects = folder / "out.jsonl.rejects.jsonl"
    return list(read_jsonl(out, Example)), list(read_jsonl(rejects, Reject)) if rejects.exists() else []


def said(example: Example) -> list[tuple[Any, ...]]:
    return [(m.role, m.content) if m.weight else (m.role, m.content, 0) for m in example.messages]


GOOD_ROWS: dict[FormatName, Any] = {
    "openai": chat(ASKED, TOLD),
    "sharegpt": share(HUMAN, GPT),
    "alpaca": alpaca(),
    "lima": {"conversations": ["Hi", "Yo"]},
}


@pytest.mark.parametrize(("kind", "row", "outcome"), ROWS)
def test_a_row_keeps_its_meaning_or_is_named(
    kind: FormatName, row: Any, outcome: Any, tmp_path: Path
) -> None:
    lines = b"\n".join(json.dumps(one).encode() for one in (GOOD_ROWS[kind], row))
    examples, rejects = imported(tmp_path, kind, lines)
    if isinstance(outcome, str):
        assert [reject.rule for reject in rejects] == [outcome]
        assert rejects[0].reason.endswith("(line 2)")
        assert len(examples) == 1
    else:
        assert [said(example) for example in examples] == [SAME, outcome]


LINE = json.dumps(chat(ASKED, TOLD)).encode()
LONG = json.dumps(chat(ASKED, told(content="é" * 40))).encode()
FILES = [
    ("byte order mark", b"\xef\xbb\xbf" + LINE, 1),
    ("blank lines", b"\n\n" + LINE + b"\n \n" + LINE + b"\n\n", 2),
    ("no end of line", LINE, 1),
    ("Windows ends", LINE + b"\r\n" + LINE + b"\r\n", 2),
    ("array", b"[" + LINE + b",\n" + LINE + b"]", 2),
    ("array with a mark", b"\xef\xbb\xbf [\n" + LINE + b"]", 1),
    ("half a surrogate pair", LINE.replace(b"Yo", b"Yo\\ud800"), 1),
    ("a line separator in a text", LINE.replace(b"Yo", "Y\u2028o".encode()), 1),
    ("a field twice, the last counts", LINE.replace(b'{"messages"', b'{"messages": [], "messages"'), 1),
    ("empty", b"", "holds no rows"),
    ("empty array", b"[]", "holds no rows"),
    ("gzip", gzip.compress(LINE), r"compressed \(gzip\). Unpack it: gunzip FILE"),
    ("Zstandard", b"\x28\xb5\x2f\xfd...", r"compressed \(Zstandard\)"),
    ("workbook", b"PK\x03\x04...", "a workbook. 'lima curate own-data' reads workbooks"),
    ("Parquet", b"PAR1...", "Parquet"),
    ("UTF-16", LINE.decode().encode("utf-16"), "UTF-16. Convert it: iconv -f utf-16 -t utf-8 FILE"),
    ("UTF-16 without a mark", LINE.decode().encode("utf-16-le"), "UTF-16. Convert it: iconv -f utf-16le"),
    ("UTF-16, big end", LINE.decode().encode("utf-16-be"), "UTF-16. Convert it: iconv -f utf-16be"),
    ("cp1252", LINE + b"\n" + LINE.replace(b"Yo", b"\xfcber"), r":2: not UTF-8 \(byte 0xfc at column \d+\)"),
    ("cut off", LINE + b"\n" + LINE[:-9], ":2: not JSON"),
    ("array cut off", b"[" + LINE + b",\n" + LINE[:-9], ":2: not JSON"),
    ("a comma too much", b"[" + LINE + b",]", ":1: not JSON"),
    ("commas between lines", LINE + b",\n" + LINE, ":1: not JSON"),
    ("two objects on a line", LINE + LINE, ":1: not JSON"),
    ("old Macintosh ends", LINE + b"\r" + LINE, ":1: not JSON"),
    ("over several lines", json.dumps(chat(ASKED, TOLD), indent=1).encode(), ":1: a JSON object over several lines"),
    ("Python's notation", repr(chat(ASKED, TOLD)).encode(), ":1: not JSON"),
    ("NaN", LINE + b'\n{"messages": NaN}', ":2: not JSON"),
    ("a zero byte", LINE + b"\n\0\n", ":2: not JSON"),
    ("a number", LINE + b"\n5\n", ":2: a JSON int, expected an object"),
    ("null", b"null\n", ":1: a JSON NoneType"),
    ("a text", b'"Hi"\n', ":1: a JSON str"),
    ("a list below objects", LINE + b"\n[1]\n", ":2: a JSON list"),
    ("an array of texts", b'["Hi"]', "element 0 is a str, expected an object"),
    ("no row of the format", b'{"a": 1}\n', "no row can be used"),
    ("a table", b"question,answer\nHi,Yo\n", ":1: not JSON"),
    ("a page", b"<!DOCTYPE html><html></html>", ":1: not JSON"),
    ("deep nesting", b'{"messages": ' + b"[" * 3000 + b"]" * 3000 + b"}", "line|row"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "outcome"), [pytest.param(*case[1:], id=case[0]) for case in FILES])
def test_a_file_is_read_whole_or_named_with_its_line(content: bytes, outcome: Any, tmp_path: Path) -> None:
    if isinstance(outcome, int):
        examples, rejects = imported(tmp_path, "openai", content)
        assert (len(examples), rejects) == (outcome, [])
        assert all(example.messages[0].content == "Hi" for example in examples)
    else:
        with pytest.raises(LimaError, match=outcome) as caught:
            imported(tmp_path, "openai", content)
        assert str(caught.value).startswith(str(tmp_path / "in.jsonl"))
        assert not (tmp_path / "out.jsonl").exists()


def test_fields_left_out_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [chat(ASKED, told(timestamp=1), split="train"), chat(ASKED, TOLD, split="test", note=None)]
    imported(tmp_path, "openai", b"\n".join(json.dumps(row).encode() for row in rows))
    text = " ".join(capsys.readouterr().err.split())
    assert "left out, for an Example has no place for them: 'split' (2), 'messages.timestamp' (1)" in text


def test_an_id_of_another_row_is_not_given_twice(tmp_path: Path) -> None:
    rows = [{**share(HUMAN, GPT), "id": "sharegpt/in/1"}, share(HUMAN, GPT)]
    examples, _ = imported(tmp_path, "sharegpt", b"\n".join(json.dumps(row).encode() for row in rows))
    assert [example.id for example in examples] == ["sharegpt/in/1", "sharegpt/in/1+"]


@pytest.mark.parametrize("kind", ["openai", "sharegpt", "alpaca", "lima"])
def test_a_weight_survives_the_round_trip_or_the_export_names_it(kind: FormatName, tmp_path: Path) -> None:
    from lima.formats.convert import export_file

    examples, _ = imported(tmp_path, "openai", json.dumps(chat(ASKED, told(weight=0))).encode())
    out = tmp_path / "theirs.jsonl"
    settings = ExportSettings(format=kind, file=tmp_path / "out.jsonl", out=out)
    if kind in ("alpaca", "lima"):
        with pytest.raises(LimaError, match="no place for a turn without loss"):
            export_file(settings)
    else:
        export_file(settings)
        back, _ = imported(tmp_path, kind, out.read_bytes())
        assert [said(one) for one in back] == [said(one) for one in examples]
