"""The hash of code: statements count, of every module that is imported at any depth; prose does not."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lima import fingerprint
from lima.experiments.claims.jobs import WORKER
from lima.fingerprint import code_hash, imported
from lima.world import base

HEAD = "from __future__ import annotations\n"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package once more, to be edited; the functions of the hash are those of the real one."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(fingerprint.ROOT / "lima", root / "lima", ignore=shutil.ignore_patterns("__pycache__"))
    return root


HASHED = (WORKER, base.__name__, "lima.world.oracle")
"""A job's worker, the base and the world's oracle."""


@pytest.fixture(scope="module")
def unedited(copy: Path) -> list[str]:
    return [code_hash(name, copy) for name in HASHED]


@pytest.fixture
def edited(copy: Path) -> Callable[[str, str, str], list[str]]:
    """The hashes with one text of a file replaced."""

    def hashes(file: str, old: str, new: str) -> list[str]:
        place = copy / "lima" / file
        before = place.read_text()
        assert old in before, f"{file} holds no {old!r}"
        place.write_text(before.replace(old, new, 1))
        found = [code_hash(name, copy) for name in HASHED]
        place.write_text(before)
        return found

    return hashes


def test_a_copy_has_the_hash_of_the_package(unedited: list[str]) -> None:
    assert unedited == [code_hash(name) for name in HASHED]


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("train/loop.py", "optimizer.step()", "optimizer.step(None)", [True, True, False]),
        ("generate/engine/decoding.py", HEAD, HEAD + "EDITED = 1\n", [True, False, False]),
        ("curate/rules.py", HEAD, HEAD + "EDITED = 1\n", [True, False, False]),
        ("world/wordings.py", HEAD, HEAD + "EDITED = 1\n", [True, True, True]),
        ("curate/recipes/world.yaml", ":", ": ", [True, False, False]),
        ("report/report.py", HEAD, HEAD + "EDITED = 1\n", [False, False, False]),
    ],
    ids=lambda value: value if isinstance(value, str) and "/" in value else "",
)
def test_a_changed_statement_changes_what_depends_on_it(
    unedited: list[str],
    edited: Callable[[str, str, str], list[str]],
    file: str,
    old: str,
    new: str,
    changed: list[bool],
) -> None:
    assert [a != b for a, b in zip(unedited, edited(file, old, new), strict=True)] == changed


@pytest.mark.parametrize(
    ("old", "new"), [('"""', '"""Other words. '), (HEAD, HEAD + "# why\n"), ("\n\n\n", "\n\n\n\n\n")]
)
def test_prose_and_layout_change_nothing(
    unedited: list[str], edited: Callable[[str, str, str], list[str]], old: str, new: str
) -> None:
    assert edited("train/loop.py", old, new) == unedited


def test_imports_are_followed_wherever_they_stand(tmp_path: Path) -> None:
    files = {
        "p/__init__.py": "",
        "p/a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import p.types\ndef f():\n    from p import b",
        "p/b.py": "from .q.c import d\nimport os, q",
        "p/types.py": "",
        "p/q/__init__.py": "",
        "p/q/c.py": "d = 1",
        "q.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert set(imported("p.a", tmp_path, "p")) == {"p", "p.a", "p.b", "p.q", "p.q.c"}
    assert set(imported("p.a", tmp_path, "")) == {"p", "p.a", "p.b", "p.q", "p.q.c", "q"}


def test_the_text_of_attributes_is_prose_and_other_strings_are_not(tmp_path: Path) -> None:
    def hashed(text: str) -> str:
        (tmp_path / "m.py").write_text(text)
        return code_hash("m", tmp_path, "")

    assert hashed('A = 1\n"""One."""') == hashed('A = 1\n"""Two."""')
    assert hashed("A = 'one'") != hashed("A = 'two'")
    assert hashed("A = 1") != hashed("A = True") != hashed("A = None")
