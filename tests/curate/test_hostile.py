"""Input made to hurt: an error in one line or a counted rejection, in bounded memory and time; nothing lost in silence."""

from __future__ import annotations

import gzip
import io
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.curate.dump import HEAD, LONG, TAIL, answer, posts, question, row, write

from lima.curate.choose.duplicates import DuplicateSettings
from lima.curate.pipeline import curate
from lima.curate.reading import compressed, lines, tables
from lima.curate.reading.compressed import zstd
from lima.curate.reading.lines import lines_holding
from lima.curate.reading.tables import read_table
from lima.curate.settings import CurateSettings
from lima.errors import LimaError
from lima.files import read_jsonl
from lima.records import Example, Reject

OFF = DuplicateSettings(same_prompt=False, jaccard=None)
GOOD = [
    r
    for n in range(1, 5)
    for r in (question(n, f"Why does water boil sooner on mountain {n}?"), answer(10 + n, n))
]
GIGABYTE = 1 << 30


def run(folder: Path, out: Path, **values: Any) -> tuple[list[Example], dict[str, str], dict[str, Any]]:
    """Accepted examples, rejected ids with their rules, and the counts of the source."""
    settings = CurateSettings.from_recipe(
        "stackexchange", input=folder, out=out, duplicates=OFF, card=False, **values
    )
    curate(settings)
    rows = map(Reject.model_validate_json, (out / "rejected.jsonl").read_text().splitlines())
    rejected = {reject.id: reject.rule for reject in rows}
    counts = json.loads((out / "funnel.json").read_text())["sources"]["other"]
    return list(read_jsonl(out / "train.jsonl", Example)), rejected, counts


def test_wrong_encodings_are_named_rejections(tmp_path: Path) -> None:
    """Latin-1 in one answer's body: it is no UTF-8, so no XML; the others are taken."""
    bad = row(question(7, "Why does coffee cool down at night?", Score=99)) + row(
        answer(70, 7, body=f"<p>caf\xe9</p>{LONG}")
    )
    data = (HEAD + "".join(map(row, GOOD))).encode() + bad.encode("latin-1") + TAIL.encode()
    examples, rejected, counts = run(write(tmp_path / "in", data), tmp_path / "out", quota=20)
    assert len(examples) == 4
    assert rejected == {"stackexchange/cooking/7": "malformed"}
    assert counts["eligible"] == 5


def test_an_empty_site_beside_others_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "in", posts(*GOOD))
    write(folder, HEAD + TAIL, "gardening")
    examples, _, _ = run(folder, tmp_path / "out", quota=20)
    assert len(examples) == 4
    assert "gardening/Posts.xml: an empty site" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(LimaError, match=r"gardening/Posts.xml: no answers .* Is this the Posts table\?"):
        run(folder / "gardening", tmp_path / "alone")


def test_negative_and_missing_scores_and_doubled_ids(tmp_path: Path) -> None:
    rows = [*GOOD, question(20, Score=-5), answer(21, 20, -7), question(22, Score=None), answer(23, 22, Score=None),
            question(1, "A second question under the id of the first one?", Score=0)]  # fmt: skip
    examples, _, counts = run(write(tmp_path / "in", posts(*rows)), tmp_path / "out", quota=20)
    assert len(examples) == 4
    assert counts["dropped_unread"] == {"closed": 0, "score": 2, "duplicate_id": 1}
    assert counts["read"] == counts["eligible"] + sum(counts["dropped_unread"].values())


@pytest.mark.parametrize(
    "body",
    [
        "<div>" * 100_000 + LONG,
        "<ul><li>" * 100_000 + LONG,
        "<blockquote>" * 100_000 + LONG + "</blockquote>" * 100_000,
    ],
    ids=["divisions", "lists", "quotes"],
)
def test_deeply_nested_html(body: str, tmp_path: Path) -> None:
    """100,000 levels: a counted rejection or a text, in seconds."""
    began = time.process_time()
    deep = [question(7, "Why is this so deep in the ground?", Score=99), answer(70, 7, body=body)]
    examples, rejected, counts = run(write(tmp_path / "in", posts(*GOOD, *deep)), tmp_path / "out", quota=20)
    assert time.process_time() - began < 20
    assert len(examples) + len(rejected) == counts["decoded"] == 5


class Endless(io.RawIOBase):
    """A stream of a gigabyte without any newline, made as it is read."""

    def __init__(self, head: bytes, unit: bytes) -> None:
        self._rest, self._unit, self.left = head, unit * (1 << 16), GIGABYTE

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = self._unit
        count = min(len(buffer), len(self._rest), self.left)
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        self.left -= count
        return count


