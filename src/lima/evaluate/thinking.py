"""Traces of thought that reasoning models leave in their texts: neither answer nor verdict."""

from __future__ import annotations

import re

_NAMES = "seed:think|think|thinking|thought|reasoning"
_OPEN = re.compile(rf"<({_NAMES})>", re.IGNORECASE)
_TRACE = re.compile(
    rf"\A\s*(?:<({_NAMES})>.*?(?:</\1>|\Z)|\[THINK\].*?(?:\[/THINK\]|\Z)|◁think▷.*?(?:◁/think▷|\Z)"
    r"|(?:<\|start\|>assistant)?<\|channel\|>(?!final).*?(?:(?:<\|start\|>assistant)?<\|channel\|>final<\|message\|>|\Z))",
    re.IGNORECASE | re.DOTALL,
)
"""As DeepSeek and many others, Seed, Magistral, Kimi and gpt-oss (its channels) write them."""
_REST = re.compile(r"\A.*?</think>", re.IGNORECASE | re.DOTALL)


def without_thinking(text: str) -> str:
    r"""The text after the traces of thought at its beginning; nothing of a trace that never ends.

    Templates that open the trace themselves leave only its end in the text.

    >>> without_thinking("<think>Hm.</think>\n42"), without_thinking("Hm.</think>42"), without_thinking("<think>Hm")
    ('42', '42', '')
    >>> without_thinking("[THINK]Hm.[/THINK]42"), without_thinking("<think>Hm.</think><think>Or?</think>42")
    ('42', '42')
    >>> without_thinking("Write <think> before you think.")
    'Write <think> before you think.'
    """
    if not _OPEN.search(text) and (rest := _REST.match(text)):
        text = text[rest.end() :].lstrip()
    while found := _TRACE.match(text):
        text = text[found.end() :].lstrip()
    return text
