"""Curation against peers in the same run: header pass, whole path to accepted examples, near-duplicates.

    python benchmarks/curate.py [MEGABYTES [TEXTS]]

The peer is lxml: iterparse with clearing for headers; for the whole path every answer from score 10 decoded and cleaned.
The whole path checks that both select the same questions. CPU seconds of one process; the dump is synthetic, with the
attributes of real ones, Zipf scores and HTML bodies.
"""

from __future__ import annotations

import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from lxml import etree

from lima.curate.candidate import Candidate
from lima.curate.clean import clean
from lima.curate.compressed import BUFFER_BYTES
from lima.curate.duplicates import WORD
from lima.curate.join import near_duplicates
from lima.curate.pairs import pair
from lima.curate.posts import Scan, read_headers
from lima.curate.rows import read_rows
from lima.curate.rules import RuleSettings, first_problem
from lima.records import Example, Message, Meta

QUOTA = 100
WORDS = re.findall(
    r"\w+",
    "water heat pot stove salt steam lid minute time slow boil cool pour stir whisk simmer drain rest cut",
)
RULES = RuleSettings()


def write_dump(path: Path, megabytes: int) -> None:
    """A Posts.xml of about that size: one question to two answers."""
    random = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as stream:
        stream.write('\ufeff<?xml version="1.0" encoding="utf-8"?>\n<posts>\n')
        number = 0
        while stream.tell() < megabytes * 1_000_000:
            number += 3
            stream.write(row(random, number, None))
            stream.write(row(random, number + 1, number))
            stream.write(row(random, number + 2, number))
        stream.write("</posts>\n")


def row(random: np.random.Generator, number: int, parent: int | None) -> str:
    size = int(random.integers(40, 500))
    words = " ".join(WORDS[i] for i in random.integers(0, len(WORDS), size))
    own = "I think that " if random.random() < 0.7 else ""
    body = escape(
        f"<p>{own}{words}.</p>\n<ul>\n<li><code>{words[:40]}</code></li>\n</ul>",
        {'"': "&quot;", "\n": "&#xA;"},
    )
    kind = f'PostTypeId="2" ParentId="{parent}"' if parent else 'PostTypeId="1"'
    tail = (
        ""
        if parent
        else f' Title="Why does the {words[:30]} number {number}?" Tags="&lt;a&gt;" AnswerCount="2"'
    )
    score = min(int(random.zipf(1.6)), 10**6)
    return (
        f'  <row Id="{number}" {kind} CreationDate="2015-03-01T10:00:00.000" Score="{score}" Body="{body}"'
        f' OwnerUserId="{number % 977}" LastActivityDate="2015-03-02T10:00:00.000"{tail} CommentCount="0" />\n'
    )


def candidate(question: dict[str, str], answer: dict[str, str]) -> Candidate:
    cleaned = clean(answer["Body"])
    messages = (
        Message(role="user", content=question["Title"]),
        Message(role="assistant", content=cleaned.text),
    )
    example = Example(id=question["Id"], source="x", messages=messages, meta=Meta(score=int(answer["Score"])))
    return Candidate(example, cleaned.text, cleaned.prose, cleaned.holes, question["Title"])


def our_headers(path: Path) -> Any:
    with path.open("rb", buffering=BUFFER_BYTES) as stream:
        return read_headers(stream, path, Scan())


def our_path(path: Path) -> list[str]:
    pairs = pair(our_headers(path))
    places = [
        zip(*(columns[name].tolist() for name in ("id", "offset", "length")), strict=True)
        for columns in (pairs.question, pairs.answer)
    ]
    accepted: list[str] = []
    for question, answer in zip(*(read_rows(path, iter(place)) for place in places), strict=True):
        assert question
        assert answer
        if first_problem(candidate(question, answer), RULES) is None:
            accepted.append(question["Id"])
        if len(accepted) == QUOTA:
            break
    return accepted


def lxml_headers(path: Path) -> int:
    count = 0
    for _, element in etree.iterparse(str(path), tag="row"):
        count += bool(element.get("Id") and element.get("PostTypeId") and element.get("Score"))
        element.get("ParentId")
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]
    return count


