"""Odd files of Examples, as people and scripts write them: each row is read as it stands, or named with its line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lima.errors import LimaError
from lima.files import read_jsonl
from lima.records import Example

USER, ANSWER = {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}


def row(*messages: Any, **fields: Any) -> dict[str, Any]:
    turns = list(messages) or [USER, ANSWER]
    return {
        name: value
        for name, value in ({"id": "a/1", "source": "own", "messages": turns} | fields).items()
        if value != "DROP"
    }


def turn(**fields: Any) -> dict[str, Any]:
    return {**ANSWER, **fields}


READ: dict[str, dict[str, Any]] = {
    "plain": row(),
    "meta": row(meta={"tags": ["ood"], "score": 4, "url": "x"}),
    "meta with keys of one's own": row(meta={"ticket": 7, "team": {"name": "web"}}),
    "empty meta": row(meta={}),
    "a prompt": row(USER),
    "a dialogue": row(USER, ANSWER, USER, ANSWER),
    "a dialogue that ends on a question": row(USER, ANSWER, USER),
    "a system message": row({"role": "system", "content": "S"}, USER, ANSWER),
    "weight 0": row(USER, turn(weight=0)),
    "weight 1": row(USER, turn(weight=1)),
    "blanks are kept": row(USER, turn(content="  a\r\n\tb ")),
    "special text": row(USER, turn(content="<s>[INST]</s><|eot|>{{ x }}{% y %}")),
    "characters outside the basic plane": row(USER, turn(content="\U0001f600 \U00020000 \u202e \u0301")),
    "a blank answer, which training names": row(USER, turn(content=" ")),
    "an id with blanks": row(id=" a b "),
    "an empty source": row(source=""),
}

NAMED: list[tuple[str, Any, str]] = [
    ("no id", row(id="DROP"), "no field 'id' .Example has: id, source, messages, meta"),
    ("empty id", row(id=""), "id: String should have at least 1 character"),
    ("id a number", row(id=5), "id: Input should be a valid string"),
    ("id null", row(id=None), "id: Input should be a valid string"),
    ("no source", row(source="DROP"), "no field 'source'"),
    ("source null", row(source=None), "source: Input should be a valid string"),
    ("no messages", row(messages="DROP"), "no field 'messages'"),
    ("no message", row(messages=[]), "messages: Tuple should have at least 1 item"),
    ("messages a text", row(messages="Why?"), "messages: Input should be a valid tuple"),
    ("messages an object", row(messages=USER), "messages: Input should be a valid tuple"),
    ("messages null", row(messages=None), "messages: Input should be a valid tuple"),
    ("a message that is a text", row(messages=["Why?"]), "messages.0: Input should be"),
    ("a message that is null", row(messages=[USER, None]), "messages.1: Input should be"),
    ("no role", row(messages=[{"content": "Why?"}]), "no field 'messages.0.role'"),
    ("role of a tool", row(messages=[USER, {"role": "tool", "content": "4"}]), "messages.1.role: Input should be 'system', 'user' or 'assistant'"),
    ("role of ShareGPT", row(messages=[{"role": "human", "content": "Why?"}]), "messages.0.role"),
    ("role in capitals", row(messages=[{"role": "User", "content": "Why?"}]), "messages.0.role"),
    ("no content", row(messages=[{"role": "user"}]), "no field 'messages.0.content'"),
    ("content null", row(messages=[USER, turn(content=None)]), "messages.1.content: Input should be a valid string"),
    ("content a number", row(messages=[USER, turn(content=5)]), "messages.1.content: Input should be a valid string"),
    ("content true", row(messages=[USER, turn(content=True)]), "messages.1.content: Input should be a valid string"),
    ("content of parts", row(messages=[USER, turn(content=[{"type": "text", "text": "So."}])]), "messages.1.content: Input should be a valid string"),
    ("tool calls", row(messages=[USER, turn(tool_calls=[])]), "unknown field 'messages.1.tool_calls' in an Example"),
    ("reasoning", row(messages=[USER, turn(reasoning_content="Hm.")]), "unknown field 'messages.1.reasoning_content'"),
    ("a name", row(messages=[{**USER, "name": "Ann"}, ANSWER]), "unknown field 'messages.0.name'"),
    ("weight between", row(messages=[USER, turn(weight=0.5)]), "messages.1.weight: Input should be 0 or 1"),
    ("weight 2", row(messages=[USER, turn(weight=2)]), "messages.1.weight: Input should be 0 or 1"),
    ("weight as text", row(messages=[USER, turn(weight="0")]), "messages.1.weight: Input should be 0 or 1"),
    ("weight null", row(messages=[USER, turn(weight=None)]), "messages.1.weight: Input should be 0 or 1"),
    ("weight 0 of a user", row(messages=[{**USER, "weight": 0}, ANSWER]), "messages.0: weight 0 on a user turn"),
    ("begins with an answer", row(messages=[ANSWER, USER]), "turn 1 is 'assistant', expected 'user'"),
    ("two questions", row(messages=[USER, USER]), "turn 2 is 'user', expected 'assistant'"),
    ("two answers", row(messages=[USER, ANSWER, ANSWER]), "turn 3 is 'assistant', expected 'user'"),
    ("a system message alone", row(messages=[{"role": "system", "content": "S"}]), "no user turn"),
    ("a system message in the middle", row(messages=[USER, {"role": "system", "content": "S"}]), "turn 2 is 'system'"),
    ("an unknown field", row(tools=[]), "unknown field 'tools' in an Example"),
    ("tags a text", row(meta={"tags": "ood"}), "meta.tags: Input should be a valid tuple"),
    ("a score of words", row(meta={"score": "high"}), "meta.score"),
    ("authors null", row(meta={"authors": None}), "meta.authors: Input should be a valid tuple"),
    ("meta a list", row(meta=[]), "meta: Input should be"),
    ("a table", {"prompt": "Why?", "completion": "So."}, r"no field 'id' .* A table of questions and answers\? 'lima curate own-data'"),
    ("rows of OpenAI", {"messages": [USER, ANSWER]}, r"no field 'id' .* Rows of openai\? Then first: lima import openai .*data.jsonl --out data.jsonl"),
    ("rows of ShareGPT", {"conversations": [{"from": "human", "value": "Why?"}]}, r"Rows of sharegpt\? Then first: lima import sharegpt "),
    ("rows of LIMA", {"conversations": ["Why?", "So."]}, r"Rows of lima\? Then first: lima import lima "),
    ("rows of Alpaca", {"instruction": "Why?", "output": "So."}, r"Rows of alpaca\? Then first: lima import alpaca "),
    ("a table's rows", {"prompt": "Why?", "answer": "So."}, "no field 'id'"),
    ("an empty object", {}, "no field 'id'"),
]  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_a_row_is_read_as_it_stands(name: str, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text(json.dumps(READ[name]) + "\n")
    (found,) = read_jsonl(tmp_path / "data.jsonl", Example)
    assert found.id == READ[name]["id"]
    assert [(m.role, m.content, m.weight) for m in found.messages] == [
        (m["role"], m["content"], m.get("weight", 1)) for m in READ[name]["messages"]
    ]
    assert json.loads(found.model_dump_json())["meta"] == READ[name].get("meta", {})


@pytest.mark.parametrize(("value", "problem"), [pytest.param(*case[1:], id=case[0]) for case in NAMED])
def test_a_row_that_is_none_is_named_with_its_line(value: Any, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps(row()) + "\n\n" + json.dumps(value) + "\n")
    with pytest.raises(LimaError) as caught:
        list(read_jsonl(path, Example))
    assert str(caught.value).startswith(f"{path}:3: ")
    assert re.search(problem, str(caught.value)), str(caught.value)
