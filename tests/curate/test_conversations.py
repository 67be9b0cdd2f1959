"""Exports in which a row is one message, and nested ones: dialogues of customers and your side, without private notes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lima.align.data import find_columns
from lima.curate.choose.duplicates import DuplicateSettings
from lima.curate.pipeline import curate
from lima.curate.rules import UNFILTERED, RuleSettings
from lima.curate.settings import CurateSettings
from lima.curate.sources.named_columns import NamedColumns
from lima.curate.sources.table import Table
from lima.errors import LimaError
from lima.files import read_jsonl
from lima.records import Example, Reject

ASKED, TOLD, AGAIN, THEN = (
    "My blender does not start. What can I do?",
    "Press the lid down until it clicks. It starts after that.",
    "It clicks, but nothing turns.",
    "Then the fuse in the plug is blown: put in a new one of 13 A.",
)
DIALOGUE = [("user", ASKED), ("assistant", TOLD), ("user", AGAIN), ("assistant", THEN)]


def dialogues(path: Path, **settings: Any) -> dict[str, list[tuple[str, str]]]:
    """What becomes of a file: the turns of each example by its id."""
    source = Table.model_validate({"train": 99, "rules": RuleSettings.model_validate(UNFILTERED)} | settings)
    out = path.parent / "out" if path.is_file() else path.with_name("out")
    off = DuplicateSettings(same_prompt=False, jaccard=None)
    curate(
        CurateSettings(
            recipe="test", input=path, out=out, sources={"own": source}, duplicates=off, card=False
        )
    )
    found = read_jsonl(out / "train.jsonl", Example)
    return {example.id: [(turn.role, turn.content) for turn in example.messages] for example in found}


def left_out(path: Path) -> dict[str, str]:
    """The rule of each row that is in no example."""
    out = path.parent / "out" if path.is_file() else path.with_name("out")
    rows = (out / "rejected.jsonl").read_text().splitlines()
    return {row.id: row.rule for row in map(Reject.model_validate_json, rows)}


def table(path: Path, header: str, rows: Sequence[Sequence[Any]]) -> Path:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(header.split(","))
    writer.writerows(rows)
    path.write_text(stream.getvalue())
    return path


# what tools call their columns, with the cells of the four turns and of one private note between them
TOOLS: dict[str, tuple[str, list[list[object]]]] = {
    "author's type": (
        "conversation_id,author_type,part_type,created_at,body",
        [
            [7, "lead", "comment", "2026-05-03T10:00:00Z", ASKED],
            [7, "admin", "note", "2026-05-03T10:01:00Z", "Is this the old model?"],
            [7, "admin", "comment", "2026-05-03T10:02:00Z", TOLD],
            [7, "user", "comment", "2026-05-03T10:03:00Z", AGAIN],
            [7, "admin", "comment", "2026-05-03T10:04:00Z", THEN],
            [7, "bot", "comment", "2026-05-03T10:05:00Z", "How did we do?"],
        ],
    ),
    "ids of author and requester": (
        "Ticket ID,Requester ID,Author ID,Public?,Created at:,Comment",
        [
            [7, 300, 300, "true", "2026-05-03 10:00:00 UTC", ASKED],
            [7, 300, 21, "false", "2026-05-03 10:01:00 UTC", "Is this the old model?"],
            [7, 300, 21, "true", "2026-05-03 10:02:00 UTC", TOLD],
            [7, 300, 300, "true", "2026-05-03 10:03:00 UTC", AGAIN],
            [7, 300, 22, "true", "2026-05-03 10:04:00 UTC", THEN],
        ],
    ),
    "incoming": (
        "ticket_id,incoming,private,created_at,body_text",
        [
            [7, 1, 0, "05/03/2026 10:00 AM", ASKED],
            [7, 0, 1, "05/03/2026 10:01 AM", "Is this the old model?"],
            [7, 0, 0, "05/03/2026 10:02 AM", TOLD],
            [7, 1, 0, "05/03/2026 12:03 PM", AGAIN],
            [7, 0, 0, "05/03/2026 01:04 PM", THEN],
        ],
    ),
    "direction, comments are internal": (
        "conversationsThreadId,type,direction,createdAt,text",
        [
            [7, "MESSAGE", "INCOMING", 1746266400, ASKED],
            [7, "COMMENT", "", 1746266460, "Is this the old model?"],
            [7, "MESSAGE", "OUTGOING", 1746266520, TOLD],
            [7, "MESSAGE", "INCOMING", 1746266580, AGAIN],
            [7, "MESSAGE", "OUTGOING", 1746266640, THEN],
        ],
    ),
    "type of thread": (
        "Conversation Number,Type,Created,Body",
        [
            [7, "customer", "3.5.2026 10:00", f"<p>{ASKED}</p>"],
            [7, "note", "3.5.2026 10:01", "Is this the old model?"],
            [7, "message", "3.5.2026 10:02", f"<p>{TOLD}</p>"],
            [7, "lineitem", "3.5.2026 10:02", "Assigned to Ann"],
            [7, "customer", "3.5.2026 10:03", AGAIN],
            [7, "message", "3.5.2026 10:04", THEN],
        ],
    ),
    "letters": (
        "ticket_number,type,poster,created_datetime,body",
        [
            [7, "M", "Sun", "2026-05-03 10:00", ASKED],
            [7, "N", "Eva", "2026-05-03 10:01", "Is this the old model?"],
            [7, "R", "Eva", "2026-05-03 10:02", TOLD],
            [7, "M", "Sun", "2026-05-03 10:03", AGAIN],
            [7, "R", "Eva", "2026-05-03 10:04", THEN],
        ],
    ),
    "is agent, a day's times alone": (
        "chat id,is_agent,internal,timestamp,message",
        [
            [7, "no", "no", "2026-05-03 10:00", ASKED],
            [7, "yes", "yes", "2026-05-03 10:01", "Is this the old model?"],
            [7, "yes", "no", "2026-05-03 10:02", TOLD],
            [7, "no", "no", "2026-05-03 10:03", AGAIN],
            [7, "yes", "no", "2026-05-03 10:04", THEN],
        ],
    ),
}


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("turned", [False, True], ids=["oldest first", "newest first"])
def test_messages_of_a_table_become_a_dialogue(
    tmp_path: Path, name: str, turned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    header, rows = TOOLS[name]
    path = table(tmp_path / "messages.csv", header, rows[::-1] if turned else rows)
    assert dialogues(path) == {"own/7": DIALOGUE}
    assert "private-note" in left_out(path).values()
    said = " ".join(capsys.readouterr().err.split())
    assert "a row is one message: conversation =" in said
    assert "2 messages of customers, 2 of your side; left out: 1 private-note" in said


def test_turns_of_one_side_are_joined_and_ends_cut(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        [1, "agent", "Hello! How can I help you?"],
        [1, "customer", "My lamp flickers."],
        [1, "customer", "It is a floor lamp."],
        [1, "agent", "Hi Ann,\n\nTurn the bulb tighter.\n\nKind regards,\nSam"],
        [1, "agent", "If that does not help, replace it."],
        [1, "customer", "That was it, thanks!"],
        [2, "customer", "Where is my parcel?"],
        [2, "agent", "We have received your message. You will hear from us."],
        [3, "customer", "Anybody there?"],
        [4, "agent", "Our shop has new hours."],
        ["", "agent", "Whose is this?"],
    ]
    path = table(tmp_path / "chats.csv", "conversation,role,text", rows)
    answer = "Turn the bulb tighter.\n\nIf that does not help, replace it."
    assert dialogues(path) == {
        "own/1": [("user", "My lamp flickers.\n\nIt is a floor lamp."), ("assistant", answer)]
    }
    rules = {
        "own/2": "automatic",
        "own/3": "no-reply",
        "own/4": "no-question",
        "own/without/1": "no-conversation",
    }
    assert left_out(path) == rules
    example = next(read_jsonl(tmp_path / "out" / "train.jsonl", Example))
    assert {"greeting cut", "signature cut", "words after the last answer left out"} <= {
        *example.meta.transforms
    }


def test_a_dialogue_ends_where_a_turn_between_two_of_one_side_is_missing(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        *[[1, "customer", ASKED], [1, "agent", TOLD], [1, "customer", ""], [1, "agent", "Then send it in."]],
        *[[2, "customer", ASKED], [2, "bot", "Which model?"], [2, "customer", "B2"], [2, "agent", TOLD]],
        *[[3, "customer", ASKED], [3, "bot", "We have received your message."], [3, "customer", "Hurry."]],
        *[[3, "customer", ""], [3, "agent", TOLD], [3, "event", ""], [3, "agent", "Bye."]],
        *[[4, "customer", ""], [4, "agent", "That is a fuse."], [4, "customer", ASKED], [4, "agent", TOLD]],
    ]
    path = table(tmp_path / "chats.csv", "conversation,role,text", rows)
    assert dialogues(path) == {
        "own/1": DIALOGUE[:2],
        "own/3": [("user", f"{ASKED}\n\nHurry."), ("assistant", f"{TOLD}\n\nBye.")],
        "own/4": DIALOGUE[:2],
    }
    assert left_out(path)["own/2"] == "gap"


def test_thanks_at_the_end_are_no_answer_and_a_chat_is_no_mail(tmp_path: Path) -> None:
    header, rows = TOOLS["author's type"]
    thanks: list[list[Any]] = [
        [7, "user", "comment", "2026-05-03T11:00:00Z", "Perfect, thank you!"],
        [7, "admin", "comment", "2026-05-03T11:01:00Z", "You're welcome! Have a nice day."],
        [8, "user", "comment", "2026-05-03T11:00:00Z", "Is it open on Sunday?"],
        [8, "admin", "comment", "2026-05-03T11:01:00Z", "Happy to tell: no, it is not."],
        [8, "robot", "comment", "2026-05-03T11:02:00Z", "Rate us."],
    ]
    path = table(tmp_path / "messages.csv", header, rows + thanks)
    rules = RuleSettings.model_validate({**UNFILTERED, "length_min": 20})
    assert dialogues(path, rules=rules, dialogue="last")["own/7"] == DIALOGUE
    assert left_out(path)["own/8/3"] == "event"
    letter = "Dear Ann,\n\n> so you said\n\nThe parcel is late.\n\nKind regards,\nBob"
    chat = {"id": "7", "current_node": "b", "mapping": {
        "a": {"parent": None, "message": {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["A letter, please."]}}},
        "b": {"parent": "a", "message": {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": [letter]}}},
    }}  # fmt: skip
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat" / "conversations.json").write_text(json.dumps([chat]))
    found = dialogues(tmp_path / "chat" / "conversations.json")
    assert found == {"own/7": [("user", "A letter, please."), ("assistant", letter)]}


def test_the_first_answer_alone_or_loss_on_the_last(tmp_path: Path) -> None:
    header, rows = TOOLS["incoming"]
    path = table(tmp_path / "messages.csv", header, rows)
    assert dialogues(path, dialogue="first") == {"own/7": DIALOGUE[:2]}
    (tmp_path / "b").mkdir()
    path = table(tmp_path / "b" / "messages.csv", header, rows)
    assert dialogues(path, dialogue="last") == {"own/7": DIALOGUE}
    example = next(read_jsonl(tmp_path / "b" / "out" / "train.jsonl", Example))
    assert [turn.weight for turn in example.messages] == [1, 0, 1, 1]


def test_names_of_people_need_to_be_told(tmp_path: Path) -> None:
    rows = [
        [1, "Ann", "May I ask?"],
        [1, "Sam Low", "Do."],
        [2, "Bo", "And I?"],
        [2, "li@shop.example", "You too."],
    ]
    path = table(tmp_path / "chats.csv", "ticket,author,message", rows)
    with pytest.raises(
        LimaError, match=r"'author' holds Ann, Sam Low, Bo, li@shop.example\..*--columns.agents VALUE"
    ):
        dialogues(path)
    with pytest.raises(LimaError, match=r"no column of writers holds any of columns\.agents: Samuel"):
        dialogues(path, columns={"agents": ["Samuel"]})
    with pytest.raises(LimaError, match=r"no column 'when'\. There are: ticket, author, message"):
        dialogues(path, columns={"agents": ["Sam Low"], "time": "when"})
    told = dialogues(path, columns={"agents": ["Sam Low", "@shop.example"]})
    assert told["own/1"] == [("user", "May I ask?"), ("assistant", "Do.")]
    assert told["own/2"] == [("user", "And I?"), ("assistant", "You too.")]


def test_a_conversation_may_lie_in_several_files(tmp_path: Path) -> None:
    header, rows = TOOLS["incoming"]
    folder = tmp_path / "export"
    folder.mkdir()
    table(folder / "b.csv", header, rows[:2])
    table(folder / "a.csv", header, rows[2:])
    assert dialogues(folder) == {"own/7": DIALOGUE}


TREE = {
    "title": "A blender",
    "conversation_id": "7",
    "current_node": "e",
    "mapping": {
        "a": {"id": "a", "message": None, "parent": None, "children": ["b"]},
        "b": {"parent": "a", "message": {"author": {"role": "user"}, "content": {"content_type": "text", "parts": [ASKED]}}},
        "x": {"parent": "b", "message": {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": ["No idea."]}}},
        "c": {"parent": "b", "message": {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": [TOLD]}}},
        "t": {"parent": "c", "message": {"author": {"role": "tool"}, "content": {"content_type": "code", "text": "1"}}},
        "d": {"parent": "t", "message": {"author": {"role": "user"}, "content": {"content_type": "text", "parts": [AGAIN]}}},
        "e": {"parent": "d", "message": {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": [THEN]}}},
    },
}  # fmt: skip
NOTE = "Is this the old model?"
NESTED: dict[str, Any] = {
    "ticket with comments": {
        "id": 7, "requester_id": 300, "subject": "Blender", "description": ASKED, "created_at": "2026-05-03T10:00:00Z",
        "custom_fields": [{"id": 1, "value": "text"}],
        "comments": [
            {"id": 1, "author_id": 300, "public": True, "body": ASKED, "html_body": f"<p>{ASKED}</p>", "created_at": "2026-05-03T10:00:00Z"},
            {"id": 2, "author_id": 21, "public": False, "body": NOTE, "created_at": "2026-05-03T10:01:00Z"},
            {"id": 3, "author_id": 21, "public": True, "body": TOLD, "created_at": "2026-05-03T10:02:00Z"},
            {"id": 4, "author_id": 300, "public": True, "body": AGAIN, "created_at": "2026-05-03T10:03:00Z"},
            {"id": 5, "author_id": 22, "public": True, "body": THEN, "created_at": "2026-05-03T10:04:00Z"},
        ],
    },
    "source and conversation parts": {
        "type": "conversation", "id": "7", "created_at": 1746266400, "conversation_rating": {"rating": 5},
        "source": {"type": "conversation", "body": f"<p>{ASKED}</p>", "author": {"type": "lead", "id": "c"}},
        "conversation_parts": {"type": "conversation_part.list", "total_count": 5, "conversation_parts": [
            {"part_type": "assignment", "body": None, "created_at": 1746266410, "author": {"type": "bot", "id": "o"}},
            {"part_type": "note", "body": NOTE, "created_at": 1746266420, "author": {"type": "admin", "id": "a"}},
            {"part_type": "comment", "body": f"<p>{TOLD}</p>", "created_at": 1746266430, "author": {"type": "admin", "id": "a"}},
            {"part_type": "comment", "body": f"<p>{AGAIN}</p>", "created_at": 1746266440, "author": {"type": "user", "id": "c"}},
            {"part_type": "close", "body": f"<p>{THEN}</p>", "created_at": 1746266450, "author": {"type": "admin", "id": "a"}},
        ]},
    },
    "description and conversations": {
        "id": 7, "requester_id": 300, "description_text": ASKED, "created_at": "2026-05-03T10:00:00Z", "status": 5,
        "conversations": [
            {"id": 2, "user_id": 21, "incoming": False, "private": True, "body_text": NOTE, "created_at": "2026-05-03T10:01:00Z"},
            {"id": 3, "user_id": 21, "incoming": False, "private": False, "body_text": TOLD, "created_at": "2026-05-03T10:02:00Z"},
            {"id": 4, "user_id": 300, "incoming": True, "private": False, "body_text": AGAIN, "created_at": "2026-05-03T10:03:00Z"},
            {"id": 5, "user_id": 21, "incoming": False, "private": False, "body_text": THEN, "created_at": "2026-05-03T10:04:00Z"},
        ],
    },
    "embedded threads, newest first": {
        "id": 7, "number": 12, "subject": "Blender", "_embedded": {"threads": [
            {"id": 5, "type": "message", "body": THEN, "createdAt": "2026-05-03T10:04:00Z", "createdBy": {"type": "user"}},
            {"id": 4, "type": "customer", "body": AGAIN, "createdAt": "2026-05-03T10:03:00Z", "createdBy": {"type": "customer"}},
            {"id": 3, "type": "message", "body": TOLD, "createdAt": "2026-05-03T10:02:00Z", "createdBy": {"type": "user"}},
            {"id": 2, "type": "note", "body": NOTE, "createdAt": "2026-05-03T10:01:00Z", "createdBy": {"type": "user"}},
            {"id": 9, "type": "lineitem", "createdAt": "2026-05-03T10:01:00Z", "createdBy": {"type": "user"}},
            {"id": 1, "type": "customer", "body": ASKED, "createdAt": "2026-05-03T10:00:00Z", "createdBy": {"type": "customer"}},
        ]},
    },
    "messages that come in and go out": {
        "id": 7, "messages": [
            {"is_inbound": True, "text": ASKED, "created_at": 1746266400.5, "author": None},
            {"is_inbound": False, "text": TOLD, "created_at": 1746266430.5, "author": {"email": "a@shop.example"}},
            {"is_inbound": True, "text": AGAIN, "created_at": 1746266440.5, "author": None},
            {"is_inbound": False, "text": THEN, "created_at": 1746266450.5, "author": {"email": "a@shop.example"}},
        ],
    },
    "a tree of messages": TREE,
}  # fmt: skip


@pytest.mark.parametrize("name", NESTED)
@pytest.mark.parametrize("form", ["array", "lines", "page"])
def test_nested_records_become_dialogues(tmp_path: Path, name: str, form: str) -> None:
    record = NESTED[name]
    path = tmp_path / ("export.jsonl" if form == "lines" else "export.json")
    document = {"array": [record], "lines": record, "page": {"count": 1, "tickets": [record]}}[form]
    path.write_text(json.dumps(document, indent=None if form == "lines" else 1))
    find_columns(path, record, NamedColumns())  # lima align leaves it to the source
    assert dialogues(path) == {"own/7": DIALOGUE}
    rules = {*left_out(path).values()}
    assert ("private-note" in rules) == (NOTE in json.dumps(record))


def test_a_list_under_any_name_is_read_where_it_tells_who_wrote(tmp_path: Path) -> None:
    turns = [{"sender": side, "message": text} for side, text in (("visitor", ASKED), ("operator", TOLD))]
    (tmp_path / "chats.json").write_text(json.dumps([{"id": 7, "chatlog": turns}]))
    assert dialogues(tmp_path / "chats.json") == {"own/7": DIALOGUE[:2]}
    odd = [{"a": text} for text in (ASKED, TOLD)]
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "odd.json").write_text(json.dumps([{"id": 7, "chatlog": odd}]))
    with pytest.raises(LimaError, match=r"column 'chatlog' holds objects \(a\).*docs/own-data.md"):
        dialogues(tmp_path / "odd" / "odd.json")


def test_records_in_xml(tmp_path: Path) -> None:
    notes = "".join(
        f"<helpdesk-note><body>{text}</body><incoming type='boolean'>{incoming}</incoming>"
        f"<private type='boolean'>{private}</private><created-at type='datetime'>2026-05-03T10:0{minute}:00Z</created-at></helpdesk-note>"
        for minute, (text, incoming, private) in enumerate(
            [
                (NOTE, "false", "true"),
                (TOLD, "false", "false"),
                (AGAIN, "true", "false"),
                (THEN, "false", "false"),
            ],
            1,
        )
    )
    (tmp_path / "Tickets.xml").write_text(
        "<?xml version='1.0' encoding='UTF-8'?><helpdesk-tickets type='array'><helpdesk-ticket><created-at type='datetime'>2026-05-03T10:00:00Z"
        f"</created-at><description>{ASKED}</description><display-id type='integer'>7</display-id><due-by nil='true'/>"
        f"<helpdesk-notes type='array'>{notes}</helpdesk-notes></helpdesk-ticket></helpdesk-tickets>"
    )
    assert dialogues(tmp_path / "Tickets.xml") == {"own/7": DIALOGUE}
    assert left_out(tmp_path / "Tickets.xml") == {"own/7/2": "private-note"}


def test_threads_of_a_channel(tmp_path: Path) -> None:
    channel = tmp_path / "slack" / "help"
    channel.mkdir(parents=True)
    (tmp_path / "slack" / "channels.json").write_text('[{"id": "C1", "name": "help"}]')
    (tmp_path / "slack" / "users.json").write_text(
        '[{"id": "U1", "name": "ann", "profile": {"email": "a@b.example"}}]'
    )
    first = [
        {"type": "message", "user": "U1", "text": ASKED, "ts": "100.5", "thread_ts": "100.5", "reply_count": 3},
        {"type": "message", "subtype": "channel_join", "user": "U3", "text": "<@U3> has joined", "ts": "100.6"},
        {"type": "message", "user": "U2", "text": f"<@U1> {TOLD}", "ts": "100.7", "thread_ts": "100.5", "parent_user_id": "U1"},
    ]  # fmt: skip
    second = [
        {
            "type": "message",
            "user": "U1",
            "text": AGAIN,
            "ts": "200.1",
            "thread_ts": "100.5",
            "parent_user_id": "U1",
        },
        {
            "type": "message",
            "user": "U2",
            "text": THEN,
            "ts": "200.2",
            "thread_ts": "100.5",
            "parent_user_id": "U1",
        },
        {
            "type": "message",
            "user": "U4",
            "text": "A &lt; B, says <https://x.example|the page>",
            "ts": "201.0",
        },
    ]
    (channel / "2026-05-03.json").write_text(json.dumps(first))
    (channel / "2026-05-04.json").write_text(json.dumps(second))
    assert dialogues(tmp_path / "slack") == {"own/help-100.5": DIALOGUE}
    assert left_out(tmp_path / "slack") == {"own/help-100.6/1": "empty", "own/help-201.0": "no-reply"}


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "user", "content": ASKED}, {"role": "assistant", "content": TOLD}]},
        {"conversations": [{"from": "human", "value": ASKED}, {"from": "gpt", "value": TOLD}]},
        {"conversations": [ASKED, TOLD]},
    ],
    ids=["openai", "sharegpt", "lima"],
)
def test_a_chat_format_is_known_by_its_turns(tmp_path: Path, row: dict[str, Any]) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text(json.dumps(row) + "\n")
    find_columns(path, row, NamedColumns())
    assert [*dialogues(path).values()] == [DIALOGUE[:2]]


def test_a_table_of_questions_and_answers_stays_one(tmp_path: Path) -> None:
    rows = [["T-1", "agent", ASKED, TOLD], ["T-2", "customer", AGAIN, THEN]]
    path = table(tmp_path / "t.csv", "ticket,type,message,reply", rows)
    columns = {"prompt": "message", "id": "ticket"}
    beside = {"id": 1, "question": ASKED, "answer": TOLD, "comments": [{"author": "Ann", "text": "Nice!"}]}
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "t.json").write_text(json.dumps([beside]))
    assert [*dialogues(tmp_path / "json" / "t.json").values()] == [DIALOGUE[:2]]
    assert dialogues(path, columns=columns) == {"own/T-1": DIALOGUE[:2], "own/T-2": DIALOGUE[2:]}


def ticket(number: object, comments: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"id": number, "requester_id": 300, "description": ASKED, "comments": comments} | more


def said(minute: int, author: object, body: str | None, **more: Any) -> dict[str, Any]:
    return {"author_id": author, "body": body, "created_at": f"2026-05-03T10:{minute:02d}:00Z"} | more


def answered(number: object, **more: Any) -> dict[str, Any]:
    comments = [said(place, (300, 900)[place % 2], text) for place, (_, text) in enumerate(DIALOGUE)]
    return ticket(number, comments, **more)


def test_a_note_is_private_where_its_flag_comes_late(tmp_path: Path) -> None:
    note = ticket(99, [said(0, 300, ASKED), said(1, 900, "He is a pest.", internal=True), said(2, 900, TOLD)])
    export = tmp_path / "tickets.json"
    export.write_text(
        json.dumps([*(answered(number) for number in range(60)), note])
    )  # 240 rows without the flag
    assert dialogues(export)["own/99"] == DIALOGUE[:2]
    assert left_out(export) == {"own/99/2": "private-note"}


@pytest.mark.parametrize("flag", ["", "false"])
def test_a_note_is_private_where_one_of_two_columns_says_so(tmp_path: Path, flag: str) -> None:
    rows = [
        [7, "customer", flag, "reply", ASKED],
        [7, "agent", flag, "note", "He is a pest."],
        [7, "agent", flag, "reply", TOLD],
    ]
    export = table(tmp_path / "messages.csv", "ticket_id,author_type,private,type,body", rows)
    assert dialogues(export) == {"own/7": DIALOGUE[:2]}


@pytest.mark.parametrize(
    ("columns", "ends"),
    [
        ({}, [[7, "", "SYSTEM", "2026-05-03 10:05", "Closed."]]),
        ({"agents": ["Eva"], "role": "poster"}, []),
    ],
    ids=["a letter is missing", "another column tells who wrote"],
)
def test_a_note_marked_by_a_letter_is_private(
    tmp_path: Path, columns: dict[str, Any], ends: list[list[object]]
) -> None:
    """An N of osTicket is a note, not a no."""
    header, messages = TOOLS["letters"]
    rows = [*messages, *ends]
    path = table(tmp_path / "export.csv", header, rows)
    assert dialogues(path, columns=columns) == {"own/7": DIALOGUE}
    assert left_out(path)["own/7/2"] == "private-note"


def test_customers_who_only_began_are_customers(tmp_path: Path) -> None:
    """Tickets with one reply each: no message but the description is a customer's."""
    reply = {"body_text": TOLD, "incoming": False, "private": False, "created_at": "2026-05-03T10:02:00Z"}
    path = tmp_path / "tickets.json"
    path.write_text(json.dumps([{"id": 7, "description_text": ASKED, "conversations": [reply]}]))
    assert dialogues(path) == {"own/7": DIALOGUE[:2]}


