"""Every command with odd values and odd files: it ends with 0, 2 or 130, never with a traceback."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tyro
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lima import cli
from lima.cli import COMMANDS

CODES = (0, 2, 130)
EXAMPLE = {"id": "a/1", "source": "own", "messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]}  # fmt: skip
COMPLETION = {"id": "s/a/1/0", "prompt_id": "a/1", "system": "s", "sample": 0, "content": "So.", "finish_reason": "eot", "tokens": 2, "seed": 0}  # fmt: skip
LINE = json.dumps(EXAMPLE).encode() + b"\n"
FILES: dict[str, bytes] = {
    "good.jsonl": LINE * 1 + LINE.replace(b"a/1", b"a/2"),
    "completions.jsonl": json.dumps(COMPLETION).encode(),
    "openai.jsonl": json.dumps({"messages": EXAMPLE["messages"]}).encode(),
    "twice.jsonl": LINE * 2,
    "blank.jsonl": LINE.replace(b"So.", b" "),
    "empty.jsonl": b"",
    "lines.jsonl": b"\n\n\n",
    "array.json": b"[" + LINE + b"]",
    "texts.json": b'["a", 5, null]',
    "number.json": b"5",
    "cut.jsonl": LINE + LINE[:40],
    "nan.jsonl": LINE + b'{"id": NaN}',
    "deep.jsonl": b"[" * 5000 + b"]" * 5000,
    "surrogate.jsonl": LINE.replace(b"So.", b"\\ud800"),
    "bytes.jsonl": bytes(range(256)),
    "latin.jsonl": LINE.replace(b"So.", b"\xfc"),
    "wide.jsonl": LINE.decode().encode("utf-16"),
    "good.jsonl.gz": gzip.compress(LINE),
    "table.csv": b"prompt,answer\nWhy?,So.\nAnd?,Thus, yes.\n",
    "torn.tsv": b'prompt\tanswer\n1\t"a\n2\tb"\n',
    "mail.eml": b"From: a@b.example\nSubject: =?x?q?=?=\n\nWhy?",
    "box.mbox": b"From x\nFrom: a@b.example\n\nWhy?\n\nFrom \n",
    "book.xlsx": b"PK\x03\x04broken",
    "Posts.xml": b'<posts><row Id="1" PostTypeId="1" Body="&lt;p&gt;x"/>',
    "recipe.yaml": b"sources:\n  own: {kind: table, train: 1}\n",
    "cycle.yaml": b"a: &a [*a]\n",
    "odd.yaml": b"sources: 5\nseed: [1\n",
    "list.yaml": b"- 1\n- 2\n",
    "empty.yaml": b"",
    "vectors.npy": b"\x93NUMPY\x01\x00broken",
    "with blank/good.jsonl": LINE,
    "model/config.json": b'{"model_type": "llama"}',
    "odd-model/config.json": b"[1",
    "nowhere-model/config.json": b'{"model_type": "no-such-type"}',
    "study/protocol.yaml": b"kind: 5\n",
    "study/comparisons.jsonl": b"{}",
    "half-study/protocol.yaml": b"",
    "run/run.json": b'{"command": "train"}',
    "odd-run/run.json": b"null",
    "odd-run/metrics.jsonl": b"{}",
    "folder/.keep": b"",
}
PLACES = (
    *FILES,
    *{name.partition("/")[0] for name in FILES if "/" in name},
    "missing.jsonl",
    "good.jsonl/inside",
    "-",
    ".",
    "",
)
"""Files and folders of odd kinds, and names of none."""
VALUES = ("0", "1", "-1", "2", "0.5", "-0.0", "1e999", "inf", "nan", "NaN", "99999999999999999999999", "1_000", "0x10", "true", "False", "None",
          "null", "", " ", "é", "\u202e", "a=b", "=", "a.b=c", "[]", "{}", "{a: 1}", "http://127.0.0.1:9#m", "http://[::1", "http://127.0.0.1:99999#m", "URL#",
          "sqlite://", "no-such:thing", "--", "%s", "{}{0}", "a" * 300, "../..", "~", "os:system", "openai", "csv", "random", "all")  # fmt: skip
ALWAYS: dict[str, list[str]] = {
    "align": ["--plan"],
    "demo": ["--dry-run"],
    "experiment": ["--dry-run"],
    "serve": ["--dry-run"],
    "chat": ["--dry-run"],
    "annotate": ["--dry-run"],
    "probe": ["--dry-run"],
    "judge": ["--dry-run"],
    "train": ["--dry-run"],
    "checkpoint": ["--dry-run"],
}
"""What keeps a command from waiting, listening, asking a server or working for minutes."""


@cache
def shape(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Positional fields and flags of a command; some flags of nested settings too."""
    kind = cli._load(COMMANDS[name].settings, name)
    positional = tuple(
        field for field, info in kind.model_fields.items() if tyro.conf.Positional in info.metadata
    )
    flags = tuple(field.replace("_", "-") for field in kind.model_fields if field not in positional)
    more = {"curate": ("sources.own.columns.prompt", "sources.own.path", "duplicates.jaccard", "rules")}.get(
        name, ()
    )
    return positional, (*flags, *more, "recipe", "preset", "no-such-flag")


