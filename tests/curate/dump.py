"""Builds the smallest real dumps: rows as Stack Exchange writes them, in any layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

HEAD = '\ufeff<?xml version="1.0" encoding="utf-8"?>\n<posts>\n'
TAIL = "</posts>"
ORDER = [
    "Id",
    "PostTypeId",
    "AcceptedAnswerId",
    "ParentId",
    "CreationDate",
    "DeletionDate",
    "Score",
    "ViewCount",
    "Body",
    "OwnerUserId",
    "OwnerDisplayName",
    "LastEditDate",
    "LastActivityDate",
    "Title",
    "Tags",
    "AnswerCount",
    "CommentCount",
    "ClosedDate",
    "CommunityOwnedDate",
    "ContentLicense",
]
SENTENCE = "Water boils at a lower temperature on a mountain, because the air presses less on its surface. "
LONG = f"<p>{SENTENCE * 14}</p>"
"""An answer that passes every rule: 14 x 95 = 1,330 characters, less the last space."""


def question(
    number: int, title: str = "Why does water boil sooner on a mountain?", **more: Any
) -> dict[str, Any]:
    return {
        "Id": number,
        "PostTypeId": 1,
        "CreationDate": "2012-05-01T10:00:00.000",
        "Score": 20,
        "ViewCount": 3,
        "Body": "<p>On a mountain the potatoes stay hard. Why does water boil sooner there?</p>",
        "OwnerUserId": 100 + number,
        "Title": title,
        "Tags": "<physics><cooking>",
        **more,
    }


def answer(number: int, parent: int, score: int = 15, body: str = LONG, **more: Any) -> dict[str, Any]:
    return {
        "Id": number,
        "PostTypeId": 2,
        "ParentId": parent,
        "CreationDate": "2012-05-02T10:00:00.000",
        "Score": score,
        "Body": body,
        "OwnerUserId": 100 + number,
        **more,
    }


def row(attributes: dict[str, Any], order: Sequence[str] = ORDER) -> str:
    """One line of the dump, attributes with value None left out."""
    names = sorted((name for name in attributes if attributes[name] is not None), key=list(order).index)
    shown = " ".join(f'{name}="{_value(attributes[name])}"' for name in names)
    return f"  <row {shown} />\n"


def posts(*rows: dict[str, Any]) -> str:
    """A whole Posts.xml."""
    return HEAD + "".join(map(row, rows)) + TAIL


def write(folder: Path, text: str | bytes, site: str = "cooking") -> Path:
    """Put a Posts.xml into a site's folder below ``folder``; returns ``folder``."""
    path = folder / site / "Posts.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def _value(value: Any) -> str:
    return escape(str(value), {'"': "&quot;", "\n": "&#xA;"})
