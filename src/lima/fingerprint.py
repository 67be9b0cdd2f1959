"""Source code -> a hash of everything a module can run: its statements and those of all it imports, at any depth.

Results are kept under such a hash. So a changed statement anywhere below makes them anew, and changed prose
(docstrings, comments, layout) voids nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from lima.files import text_hash

ROOT = Path(__file__).parents[1]
"""The folder that holds the package `lima`."""
DATA = ("*.yaml", "*.txt", "*.tsv")
"""Files beside or below a module that it may read: recipes, prompts, word lists."""


def code_hash(module: str, root: Path = ROOT, package: str = "lima") -> str:
    """Hash of ``module`` with all that it imports of ``package`` under ``root`` (``""``: anything that lies there).

    Data files of the package count too. Imports under ``TYPE_CHECKING`` do not run, so they do not.
    """
    sources = imported(module, root, package)
    data = {file for path in sources.values() for file in _data(path.parent)} if package else set()
    parts = [f"{name}\n{_parsed(path.read_bytes()).statements}" for name, path in sorted(sources.items())]
    parts += [f"{file.relative_to(root)}\n{file.read_text(encoding='utf-8')}" for file in sorted(data)]
    return text_hash(*parts)


def imported(module: str, root: Path = ROOT, package: str = "lima") -> dict[str, Path]:
    """The files of ``module`` and of all that it imports, by module name."""
    found: dict[str, Path] = {}
    todo = [module]
    while todo:
        name = todo.pop()
        path = _file(name, root) if f"{name}.".startswith(f"{package}." if package else "") else None
        if path is not None and name not in found:
            found[name] = path
            todo += _imports(name, path)
    return found


class _Code(NamedTuple):
    """What counts of one file."""

    statements: str
    imports: tuple[tuple[int, str, tuple[str, ...]], ...]
    """Level, module and names of each import; ``import a`` has no names."""


@cache
def _parsed(content: bytes) -> _Code:
    """Kept, because several hashes are made of the same files."""
    tree = ast.parse(content)
    found: list[tuple[int, str, tuple[str, ...]]] = []
    for node in _running(tree):
        if isinstance(node, ast.Import):
            found += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
    return _Code(_dump(tree), tuple(found))


def _file(name: str, root: Path) -> Path | None:
    place = root.joinpath(*name.split("."))
    files = (place.with_name(f"{place.name}.py"), place / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def _data(folder: Path) -> list[Path]:
    return [file for pattern in DATA for depth in ("", "*/") for file in folder.glob(depth + pattern)]


def _imports(name: str, path: Path) -> list[str]:
    """Names that may be modules: ``from a import b`` gives ``a`` and ``a.b``."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found: list[str] = [".".join(package)]
    for level, module, names in _parsed(path.read_bytes()).imports:
        above = package[: len(package) + 1 - level] if level else []
        base = ".".join([*above, *([module] if module else [])])
        found += [base, *(f"{base}.{one}" for one in names)]
    return found


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those below ``if TYPE_CHECKING``."""
    yield node
    checked = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    for child in () if checked else ast.iter_child_nodes(node):
        yield from _running(child)


def _dump(node: object) -> str:
    """The tree as text, the same in every version of Python (`ast.dump` is not); docstrings are left out."""
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if value not in (None, []))
        return f"{type(node).__name__}({','.join(f'{name}={_dump(value)}' for name, value in fields)})"
    if isinstance(node, list):
        return f"[{','.join(_dump(one) for one in node if not _is_docstring(one))}]"
    return repr(node)


def _is_docstring(node: object) -> bool:
    """Of a module, a class, a function or an attribute: a string that stands alone."""
    alone = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return alone and isinstance(node.value.value, str)  # type: ignore[attr-defined]
