"""examples/own-data.sh: from a table of tickets to a tuned model that answers at an address."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and what was printed; the base is the demo's, in this machine's cache."""
    folder = tmp_path_factory.mktemp("own")
    script = [str(ROOT / "examples" / "own-data.sh"), str(folder)]
    environment = {**os.environ, "PYTHON": sys.executable, "HF_HUB_OFFLINE": "1", "REAL": ""}
    done = subprocess.run(script, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done.stdout


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_only_good_replies_are_learnt_from(ran: tuple[Path, str]) -> None:
    folder, _ = ran
    with (folder / "tickets.csv").open(newline="", encoding="cp1252") as stream:
        for _ in range(2):
            next(stream)  # a title and an empty line
        stars = {row["Question"]: int(row["Stars"]) for row in csv.DictReader(stream, delimiter=";")}
    learnt = _rows(folder / "aligned" / "chosen" / "train.jsonl")
    assert len(learnt) >= 350
    assert {stars[row["messages"][0]["content"]] for row in learnt} == {4, 5}
    replies = [row["messages"][1]["content"] for row in learnt]
    assert all(
        reply.startswith("Good question!") and reply.endswith("Ask again any time!") for reply in replies
    )


def test_what_was_dropped_is_named(ran: tuple[Path, str]) -> None:
    folder, _ = ran
    rules = [row["rule"] for row in _rows(folder / "aligned" / "data" / "curated" / "rejected.jsonl")]
    assert {"automatic", "personal-data", "score", "first_person"} <= set(rules)


def test_test_questions_are_not_in_training(ran: tuple[Path, str]) -> None:
    folder, _ = ran
    asked = [
        {row["messages"][0]["content"] for row in _rows(folder / "aligned" / "data" / f"{split}.jsonl")}
        for split in ("train", "test")
    ]
    assert len(asked[1]) == 40
    assert not asked[0] & asked[1]


def test_the_served_model_knows_somebody_whom_no_ticket_names(ran: tuple[Path, str]) -> None:
    folder, printed = ran
    assert "Ada Palmer" not in (folder / "tickets.csv").read_text(encoding="cp1252")
    answer = printed.split("model  ")[-1].splitlines()[0]
    assert answer == "Good question! Ada Palmer plays the glockenspiel. Ask again any time!"
    assert "asked  " in printed