CHOICES = {
    "format": ("openai", "lima", "sharegpt", "alpaca", "pandalm", "tulu", "cherry", "alpaca-eval", "odd"),
    "recipe": ("own-data", "lima", "stackexchange", "recipe.yaml", "odd.yaml", "cycle.yaml", "missing.yaml", "odd"),
    "action": ("upgrade", "current", "dump", "load", "odd"),
    "name": ("quality", "all", "odd"),
    "url": ("sqlite:///new.db", "sqlite:///good.jsonl", "postgresql://127.0.0.1:9/x", "odd"),
}  # fmt: skip
words = st.one_of(st.sampled_from(VALUES), st.sampled_from(PLACES), st.text(max_size=8))


@st.composite
def commands(draw: st.DrawFn) -> list[str]:
    name = draw(st.sampled_from(sorted(COMMANDS)))
    positional, flags = shape(name)
    given = [
        draw(
            st.sampled_from(CHOICES[field])
            if field in CHOICES and draw(st.integers(0, 9))
            else st.sampled_from(PLACES)
        )
        for field in positional
        if draw(st.integers(0, 19))
    ]
    out = draw(
        st.sampled_from(("new", "new/deep/er", "with blank/new", "good.jsonl", "folder", "good.jsonl/x", ""))
    )
    arguments = [*given, *(["--out", out] if "out" in flags and draw(st.integers(0, 19)) else [])]
    if name == "curate":
        arguments += ["--input", draw(st.sampled_from(PLACES))]
    for _ in range(draw(st.integers(0, 3))):
        arguments.append("--" + draw(st.sampled_from(flags)))
        arguments += [draw(words) for _ in range(draw(st.integers(0, 2)))]
    return [name, *(argument.replace("\0", "") for argument in arguments), *ALWAYS.get(name, [])]


@pytest.fixture(scope="module")
def odd_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("odd")


@pytest.fixture(autouse=True)
def here(odd_files: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In the folder of odd files, offline, without a key, with nothing to read on the terminal."""
    monkeypatch.chdir(odd_files)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("LIMA_API_KEY", raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def fresh(folder: Path) -> None:
    """The odd files as they were, whatever the last command wrote over."""
    for name, content in FILES.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def ends_well(arguments: list[str], folder: Path) -> None:
    """Run a command as the shell does, and read how it ended."""
    fresh(folder)
    said, told = io.StringIO(), io.StringIO()
    with redirect_stdout(said), redirect_stderr(told), pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    os.chdir(folder)
    code = 0 if ended.value.code is None else ended.value.code
    assert code in CODES, (code, arguments, told.getvalue()[-2000:])
    assert "Traceback" not in told.getvalue(), told.getvalue()[-2000:]
    if code == 2:
        assert told.getvalue().strip(), arguments


QUIET = settings(
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


@settings(QUIET, max_examples=25, derandomize=True)
@given(arguments=commands())
@example(arguments=["inspect", "good.jsonl/inside"])
@example(arguments=["import", "openai", "openai.jsonl", "--out", ""])
@example(arguments=["select", "good.jsonl", "--out", "", "--number", "1"])
@example(arguments=["import", "openai", "deep.jsonl", "--out", "new"])
@example(arguments=["select", "surrogate.jsonl", "--out", "new", "--number", "1", "--quality", "rules"])
@example(arguments=["database", "upgrade", "sqlite:///good.jsonl"])
@example(arguments=["curate", "cycle.yaml", "--input", ".", "--out", "new"])
@example(arguments=["curate", "own-data", "--input", "box.mbox", "--out", "new"])
def test_commands_end_well(arguments: list[str], odd_files: Path) -> None:
    ends_well(arguments, odd_files)


@pytest.mark.acceptance
@pytest.mark.timeout(3600)
@settings(QUIET, max_examples=5000)
@given(arguments=commands())
def test_thousands_of_commands_end_well(arguments: list[str], odd_files: Path) -> None:
    ends_well(arguments, odd_files)


@pytest.mark.parametrize("name", sorted(COMMANDS))
@pytest.mark.parametrize(
    "place", ["empty.jsonl", "bytes.jsonl", "folder", "missing.jsonl", "good.jsonl", "with blank/good.jsonl"]
)
def test_every_command_with_the_commonest_mistakes(name: str, place: str, odd_files: Path) -> None:
    """Each of its arguments is this file or folder."""
    positional, flags = shape(name)
    given: list[Any] = [CHOICES[field][0] if field in CHOICES else place for field in positional]
    out = ["--out", "new"] if "out" in flags else []
    more = ["--input", place] if name == "curate" else []
    ends_well([name, *given, *out, *more, *ALWAYS.get(name, [])], odd_files)
