"""Records in XML, as Freshdesk's export of an account and other Rails applications write them -> rows, lists and objects within."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from lima.curate.reading.compressed import open_bytes
from lima.errors import InputError, LimaError

TRUTHS = {"true": True, "false": False, "1": True, "0": False}


def read_elements(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(number from 1, row)`` of the elements right below the root that have elements of their own.

    Raises:
        InputError: a line that is no XML.
        LimaError: no such elements.
    """
    number = depth = 0
    with open_bytes(path) as stream:
        try:
            for event, element in ElementTree.iterparse(stream, ("start", "end")):
                depth += 1 if event == "start" else -1
                if event == "end" and depth == 1:
                    if len(element):
                        number += 1
                        yield number, _object(element)
                    element.clear()
        except ElementTree.ParseError as error:
            raise InputError(path, error.position[0], f"not XML ({error}).") from None
    if not number:
        raise LimaError(f"{path}: no records below the root of this XML.")


def _object(element: ElementTree.Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for child in element:
        value, before = _value(child), found.get(child.tag)
        if child.tag not in found:
            found[child.tag] = value
        else:
            found[child.tag] = [*before, value] if isinstance(before, list) else [before, value]
    return found


def _value(element: ElementTree.Element) -> Any:
    kind = element.get("type")
    if element.get("nil") == "true":
        return None
    if kind == "array":
        return [_value(child) for child in element]
    if len(element):
        return _object(element)
    text = element.text or ""
    return TRUTHS.get(text.strip(), text) if kind == "boolean" else text
