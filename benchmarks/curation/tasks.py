"""The tasks of ``benchmarks/curate.py``, ours and the peers': each runs in a process of its own and prints one line of JSON.

    python benchmarks/curation/tasks.py headers_lxml Posts.xml

Whole paths judge by the same rules (`lima.curate.rules`) and end with the same list: the best questions whose best
answer passes. What differs is how the file is read and how HTML becomes text. ``*_lazy`` is the better setting of a
peer: bodies are cleaned in the order of scores until the quota is full, where the plain form cleans every body.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

from benchmarks.curation.data import copied_texts

from lima.curate.candidate import Candidate, Funnel, Stratum
from lima.curate.choose.duplicates import near_duplicates
from lima.curate.pipeline import steps_of
from lima.curate.reading.compressed import BUFFER_BYTES
from lima.curate.rules import RuleSettings, first_problem
from lima.curate.sources.base import Context
from lima.curate.sources.reddit import GONE, Reddit
from lima.curate.stackexchange.reading import read_headers
from lima.curate.stackexchange.source import StackExchange
from lima.curate.text.blocks import WORD
from lima.curate.text.personal import REGIONS, Personal
from lima.records import Example, Message, Meta

QUOTA = 200
"""The paper takes 200 questions of each set of exchanges."""
RULES = RuleSettings(hollow=False)
"""The places that removed images leave are no rule of the peers."""
FLOOR = 10
JACCARD = 0.7
SUBREDDIT = "WritingPrompts"

Row = Mapping[str, str]
Clean = Callable[[str], tuple[str, str]]
"""HTML -> text and its prose, which is the text without code."""


def lxml_rows(path: Path) -> Iterator[Row]:
    """iterparse, each row cleared away after its use."""
    from lxml import etree

    for _, element in etree.iterparse(str(path), tag="row"):
        yield element.attrib
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]


def iterparse_rows(path: Path) -> Iterator[Row]:
    """The standard library's iterparse, the root cleared as it grows."""
    events = ElementTree.iterparse(path, events=("start", "end"))
    _, root = next(events)
    for event, element in events:
        if event == "end" and element.tag == "row":
            yield element.attrib
            root.clear()


def line_rows(path: Path) -> Iterator[Row]:
    """A parser for every line, as RedPajama and Data-Juicer do."""
    with path.open("rb") as stream:
        for line in stream:
            if line.lstrip().startswith(b"<row"):
                yield ElementTree.fromstring(line).attrib


def header_counts(rows: Iterable[Row]) -> dict[str, int]:
    """The same fields of every row that ours reads: questions, closed ones, answers, good ones."""
    counts = {"rows": 0, "questions": 0, "closed": 0, "answers": 0, "low": 0}
    for row in rows:
        counts["rows"] += 1
        if row["Id"] and row["PostTypeId"] == "1":
            counts["questions"] += 1
            counts["closed"] += row.get("ClosedDate") is not None
        elif row["PostTypeId"] == "2" and row["ParentId"]:
            counts["answers"] += 1
            counts["low"] += int(row["Score"]) < FLOOR
    return counts


def our_headers(path: Path) -> dict[str, int]:
    headers = _headers(path)
    return {
        "rows": headers.rows,
        "questions": headers.question_count,
        "closed": len(headers.closed),
        "answers": headers.answer_count,
        "low": headers.low_answers,
    }


def our_path(path: Path) -> list[str]:
    """The source as ``lima curate`` reads it, and its rules; candidates come best question first."""
    steps = steps_of(RULES, Personal("report", REGIONS))

    def passed(stratum: Stratum) -> Iterator[str]:
        for item in stratum.candidates:
            for step in steps:
                item = step(item)
            if isinstance(item, Candidate):
                yield item.id.rpartition("/")[2]

    with tempfile.TemporaryDirectory() as scratch:
        (stratum,) = StackExchange(train=QUOTA, rules=RULES).strata(_context(path, Path(scratch)))
        return list(islice(passed(stratum), QUOTA))


def full_path(rows: Iterable[Row], clean: Clean, cleaned: Literal["all", "good", "lazy"]) -> list[str]:
    """Decode all, keep the best good answer of every open question, clean, judge, take the best questions.

    Cleaned is every body as it is read ("all", as the peers do), every good answer ("good"), or, after sorting, as many
    as it takes to fill the quota ("lazy", which no peer does: the best that the method can do).
    """
    questions: dict[str, dict[str, str]] = {}
    best: dict[str, tuple[dict[str, str], tuple[str, str] | None]] = {}
    for row in rows:
        texts = clean(row["Body"]) if cleaned == "all" else None
        if row["PostTypeId"] == "1" and "ClosedDate" not in row:
            questions[row["Id"]] = dict(row)
        elif row["PostTypeId"] == "2" and int(row["Score"]) >= FLOOR:
            before = best.get(row["ParentId"])
            if before is None or _rank(row) < _rank(before[0]):
                best[row["ParentId"]] = (dict(row), texts)
    pairs = [(questions[key], *answer) for key, answer in best.items() if key in questions]
    if cleaned == "lazy":
        pairs.sort(key=lambda pair: _rank(pair[0]))
    passed = (
        question
        for question, answer, texts in pairs
        if _passes(question, answer, *(texts or clean(answer["Body"])))
    )
    found = islice(passed, QUOTA) if cleaned == "lazy" else sorted(passed, key=_rank)[:QUOTA]
    return [question["Id"] for question in found]


