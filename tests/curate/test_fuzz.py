"""The header pass against the XML parser on whatever hypothesis and atheris think of."""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.curate.dump import HEAD, ORDER, TAIL, answer, posts, question, row
from tests.curate.reference import check

from lima.curate.stackexchange import reading

TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cc", "Cs"]), max_size=30
)
NUMBERS = (
    st.integers(-99, 99).map(str)
    | st.sampled_from(["1", "2", "12345678", "123456789", "9" * 17, " 7 "])
    | TEXTS
)
ROW = st.fixed_dictionaries(
    {},
    optional={
        "Id": NUMBERS, "PostTypeId": st.sampled_from(["1", "2", "4", "11", "x"]), "ParentId": NUMBERS,
        "AcceptedAnswerId": NUMBERS, "CreationDate": TEXTS | st.just("2012-05-01T10:00:00.000"), "Score": NUMBERS,
        "ViewCount": NUMBERS, "Body": TEXTS, "Title": TEXTS, "ClosedDate": TEXTS,
    },
)  # fmt: skip


def in_order(attributes: dict[str, str], shuffle: random.Random) -> str:
    return row(attributes)


def reordered(attributes: dict[str, str], shuffle: random.Random) -> str:
    names = list(ORDER)
    shuffle.shuffle(names)
    return row(attributes, names)


def single_quotes(attributes: dict[str, str], shuffle: random.Random) -> str:
    return row(attributes).replace("'", "&apos;").replace('"', "'")


def broken_lines(attributes: dict[str, str], shuffle: random.Random) -> str:
    return row(attributes).replace('" ', '"\n\t')


def long_form(attributes: dict[str, str], shuffle: random.Random) -> str:
    return row(attributes).replace(" />", "> </row>")


def commented(attributes: dict[str, str], shuffle: random.Random) -> str:
    return f"<!-- {row(attributes).replace('--', '')} -->"


FORMS: list[Callable[[dict[str, str], random.Random], str]] = [
    in_order, in_order, reordered, single_quotes, broken_lines, long_form, commented,
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(ROW, st.sampled_from(FORMS), st.randoms(use_true_random=False)), max_size=6),
    st.sampled_from(["", "\n", "\r\n", "  "]),
    st.sampled_from([64, 300, 1 << 20]),
)
def test_rows_in_any_form(
    rows: list[tuple[dict[str, str], Callable[..., str], random.Random]], between: str, block_bytes: int
) -> None:
    """Whatever the rows hold, however they are written and wherever a block ends, the counts are those of the parser."""
    lines = [form(attributes, shuffle) for attributes, form, shuffle in rows]
    text = HEAD + between.join([*lines, row(question(1000)), row(answer(2000, 1000))]) + TAIL
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "LINE_BYTES", block_bytes)
        check(text.encode())


SMALL = posts(
    question(1), answer(2, 1), answer(3, 1, 9), question(4, ClosedDate="2013"), answer(5, 4)
).encode()
PIECES = [b"<", b">", b"/>", b'"', b"'", b"&", b"&lt;", b"\n", b" ", b"<row ", b"</row>", b"<!--", b"-->", b"]]>", b"<![CDATA[",
          b"<?x ", b"?>", b"\xff", b"\x00", b"\xef\xbb\xbf", b'Id="9"', b' ClosedDate="', b"</posts>", b"<posts>", b"0", b"-"]  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(SMALL)), st.integers(0, 12), st.sampled_from(PIECES)),
        min_size=1,
        max_size=4,
    )
)
def test_damaged_files(changes: list[tuple[int, int, bytes]]) -> None:
    """Bytes taken out and put in anywhere: the same counts, a count of what cannot be read, or an error in one line."""
    data = SMALL
    for place, removed, put in changes:
        data = data[:place] + put + data[place + removed :]
    check(data)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_atheris_finds_nothing(tmp_path: Path) -> None:
    """Coverage-guided mutation of a dump for twenty seconds."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "dump").write_bytes(SMALL)
    root = Path(__file__).parents[2]
    command = [
        sys.executable,
        str(Path(__file__).with_name("fuzz_rows.py")),
        str(corpus),
        "-max_total_time=20",
        "-max_len=4096",
    ]
    environment: dict[str, Any] = os.environ | {"PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "DONE" in done.stderr or "Done" in done.stderr
