"""Jira's issues as its CSV and its REST API have them: dialogues in Markdown, without what customers did not see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.curate.test_conversations import AGAIN, ASKED, DIALOGUE, THEN, TOLD, dialogues, left_out, table

from lima.curate.reading import adf
from lima.curate.reading.jira import in_markdown


def test_issues_with_a_column_for_each_comment(tmp_path: Path) -> None:
    header = "Summary,Issue key,Reporter,Reporter Id,Created,Resolution,Description,Comment,Comment,Comment"
    comments = [
        f"03/May/26 10:0{minute} AM;{who};{text}"
        for minute, (who, text) in enumerate([("a1", TOLD), ("c9", AGAIN), ("a2", THEN)], 1)
    ]
    path = table(
        tmp_path / "jira.csv",
        header,
        [["Blender", "SUP-7", "Ann Lee", "c9", "03/May/26 10:00 AM", "Done", ASKED, *comments]],
    )
    assert dialogues(path) == {"own/SUP-7": DIALOGUE}


def test_markup_of_issues_becomes_markdown() -> None:
    code = "{code:python}\nx = [a|b]\n# not a list{code}"
    written = f"h2. Steps\n# press *OK*\n# see [the page|https://x.example] !a.png|thumbnail!\n{code}\n{{quote}}so{{quote}}"
    plain = "## Steps\n1. press **OK**\n1. see the page \n```python\nx = [a|b]\n# not a list\n```\n> so"
    assert in_markdown(written) == plain
    assert in_markdown("[~accountid:7:a-b], run {{ls *.py}} or {code}rm -r x{code}; 2*3*4 is 24.") == (
        "run `ls *.py` or `rm -r x`; 2*3*4 is 24."
    )


def test_an_issue_without_comments_is_dropped_whatever_its_resolution(tmp_path: Path) -> None:
    header = "Issue key,Resolution,Reporter Id,Created,Description,Comment,Comment"
    rows = [
        ["A-1", "Done", "r1", "03/May/26 9:00 AM", ASKED, "", ""],
        [
            "A-2",
            "Done",
            "r1",
            "03/May/26 9:00 AM",
            ASKED,
            f"03/May/26 10:00 AM;s9;{TOLD}",
            "03/May/26 10:05 AM;r1;Yes.",
        ],
    ]
    export = table(tmp_path / "issues.csv", header, rows)
    assert dialogues(export) == {"own/A-2": DIALOGUE[:2]}
    assert left_out(export) == {"own/A-1": "no-reply"}


ANN, SAM = {"accountId": "qm:1", "accountType": "customer"}, {"accountId": "5b1", "accountType": "atlassian"}


def document(*content: dict[str, Any]) -> dict[str, Any]:
    return {"version": 1, "type": "doc", "content": list(content)}


def paragraph(*content: dict[str, Any] | str) -> dict[str, Any]:
    inner = [{"type": "text", "text": one} if isinstance(one, str) else one for one in content]
    return {"type": "paragraph", "content": inner}


def comment(minute: int, author: dict[str, Any], body: Any, **more: Any) -> dict[str, Any]:
    when = f"2026-05-03T10:{minute:02}:00.000+0200"
    return {"author": author, "body": body, "created": when, "jsdPublic": True} | more


def issue(key: str, comments: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    page = {"comments": comments, "total": len(comments), "maxResults": len(comments), "startAt": 0}
    fields = {
        "summary": "Blender",
        "reporter": ANN,
        "created": "2026-05-03T10:00:00.000+0200",
        "comment": page,
    }
    return {"id": "10002", "key": key, "fields": fields | more}


def written(path: Path, *issues: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"startAt": 0, "maxResults": 50, "total": len(issues), "issues": issues}))
    return path


@pytest.mark.parametrize(
    "form", [str, lambda text: document(paragraph(text))], ids=["version 2", "version 3"]
)
def test_issues_of_the_rest_api(tmp_path: Path, form: Any) -> None:
    """Whoever has a customer's account is a customer, and the time zone of each comment counts."""
    other = {"accountId": "qm:2", "accountType": "customer"}
    comments = [comment(3, SAM, form(THEN)), comment(1, SAM, form(TOLD)), comment(2, other, form(AGAIN))]
    path = written(tmp_path / "issues.json", issue("HELP-7", comments, description=form(ASKED)))
    assert dialogues(path) == {"own/HELP-7": DIALOGUE}


@pytest.mark.parametrize(
    "hidden",
    [
        {"jsdPublic": False},
        {"visibility": {"type": "role", "value": "Developers", "identifier": "Developers"}},
        {"properties": [{"key": "sd.public.comment", "value": {"internal": True}}]},
    ],
    ids=lambda hidden: next(iter(hidden)),
)
def test_an_internal_comment_is_never_learnt_from(tmp_path: Path, hidden: dict[str, Any]) -> None:
    """Also where the other comments of the file say nothing of it, and the customer wrote it in the name of all."""
    note = comment(5, SAM, "Is this the old model?", **hidden)
    answer = {name: value for name, value in comment(6, SAM, TOLD).items() if name != "jsdPublic"}
    path = written(tmp_path / "issues.json", issue("HELP-7", [note, answer], description=ASKED))
    assert dialogues(path) == {"own/HELP-7": DIALOGUE[:2]}
    assert left_out(path) == {"own/HELP-7/2": "private-note"}


