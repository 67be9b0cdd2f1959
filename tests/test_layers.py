"""The import layers of docs/extending.md: a module imports from its own package and from lower layers only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import lima

SOURCE = Path(lima.__file__).parent
LAYERS = [
    {"records"},
    {"runs", "files", "settings", "errors", "console", "commands", "fingerprint", "extras", "hub", "parquet"},
    {"chat", "template", "model", "weights", "remote", "statistics", "formats"},
    {"curate", "train", "generate", "evaluate", "regress"},
    {"report", "annotate", "world"},
    {"publish"},
    {"checkpoint", "select"},
    {"doctor"},
    {"align"},
    {"experiments"},
    {"cli"},
    {"api"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
HEAVY = {"torch", "transformers", "tokenizers", "matplotlib", "scipy"}


def modules() -> list[Path]:
    return sorted(p for p in SOURCE.rglob("*.py") if p.parent != SOURCE or not p.name.startswith("__"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "lima":
                yield from (f"lima.{alias.name}" for alias in node.names)
            else:
                yield node.module


def test_imports_go_down_only() -> None:
    assert [(path, name) for path in modules() for name in imports(path) if not goes_down(path, name)] == []


def goes_down(path: Path, name: str) -> bool:
    """Whether a file may import a module."""
    package = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    parts = name.split(".")
    if parts[0] != "lima" or len(parts) == 1 or parts[1].startswith("__"):
        return True
    lower = LEVEL[parts[1]] < LEVEL[package]
    same_ground = LEVEL[package] == 1 == LEVEL[parts[1]]  # the ground floor is one house
    helper = package in ("model", "chat", "formats", "remote") and LEVEL[parts[1]] == LEVEL[package]
    return lower or parts[1] == package or same_ground or helper


@pytest.mark.parametrize(
    ("file", "name", "allowed"),
    [
        ("train/loop.py", "lima.records", True),
        ("train/loop.py", "lima.train.loss", True),
        ("train/loop.py", "lima.curate.rules", False),  # a stage never imports another
        ("train/loop.py", "lima.report.report", False),
        ("files.py", "lima.console", True),
        ("records.py", "lima.files", False),
        ("model.py", "lima.chat", True),
    ],
)
def test_what_may_import_what(file: str, name: str, allowed: bool) -> None:
    assert goes_down(SOURCE / file, name) == allowed


def test_settings_import_nothing_heavy() -> None:
    for path in SOURCE.rglob("*settings.py"):
        at_top = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.Import | ast.ImportFrom)]
        names = {a.name for n in at_top if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module or "" for n in at_top if isinstance(n, ast.ImportFrom)}
        assert not {name.split(".")[0] for name in names} & HEAVY, path
