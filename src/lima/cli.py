"""The command line: one subcommand a stage, its flags read off the stage's settings class.

Only the chosen command's module is imported and only its parser built, so that ``lima --help`` stays fast.
"""

from __future__ import annotations

import difflib
import errno
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from lima import __version__
from lima.errors import LimaError

if TYPE_CHECKING:
    from tyro.constructors import PrimitiveConstructorSpec


@dataclass(frozen=True)
class Command:
    """A subcommand: its settings are a class of ``lima.<room>.settings``; nothing is imported until it is chosen."""

    room: str
    kind: str
    function: str
    """``module:name`` in the room."""
    summary: str

    @property
    def settings(self) -> str:
        """``lima.train.settings:TrainSettings``."""
        return f"lima.{self.room}.settings:{self.kind}"

    @property
    def run(self) -> str:
        """``lima.train.run:train``."""
        return f"lima.{self.room}.{self.function}"


COMMANDS: dict[str, Command] = {
    "demo": Command(
        "experiments.demo", "DemoSettings", "demo:demo", "the whole path in the built-in world, in minutes"
    ),
    "align": Command(
        "align", "AlignSettings", "align:align", "base model + your own data -> a tuned model and its report"
    ),
    "curate": Command(
        "curate", "CurateSettings", "pipeline:curate", "raw dumps -> about a thousand examples"
    ),
    "import": Command(
        "formats", "ImportSettings", "convert:import_file", "another tool's file -> our records"
    ),
    "export": Command(
        "formats", "ExportSettings", "convert:export_file", "our records -> another tool's file"
    ),
    "export gguf": Command(
        "publish", "ExportGgufSettings", "gguf:export_gguf", "a checkpoint -> a file for llama.cpp and Ollama"
    ),
    "publish": Command(
        "publish",
        "PublishSettings",
        "publish:publish",
        "a model or data set -> the Hugging Face hub, listed first",
    ),
    "inspect": Command("curate", "InspectSettings", "inspect:inspect_file", "what is in a data file"),
    "select": Command(
        "select", "SelectSettings", "select:select", "a pool of examples -> the thousand worth tuning on"
    ),
    "doctor": Command(
        "doctor", "DoctorSettings", "doctor:doctor", "what would go wrong in training, before it does"
    ),
    "train": Command("train", "TrainSettings", "run:train", "base model + examples -> tuned checkpoints"),
    "checkpoint": Command(
        "checkpoint", "CheckpointSettings", "checkpoint:checkpoint", "which epoch answers best"
    ),
    "generate": Command("generate", "GenerateSettings", "run:generate", "model + prompts -> answers"),
    "chat": Command("generate", "ChatSettings", "chat:chat", "talk with a model in the terminal"),
    "serve": Command(
        "generate", "ServeSettings", "serve.server:serve", "a model behind an OpenAI-compatible URL"
    ),
    "compare": Command(
        "evaluate", "CompareSettings", "comparisons:compare", "answers of several systems -> a blind study"
    ),
    "judge": Command("evaluate", "JudgeSettings", "judge:judge", "a judge model rates the study"),
    "probe": Command("remote", "ProbeSettings", "probe:probe", "which request fields a server honours"),
    "annotate": Command(
        "annotate", "AnnotateSettings", "serve:annotate", "people compare and rate, in a browser"
    ),
    "annotate prolific": Command(
        "annotate.prolific", "ProlificSettings", "run:prolific", "draft, pay and review at a panel"
    ),
    "power": Command(
        "report", "PowerSettings", "power:power", "what a study can show and cost, before it runs"
    ),
    "regress": Command(
        "regress",
        "RegressSettings",
        "regress:regress",
        "what tuning made a model forget, by lm-evaluation-harness",
    ),
    "report": Command("report", "ReportSettings", "report:report", "study -> report.html and report.json"),
    "experiment": Command(
        "experiments",
        "ExperimentSettings",
        "experiment:experiment",
        "the paper's claims, tested in the built-in world",
    ),
    "bench": Command(
        "experiments.bench",
        "BenchSettings",
        "bench:bench",
        "judges, estimators and selectors, where the truth is known",
    ),
    "database": Command(
        "annotate",
        "DatabaseSettings",
        "archive:database",
        "bring the database of annotate to this version, or move it",
    ),
}

EXTRAS = {
    "train": {"torch", "transformers", "tokenizers", "safetensors"},
    "web": {"fastapi", "starlette", "uvicorn", "sqlalchemy", "alembic", "multipart", "nh3"}
    | {"markdown_it", "mdit_py_plugins", "latex2mathml", "pygments"},
}
"""Packages that a small installation lacks, by the extra that brings them."""

