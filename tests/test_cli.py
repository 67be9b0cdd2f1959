import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import pytest

from lima.cli import COMMANDS, main, overview, parse, run
from lima.errors import LimaError
from lima.settings import Settings


class Bake(Settings):
    """Bake a cake."""

    presets: ClassVar = {"small": {"eggs": 1}}

    tin: Path
    """Where to put it."""
    eggs: int = 4
    """How many."""
    toppings: tuple[str, ...] = ()
    """What goes on it."""
    preset: str | None = None
    """A named set of values."""
    recipe: Path | None = None
    """A YAML file of settings."""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "cake.yaml"
    path.write_text("eggs: 3\ntoppings: [nuts, cream]\n")
    return path


def test_weight_rises_from_default_over_preset_and_recipe_to_flag(recipe: Path) -> None:
    def eggs(*flags: str) -> int:
        settings = parse("bake", Bake, ["--tin", "t", *flags])
        assert isinstance(settings, Bake)
        return settings.eggs

    assert eggs() == 4
    assert eggs("--preset", "small") == 1
    assert eggs("--preset", "small", "--recipe", str(recipe)) == 3
    assert eggs("--preset", "small", "--recipe", str(recipe), "--eggs", "7") == 7


def test_a_recipe_gives_typed_values(recipe: Path) -> None:
    assert parse("bake", Bake, ["--tin", "t", "--recipe", str(recipe)]) == Bake(
        tin=Path("t"), eggs=3, toppings=("nuts", "cream"), recipe=recipe
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("egs: 3\n", "no setting 'egs'. Did you mean 'eggs'?"),
        ("eggs: many\n", "eggs: Input should be a valid integer"),
        ("- eggs\n", "expected 'name: value' lines, found list"),
        ("eggs: [1\n", ":2: not YAML"),
    ],
)
def test_a_bad_recipe_is_named_with_its_field(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "cake.yaml"
    path.write_text(text)
    with pytest.raises(LimaError) as caught:
        parse("bake", Bake, ["--tin", "t", "--recipe", str(path)])
    assert str(path) in str(caught.value)
    assert problem in str(caught.value)


def test_a_value_out_of_range_is_one_line_that_names_the_field() -> None:
    done = lima("train", "model", "data.jsonl", "--out", "run", "--epochs", "0")
    assert done.returncode == 2
    assert done.stderr == "error: epochs: Input should be greater than 0 (got 0).\n"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--epochs", "many"], "Error parsing --epochs: expected a whole number (got 'many')."),
        (["--epochs", "1.5"], "Error parsing --epochs: expected a whole number (got '1.5')."),
        (["--steps", "many"], "Error parsing --steps: expected a whole number or None (got 'many')."),
        (["--learning-rate", "1e-5x"], "Error parsing --learning-rate: expected a number (got '1e-5x')."),
        (["--schedule", "fast"], "Expected one of ('linear', 'cosine')"),
        (["--keep-eot", "true"], "error: --keep-eot is a switch and takes no value (got 'true')."),
        (["--keep-eot=yes"], "error: --keep-eot is a switch and takes no value (got 'yes')."),
    ],
)
def test_a_value_of_the_wrong_type_is_told_what_is_expected(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        main(["train", "model", "data.jsonl", "--out", "run", *flags])
    assert ended.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_numbers_are_read_as_ever() -> None:
    from lima.train.settings import TrainSettings

    base = ["model", "data.jsonl", "--out", "run"]
    found = parse(
        "train", TrainSettings, [*base, "--steps", "null", "--epochs", "3", "--learning-rate", "1e-5"]
    )
    assert (found.steps, found.epochs, found.learning_rate) == (None, 3, 1e-5)
    assert parse("train", TrainSettings, [*base, "--steps", "7", "--keep-epochs", "2", "3"]).keep_epochs == (
        2,
        3,
    )


def test_help_names_positional_arguments() -> None:
    assert "usage: lima train [-h] [OPTIONS] MODEL DATA" in lima("train", "--help").stdout


def test_an_unknown_preset_lists_those_there_are() -> None:
    with pytest.raises(LimaError, match=r"no preset 'huge'. There are: small"):
        parse("bake", Bake, ["--tin", "t", "--preset", "huge"])


def test_resolved_settings_are_a_recipe_that_gives_the_same_settings(tmp_path: Path) -> None:
    settings = Bake(tin=Path("t"), eggs=9, toppings=("nuts",))
    path = tmp_path / "again.yaml"
    path.write_text(settings.to_yaml())
    again = parse("bake", Bake, ["--recipe", str(path)])
    assert again.model_copy(update={"recipe": None}) == settings


def test_an_unknown_command_gets_a_suggestion() -> None:
    with pytest.raises(LimaError, match="Did you mean 'lima train'"):
        run(["trian"])


def test_the_overview_names_every_command() -> None:
    for name in COMMANDS:
        assert f"  {name} " in overview()


def lima(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "lima", *arguments], capture_output=True, text=True)


