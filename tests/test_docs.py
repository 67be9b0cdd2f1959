"""Tests hold the promises of the prose: commands, files and functions that the docs name exist."""

import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from lima.cli import COMMANDS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture
def generate() -> Iterator[ModuleType]:
    sys.path.insert(0, str(ROOT / "docs"))
    yield importlib.import_module("generate")
    sys.path.pop(0)


def test_the_configuration_page_is_what_the_settings_say(generate: ModuleType) -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == generate.page(), "run `make fix`"


def test_the_map_of_the_code_is_what_the_modules_say(generate: ModuleType) -> None:
    assert (ROOT / "docs" / "code.md").read_text() == generate.code_map(), "run `make fix`"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_within_the_repository_resolve(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_source_files_that_the_prose_names_exist(page: Path) -> None:
    for name in re.findall(r"`((?:src|tests|examples|benchmarks|docs)/[\w./-]+)`", page.read_text()):
        assert (ROOT / name).exists(), f"{page.name} names {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_functions_that_the_prose_names_exist(page: Path) -> None:
    for name in re.findall(r"`(lima(?:\.\w+)+)`", page.read_text()):
        module, _, attribute = name.rpartition(".")
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), attribute), f"{page.name} names {name}"


def commands(page: Path) -> list[list[str]]:
    """The ``lima ...`` lines of a page's shell blocks, continued lines joined."""
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", page.read_text(), re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    words = [shlex.split(line.removeprefix("$ "), comments=True) for line in lines]
    return [line[1:] for line in words if line[:1] == ["lima"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_in_the_prose_have_only_flags_that_exist(page: Path) -> None:
    for words in commands(page):
        size = 2 if " ".join(words[:2]) in COMMANDS else 1
        name, arguments = " ".join(words[:size]), words[size:]
        assert name in COMMANDS, f"{page.name}: lima {name}"
        module, _, attribute = COMMANDS[name].settings.partition(":")
        fields = getattr(importlib.import_module(module), attribute).model_fields
        for flag in (word for word in arguments if word.startswith("--")):
            assert flag[2:].partition("=")[0].partition(".")[0].replace("-", "_") in fields, (
                f"{page.name}: lima {name} {flag}"
            )
