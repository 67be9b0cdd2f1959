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


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_imports_go_down_only(path: Path) -> None:
    package = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "lima" or len(parts) == 1 or parts[1].startswith("__"):
            continue
        lower = LEVEL[parts[1]] < LEVEL[package]
        same_ground = LEVEL[package] == 1 == LEVEL[parts[1]]  # the ground floor is one house
        helper = package in ("model", "chat", "formats", "remote") and LEVEL[parts[1]] == LEVEL[package]
        assert lower or parts[1] == package or same_ground or helper, f"{package} imports {name}"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*settings.py")), ids=lambda p: p.parent.name)
def test_settings_import_nothing_heavy(path: Path) -> None:
    tree = ast.parse(path.read_text())
    at_top = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    names = {a.name for n in at_top if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module or "" for n in at_top if isinstance(n, ast.ImportFrom)}
    assert not {name.split(".")[0] for name in names} & HEAVY