def lxml_path(path: Path) -> list[str]:
    questions: dict[str, dict[str, str]] = {}
    best: dict[str, dict[str, str]] = {}
    for _, element in etree.iterparse(str(path), tag="row"):
        attributes = dict(element.attrib)
        if attributes["PostTypeId"] == "1" and "ClosedDate" not in attributes:
            questions[attributes["Id"]] = attributes
        elif attributes["PostTypeId"] == "2" and int(attributes["Score"]) >= 10:
            before = best.get(attributes["ParentId"])
            if before is None or int(attributes["Score"]) > int(before["Score"]):
                best[attributes["ParentId"]] = attributes
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]
    found = [candidate(questions[key], answer) for key, answer in best.items() if key in questions]
    scores = {key: int(question["Score"]) for key, question in questions.items()}
    good = [c for c in found if first_problem(c, RULES) is None]
    return [c.id for c in sorted(good, key=lambda c: (-scores[c.id], int(c.id)))[:QUOTA]]


def seconds(function: Callable[[Path], Any], path: Path) -> tuple[float, Any]:
    """The best of three, in CPU seconds."""
    times = []
    for _ in range(3):
        start = time.process_time()
        result = function(path)
        times.append(time.process_time() - start)
    return min(times), result


def copied_texts(number: int) -> list[str]:
    """Texts of 200 words, one in twenty a copy of an earlier one with up to nine words changed."""
    random = np.random.default_rng(0)
    words = [f"word{i}" for i in range(20_000)]
    weights = 1 / np.arange(1, len(words) + 1)
    draws = random.choice(len(words), (number - number // 20, 200), p=weights / weights.sum())
    texts = [" ".join(words[i] for i in row) for row in draws]
    for text in texts[: number // 20]:
        changed = text.split()
        for _ in range(int(random.integers(0, 10))):
            changed[int(random.integers(0, 200))] = f"edit{random.integers(0, 999)}"
        texts.append(" ".join(changed))
    return texts


def datasketch_pairs(texts: list[str]) -> set[tuple[int, int]]:
    """MinHash with 128 permutations and LSH at 0.7, its defaults, over the same word 5-grams."""
    from datasketch import MinHash, MinHashLSH  # type: ignore[import-untyped,import-not-found,unused-ignore]

    index, found = MinHashLSH(threshold=0.7, num_perm=128), set()
    for place, text in enumerate(texts):
        words = WORD.findall(text.casefold())
        sketch = MinHash(num_perm=128)
        sketch.update_batch([" ".join(words[i : i + 5]).encode() for i in range(len(words) - 4)])
        found |= {(other, place) for other in index.query(sketch)}
        index.insert(place, sketch)
    return found


def near_duplicate_times(number: int) -> None:
    """One run each: the join is exact, so its pairs are the truth for the other's recall."""
    texts = copied_texts(number)
    start = time.process_time()
    exact = {(pair.first, pair.second) for pair in near_duplicates(texts)}
    ours = time.process_time() - start
    try:
        start = time.process_time()
        sketched = datasketch_pairs(texts)
    except ModuleNotFoundError:
        print(
            f"near-duplicates of {number} texts   ours {ours:.1f} s, {len(exact)} pairs   (pip install datasketch to compare)"
        )
        return
    theirs, recall = time.process_time() - start, len(sketched & exact) / len(exact)
    print(
        f"near-duplicates of {number} texts   ours {ours:.1f} s, recall 1   datasketch {theirs:.1f} s, recall {recall:.3f}"
        f"   {ours / theirs:.2f} of its time"
    )


def main(megabytes: int, texts: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "Posts.xml"
        write_dump(path, megabytes)
        size = path.stat().st_size / 1e6
        ours, headers = seconds(our_headers, path)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        theirs, rows = seconds(lxml_headers, path)
        assert headers.rows == rows
        print(
            f"{size:.0f} MB, {rows} rows; lxml {'.'.join(map(str, etree.LXML_VERSION))}; peak memory before it {memory:.0f} MB"
        )
        print(
            f"header pass   ours {size / ours:7.0f} MB/s   lxml {size / theirs:7.0f} MB/s   ratio {theirs / ours:.1f}"
        )
        ours, selected = seconds(our_path, path)
        theirs, reference = seconds(lxml_path, path)
        assert selected == reference, "the two paths select different questions"
        print(
            f"whole path    ours {ours:7.2f} s      lxml {theirs:7.2f} s      ratio {theirs / ours:.1f}   ({len(selected)} accepted)"
        )
    near_duplicate_times(texts)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    main(*(numbers + [100, 10_000][len(numbers) :]))
