"""``make mutants``: how many small faults, put into the code one at a time, do the tests notice?

Mutants are drawn by a seed from the code whose mistakes would show in no other way than in wrong numbers. Each runs in
a forked process, in which one module is compiled with one change, against the test files that import that module.
Texts, asserts, annotations and what stands in a ``raise`` stay as they are.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.util
import os
import random
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

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
PRELOADED = ("pytest", "hypothesis", "numpy", "scipy.stats", "statsmodels.api", "torch", "transformers")
"""Imported once, before the forks."""
GOAL = 0.85
SECONDS = 120.0
TIMES = 5
"""A mutant that runs for longer than `SECONDS`, and for so many times the time of the unchanged code, is in an endless loop, which
is noticed."""
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
    """The files of tests that import the module, else all of its room."""
    folder = next(folder for pattern, folder in TARGETS.items() if path.match(f"src/{pattern}"))
    every = sorted((ROOT / folder).glob("test_*.py"))
    name = module_name(path)
    package, _, stem = name.rpartition(".")
    words = (f"from {name} import", f"import {name}", f"from {package} import {stem}")
    those = [file for file in every if any(word in file.read_text(encoding="utf-8") for word in words)]
    nearest = sorted(those or every, key=lambda file: stem not in file.stem)  # it fails first
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


def is_killed(mutant: Mutant | None, tests: Sequence[str], seconds: float = SECONDS) -> bool:
    """Whether the tests fail (or take longer than ``seconds``) with the change; without one they must pass."""
    child = os.fork()
    if child == 0:
        os.setsid()
        os._exit(_test(mutant, tests))
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) != 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def _test(mutant: Mutant | None, tests: Sequence[str]) -> int:
    import pytest

    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    plugins = [Changed(mutant)] if mutant else []
    flags = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-m", "not slow and not acceptance"]
    try:
        return int(pytest.main([*flags, *tests], plugins=plugins))
    except BaseException:
        return 1


def preload() -> None:
    """Import what is heavy, so that a fork has it."""
    for name in PRELOADED:
        importlib.import_module(name)
    os.chdir(ROOT)
    sys.path.insert(0, str(SOURCE))


def results(chosen: Sequence[Mutant]) -> Iterator[tuple[Mutant, bool]]:
    """Each mutant with whether it was killed; the tests must pass without any first."""
    by_path: dict[Path, list[Mutant]] = defaultdict(list)
    for mutant in chosen:
        by_path[mutant.path].append(mutant)
    for path, those in by_path.items():
        tests = files_that_test(path)
        began = time.monotonic()
        assert not is_killed(None, tests, PATIENCE), f"{tests} fail without any change"
        seconds = max(SECONDS, TIMES * (time.monotonic() - began))
        for mutant in those:
            yield mutant, is_killed(mutant, tests, seconds)


def main() -> None:
    """Draw, run, print each survivor and the rate; exit 1 below the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    every = mutants()
    drawn = random.Random(wanted.seed).sample(range(len(every)), min(wanted.count, len(every)))
    preload()
    rates: dict[str, list[bool]] = defaultdict(list)
    for mutant, killed in results([every[n] for n in sorted(drawn)]):
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
