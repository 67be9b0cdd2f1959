"""Demands on an answer that a program can check: number of items, words, sections, format, ending, and the like.

The kind of prompt is that of IFEval (arXiv 2311.07911); prompts, wording and checks are our own. What an answer says is not checked. A
blank answer keeps no demand, not even one to leave something out.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

Value = Any
"""What a demand is about: a number, words, a pair of numbers, or True."""
Verifier = Callable[[str, Value], bool]

ITEM = re.compile(r"^\s*(?:[-*+•–]|\d{1,2}[.)])\s+\S", re.MULTILINE)
BULLET = re.compile(r"^\s*[-*+•]\s+\S", re.MULTILINE)
NUMBER = re.compile(r"^\s*(\d{1,2})[.)]\s+\S", re.MULTILINE)
HEADING = re.compile(r"^#{1,6}\s+\S", re.MULTILINE)
FENCE = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)
WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
ABBREVIATION = re.compile(
    r"\b(?:e\.g|i\.e|etc|vs|Mr|Mrs|Ms|Dr|St|No|approx)\.(?=\s+\w)|\b[A-Za-z]\.(?=\s*[A-Za-z]\.)"
)
SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]*_]*(?=\s|$)")


def keeps(text: str, name: str, value: Value) -> bool:
    """Whether an answer keeps the demand ``name``, a key of `VERIFIERS`."""
    text = text.strip()
    return bool(text) and VERIFIERS[name](text, value)


def kept(text: str, demands: Mapping[str, Value]) -> list[bool]:
    """The same for all demands of a prompt, in their order."""
    return [keeps(text, name, value) for name, value in demands.items()]


def words(text: str) -> list[str]:
    """The words of a text; "don't" and "well-known" are one each.

    >>> words("It's a well-known fact: 3 of 4.")
    ["It's", 'a', 'well-known', 'fact', '3', 'of', '4']
    """
    return WORD.findall(text)


def sentences(text: str) -> int:
    """How many sentences a text has; usual abbreviations, decimals and the numbers of a list end none.

    >>> sentences("Dr. Lee paid 3.50. Why? She liked it")
    3
    """
    plain = NUMBER.sub(lambda found: found.group().replace(".", "").replace(")", ""), text)
    plain = ABBREVIATION.sub(lambda found: found.group().replace(".", ""), plain)
    return sum(bool(words(part)) for part in SENTENCE_END.split(plain))


def paragraphs(text: str) -> list[str]:
    """Its parts between blank lines."""
    return [part for part in re.split(r"\n\s*\n", text) if part.strip()]


def lines(text: str) -> list[str]:
    """Its lines that are not blank, without outer white space."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def occurrences(text: str, phrase: str) -> int:
    """How often a word or phrase stands in a text as a whole, in upper or lower case."""
    return len(re.findall(rf"(?<!\w){re.escape(phrase)}(?!\w)", text, re.IGNORECASE))


def bare_items(text: str) -> list[str]:
    """The text of each item of a list, or of each line where no line has a mark."""
    found = [line for line in lines(text) if ITEM.match(line)] or lines(text)
    return [re.sub(r"^\W*(?:\d{1,2}[.)]\s*)?\W*", "", item).lower() for item in found]


def _numbered(text: str, count: int) -> bool:
    return [int(number) for number in NUMBER.findall(text)] == list(range(1, count + 1))


def _json(text: str) -> Any:
    """The value that an answer is, bare or in one code fence; None where it is none."""
    fence = re.fullmatch(r"```(?:json)?\s*\n(.*?)\n?```", text, re.DOTALL)
    try:
        return json.loads(fence.group(1) if fence else text)
    except ValueError:
        return None


def _json_keys(text: str, keys: list[str]) -> bool:
    value = _json(text)
    return isinstance(value, dict) and set(value) == set(keys)


def _json_array(text: str, count: int) -> bool:
    value = _json(text)
    return isinstance(value, list) and len(value) == count