def test_a_line_of_a_gigabyte_in_json_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The line is named, and what comes behind it is not read."""
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 4 << 20)
    head = b'{"a": "b"}\n{"a": "'
    path = tmp_path / "rows.jsonl"
    path.write_bytes(head + b"x" * (5 << 20))
    for read in (lines.bounded_lines, partial(lines_holding, needle=b"never")):
        endless = Endless(head, b"x")
        with pytest.raises(LimaError, match=r"rows.jsonl:2: a line of over 4 MB"):
            list(read(io.BufferedReader(endless), path))
        assert GIGABYTE - endless.left < 6 << 20


MEMORY = """
import resource, sys
from pathlib import Path
from lima.curate.{module} import {function}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    {call}
except Exception as error:
    print(type(error).__name__, error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize(
    "head", [b"", HEAD.encode() + b'  <row Id="1" PostTypeId="1" Body="', HEAD.encode() + b"<!-- "]
)
def test_a_line_of_a_gigabyte_in_a_dump(head: bytes, tmp_path: Path) -> None:
    """A file with a hole of a gigabyte: an error after the longest row there may be, in some ten times its memory."""
    path = tmp_path / "Posts.xml"
    with path.open("wb") as stream:
        stream.write(head)
        stream.truncate(GIGABYTE)
    call = f"read_headers(open({str(path)!r}, 'rb'), Path({str(path)!r}), 10)"
    code = MEMORY.format(module="stackexchange.reading", function="read_headers", call=call)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    problem, memory = done.stdout.strip().splitlines()
    assert problem.startswith(("LimaError", "InputError"))
    assert "a row of over 16 MB" in problem
    assert int(memory) < 160


def test_a_table_with_a_line_of_a_gigabyte(tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    with path.open("wb") as stream:
        stream.write(b'title,text\n"')
        stream.truncate(GIGABYTE)
    code = MEMORY.format(
        module="reading.tables", function="read_table", call=f"list(read_table(Path({str(path)!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    problem, memory = done.stdout.strip().splitlines()
    assert problem.startswith("InputError")
    assert "a line of over 64 MB" in problem
    assert int(memory) < 400


def test_lines_of_every_end_are_rows(tmp_path: Path) -> None:
    for end in ("\n", "\r\n", "\r"):
        path = tmp_path / "t.csv"
        path.write_bytes(f'\ufefftitle,text{end}a,"b{end}c"{end}d,e{end}'.encode())
        assert [r for _, r in read_table(path)] == [
            {"title": "a", "text": f"b{end}c"},
            {"title": "d", "text": "e"},
        ]


def test_a_big_json_array_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tables, "MAX_ARRAY_BYTES", 100)
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([{"text": "x" * 100}]))
    with pytest.raises(LimaError, match="Convert it to JSON Lines"):
        list(read_table(path))


@pytest.mark.parametrize(("suffix", "squeeze"), [(".gz", gzip.compress), (".zst", zstd.compress)])
def test_bombs_end(
    suffix: str, squeeze: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 MB of spaces in some kilobytes, where 1 MB may come out."""
    monkeypatch.setattr(compressed, "FREE_BYTES", 1 << 20)
    path = tmp_path / "in" / "cooking" / f"Posts.xml{suffix}"
    path.parent.mkdir(parents=True)
    path.write_bytes(squeeze(HEAD.encode() + b" " * 20_000_000 + TAIL.encode()))
    with pytest.raises(LimaError, match="Is it a bomb"):
        run(tmp_path / "in", tmp_path / "out")
    path = tmp_path / f"posts.jsonl{suffix}"
    path.write_bytes(squeeze(b"\n" * 20_000_000))
    with pytest.raises(LimaError, match="Is it a bomb"):
        list(read_table(path))


def test_an_entity_bomb_in_a_row_is_a_rejection(tmp_path: Path) -> None:
    """No entity can be declared where rows are parsed: the row is no XML."""
    rows = row(question(7, "Why is this a bomb at all?", Score=99)) + row(answer(70, 7)).replace(
        "Water", "&lol9;"
    )
    text = HEAD + "".join(map(row, GOOD)) + rows + TAIL
    examples, rejected, _ = run(write(tmp_path / "in", text), tmp_path / "out", quota=20)
    assert len(examples) == 4
    assert rejected == {"stackexchange/cooking/7": "malformed"}
    bomb = '<!DOCTYPE lolz [<!ENTITY lol "lol">]>\n' + text.removeprefix("\ufeff").partition("\n")[2]
    with pytest.raises(LimaError, match="document type declaration"):
        run(write(tmp_path / "bomb", bomb), tmp_path / "other")


def test_needles_are_found_wherever_blocks_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = [
        json.dumps({"subreddit": "a" if n % 3 else "Good", "n": n, "x": "y" * (n % 50)}) for n in range(300)
    ]
    data = "\n".join(rows).encode()
    expected = [line for line in data.splitlines() if b'"Good"' in line]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(data)
    for size in (1, 7, 64, 1000, 1 << 20):
        monkeypatch.setattr(lines, "BLOCK_BYTES", size)
        found = list(lines_holding(io.BytesIO(data), path, b'"Good"'))
        assert [line.strip() for _, line in found] == expected
        assert all(data[offset : offset + len(line)] == line for offset, line in found)
        assert [lines.line_at(path, offset) for offset, _ in found] == [n + 1 for n in range(0, 300, 3)]


def test_the_tests_themselves_stay_small() -> None:
    """What stands above must not need a gigabyte itself."""
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 3 << 20
