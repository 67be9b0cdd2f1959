"""Issues of Jira -> rows of one message each, in Markdown: its CSV, with a column for each comment, and the JSON of its REST API.

The markup of the CSV and of version 2 of the API is the renderer's of jira.atlassian.com: {code}, {noformat}, {quote}, [text|address],
h2., {{mono}}, *bold*, # lists. Version 3 has the Document Format (`lima.curate.reading.adf`). Fields as
developer.atlassian.com/cloud/jira/platform/rest lists them (Issues, Issue comments).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lima.curate.reading import adf
from lima.curate.reading.message_columns import OF_MESSAGES, Opening, folded
from lima.curate.text.mail_forms import COMMENT_HEAD

Row = dict[str, Any]
WHO, ASKER = "author", "requester"
ACCOUNT = ("accountId", "key", "name")
"""What tells users apart: in the cloud, and on a server."""
INTERNAL = "sd.public.comment"
"""The property by which a server's comments tell whether they are internal, where they were asked for with ``expand=properties``."""
BLOCK = re.compile(r"(?s)\{(code|noformat)(?::([\w+#]*)[^}]*)?\}\n?(.*?)\n?\{\1\}")
# fmt: off
MARKUP: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\[~[^\]]+\][ ,:]*"), ""),                                # a mention
    (re.compile(r"!(?!\s)[^!|\n]+\.\w{3,4}(?:\|[^!\n]*)?!"), ""),           # a picture
    (re.compile(r"\[([^|\]\n]+)\|[^\]\n]+\]"), r"\1"),                      # a link with its text
    (re.compile(r"\{(?:color|panel)(?::[^}]*)?\}"), ""),
    (re.compile(r"\{\{(.+?)\}\}"), r"`\1`"),
    (re.compile(r"(?m)^# "), "1. "),                                        # a list; Markdown's # is a heading
    (re.compile(r"(?m)^h([1-6])\. "), lambda found: "#" * int(found[1]) + " "),
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])"), r"**\1**"),
    (re.compile(r"(?s)\{quote\}\n?(.*?)\n?\{quote\}"), lambda found: "\n".join(f"> {line}" for line in found[1].split("\n"))),
)
# fmt: on


def holds_comments(row: Mapping[str, Any]) -> bool:
    """Whether a row has comments that begin with time and writer, or is an issue with columns for them, all empty."""
    comments = [text for name, text in row.items() if _is_comment(name, text)]
    is_issue = "Issue key" in row and bool(comments) and not any(comments)
    return is_issue or any(COMMENT_HEAD.match(text) for text in comments)


def in_markdown(text: str) -> str:
    """A text of Jira in Markdown; code stays as it is.

    >>> in_markdown("[~ann] press *OK*, see [the manual|https://x.example], {{reset}}")
    'press **OK**, see the manual, `reset`'
    """
    parts, place = [], 0
    for block in BLOCK.finditer(text):
        body = f"```{block[2] or ''}\n{block[3]}\n```" if "\n" in block[0] else f"`{block[3]}`"
        parts += [_marked(text[place : block.start()]), body]
        place = block.end()
    return "".join([*parts, _marked(text[place:])])


def _marked(text: str) -> str:
    for pattern, instead in MARKUP:
        text = pattern.sub(instead, text)
    return text


def _is_comment(name: str, text: Any) -> bool:
    return folded(name).startswith("comment") and isinstance(text, str)


def issue_rows(row: Row) -> list[Row]:
    """An issue: its description, and comments that each begin with time and writer."""
    taken = OF_MESSAGES | ({"reporter"} if row.get("Reporter Id") else set())
    own = {
        name: value
        for name, value in row.items()
        if folded(name) not in taken and not folded(name).startswith("comment")
    }
    first = Opening({**own, "time": row.get("Created", ""), WHO: row.get("Reporter Id", "")})
    first.text = in_markdown(str(row.get("Description") or row.get("Summary") or ""))
    return [first, *({**own, **one} for one in _comments(row))]


def _comments(row: Row) -> Iterator[Row]:
    for name, text in row.items():
        if _is_comment(name, text) and (head := COMMENT_HEAD.match(text)):
            time, who, _ = text.split(";", 2)
            yield {WHO: who, "time": time, "text": in_markdown(text[head.end() :])}


def is_issue(row: Mapping[str, Any]) -> bool:
    """Whether a record is an issue of the REST API."""
    fields = row.get("fields")
    return (
        isinstance(fields, dict)
        and "key" in row
        and bool({"summary", "description", "comment"} & fields.keys())
    )


def rest_rows(row: Row) -> list[Row]:
    """An issue of the REST API: its description, or its summary where there is none, and its comments."""
    fields = row["fields"]
    own = {name: value for name, value in _flat(fields).items() if folded(name) not in OF_MESSAGES}
    asker = _account(fields.get("reporter"))
    own |= {"conversation id": row["key"], ASKER: asker}
    first = Opening({**own, "time": fields.get("created", ""), WHO: asker, **_person(fields.get("reporter"))})
    first.text = _written(fields.get("description")) or _written(fields.get("summary"))
    told = _object(fields.get("comment")).get("comments")
    return [first, *({**own, **_comment(one, asker)} for one in told or () if isinstance(one, dict))]


def _comment(said: Row, asker: str) -> Row:
    """A comment as a row: whoever has a customer's account writes on the customer's side."""
    author = _object(said.get("author"))
    who = asker if asker and author.get("accountType") == "customer" else _account(author)
    row = {WHO: who, **_person(author), "time": said.get("created", ""), "text": _written(said.get("body"))}
    return row if (hidden := _is_internal(said)) is None else {**row, "internal": hidden}


def _is_internal(said: Row) -> bool | None:
    """Whether customers do not see a comment; None where it does not say: hidden from the portal, or for a role or group alone."""
    properties = [
        one for one in said.get("properties") or () if isinstance(one, dict) and one.get("key") == INTERNAL
    ]
    told = [str(_object(one.get("value")).get("internal")).casefold() == "true" for one in properties]
    told += [not said["jsdPublic"]] if isinstance(said.get("jsdPublic"), bool) else []
    told += [True] if said.get("visibility") else []
    return any(told) if told else None


def _written(value: Any) -> str:
    if adf.is_document(value):
        return adf.in_markdown(value)
    return in_markdown(value).strip() if isinstance(value, str) else ""


def _account(user: Any) -> str:
    return next((str(one) for name in ACCOUNT if (one := _object(user).get(name))), "")


def _person(user: Any) -> Row:
    """By what ``columns.agents`` can name a writer."""
    told = _object(user)
    return {"author name": told.get("displayName", ""), "author email": told.get("emailAddress", "")}


def _object(value: Any) -> Row:
    return value if isinstance(value, dict) else {}


def _flat(fields: Row) -> Row:
    """Plain fields, and of objects such as priority or request type what they are called."""
    plain = {name: value for name, value in fields.items() if not isinstance(value, list | dict)}
    named = {
        name: value.get("name") or value.get("value") or value.get("rating")
        for name, value in fields.items()
        if isinstance(value, dict) and not adf.is_document(value)
    }
    return plain | {name: value for name, value in named.items() if isinstance(value, str | int | float)}
