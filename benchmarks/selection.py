"""`lima select` on a large pool: CPU seconds, peak memory and seconds on the clock of each method, each in a process of its own.

    LIMA_DATA=FOLDER python benchmarks/selection.py --count 1000000 --by random longest quality diverse quality-diverse

The pool is made of the real sentences that are in LIMA_DATA (Stack Exchange bodies, the released set): a topic is a few
documents, topics follow Zipf's law, and an answer is three to twelve sentences of its topic, so that words, lengths and repeats are like
those of a forum. Methods that read a model are not for a million examples and are left out.
"""

from __future__ import annotations

import argparse
import html
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

import numpy as np
import orjson

from lima import console
from lima.curate.text.clean import clean
from lima.files import read_objects, replacing

DOCUMENTS_A_TOPIC = 3
ZIPF = 1.1


def documents(folder: Path) -> list[list[str]]:
    """Real texts, each as its sentences."""
    texts = [
        turn for _, row in read_objects(folder / "lima" / "train.jsonl") for turn in row["conversations"]
    ]
    for posts in sorted(folder.glob("stackexchange*/*/Posts.xml")):
        bodies = re.findall(r' Body="([^"]*)"', posts.read_text(encoding="utf-8-sig"))
        texts += [clean(html.unescape(body)).text for body in bodies]
    found = []
    for text in texts:
        sentences = [one for one in re.split(r"(?<=[.!?])\s+", text) if 20 < len(one) < 400]
        if len(sentences) >= 3:
            found.append(sentences)
    return found


def rows(texts: list[list[str]], count: int, seed: int) -> Iterator[dict[str, object]]:
    """Examples about Zipf-distributed topics."""
    random = np.random.default_rng(seed)
    starts = range(0, len(texts), DOCUMENTS_A_TOPIC)
    topics = [list(chain(*texts[start : start + DOCUMENTS_A_TOPIC])) for start in starts]
    random.shuffle(topics)
    weights = 1 / np.arange(1, len(topics) + 1) ** ZIPF
    which = random.choice(len(topics), count, p=weights / weights.sum())
    lengths = random.integers(3, 13, count)
    for number in range(count):
        topic = topics[which[number]]
        picked = random.integers(0, len(topic), lengths[number] + 1).tolist()
        asked, told = topic[picked[0]], " ".join(topic[place] for place in picked[1:])
        yield {
            "id": f"made/{number}",
            "source": "made",
            "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": told}],
            "meta": {"category": f"topic-{which[number]}", "score": int(picked[0])},
        }


def measure(pool: Path, methods: list[str], number: int) -> tuple[float, float, float]:
    """CPU seconds, seconds on the clock, GiB at the peak."""
    start = time.perf_counter()
    out = pool.parent / pool.stem / methods[0] / "train.jsonl"
    shutil.rmtree(out.parent, ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "lima",
        "select",
        str(pool),
        "--out",
        str(out),
        "--number",
        str(number),
        "--by",
        *methods,
    ]
    process = subprocess.Popen(command)
    peak = 0.0
    while True:
        done, status, used = os.wait4(process.pid, os.WNOHANG)
        if done:
            break
        peak = max(peak, resident(process.pid))
        time.sleep(0.5)
    assert status == 0, status
    return used.ru_utime + used.ru_stime, time.perf_counter() - start, max(peak, used.ru_maxrss / 2**20)


def resident(number: int) -> float:
    """GiB that a process and its workers have to themselves."""
    found = 0.0
    for one in (number, *children(number)):
        with suppress(OSError, StopIteration):
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
            found += int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 2**20
    return found


def children(number: int) -> list[int]:
    """The processes that a process started, on Linux."""
    with suppress(OSError):
        return list(map(int, Path(f"/proc/{number}/task/{number}/children").read_text().split()))
    return []


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--number", type=int, default=1_000)
    parser.add_argument(
        "--by", nargs="+", default=["random", "longest", "quality", "diverse", "quality-diverse"]
    )
    parser.add_argument("--together", action="store_true", help="all methods in one command")
    parser.add_argument("--folder", type=Path, default=Path("runs/select"))
    given = parser.parse_args()
    pool = given.folder / f"pool-{given.count}.jsonl"
    if not pool.exists():
        texts = documents(Path(os.environ["LIMA_DATA"]))
        with replacing(pool) as stream:
            for row in rows(texts, given.count, seed=0):
                stream.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    lines = []
    for methods in [given.by] if given.together else [[method] for method in given.by]:
        seconds, clock, peak = measure(pool, methods, given.number)
        lines.append([", ".join(methods), f"{seconds:.0f}", f"{clock:.0f}", f"{peak:.2f}"])
        console.note(" ".join(lines[-1]))
    title = f"{given.number:,} of {given.count:,} ({pool.stat().st_size / 1e9:.2f} GB)"
    console.table(title, ["method", "CPU s", "clock s", "peak GiB"], lines)


if __name__ == "__main__":
    main()