NONES = ("None", "null")
BOOLEANS = {"true", "false", "yes", "no", "on", "off"}
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit: 0 done, 2 a user's mistake in one line, 130 stopped by Ctrl-C."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        code = run(sys.argv[1:] if arguments is None else list(arguments))
    except LimaError as error:
        print(f"error: {error}", file=sys.stderr)
        code = EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("\nStopped. The same command again continues where this one ended.", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:  # a reader such as `head` went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        if (problem := _file_problem(error)) is None:
            raise
        print(f"error: {problem}", file=sys.stderr)
        code = EXIT_USER_ERROR
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command; errors are raised, not printed."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"lima {__version__}")
        return 0
    words = 2 if " ".join(arguments[:2]) in COMMANDS else 1
    name = " ".join(arguments[:words])
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"Did you mean 'lima {near[0]}'?" if near else "'lima --help' lists them."
        raise LimaError(f"no command {name!r}. {hint}")
    command = COMMANDS[name]
    settings = parse(name, _load(command.settings, name), arguments[words:])
    if getattr(settings, "dry_run", False):
        print(f"# lima {name}: resolved settings\n{settings.to_yaml()}", end="")
    _refuse_missing(settings)
    function = _load_with_sign(command.run, name)
    function(settings)
    return 0


def _refuse_missing(settings: Any) -> None:
    """A mistyped file is named before libraries load, which takes seconds. Of folders the command says what belongs in them."""
    for field in sorted(settings.input_fields):
        value = getattr(settings, field)
        for place in value if isinstance(value, tuple) else (value,):
            if isinstance(place, Path) and place.suffix and not place.exists():
                raise LimaError(f"{place}: no such file.")


def _load_with_sign(place: str, command: str) -> Callable[[Any], Any]:
    """Import a command's code; on a terminal a sign of life stands there meanwhile: torch alone takes seconds."""
    from lima import console

    with console.notes.status(f"loading the libraries of lima {command} ..."):
        function: Callable[[Any], Any] = _load(place, command)
    return function


def overview() -> str:
    """The text of ``lima --help``."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "lima: turn a base language model into an assistant with about 1,000 well-chosen examples.",
            "",
            "usage: lima COMMAND ...",
            "",
            *lines,
            "",
            "lima COMMAND --help   explains a command, with an example.",
            "lima demo             shows everything at work on this machine.",
        ]
    )


def parse(name: str, kind: Any, arguments: list[str]) -> Any:
    """Settings of one command: default < ``--preset`` < ``--recipe`` < flags."""
    import tyro
    from pydantic import ValidationError

    from lima.settings import option, preset_values, read_recipe, settings_problem, typed

    _refuse_switch_values(kind, arguments)
    base: dict[str, Any] = {}
    if preset := option(arguments, "--preset"):
        base |= preset_values(kind, preset)
    if "recipe" in kind.model_fields and (recipe := kind.find_recipe(arguments)):
        base |= typed(kind, read_recipe(recipe), str(recipe))
    try:
        return tyro.cli(
            kind,
            args=arguments,
            prog=f"lima {name}",
            default=_partial(kind, base) if base else tyro.MISSING,
            config=(tyro.conf.FlagCreatePairsOff,),
            registry=_number_words(),
        )
    except ValidationError as error:
        raise LimaError(settings_problem(error, kind)) from None


def _refuse_switch_values(kind: Any, arguments: Sequence[str]) -> None:
    """``--keep-eot true`` would be read as the switch and a stray word, and the parser's error names the word alone."""
    switches = {
        f"--{name.replace('_', '-')}" for name, info in kind.model_fields.items() if info.annotation is bool
    }
    for flag, word in pairwise([*arguments, ""]):
        name, _, given = flag.partition("=")
        value = given or (word if word.lower() in BOOLEANS else "")
        if name in switches and value:
            raise LimaError(
                f"{name} is a switch and takes no value (got {value!r}). Give it alone, or leave it out."
            )


def _number_words() -> Any:
    """Rules for tyro: a number that is none is named in plain words; ``null``, as recipes spell it, means None too."""
    from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

    registry = ConstructorRegistry()

    @registry.primitive_rule
    def number(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        options = set(get_args(info.type) or (info.type,))
        for kind, words in ((int, "a whole number"), (float, "a number")):
            if options in ({kind}, {kind, NoneType}):
                return _number_spec(kind, words, optional=NoneType in options)
        return None

    @registry.primitive_rule
    def none(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[None] | None:
        if info.type is not NoneType:
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="{None}",
            choices=NONES,
            instance_from_str=lambda words: None,
            is_instance=lambda value: value is None,
            str_from_instance=lambda value: ["None"],
        )

    return registry


def _number_spec(
    kind: type[int] | type[float], expected: str, *, optional: bool
) -> PrimitiveConstructorSpec[Any]:
    from tyro.constructors import PrimitiveConstructorSpec

    def read(words: list[str]) -> int | float | None:
        if optional and words[0] in NONES:
            return None
        try:
            return kind(words[0])
        except ValueError:
            raise ValueError(
                f"expected {expected}{' or None' if optional else ''} (got {words[0]!r})."
            ) from None

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=("{None}|" if optional else "") + kind.__name__.upper(),
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, int | kind) or (optional and value is None),
        str_from_instance=lambda value: [str(value)],
    )


def _partial(kind: Any, values: dict[str, Any]) -> Any:
    """An instance for tyro's ``default``: required fields without a value are marked as missing."""
    import tyro

    def value(field: str, info: Any) -> Any:
        if field in values:
            return values[field]
        return tyro.MISSING if info.is_required() else info.get_default(call_default_factory=True)

    return kind.model_construct(**{field: value(field, info) for field, info in kind.model_fields.items()})


def _load(place: str, command: str) -> Any:
    module, _, name = place.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        extra = next((name for name, packages in EXTRAS.items() if missing in packages), None)
        if extra is None:
            raise
        from lima.extras import install

        raise LimaError(
            f"'lima {command}' needs the package {missing!r}. Install it: {install(extra)}"
        ) from None


def _file_problem(error: OSError) -> str | None:
    """A file that cannot be read or written, or a full disk, in one line; None for any other failure."""
    reason = os.strerror(error.errno).lower() if error.errno else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{reason}. Free some space and run the same command again; it continues."
    if isinstance(error.filename, str | os.PathLike) and reason:
        return f"{os.fspath(error.filename)}: {reason}. Mend it, or name another file."
    return None


def _stop(signum: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt
