"""Data on the hub is taken where files are, pinned, from the cache without a network, and what fails says what helps."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.publish.stand_in import TOKEN, Repository, StandIn, running

from lima.hub import Place, origin

ROW = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}


@pytest.fixture
def hub() -> Iterator[StandIn]:
    with running() as state:
        yield state


def lines(number: int, **more: object) -> bytes:
    return b"".join(
        json.dumps({**ROW, "id": f"r/{i}", "source": "r", **more}).encode() + b"\n" for i in range(number)
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("hf://GAIR/lima", Place("GAIR/lima")),
        ("hf:/GAIR/lima", Place("GAIR/lima")),  # as a Path has it
        ("hf://datasets/GAIR/lima", Place("GAIR/lima")),
        ("GAIR/lima:test", Place("GAIR/lima", split="test")),
        ("GAIR/lima@v1.2", Place("GAIR/lima", "v1.2")),
        ("hf://GAIR/lima@refs/convert/parquet:train", Place("GAIR/lima", "refs/convert/parquet", "train")),
        ("hf://GAIR/lima@main/data/train.jsonl", Place("GAIR/lima", "main", file="data/train.jsonl")),
        ("data/train.jsonl", None),
        ("a/b/c", None),
        ("./a/b", None),
        ("/a/b", None),
        ("http://127.0.0.1:8000/v1#m", None),
        ("train.jsonl", None),
    ],
)
def test_what_is_a_place_on_the_hub(text: str, place: Place | None) -> None:
    assert Place.read(text) == place


def test_a_folder_of_this_machine_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert Place.read("runs/mistyped") is None
    assert Place.read("hf://runs/mistyped") == Place("runs/mistyped")


def test_data_of_the_hub_where_files_are(hub: StandIn, tmp_path: Path) -> None:
    hub.repositories["dataset/ann/rows"] = rows = Repository()
    rows.files = {"README.md": b"# rows", "train.jsonl": lines(3), "data/test-00000-of-00002.jsonl": lines(1)}
    rows.files["data/test-00001-of-00002.jsonl"] = json.dumps(
        {**ROW, "id": "z", "source": "r"}
    ).encode()  # no newline
    rows.files["chats.json"] = json.dumps([ROW, ROW]).encode()
    here: dict[str, Any] = {"home": tmp_path / "home", "cwd": tmp_path}
    train, test, pinned, imported, none, nothing = hub.lima(
        ["inspect", "hf://ann/rows", "--samples", "0"],
        ["inspect", "ann/rows:test"],
        ["inspect", f"hf://ann/rows@{rows.commit}:test"],
        ["import", "openai", "hf://ann/rows/chats.json", "--out", "mine.jsonl"],
        ["inspect", "ann/rows:dev"],
        ["inspect", "ann/rows@v9"],
        **here,
    )
    assert "train.jsonl: 3 examples" in train.text
    assert "test.jsonl: 2 examples" in test.text
    assert "test.jsonl: 2 examples" in pinned.text
    assert imported.code == 0
    assert len((tmp_path / "mine.jsonl").read_text().splitlines()) == 2
    assert none.code == 2
    assert "no files of the split 'dev'. Its files: chats.json, data/test-00000-of-00002.jsonl" in none.text
    assert "no such revision" in nothing.text
    taken = len(hub.requests)
    offline, unknown = hub.lima(
        ["inspect", "ann/rows:test"], ["inspect", "ann/never"], HF_HUB_OFFLINE="1", **here
    )
    assert "test.jsonl: 2 examples" in offline.text
    assert (
        "ann/never: not in this machine's cache, and HF_HUB_OFFLINE forbids to ask the hub. Unset it"
        in unknown.text
    )
    assert len(hub.requests) == taken


def test_a_pinned_model_is_a_folder_that_tells_where_it_is_from(hub: StandIn, tmp_path: Path) -> None:
    hub.repositories["model/ann/base"] = model = Repository(private=True)
    model.files = {"config.json": b"{}"}
    pinned = f"ann/base@{model.commit}"
    code = f"""
import os
from lima.errors import LimaError
from lima.hub import model_place
os.environ["HF_TOKEN"] = "hf_none"
try:
    model_place("{pinned}")
except LimaError as error:
    print(error)
os.environ["HF_TOKEN"] = "{TOKEN}"
print(model_place("{pinned}"), model_place("ann/base"), model_place("hf://ann/base"))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=hub.environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    refused, given = ran.stdout.splitlines()
    assert refused.startswith("ann/base: the hub has no such repository, or it is private")
    folder, *plain = given.split()
    assert (Path(folder) / "config.json").is_file()
    assert origin(folder) == ("ann/base", model.commit)
    assert plain == ["ann/base", "ann/base"]  # transformers asks the hub itself
    assert origin(tmp_path) is None
