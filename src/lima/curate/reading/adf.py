"""A text in Atlassian's Document Format, the JSON in which Jira Cloud keeps descriptions and comments -> Markdown.

Nodes and marks as developer.atlassian.com lists them (Atlassian Document Format, structure). Like the markup of older Jiras,
mentions and pictures are left out, and of a link its text is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

Node = Mapping[str, Any]
MARKS: Mapping[str, str] = {"code": "`", "strong": "**", "em": "*", "strike": "~~"}
"""What stands on both sides of a text, innermost first; other marks, such as colours, are left out."""
MENTION = re.compile(r"[ \t]*\0[ \t]*(?:[,:](?=\s|$)[ \t]*)?")


def is_document(value: Any) -> bool:
    """Whether a value is a text in this format."""
    return (
        isinstance(value, Mapping) and value.get("type") == "doc" and isinstance(value.get("content"), list)
    )


def in_markdown(document: Node) -> str:
    """The text of a document; empty where its nodes are nested hundreds deep.

    >>> text = {"type": "text", "text": "Press OK.", "marks": [{"type": "strong"}]}
    >>> in_markdown({"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [text]}]})
    '**Press OK.**'
    """
    try:
        return _blocks(document).strip()
    except RecursionError:  # nobody nests this deep, except to break readers
        return ""


def _children(node: Node) -> list[Node]:
    return _objects(node.get("content"))


def _objects(values: Any) -> list[Node]:
    return [one for one in values if isinstance(one, Mapping)] if isinstance(values, list) else []


def _attribute(node: Node, name: str) -> Any:
    found = node.get("attrs")
    return found.get(name, "") if isinstance(found, Mapping) else ""


def _kind(node: Node) -> str:
    return str(node.get("type"))


def _blocks(node: Node) -> str:
    """Block nodes below each other, inline ones in a row."""
    text = ""
    for is_block, children in groupby(_children(node), lambda child: _kind(child) in BLOCKS):
        for kind, part in _read(children) if is_block else [("", _line(children))]:
            apart = "\n" if kind in LISTS and _kind(node) == "listItem" else "\n\n"
            text += f"{apart if text else ''}{part}" if part else ""
    return text


def _read(blocks: Iterable[Node]) -> Iterator[tuple[str, str]]:
    """Each block's type and its text."""
    return ((_kind(block), BLOCKS[_kind(block)](block)) for block in blocks)


def _line(nodes: Iterable[Node]) -> str:
    whole = "".join(map(_inline, nodes))
    beside = MENTION.sub(lambda found: " " if found.start() > 0 and found.end() < len(whole) else "", whole)
    return beside.strip()


def _inline(node: Node) -> str:
    kind = _kind(node)
    if kind == "text":
        return _marked(str(node.get("text") or ""), {_kind(mark) for mark in _objects(node.get("marks"))})
    if kind == "mention":
        return "\0"
    if kind == "hardBreak":
        return "\n"
    if kind == "date":
        return _day(_attribute(node, "timestamp"))
    found = (_attribute(node, name) for name in INLINE.get(kind, ()))
    return next((str(one) for one in found if one), "") or "".join(map(_inline, _children(node)))


INLINE: Mapping[str, tuple[str, ...]] = {
    "emoji": ("text", "shortName"),
    "inlineCard": ("url",),
    "status": ("text",),
}
"""Inline nodes whose text is an attribute, the first that is there."""


def _marked(text: str, marks: set[str]) -> str:
    """A text between its marks; blanks at its ends stay outside, or Markdown does not see them."""
    inner = text.strip()
    if not inner:
        return text
    start = text.index(inner)
    shown = inner
    for mark, sign in MARKS.items():
        if mark in marks:
            shown = f"{sign}{shown}{sign}"
    return text[:start] + shown + text[start + len(inner) :]


def _day(timestamp: Any) -> str:
    """The day of a date, whose attribute counts milliseconds."""
    try:
        return datetime.fromtimestamp(int(timestamp) / 1000, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return str(timestamp)


def _heading(node: Node) -> str:
    level = _attribute(node, "level")
    return f"{'#' * (level if isinstance(level, int) and 1 <= level <= 6 else 1)} {_blocks(node)}"


def _code(node: Node) -> str:
    text = "".join(str(child.get("text") or "") for child in _children(node))
    fence = "`" * max([3, *(len(ticks) + 1 for ticks in re.findall("`{3,}", text))])
    return f"{fence}{_attribute(node, 'language') or ''}\n{text}\n{fence}"


def _quote(node: Node) -> str:
    return "\n".join(f"> {line}".rstrip() for line in _blocks(node).split("\n"))


def _list(node: Node) -> str:
    numbered = _kind(node) == "orderedList"
    first = _attribute(node, "order") if isinstance(_attribute(node, "order"), int) else 1
    items = []
    for number, child in enumerate(_children(node), start=first):
        sign = f"{number}. " if numbered else "- "
        if _kind(child) in LISTS:  # a task list holds another beside its items
            items.append("  " + _list(child).replace("\n", "\n  "))
        else:
            items.append(sign + _blocks(child).replace("\n", "\n" + " " * len(sign)))
    return "\n".join(items)


def _table(node: Node) -> str:
    rows = [[_cell(cell) for cell in _children(row)] for row in _children(node)]
    if not rows:
        return ""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def _cell(node: Node) -> str:
    return re.sub(r"\s*\n\s*", " ", _blocks(node)).replace("|", r"\|")


def _titled(node: Node) -> str:
    title = _attribute(node, "title")
    return "\n\n".join(filter(None, [str(title or ""), _blocks(node)]))


LISTS = frozenset(("bulletList", "orderedList", "taskList"))
BLOCKS: Mapping[str, Callable[[Node], str]] = {
    "paragraph": _blocks,
    "heading": _heading,
    "codeBlock": _code,
    "blockquote": _quote,
    "bulletList": _list,
    "orderedList": _list,
    "taskList": _list,
    "decisionList": _list,
    "table": _table,
    "expand": _titled,
    "nestedExpand": _titled,
    "panel": _blocks,
    "layoutSection": _blocks,
    "layoutColumn": _blocks,
    "bodiedExtension": _blocks,
    "blockCard": lambda node: str(_attribute(node, "url")),
    "embedCard": lambda node: str(_attribute(node, "url")),
    "mediaSingle": lambda node: "",
    "mediaGroup": lambda node: "",
    "rule": lambda node: "---",
}
"""How each block reads; any other node is read as what it holds."""
