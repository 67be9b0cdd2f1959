"""Nested JSON of help desks and chat tools, Jira's issues, and Slack's messages -> rows of one message each.

Shapes by their public documentation (docs/own-data.md names the pages): a record that holds a list of messages under
any of the usual names (Zendesk, Intercom, Freshdesk, Help Scout, HubSpot, Front), and ChatGPT's tree of messages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lima.curate.reading.jira import holds_comments, is_issue, issue_rows, rest_rows
from lima.curate.reading.message_columns import OF_MESSAGES, USUAL, Chatted, Opening, Part, folded
from lima.curate.text.clean import clean
from lima.files import text_hash

Row = dict[str, Any]
LISTS = (
    "comments", "conversation_parts", "conversations", "threads", "messages", "notes", "helpdesk-notes", "replies", "parts", "results", "events", "history",
)  # fmt: skip
"""Under which names records hold their messages."""
WRITTEN: tuple[Part, ...] = ("text", "role")
"""What objects under any other name must have."""
KEY, WHO, ASKER = "conversation id", "author", "requester"
DESCRIPTIONS = ("description_text", "description-text", "description", "Description")
"""Where a ticket holds the message that it began with."""
SLACK_LISTS = (
    "channels", "users", "org_users", "dms", "groups", "mpims", "integration_logs", "canvases", "content_flags",
)  # fmt: skip
"""Files of a Slack export that hold no messages."""
MENTION = re.compile(r" ?<(?:@[UW]\w+|!)[^<>]*>")
SLACK_CHANNEL = re.compile(r"<#\w+\|([^<>]*)>")
SLACK_LINK = re.compile(r"<((?:https?|mailto):[^|<>\s]+)(?:\|([^<>]*))?>")
SLACK_ESCAPES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def message_rows(row: Row, path: Path) -> list[Row] | None:
    """The messages of a record, each as a row; None where the row is no such record."""
    if len(row) == 1 and isinstance(inner := next(iter(row.values())), dict):
        row = inner  # {"ticket": {...}}
    if "mapping" in row and isinstance(row["mapping"], dict):
        return _of_tree(row)
    if row.get("type") == "message" and "ts" in row:
        return [_of_slack(row, path)]
    if is_issue(row):
        return rest_rows(row)
    if holds_comments(row):
        return issue_rows(row)
    messages = _messages(row)
    return None if messages is None else _of_list(row, messages)


def nested(row: Mapping[str, Any]) -> bool:
    """Whether a cell of the row is a list or an object, or a comment with its head, as Jira's are."""
    return any(isinstance(value, list | dict) for value in row.values()) or holds_comments(row)


def is_beside_messages(path: Path) -> bool:
    """Whether a file of a Slack export lists people, channels or the like."""
    return path.stem in SLACK_LISTS and (path.parent / "channels.json").exists()


def _of_list(row: Row, messages: Sequence[Row]) -> list[Row]:
    head = flat({name: value for name, value in row.items() if not isinstance(value, list)})
    head = {name: value for name, value in head.items() if name.partition(".")[0] not in DESCRIPTIONS}
    key = _key(row)
    opening = _opening(row, messages)
    first = opening and Opening({**head, KEY: key})
    if isinstance(first, Opening):
        first.text = opening
    own = {name: value for name, value in head.items() if folded(name) not in OF_MESSAGES}
    told = [{**own, **flat(message), KEY: key} for message in messages]
    source = row.get("source")
    if isinstance(source, dict) and isinstance(source.get("body"), str):  # Intercom
        begin = {"created_at": row.get("created_at"), "part_type": "comment", **flat(source)}
        told = [{**own, **begin, KEY: key}, *told]
    return [first, *told] if isinstance(first, Opening) else told or [{**own, KEY: key}]


def _key(row: Row) -> str:
    """The record's own key; of one without, a hash, for what a record holds is one conversation."""
    names = ("id", "conversation_id", "display-id", "number", "key")
    own = (str(row[name]) for name in names if row.get(name) not in (None, ""))
    return next(own, "") or text_hash(json.dumps(row, sort_keys=True, default=str))


def _messages(row: Row) -> list[Row] | None:
    """The list of objects with a text, in the record or in an object of it: under a usual name, or where they tell who wrote."""
    holders = [row, *(value for value in row.values() if isinstance(value, dict))]
    for known in LISTS:
        for holder in holders:
            names = {folded(name): name for name in holder}
            found = holder.get(names.get(folded(known), known))
            found = found.get(known) if isinstance(found, dict) else found
            if (told := _unwrapped(found)) and _keys(told) & {*USUAL["text"]}:
                return told
    if _is_unanswered(row):
        return []
    others = (told for holder in holders for value in holder.values() if (told := _unwrapped(value)))
    return next((one for one in others if all(_keys(one) & {*USUAL[part]} for part in WRITTEN)), None)


def _is_unanswered(row: Row) -> bool:
    """Whether a record has the place of messages and none in it, as a ticket has that nobody answered."""
    begun = any(row.get(name) for name in DESCRIPTIONS) or isinstance(row.get("source"), dict)
    lists = {folded(known) for known in LISTS}
    return begun and any(folded(name) in lists and not _inner(value) for name, value in row.items())


