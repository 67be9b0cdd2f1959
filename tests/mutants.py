"""``make mutants``: how many small faults, put into the code one at a time, do the tests notice?

Mutants are drawn by a seed from the code whose mistakes would show in no other way than in wrong numbers. Each runs in
a forked process, in which one module is compiled with one change, against the tests that call the changed function
(quickest first), and where these pass against all tests of the files that import that module. Texts, asserts,
annotations and what stands in a ``raise`` stay as they are. With ``--log`` a run that was ended goes on where it was.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib.abc
import importlib.util
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
TARGETS = {
    "lima/statistics/*.py": "tests/statistics",
    "lima/curate/rules.py": "tests/curate",
    "lima/evaluate/parse.py": "tests/evaluate",
    "lima/generate/engine/decoding.py": "tests/generate",
    "lima/train/loss.py": "tests/train",
}
"""Code, and the folder of its tests."""
PRELOADED = ("hypothesis", "numpy", "scipy.stats", "statsmodels.api", "torch", "transformers")
"""Imported once, before the forks."""
GOAL = 0.85
SECONDS = 60.0
TIMES = 5
"""A mutant that runs for longer than `SECONDS` and `TIMES` the time of the unchanged code is in an endless loop, which
counts as noticed."""
PATIENCE = 1800.0
"""Seconds for the unchanged code, on a busy machine."""
SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.USub: ast.UAdd, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
UNTOUCHED = (ast.Raise, ast.Assert, ast.JoinedStr, ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class Mutant:
    """One change: the ``number``-th that is possible in a file."""

    path: Path
    number: int
    line: int
    change: str


class Mutator(ast.NodeTransformer):
    """Makes the ``wanted``-th possible change, and lists all that there are (line and text)."""

    def __init__(self, wanted: int = -1) -> None:
        self.wanted = wanted
        self.changes: list[tuple[int, str]] = []

    def visit(self, node: ast.AST) -> ast.AST:
        """Every node but texts, types and what states an error."""
        if isinstance(node, UNTOUCHED):
            return node
        if isinstance(node, ast.AnnAssign | ast.arg | ast.FunctionDef | ast.ClassDef):
            return self._without_types(node)
        new = self._changed(node)
        if new is not None:
            self.changes.append((getattr(node, "lineno", 0), f"{_shown(node)}  ->  {_shown(new)}"))
            if len(self.changes) - 1 == self.wanted:
                return ast.copy_location(new, node)
        return self.generic_visit(node)

    def _without_types(self, node: ast.AnnAssign | ast.arg | ast.FunctionDef | ast.ClassDef) -> ast.AST:
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list"):
                continue
            if isinstance(value, ast.AST):
                setattr(node, name, self.visit(value))
            elif isinstance(value, list):
                value[:] = [self.visit(one) if isinstance(one, ast.AST) else one for one in value]
        return node

    @staticmethod
    def _changed(node: ast.AST) -> ast.AST | None:
        """The node with a fault; None where it has none to take."""
        new = deepcopy(node)
        match new:
            case ast.Compare(ops=[op]) if type(op) in SWAPPED:
                new.ops = [SWAPPED[type(op)]()]  # type: ignore[list-item]
            case ast.BoolOp() | ast.BinOp() | ast.AugAssign() if type(new.op) in SWAPPED:
                if isinstance(new, ast.BinOp) and _is_type(new):
                    return None
                new.op = SWAPPED[type(new.op)]()  # type: ignore[assignment]
            case ast.UnaryOp(op=ast.Not()):
                return new.operand
            case ast.UnaryOp(op=ast.USub()):
                new.op = ast.UAdd()
            case ast.Constant(value=bool(value)):
                new.value = not value
            case ast.Constant(value=int(value) | float(value)):
                new.value = value + 1
            case ast.Return(value=ast.AST()) if ast.unparse(new) != "return None":
                new.value = ast.Constant(None)
            case ast.If() | ast.IfExp():
                new.test = ast.UnaryOp(ast.Not(), new.test)
            case _:
                return None
        return new


def _is_type(node: ast.BinOp) -> bool:
    """Such as ``int | None``."""
    return isinstance(node.op, ast.BitOr) and any(
        isinstance(side, ast.Constant) and side.value is None for side in (node.left, node.right)
    )


def _shown(node: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(deepcopy(node))).splitlines()[0]


def mutants() -> list[Mutant]:
    """Every possible one, in the order of files and lines."""
    found = []
    for pattern in TARGETS:
        for path in sorted(SOURCE.glob(pattern)):
            mutator = Mutator()
            mutator.visit(ast.parse(path.read_text(encoding="utf-8")))
            found += [Mutant(path, n, line, change) for n, (line, change) in enumerate(mutator.changes)]
    return found


def module_name(path: Path) -> str:
    """``lima.statistics.bootstrap``."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts)