def test_a_ticket_that_nobody_answered_is_dropped_and_no_table(tmp_path: Path) -> None:
    intercom = {"id": 3, "source": {"body": ASKED, "author": {"type": "user"}}, "conversation_parts": None}
    part = {"body": TOLD, "author": {"type": "admin"}, "part_type": "comment"}
    for name, empty, whole in (
        ("zendesk", ticket(3, []), answered(4)),
        ("intercom", intercom, intercom | {"id": 4, "conversation_parts": {"conversation_parts": [part]}}),
    ):
        export = tmp_path / name / "export.json"
        export.parent.mkdir()
        export.write_text(json.dumps([empty, whole]))
        assert list(dialogues(export)) == ["own/4"]
        assert left_out(export) == {"own/3": "no-reply"}


def test_keys_that_are_zero_or_missing_and_ids_as_text(tmp_path: Path) -> None:
    export = tmp_path / "tickets.json"
    other = answered(None, description="This is another.")
    export.write_text(json.dumps([answered(0), answered(None), other, answered(5, requester_id="300")]))
    found = dialogues(export)
    assert len(found) == 4
    assert {"own/0", "own/5"} <= found.keys()
    assert sum(turns == DIALOGUE for turns in found.values()) == 3
    assert [turns[0] for turns in found.values() if turns != DIALOGUE] == [
        ("user", f"This is another.\n\n{ASKED}")
    ]