HELP_OF_ALL = """
import os, sys
from lima.cli import COMMANDS, run
for name in COMMANDS:
    print(f"## {name} ##", flush=True)
    child = os.fork()  # a process for each: what one imports is no other's
    if not child:
        try:
            run([name, "--help"])
        except SystemExit as end:
            assert end.code == 0
        assert "torch" not in sys.modules, f"{name} imports torch"
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0, name
"""


def test_every_command_teaches_by_an_example_and_imports_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", HELP_OF_ALL], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    _, *parts = re.split(r"## (.+) ##\n", done.stdout)
    assert parts[::2] == list(COMMANDS)
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        assert f"lima {name} " in text.replace("usage: lima", ""), name


def test_user_errors_are_one_line_and_exit_2() -> None:
    done = lima("inspect", "/no/such/file.jsonl")
    assert done.returncode == 2
    assert done.stderr == "error: /no/such/file.jsonl: no such file.\n"


def test_a_missing_file_is_named_before_libraries_load() -> None:
    code = (
        "import sys\nfrom lima import cli\n"
        "try:\n    cli.run(['train', 'base', '/no/such.jsonl', '--out', 'x'])\n"
        "except cli.LimaError as error:\n    print(error, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "/no/such.jsonl: no such file. False\n", done.stderr


def test_a_file_that_cannot_be_written_is_one_line_and_exits_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"messages": [{"role": "user", "content": "Hi"}]}\n')
    done = lima("import", "openai", str(rows), "--out", str(tmp_path / "file" / "out.jsonl"))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path / 'file'}: ")
    assert done.stderr.count("\n") == 1


def test_an_unknown_option_gets_a_suggestion_and_exits_2() -> None:
    done = lima("train", "model", "data.jsonl", "--out", "run", "--epoch", "3")
    assert done.returncode == 2
    assert "--epochs" in done.stderr


def test_ctrl_c_exits_130_and_says_how_to_go_on(tmp_path: Path) -> None:
    fifo = tmp_path / "never.jsonl"
    os.mkfifo(fifo)  # reading it waits until the test is over
    process = subprocess.Popen(
        [sys.executable, "-m", "lima", "inspect", str(fifo)], stderr=subprocess.PIPE, text=True
    )
    _wait_for_reader(fifo)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "The same command again continues" in errors


def _wait_for_reader(fifo: Path) -> None:
    """Returns once a process waits for the pipe's first byte; its other end stays open, so it goes on waiting."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(OSError):  # nobody reads yet
            os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            time.sleep(0.5)
            return
        time.sleep(0.02)
    raise TimeoutError(f"nobody opened {fifo}")


def test_the_overview_starts_fast() -> None:
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        assert lima("--help").returncode == 0
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.4


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)  # as in an installation without it
    monkeypatch.delitem(sys.modules, "lima.generate.serve.server", raising=False)
    with pytest.raises(LimaError, match=r"'lima serve' needs the package 'fastapi'.*\[web\]'"):
        run(["serve", "nowhere"])


def test_a_terminal_shows_that_the_libraries_are_being_loaded(tmp_path: Path) -> None:
    """Torch alone takes seconds, in which a silent command looks as if it hung. Without a terminal the line is left out."""
    screen, terminal = pty.openpty()
    command = [sys.executable, "-m", "lima", "inspect", str(tmp_path / "missing.jsonl")]
    assert subprocess.run(command, stderr=terminal, env={**os.environ, "TERM": "xterm"}).returncode == 2
    os.close(terminal)
    shown = ""
    with contextlib.suppress(OSError):  # the end of a terminal is an error; one read may bring a part alone
        while part := os.read(screen, 10_000):
            shown += part.decode()
    os.close(screen)
    assert "loading the libraries of lima inspect" in shown
    piped = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert piped.stderr.startswith("error: ")