def selectolax_clean(html: str) -> tuple[str, str]:
    """Selectolax's faster parser; code blocks keep their lines."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(html)
    text = tree.text(separator="")
    tree.strip_tags(["pre", "code"])
    return text.strip(), tree.text(separator="").strip()


def soup_clean(html: str) -> tuple[str, str]:
    """BeautifulSoup on the parser of lxml, its fastest."""
    from bs4 import BeautifulSoup

    tree = BeautifulSoup(html, "lxml")
    text = tree.get_text()
    for code in tree(["pre", "code"]):
        code.decompose()
    return text.strip(), tree.get_text().strip()


def our_reddit(path: Path) -> list[str]:
    """The source as ``lima curate`` reads it: good posts of one subreddit."""
    source = Reddit(subreddit=SUBREDDIT, stories=False, post_score_min=FLOOR)
    (stratum,) = source.strata(_context(path, path.parent))
    return sorted(item.id.rpartition("/")[2] for item in stratum.candidates)


def json_reddit(path: Path, loads: Callable[[bytes], Any]) -> list[str]:
    """Every line decoded, then looked at."""
    import zstandard

    found = []
    with path.open("rb") as raw:
        reader = zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(raw, read_across_frames=True)
        for line in io.BufferedReader(reader, BUFFER_BYTES):
            row = loads(line)
            if row["subreddit"] == SUBREDDIT and row["score"] >= FLOOR and not GONE.fullmatch(row["title"]):
                found.append(str(row["id"]))
    return sorted(found)


def orjson_reddit(path: Path) -> list[str]:
    import orjson

    return json_reddit(path, orjson.loads)


def our_duplicates(number: int, exact_texts_max: int) -> dict[str, Any]:
    texts = copied_texts(number)
    began = time.process_time()
    pairs = near_duplicates(texts, JACCARD, exact_texts_max=exact_texts_max)
    found = [(pair.first, pair.second) for pair in pairs]
    return {"seconds": time.process_time() - began, "result": found}


def datasketch_duplicates(number: int, permutations: int) -> dict[str, Any]:
    """MinHash LSH over the same word 5-grams, added one by one as its manual does."""
    from datasketch import MinHash, MinHashLSH

    texts = copied_texts(number)
    began = time.process_time()
    index, found = MinHashLSH(threshold=JACCARD, num_perm=permutations), []
    for place, text in enumerate(texts):
        words = WORD.findall(text.casefold())
        sketch = MinHash(num_perm=permutations)
        sketch.update_batch([" ".join(words[i : i + 5]).encode() for i in range(len(words) - 4)])
        found += [(other, place) for other in index.query(sketch)]
        index.insert(place, sketch)
    return {"seconds": time.process_time() - began, "result": sorted(found)}


def _context(path: Path, scratch: Path) -> Context:
    funnel = Funnel()
    return Context(
        name="dump", path=path, scratch=scratch, seed=0, style="markdown", site="cooking",
        count=lambda stratum: funnel.at("dump", stratum), reject=lambda reject: None,
    )  # fmt: skip


def _headers(path: Path) -> Any:
    with path.open("rb", buffering=BUFFER_BYTES) as stream:
        return read_headers(stream, path, FLOOR)


def _passes(question: Row, answer: Row, text: str, prose: str, holes: int = 0) -> bool:
    messages = (
        Message(role="user", content=question["Title"]),
        Message(role="assistant", content=text or "?"),
    )
    example = Example(id=question["Id"], source="x", messages=messages, meta=Meta(score=int(answer["Score"])))
    return first_problem(Candidate(example, text, prose, holes, question["Title"]), RULES) is None


def _rank(row: Row) -> tuple[int, int]:
    return -int(row["Score"]), int(row["Id"])


TASKS: dict[str, Callable[[Path], Any]] = {
    "headers_ours": our_headers,
    "headers_lxml": lambda path: header_counts(lxml_rows(path)),
    "headers_iterparse": lambda path: header_counts(iterparse_rows(path)),
    "headers_lines": lambda path: header_counts(line_rows(path)),
    "path_ours": our_path,
    "path_selectolax": lambda path: full_path(lxml_rows(path), selectolax_clean, "all"),
    "path_selectolax_good": lambda path: full_path(lxml_rows(path), selectolax_clean, "good"),
    "path_selectolax_lazy": lambda path: full_path(lxml_rows(path), selectolax_clean, "lazy"),
    "path_soup": lambda path: full_path(lxml_rows(path), soup_clean, "all"),
    "path_soup_lazy": lambda path: full_path(lxml_rows(path), soup_clean, "lazy"),
    "path_lines_lazy": lambda path: full_path(line_rows(path), selectolax_clean, "lazy"),
    "reddit_ours": our_reddit,
    "reddit_json": lambda path: json_reddit(path, json.loads),
    "reddit_orjson": orjson_reddit,
    "duplicates_ours": lambda number: our_duplicates(int(str(number)), 10**9),
    "duplicates_ours_minhash": lambda number: our_duplicates(int(str(number)), 0),
    "duplicates_datasketch": lambda number: datasketch_duplicates(int(str(number)), 128),
    "duplicates_datasketch_256": lambda number: datasketch_duplicates(int(str(number)), 256),
}


def main(task: str, argument: str, repeats: str = "1") -> None:
    """CPU seconds (the best of the repeats) and peak memory of one task, and what it found."""
    sys.stderr = io.StringIO()  # progress
    times, found = [], None
    for _ in range(int(repeats)):
        began = time.process_time()
        found = TASKS[task](Path(argument))
        times.append(time.process_time() - began)
    measured = (
        found if isinstance(found, dict) and "seconds" in found else {"seconds": min(times), "result": found}
    )
    print(json.dumps({**measured, "megabytes": _peak_megabytes()}))


def _peak_megabytes() -> float:
    """Of this process alone: getrusage would count what its parent held when it started this one."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
