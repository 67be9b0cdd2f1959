"""One row of a dump's table <-> XML: the way to read a row that always works, some ten microseconds each."""

from __future__ import annotations

import re
from typing import IO
from xml.etree import ElementTree

MAX_ROW_BYTES = 16 << 20
"""A row of a real dump has at most some 100 KB; the limit bounds the memory that a bad file can take."""
Place = tuple[int, int, int]
"""Id, offset and length of a row."""
FRAME = re.compile(rb"<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*>|</?posts\s*/?>", re.DOTALL)
STRANGE = re.compile(
    rb"&#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,9}));|[\0-\x08\x0b\x0c\x0e-\x1f]|\xed[\xa0-\xbf][\x80-\xbf]"
)
STRIPPED = "characters that are no text"
"""An attribute of rows in which there were such, beside those of the dump."""


def decode_row(raw: bytes, identifier: int) -> dict[str, str] | None:
    """All attributes of the row with this id in its line; None when the line is no XML.

    Control characters and halves of surrogate pairs, which no XML holds, are left out; `STRIPPED` tells.
    """
    try:
        element = ElementTree.fromstring(raw)
        if element.tag == "row":
            return element.attrib
    except ElementTree.ParseError:
        pass  # the line may hold several rows, or the frame of the file too
    rows = parse_rows(unframed(raw)) or []
    return next((row for row in rows if integer(row.get("Id")) == identifier), None)


def text_alone(raw: bytes) -> bytes:
    """XML without what is no character of XML: control characters and surrogates, written out or as references."""
    return STRANGE.sub(_if_character, raw)


def _if_character(found: re.Match[bytes]) -> bytes:
    hexadecimal, decimal = found.groups()
    if hexadecimal is None and decimal is None:
        return b""
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    good = (
        code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000
    )
    return found.group() if good else b""


def raw_row(rows: IO[bytes], place: Place) -> bytes:
    """The bytes of a row in its file."""
    rows.seek(place[1])
    return rows.read(place[2])


def unframed(text: bytes) -> bytes:
    """The rows of a line without byte-order mark, declarations, comments and the ``posts`` element."""
    return FRAME.sub(b"", text.removeprefix(b"\xef\xbb\xbf")).strip()


def parse_rows(text: bytes) -> list[dict[str, str]] | None:
    """Attributes of the rows in a piece of XML, or None. A DTD cannot stand inside an element: no entities."""
    found = parse_elements(text)
    return None if found is None else [row.attrib for row in found]


def parse_elements(text: bytes) -> list[ElementTree.Element] | None:
    """As `parse_rows`, the elements themselves."""
    try:
        return _elements(text)
    except (ElementTree.ParseError, ValueError):
        pass
    plain = text_alone(text)
    if plain == text:
        return None
    try:
        found = _elements(plain)
    except (ElementTree.ParseError, ValueError):
        return None
    for row in found:
        row.set(STRIPPED, "")
    return found


def _elements(text: bytes) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(b"<posts>" + text + b"</posts>").iter("row"))


def integer(text: str | None) -> int | None:
    """An integer as the dump writes it; None when missing, strange or too big for 8 bytes."""
    if text is None or not re.fullmatch(r"-?\d{1,18}", text.strip(), re.ASCII):
        return None
    return int(text)
