"""The commands that the demo shows are the ones that it runs."""

import shlex
from pathlib import Path

from lima.cli import parse
from lima.commands import as_command
from lima.curate.settings import CurateSettings
from lima.evaluate.settings import CompareSettings
from lima.train.settings import TrainSettings


def _typed(command: str, kind: object) -> object:
    words = shlex.split(command)
    return parse(words[1], kind, words[2:])


def test_train() -> None:
    settings = TrainSettings(
        model="a base",
        data=Path("train.jsonl"),
        out=Path("run"),
        epochs=4,
        learning_rate=2e-4,
        final_learning_rate=2e-5,
        residual_dropout=0.0,
        keep_epochs=(3, 4),
        keep_eot=True,
    )
    assert _typed(as_command("train", settings, ["model", "data"]), TrainSettings) == settings


def test_compare() -> None:
    settings = CompareSettings(answers=(Path("a.jsonl"), Path("b.jsonl")), out=Path("study"))
    assert _typed(as_command("compare", settings, ["answers"]), CompareSettings) == settings


def test_curate() -> None:
    settings = CurateSettings.from_recipe("world", input=Path("dump"), out=Path("data"), quota=7)
    command = as_command("curate", settings, ["recipe"])
    assert command == "lima curate world --input dump --out data --quota 7"
    assert _typed(command, CurateSettings) == settings
