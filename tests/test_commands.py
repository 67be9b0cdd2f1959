"""Commands that are shown are the ones that run: pasted into a shell, they give the same settings."""

import ast
import re
import shlex
from itertools import pairwise
from pathlib import Path

import lima
from lima.cli import COMMANDS, parse
from lima.commands import as_command, command, recorded_command
from lima.curate.settings import CurateSettings
from lima.evaluate.settings import CompareSettings
from lima.files import read_json
from lima.generate.settings import GenerateSettings
from lima.report.settings import ReportSettings
from lima.runs import open_run
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
    assert _typed(as_command("train", settings), TrainSettings) == settings


def test_compare() -> None:
    settings = CompareSettings(answers=(Path("a.jsonl"), Path("b.jsonl")), out=Path("study"))
    assert _typed(as_command("compare", settings), CompareSettings) == settings


def test_curate() -> None:
    settings = CurateSettings.from_recipe("world", input=Path("dump"), out=Path("data"), quota=7)
    command = as_command("curate", settings)
    assert command == "lima curate world --input dump --out data --quota 7"
    assert _typed(command, CurateSettings) == settings


def test_paths_with_blanks_can_be_pasted() -> None:
    settings = ReportSettings(study=Path("my studies/tuned v base"), level=0.9, all_items=True)
    shown = as_command("report", settings)
    assert shown == "lima report 'my studies/tuned v base' --level 0.9 --all-items"
    assert _typed(shown, ReportSettings) == settings
    assert shlex.split(command("inspect", Path("a b/train.jsonl"))) == ["lima", "inspect", "a b/train.jsonl"]


def test_a_record_gives_the_command_that_began_the_run(tmp_path: Path) -> None:
    prompts = tmp_path / "my prompts.jsonl"
    prompts.write_text('{"id": "p", "source": "s", "messages": [{"role": "user", "content": "Why?"}]}\n')
    settings = GenerateSettings(
        system="URL#m", prompts=prompts, out=tmp_path / "a.jsonl", name="m", samples=2
    )
    with open_run(tmp_path / "run.json", "generate", settings):
        shown = recorded_command(read_json(tmp_path / "run.json"), GenerateSettings)
    assert _typed(shown, GenerateSettings) == settings


def test_every_command_that_is_shown_is_quoted_for_the_shell() -> None:
    """No text puts a value behind ``lima COMMAND`` by itself: `command` quotes a path with a blank in it."""
    source = Path(lima.__file__).parent
    shown = re.compile(rf"\blima ({'|'.join(COMMANDS)})( [^{{}}]*)? (--[\w.-]+ )?$")
    found = [
        f"{path.relative_to(source)}:{node.lineno}"
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.JoinedStr)
        for text, value in pairwise(node.values)
        if isinstance(text, ast.Constant) and isinstance(value, ast.FormattedValue)
        if shown.search(str(text.value))
        and ast.unparse(value.value) not in ("kind", "settings.format", "problem")
    ]
    assert found == []
