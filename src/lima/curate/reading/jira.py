"""Issues of Jira as its CSV has them, a column for each comment -> rows of one message each, in Markdown.

Its markup is the renderer's of jira.atlassian.com: {code}, {noformat}, {quote}, [text|address], h2., {{mono}}, *bold*, # lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lima.curate.reading.conversations import OF_MESSAGES, Opening, folded
from lima.curate.text.mail_forms import COMMENT_HEAD

Row = dict[str, Any]
WHO = "author"
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
    first = Opening({**own, "time": row.get("Created", "")})
    first.text = in_markdown(str(row.get("Description") or row.get("Summary") or ""))
    return [first, *({**own, **one} for one in _comments(row))]


def _comments(row: Row) -> Iterator[Row]:
    for name, text in row.items():
        if _is_comment(name, text) and (head := COMMENT_HEAD.match(text)):
            time, who, _ = text.split(";", 2)
            yield {WHO: who, "time": time, "text": in_markdown(text[head.end() :])}
