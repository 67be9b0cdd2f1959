"""Traces of thought that reasoning models leave in their texts: neither answer nor verdict."""

from __future__ import annotations

import re

_OPEN = re.compile(r"<(think|thinking|thought|reasoning)>", re.IGNORECASE)
_TRACE = re.compile(r"\A\s*<(think|thinking|thought|reasoning)>.*?(</\1>|\Z)", re.IGNORECASE | re.DOTALL)
_REST = re.compile(r"\A.*?</think>", re.IGNORECASE | re.DOTALL)


def without_thinking(text: str) -> str:
    """The text after the trace of thought at its beginning; nothing of a trace that never ends.

    Templates that open the trace themselves leave only its end in the text.

    >>> without_thinking("<think>Hm.</think>\\n42"), without_thinking("Hm.</think>42"), without_thinking("<think>Hm")
    ('42', '42', '')
    >>> without_thinking("Write <think> before you think.")
    'Write <think> before you think.'
    """
    found = _TRACE.match(text) or (None if _OPEN.search(text) else _REST.match(text))
    return text[found.end() :].lstrip() if found else text