def test_pages_that_overlap_repeat_no_message(tmp_path: Path) -> None:
    for page in ("1", "2"):
        (tmp_path / "pages").mkdir(exist_ok=True)
        (tmp_path / "pages" / f"{page}.json").write_text(json.dumps({"tickets": [answered(7)]}))
    assert dialogues(tmp_path / "pages") == {"own/7": DIALOGUE}
    assert [*left_out(tmp_path / "pages").values()] == ["repeated"] * 4


def test_what_has_no_time_stands_where_its_conversation_has_it(tmp_path: Path) -> None:
    first = ticket(1, [said(5, 300, AGAIN), said(9, 900, TOLD)])
    second = ticket(
        2, [said(1, 300, AGAIN), said(2, 900, TOLD)]
    )  # its description has no time; 10:09 was before it
    export = tmp_path / "tickets.json"
    export.write_text(json.dumps([first, second]))
    assert dialogues(export)["own/2"] == [("user", f"{ASKED}\n\n{AGAIN}"), ("assistant", TOLD)]


@pytest.mark.parametrize(
    ("header", "times", "said_of_it"),
    [
        ("date", ["02/01/2026 10:00", "02/01/2026 11:00", "03/01/2026 09:00", "01/02/2026 08:00"], "day before month, by"),
        ("date", ["01/02/2026 10:00 AM", "01/02/2026 11:00 AM", "01/03/2026 09:00 AM", "02/01/2026 08:00 AM"], "month before day, by"),
        ("date", ["01/02/2026 10:00", "01/02/2026 11:00", "01/02/2026 12:00", "01/02/2026 13:00"], "month before day, assumed"),
        ("time,date", ["10:00,03.05.2026", "11:00,03.05.2026", "09:00,04.05.2026", "09:10,04.05.2026"], "'date' and 'time'"),
        ("datum,uhrzeit", ["2026-05-03,10:00", "2026-05-03,11:00", "2026-05-04,09:00", "2026-05-04,9:10"], "'datum' and 'uhrzeit'"),
        ("time", ["1777802400", "1777802401000", "1777802402", "1777802403000000"], "time = 'time',"),
    ],
)  # fmt: skip
def test_times_of_any_form_put_messages_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], header: str, times: list[str], said_of_it: str
) -> None:
    rows: list[list[Any]] = [
        [7, side, text, *time.split(",")] for (side, text), time in zip(DIALOGUE, times, strict=True)
    ]
    path = table(tmp_path / "messages.csv", f"conversation,role,text,{header}", rows)
    assert dialogues(path) == {"own/7": DIALOGUE}
    assert said_of_it in " ".join(capsys.readouterr().err.split())