def files_that_test(path: Path) -> list[str]:
    """The files of tests that import the module: of its room, else of others; else all of its room."""
    folder = next(folder for pattern, folder in TARGETS.items() if path.match(f"src/{pattern}"))
    room = sorted((ROOT / folder).glob("test_*.py"))
    name = module_name(path)
    package, _, stem = name.rpartition(".")
    words = (f"from {name} import", f"import {name}", f"from {package} import {stem}")

    def importing(files: Iterable[Path]) -> list[Path]:
        return [file for file in files if any(word in file.read_text(encoding="utf-8") for word in words)]

    those = importing(room) or importing(sorted((ROOT / "tests").rglob("test_*.py"))) or room
    nearest = sorted(those, key=lambda file: stem not in file.stem)  # it fails first
    return [str(file.relative_to(ROOT)) for file in nearest]


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """A plugin of pytest that finds one module, and compiles it with the mutant's change."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant, self.name = mutant, module_name(mutant.path)

    def pytest_sessionstart(self) -> None:
        """Go before pytest's own finder, which takes a file named ``alt_test.py`` for a test."""
        sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: object, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The changed module alone."""
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.mutant.path, loader=self)

    def exec_module(self, module: object) -> None:
        """Run the changed code."""
        tree = ast.parse(self.mutant.path.read_text(encoding="utf-8"))
        Mutator(self.mutant.number).visit(tree)  # a module is changed within
        exec(compile(ast.fix_missing_locations(tree), str(self.mutant.path), "exec"), vars(module))


class Calls:
    """A plugin of pytest that writes which functions of a file (by first line) each test calls, and how long it takes."""

    def __init__(self, source: Path, kept: Path) -> None:
        self.source, self.kept = str(source), kept
        self.found: list[tuple[float, str, list[int]]] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Listen while one test runs, its fixtures included."""
        called: set[int] = set()

        def note(frame: Any, event: str, arg: object) -> None:
            if frame.f_code.co_filename == self.source:
                called.add(frame.f_code.co_firstlineno)

        began = time.monotonic()
        sys.settrace(note)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            self.found.append((time.monotonic() - began, item.nodeid, sorted(called)))

    def pytest_sessionfinish(self) -> None:
        """Hand the list to the parent process."""
        self.kept.write_text(json.dumps(self.found), encoding="utf-8")