def _inner(value: Any) -> Any:
    """What a list of messages holds, also one within an object of Intercom's."""
    return any(isinstance(one, list) and one for one in value.values()) if isinstance(value, dict) else value


def unknown_list(row: Mapping[str, Any]) -> str | None:
    """What to do about a record with a list of objects that is none of the shapes above; None where there is no such list."""
    found = next(((name, told) for name, value in row.items() if (told := _unwrapped(value))), None)
    if found is None:
        return None
    keys = ", ".join(dict.fromkeys(key for one in found[1] for key in one))
    return (
        f"column {found[0]!r} holds objects ({keys}), none of which is known to be a text or its writer. Call them as one of the tools does that "
        'docs/own-data.md lists, such as "messages": [{"role": "user", "content": ...}, {"role": "assistant", "content": ...}]'
    )


def is_one_conversation(messages: Sequence[Row]) -> bool:
    """Whether objects are messages, with a text and who wrote it, none of which says of what conversation: the comments of one ticket."""
    names = _keys(messages)
    return all(names & {*USUAL[part]} for part in WRITTEN) and not names & {*USUAL["conversation"]}


def _keys(messages: Sequence[Row]) -> set[str]:
    return {folded(name) for one in messages for name in flat(one)}


def _unwrapped(values: Any) -> list[Row]:
    """The objects of a list, none of anything else; ``{"note": {...}}`` of Freshdesk's first API is that object."""
    found = [] if not isinstance(values, list) else [value for value in values if isinstance(value, dict)]
    return [
        next(iter(one.values())) if len(one) == 1 and isinstance(next(iter(one.values())), dict) else one
        for one in found
    ]


def _opening(row: Row, messages: Sequence[Row]) -> str:
    """The description of a ticket, unless its first message repeats it, as Zendesk's does."""
    text = next(
        (row[name] for name in DESCRIPTIONS if isinstance(row.get(name), str) and row[name].strip()), ""
    )
    begin = _letters(text)
    told = (_letters(value) for message in messages for value in message.values() if isinstance(value, str))
    return "" if any(begin and (begin in one) for one in told) else text


def _letters(text: str) -> str:
    return re.sub(r"\W+", "", clean(text, trim=False).text if "<" in text else text).casefold()


def flat(row: Mapping[str, Any]) -> Row:
    """Objects within as columns: ``{"author": {"type": "admin"}}`` has ``author.type``; lists are left out."""
    found: Row = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            found |= {
                f"{name}.{inner}": one for inner, one in value.items() if not isinstance(one, list | dict)
            }
        elif not isinstance(value, list):
            found[name] = value
    return found


def _of_tree(row: Row) -> list[Row]:
    """ChatGPT's export: nodes with parents; the branch that ends in ``current_node`` is what was seen last."""
    nodes, place = row["mapping"], row.get("current_node")
    branch: list[Row] = []
    seen: set[Any] = set()
    while place in nodes and place not in seen:
        seen.add(place)
        node = _object(nodes[place])
        if said := _object(node.get("message")):
            branch.append(said)
        place = node.get("parent")
    key = str(row.get("conversation_id") or row.get("id") or row.get("current_node") or "")
    return [
        Chatted({KEY: key, "title": row.get("title"), "role": _shown_role(said), "text": _parts(said)})
        for said in reversed(branch)
    ] or [{KEY: key, "role": "", "text": ""}]


def _object(value: Any) -> Row:
    return value if isinstance(value, dict) else {}


def _shown_role(said: Row) -> str:
    """What a tool is sent, and what is hidden, is no turn."""
    hidden = _object(said.get("metadata")).get("is_visually_hidden_from_conversation")
    role = _object(said.get("author")).get("role", "")
    return "event" if hidden or said.get("recipient") not in (None, "all") else str(role)


def _parts(said: Row) -> str:
    content = _object(said.get("content"))
    if content.get("content_type") not in ("text", "multimodal_text"):
        return ""
    parts = content.get("parts") or []
    return "\n".join(parts) if all(isinstance(part, str) for part in parts) else ""


def _of_slack(row: Row, path: Path) -> Row:
    """A message of a channel; a thread is a conversation, and who began it asks."""
    begins = row.get("thread_ts", row["ts"])
    text = SLACK_CHANNEL.sub(r"#\1", MENTION.sub("", str(row.get("text") or "")))
    text = SLACK_LINK.sub(lambda link: link[2] or link[1], text)
    for escaped, character in SLACK_ESCAPES:
        text = text.replace(escaped, character)
    spoken = row.get("subtype") in (None, "thread_broadcast") and not row.get("bot_id")
    return {
        KEY: f"{path.parent.name}-{begins}",
        WHO: row.get("user", "") if spoken else "",
        ASKER: row.get("parent_user_id") or row.get("user", ""),
        "text": text.strip() if spoken else "",
        "time": row["ts"],
    }