def test_a_cell_that_is_no_time_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export = tmp_path / "tickets.json"
    bad = ticket(7, [said(0, 300, ASKED), said(0, 900, TOLD) | {"created_at": "soon"}])
    export.write_text(json.dumps([bad, answered(8)]))
    dialogues(export)
    shown = " ".join(capsys.readouterr().err.split())
    assert "'soon' in column 'created_at' is no time" in shown
    assert "--columns.time" in shown


def test_a_tree_with_holes_and_two_of_one_title(tmp_path: Path) -> None:
    def tree(last: str) -> dict[str, Any]:
        def node(name: str, parent: str, role: str, text: str) -> dict[str, Any]:
            content = {"content_type": "text", "parts": [text]}
            message = {"author": {"role": role}, "content": content, "metadata": None}
            return {"id": name, "parent": parent, "message": message}

        nodes = {"s": None, "a": node("a", "s", "user", ASKED), last: node(last, "a", "assistant", TOLD)}
        return {"title": "New chat", "mapping": nodes, "current_node": last}

    export = tmp_path / "conversations.json"
    export.write_text(json.dumps([tree("b1"), tree("b2")]))
    assert dialogues(export) == {"own/b1": DIALOGUE[:2], "own/b2": DIALOGUE[:2]}


def test_a_message_whose_text_is_a_list_is_empty_and_the_others_are_read(tmp_path: Path) -> None:
    texts = [ASKED, [], TOLD]  # [] is how PHP writes nothing
    rows = [{"ticket_id": 7, "is_agent": place > 0, "body": text} for place, text in enumerate(texts)]
    export = tmp_path / "messages.json"
    export.write_text(json.dumps(rows))
    assert dialogues(export) == {"own/7": DIALOGUE[:2]}
    assert left_out(export) == {"own/7/2": "empty"}


def test_a_page_of_one_ticket_is_a_conversation_and_a_number_is_a_text(tmp_path: Path) -> None:
    told = [{"id": 1, "is_agent": False, "body": ASKED}, {"id": 2, "is_agent": True, "body": 12345}]
    page = tmp_path / "comments.json"
    page.write_text(json.dumps({"comments": told, "count": 2}))
    assert [*dialogues(page).values()] == [[("user", ASKED), ("assistant", "12345")]]


@pytest.mark.parametrize(
    ("header", "rows", "told"),
    [
        ("ticket_id,role,body", [[1, "agent", TOLD], [2, "agent", THEN]], "all messages are of your side"),
        ("ticket_id,role,body", [[1, "customer", ASKED], [2, "customer", AGAIN]], "none is of your side"),
        ("ticket_id,author_id,requester_id,body", [[1, 5, 8, TOLD], [2, 5, 9, THEN]], "no message is of who asked"),
    ],
)  # fmt: skip
def test_a_side_that_never_writes_is_named(
    tmp_path: Path, header: str, rows: list[list[Any]], told: str
) -> None:
    with pytest.raises(LimaError, match=rf"{told}.*Export.*--columns\.agents VALUE"):
        dialogues(table(tmp_path / "messages.csv", header, rows))
