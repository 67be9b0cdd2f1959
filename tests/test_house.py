"""What keeps the house plain: small folders, no circle of imports, no name for two classes.

Each list of offenders only shrinks: an entry that is no longer needed fails, so that it is taken out.
"""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import lima

SOURCE = Path(lima.__file__).parent
MOST_MODULES = 20
CROWDED: dict[str, int] = {}
"""Folders with more modules than `MOST_MODULES`, and how many they may have."""
CIRCLES: list[set[str]] = []
"""Files that import each other."""
TWICE: dict[str, str] = {}
"""Names of several classes, and why each is plain where it stands."""


def modules() -> dict[str, Path]:
    """Every module by its dotted name; packages by the name of their folder."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = ("lima", *path.relative_to(SOURCE).with_suffix("").parts)
        if "migrations" not in parts:
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imported(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules that a file imports anywhere: at its top, in a function or under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            names = [
                inner if (inner := f"{node.module}.{name}") in known else str(node.module) for name in names
            ]
        yield from (name for name in names if name in known)


def circles(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """Groups of modules that reach each other."""
    reach: dict[str, set[str]] = {}
    for start in graph:
        seen, todo = set[str](), [start]
        while todo:
            new = graph[todo.pop()] - seen
            seen |= new
            todo += new
        reach[start] = seen
    groups = {frozenset(b for b in reach[a] if a in reach[b]) for a in graph}
    return sorted((set(group) for group in groups if group), key=sorted)


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set[str](), "e": {"e"}}
    assert circles(graph) == [{"b", "c"}, {"e"}]


def test_no_folder_is_crowded() -> None:
    counts = Counter(
        path.parent.relative_to(SOURCE).as_posix() for path in modules().values() if path.stem != "__init__"
    )
    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES} == CROWDED


def test_no_modules_import_each_other() -> None:
    known = modules()
    graph = {name: set(imported(path, known)) - {name} for name, path in known.items()}
    assert circles(graph) == CIRCLES


def test_no_name_stands_for_two_classes() -> None:
    places = defaultdict(list)
    for name, path in modules().items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(name)
    assert {name: found for name, found in places.items() if len(found) > 1}.keys() == TWICE.keys()
