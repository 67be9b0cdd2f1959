"""The way of a question from its row in ``Posts.xml`` to ``train.jsonl``: it should get no longer."""

from __future__ import annotations

from pathlib import Path

from tests.curate.calls import files_run
from tests.curate.dump import answer, posts, question, write

from lima.curate.pipeline import curate
from lima.curate.settings import CurateSettings
from lima.curate.stackexchange.source import StackExchange
from lima.files import read_jsonl
from lima.records import Example

MOST = 15
"""Files today; the number may only fall."""


def test_the_files_that_one_accepted_question_goes_through(tmp_path: Path) -> None:
    folder = write(tmp_path / "dumps", posts(question(1), answer(2, 1)))
    source = {"forum": StackExchange(train=1, title_prompts=0)}
    settings = CurateSettings.from_recipe(
        "stackexchange", input=folder, out=tmp_path / "data", sources=source, card=False
    )
    with files_run() as files:
        curate(settings)
    assert [e.id for e in read_jsonl(tmp_path / "data" / "train.jsonl", Example)] == [
        "stackexchange/cooking/1"
    ]
    assert files >= {
        "curate/pipeline.py",
        "curate/rules.py",
        "curate/text/clean.py",
        "records.py",
        "files.py",
    }
    assert len(files) <= MOST, sorted(files)
