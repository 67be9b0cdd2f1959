"""`lima train --replay`: pretraining text in every step, by a plan that a resumed run keeps."""

import json
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import byte_tokenizer

from lima.chat import Tokens
from lima.errors import InputError, LimaError
from lima.files import read_jsonl, write_jsonl
from lima.records import Example
from lima.train.metrics import Metrics
from lima.train.replay import WINDOW, Replay, read_replay
from lima.train.run import train
from lima.train.settings import TrainSettings


def _windows(count: int, width: int = 10) -> list[Tokens]:
    return [Tokens([n] * width, [n] * width, id=str(n)) for n in range(count)]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5, 0.9])
def test_the_share_is_kept_after_every_step(share: float) -> None:
    tokens = [37, 5, 120, 64, 8] * 20
    plan = Replay(_windows(7), share, seed=1).schedule(tokens)
    own = replayed = 0
    for count, step in zip(tokens, plan, strict=True):
        own, replayed = own + count, replayed + 10 * len(step)
        assert abs(replayed - own * share / (1 - share)) <= 5  # half a window


def test_every_window_comes_once_before_any_comes_again() -> None:
    plan = Replay(_windows(7), 0.5, seed=3).schedule([10] * 21)
    names = [window.id for window in chain.from_iterable(plan)]
    turns = [names[start : start + 7] for start in (0, 7, 14)]
    assert all(sorted(turn) == [str(n) for n in range(7)] for turn in turns)
    assert turns[0] != turns[1]


def test_text_becomes_windows_of_which_all_tokens_are_supervised(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("abc " * 500)
    found = read_replay(path, byte_tokenizer(), 0.1, longest=2048, seed=0).windows
    assert {len(window.ids) for window in found} == {WINDOW}
    assert all(window.labels == window.ids for window in found)
    short = read_replay(path, byte_tokenizer(), 0.1, longest=100, seed=0).windows
    assert {len(window.ids) for window in short} == {100}


def test_rows_of_json_lines_are_documents(tmp_path: Path) -> None:
    path = tmp_path / "text.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("one", "two")))
    (window,) = read_replay(path, byte_tokenizer(), 0.1, longest=64, seed=0).windows
    bos = byte_tokenizer().bos_token_id
    assert window.ids.count(bos) == (2 if bos is not None else 0)
    path.write_text('{"content": "x"}\n')
    with pytest.raises(InputError, match="expected a field 'text'"):
        read_replay(path, byte_tokenizer(), 0.1, longest=64, seed=0)


def test_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    for name, words in (("empty.txt", "no text to replay"), ("missing.txt", "no such file")):
        with pytest.raises(LimaError, match=words):
            read_replay(tmp_path / name, byte_tokenizer(), 0.1, longest=64, seed=0)


def test_a_run_counts_what_it_replays(tmp_path: Path, tiny_model: Path, examples: list[Example]) -> None:
    write_jsonl(tmp_path / "train.jsonl", examples)
    (tmp_path / "text.txt").write_text("Once upon a time. " * 200)
    values: dict[str, Any] = {
        "model": str(tiny_model),
        "data": tmp_path / "train.jsonl",
        "epochs": 3,
        "batch_size": 4,
        "max_length": 64,
        "device": "cpu",
    }
    for name, more in {"with": {"replay": tmp_path / "text.txt", "replay_share": 0.4}, "without": {}}.items():
        train(TrainSettings.model_validate(values | more | {"out": tmp_path / name}))
    rows = {
        name: [row for row in read_jsonl(tmp_path / name / "metrics.jsonl", Metrics) if row.loss is not None]
        for name in ("with", "without")
    }
    replayed = sum(row.replayed or 0 for row in rows["with"])
    tokens = sum(row.tokens or 0 for row in rows["with"])
    assert replayed / tokens == pytest.approx(0.4, abs=0.03)
    assert all(row.replayed is None for row in rows["without"])
    assert tokens - replayed == sum(row.tokens or 0 for row in rows["without"])
    assert [row.loss for row in rows["with"]] != [row.loss for row in rows["without"]]