def _table(text: str, shape: list[int]) -> bool:
    """A Markdown table with this number of columns and of rows (the heading not counted), and no other line with bars."""
    columns, rows = shape
    bars = [line for line in lines(text) if "|" in line]
    cells = [re.split(r"(?<!\\)\|", line.strip("|")) for line in bars]
    rules = [place for place, line in enumerate(bars) if re.fullmatch(r"[|\s:\-]+", line) and "-" in line]
    return len(bars) == rows + 2 and rules == [1] and all(len(row) == columns for row in cells)


def _csv(text: str, shape: list[int]) -> bool:
    """Only comma-separated lines (a code fence may be around them), with this number of columns and of rows (the heading counted)."""
    fence = re.fullmatch(r"```(?:csv)?\s*\n(.*?)\n?```", text, re.DOTALL)
    table = [row for row in csv.reader(io.StringIO(fence.group(1) if fence else text)) if row]
    return len(table) == shape[1] and all(len(row) == shape[0] for row in table)


def _quoted(text: str, _: Value) -> bool:
    return (
        len(text) > 2 and (text[0], text[-1]) in {('"', '"'), ("“", "”")} and not set(text[1:-1]) & set('"“”')
    )


def _postscript(text: str, _: Value) -> bool:
    found = lines(text)
    return len(found) > 1 and re.match(r"P\. ?S\.?:?\s+\w", found[-1]) is not None


def _alphabetical(text: str, _: Value) -> bool:
    items = bare_items(text)
    return len(items) > 1 and items == sorted(items)


def _parts(text: str, count: int) -> bool:
    """Parts with a line of three asterisks between them."""
    found = re.split(r"^\s*\*\*\*\s*$", text, flags=re.MULTILINE)
    return len(found) == count and all(part.strip() for part in found)


def _one_of(text: str, choices: list[str]) -> bool:
    return text.strip(" .!\"'*“”").lower() in [choice.lower() for choice in choices]


VERIFIERS: dict[str, Verifier] = {
    "items": lambda text, count: len(ITEM.findall(text)) == count,
    "bullets": lambda text, count: len(BULLET.findall(text)) == count,
    "numbered": _numbered,
    "words": lambda text, count: len(words(text)) == count,
    "words_at_most": lambda text, count: len(words(text)) <= count,
    "words_at_least": lambda text, count: len(words(text)) >= count,
    "sentences": lambda text, count: sentences(text) == count,
    "sentences_at_most": lambda text, count: sentences(text) <= count,
    "paragraphs": lambda text, count: len(paragraphs(text)) == count,
    "lines": lambda text, count: len(lines(text)) == count,
    "includes": lambda text, wanted: all(occurrences(text, one) for one in wanted),
    "excludes": lambda text, banned: not any(occurrences(text, one) for one in banned),
    "times": lambda text, counts: all(occurrences(text, one) == count for one, count in counts.items()),
    "starts_with": lambda text, start: text.lower().startswith(start.lower()),
    "ends_with": lambda text, end: text.lower().endswith(end.lower()),
    "one_of": _one_of,
    "json_keys": _json_keys,
    "json_array": _json_array,
    "table": _table,
    "csv": _csv,
    "headings": lambda text, count: len(HEADING.findall(text)) == count,
    "bold": lambda text, count: len(re.findall(r"\*\*[^*\n]+\*\*", text)) == count,
    "code_block": lambda text, _: FENCE.search(text) is not None,
    "placeholders": lambda text, count: len(set(re.findall(r"\[[^\[\]\n]+\]", text))) >= count,
    "parts": _parts,
    "lower_case": lambda text, _: text == text.lower() and text != text.upper(),
    "upper_case": lambda text, _: text == text.upper() and text != text.lower(),
    "quoted": _quoted,
    "no_commas": lambda text, _: "," not in text,
    "no_digits": lambda text, _: not re.search(r"\d", text),
    "postscript": _postscript,
    "initials": lambda text, letters: "".join(item[:1] for item in bare_items(text)) == letters.lower(),
    "alphabetical": _alphabetical,
}
"""Each demand by the name that `prompts.yaml` gives it."""