class Only:
    """A plugin of pytest that keeps the named tests alone, in their order."""

    def __init__(self, names: Sequence[str]) -> None:
        self.order = {name: place for place, name in enumerate(names)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Drop the others."""
        items[:] = sorted((i for i in items if i.nodeid in self.order), key=lambda i: self.order[i.nodeid])


@dataclass(frozen=True)
class Tests:
    """The test files of one module, and the time and tests of each of its functions."""

    files: list[str]
    seconds: float
    calls: list[tuple[float, str, list[int]]]

    @classmethod
    def of(cls, path: Path) -> Tests:
        """Run them once on the unchanged code: they must pass."""
        files = files_that_test(path)
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            kept = Path(folder, "calls.json")
            assert not fails(files, PATIENCE, [Calls(path, kept)]), f"{files} fail without any change"
            calls = json.loads(kept.read_text(encoding="utf-8"))
        return cls(files, time.monotonic() - began, calls)

    def notice(self, mutant: Mutant) -> bool:
        """Whether any fails with the change: those of the function first, and all where these pass."""
        nearest = self.of_line(mutant)
        limit = max(SECONDS, TIMES * self.seconds)
        files = list(dict.fromkeys(name.partition("::")[0] for name in nearest))
        return bool(nearest and fails(files, limit, [Changed(mutant), Only(nearest)])) or fails(
            self.files, limit, [Changed(mutant)]
        )

    def of_line(self, mutant: Mutant) -> list[str]:
        """The tests that call the function around a line, quickest first; none outside of functions."""
        tree = ast.parse(mutant.path.read_text(encoding="utf-8"))
        around = [
            min([node.lineno, *(one.lineno for one in node.decorator_list)])
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and node.lineno <= mutant.line <= (node.end_lineno or 0)
        ]
        return [name for _, name, called in sorted(self.calls) if around and max(around) in called]


def fails(tests: Sequence[str], seconds: float, plugins: Sequence[object]) -> bool:
    """Whether the test files fail, or take longer than ``seconds``, in a forked process."""
    child = os.fork()
    if child == 0:
        os.setsid()
        os._exit(_test(tests, plugins))
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) != 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def _test(tests: Sequence[str], plugins: Sequence[object]) -> int:
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    flags = [
        "-x",
        "-q",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:unraisableexception",
        "-m",
        "not slow and not acceptance",
    ]
    try:
        return int(pytest.main([*flags, *tests], plugins=list(plugins)))
    except BaseException:
        return 1


def preload() -> None:
    """Import what is heavy, pytest's plugins too, so that a fork has it; and let no fork collect what the parent made."""
    for name in PRELOADED:
        importlib.import_module(name)
    for plugin in metadata.entry_points(group="pytest11"):
        plugin.load()
    gc.freeze()
    os.chdir(ROOT)
    sys.path.insert(0, str(SOURCE))


def results(chosen: Sequence[Mutant], log: Path | None = None) -> Iterator[tuple[Mutant, bool]]:
    """Each mutant with whether it was killed; what stands in the log is not run again."""
    known = {}
    if log and log.exists():
        rows = map(json.loads, log.read_text(encoding="utf-8").splitlines())
        known = {(row["module"], row["line"], row["change"], row["number"]): row["killed"] for row in rows}
    tests: dict[Path, Tests] = {}
    for mutant in chosen:
        key = (module_name(mutant.path), mutant.line, mutant.change, mutant.number)
        if key not in known:
            if mutant.path not in tests:
                tests[mutant.path] = Tests.of(mutant.path)
            known[key] = tests[mutant.path].notice(mutant)
            if log:
                row = dict(zip(("module", "line", "change", "number"), key, strict=True), killed=known[key])
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
        yield mutant, known[key]


def main() -> None:
    """Draw, run, print each survivor and the rate; exit 1 below the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, help="a file of results: those of an ended run are taken from it")
    wanted = parser.parse_args()
    every = mutants()
    drawn = random.Random(wanted.seed).sample(range(len(every)), min(wanted.count, len(every)))
    preload()
    rates: dict[str, list[bool]] = defaultdict(list)
    for mutant, killed in results([every[n] for n in sorted(drawn)], wanted.log):
        rates[module_name(mutant.path)].append(killed)
        if not killed:
            print(f"survived  {mutant.path.relative_to(ROOT)}:{mutant.line}  {mutant.change}", flush=True)
    for name, found in rates.items():
        print(f"{name:<40} {sum(found):>4} of {len(found):>4}")
    killed_all = [one for found in rates.values() for one in found]
    rate = sum(killed_all) / len(killed_all)
    print(
        f"killed {sum(killed_all)} of {len(killed_all)} mutants ({rate:.0%}) drawn from {len(every)}, seed {wanted.seed}"
    )
    sys.exit(rate < GOAL)


if __name__ == "__main__":
    main()