def test_a_server_tells_users_apart_by_key_and_an_issue_may_have_no_description(tmp_path: Path) -> None:
    ann, sam = {"name": "ann", "key": "JIRAUSER1"}, {"name": "sam", "key": "JIRAUSER2"}
    comments = [comment(1, sam, TOLD), comment(2, ann, AGAIN), comment(3, sam, THEN)]
    found = issue("HELP-7", comments, summary=ASKED, description=None, reporter=ann)
    path = written(tmp_path / "issues.json", found, issue("HELP-8", [], description=ASKED))
    assert dialogues(path) == {"own/HELP-7": DIALOGUE}


@pytest.mark.parametrize("name", ["one.json", "lines.jsonl"])
def test_a_single_issue(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(json.dumps(issue("HELP-7", [comment(1, SAM, TOLD)], description=ASKED)))
    assert dialogues(tmp_path / name) == {"own/HELP-7": DIALOGUE[:2]}


def test_the_document_format_becomes_markdown() -> None:
    def text(words: str, *marks: str) -> dict[str, Any]:
        return {"type": "text", "text": words, "marks": [{"type": mark} for mark in marks]}

    def item(*content: dict[str, Any]) -> dict[str, Any]:
        return {"type": "listItem", "content": list(content)}

    def of(kind: str, *content: dict[str, Any], **attributes: Any) -> dict[str, Any]:
        return {"type": kind, "content": list(content), "attrs": attributes}

    mention = {"type": "mention", "attrs": {"id": "5b1", "text": "@Ann"}}
    smile = {"type": "emoji", "attrs": {"shortName": ":smile:", "text": "😄"}}
    card = {"type": "inlineCard", "attrs": {"url": "https://x.example/a"}}
    day = {"type": "date", "attrs": {"timestamp": "1777852800000"}}
    steps = of(
        "orderedList",
        item(
            paragraph("Open ", text("Settings ", "strong"), "and"), of("bulletList", item(paragraph("save")))
        ),
        item(paragraph(text("x.y", "code", "em"), {"type": "hardBreak"}, "twice")),
        order=2,
    )
    row = of("tableRow", of("tableHeader", paragraph("a|b")), of("tableHeader", paragraph("c")))
    cells = of("tableRow", of("tableCell", paragraph("1"), paragraph("2")), of("tableCell", paragraph("3")))
    found = adf.in_markdown(
        document(
            paragraph(
                mention, " , press ", text("OK", "underline"), " ", smile, " and tell ", mention, " of it"
            ),
            of("heading", text("Steps"), level=3),
            steps,
            of("codeBlock", text("if x:\n    y()"), language="python"),
            of("blockquote", paragraph("so"), paragraph("it is")),
            of("table", row, cells),
            of("mediaSingle", of("media", id="1")),
            of("expand", paragraph(card, " since ", day), title="More"),
            of("unknownOfTomorrow", text("read all the same")),
            {"type": "rule"},
        )
    )
    assert found.split("\n\n") == [
        "press OK 😄 and tell of it",
        "### Steps",
        "2. Open **Settings** and\n   - save\n3. *`x.y`*\n   twice",
        "```python\nif x:\n    y()\n```",
        "> so\n>\n> it is",
        "| a\\|b | c |\n| --- | --- |\n| 1 2 | 3 |",
        "More",
        "https://x.example/a since 2026-05-04",
        "read all the same",
        "---",
    ]


def test_code_in_a_list_keeps_its_lines_and_ends_where_it_ends() -> None:
    """Blank lines before what looks like a list, and a fence of the code's own."""
    code = {"type": "codeBlock", "content": [{"type": "text", "text": "a:\n\n- ```b```"}]}
    item = {"type": "listItem", "content": [paragraph("Put"), code]}
    found = adf.in_markdown(document({"type": "bulletList", "content": [item]}))
    assert [line.strip() for line in found.split("\n")] == [
        "- Put", "", "````", "a:", "", "- ```b```", "````",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "odd",
    [
        {"type": ["a"]},
        {"type": "heading", "attrs": {"level": 2.5}, "content": [{"type": "text", "text": "x"}]},
        {"type": "text", "text": "x", "marks": "strong"},
        {"type": "text", "text": "x", "marks": [{"type": {}}, 7]},
    ],
)
def test_a_node_of_another_shape_stops_nothing(odd: dict[str, Any]) -> None:
    assert adf.in_markdown(document(paragraph("Read on."), odd)).startswith("Read on.")


def test_hundreds_of_quotations_in_each_other_are_empty() -> None:
    deep = paragraph("x")
    for _ in range(1_000):
        deep = {"type": "blockquote", "content": [deep]}
    assert adf.in_markdown(document(deep)) == ""
