"""What MkDocs does not know about this repository: pages that are made from other files, and links that leave docs/.

README, CHANGELOG and CONTRIBUTING become pages, the notebook becomes one, and every room of the package gets a page of the
API reference, rendered from docstrings by mkdocstrings. Links to source files lead to their module in that reference.
"""

from __future__ import annotations

import json
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "lima"
MOVED = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
"""Files of the repository's root that are pages of the site."""
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")
SHIM = "https://unpkg.com/iframe-worker/shim"
"""What the plugin `offline` of Material puts into every page."""
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file())
GROUND = "ground-floor"
"""The page of the modules that lie in no room."""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made from other files."""
    pages = {place: (ROOT / name).read_text(encoding="utf-8") for name, place in MOVED.items()}
    pages = {place: resolved(text, "") for place, text in pages.items()}
    pages["notebook.md"] = notebook_page(ROOT / "notebooks" / "python-api.ipynb")
    pages["reference/index.md"] = reference_index()
    pages |= {f"reference/{room}.md": reference_page(room) for room in [GROUND, *ROOMS]}
    for place, text in pages.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links that leave docs/ into links within the site, or into plain text."""
    made = page.file.generated_by is not None
    return markdown if made else resolved(markdown, "docs")


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Take the script that searches pages opened from the disk from beside them, not from a CDN."""
    root = "../" * page.url.count("/")
    return output.replace(SHIM, f"{root}iframe-worker.js")


def on_post_template(output: str, template_name: str, config: Any) -> str:
    """No 404.html: it would ask for its style at the root of a server, and the site lies in any folder."""
    return "" if template_name == "404.html" else output


def resolved(markdown: str, folder: str) -> str:
    """The text with its links, which are relative to ``folder`` of the repository, as links between pages of the site."""
    return LINK.sub(lambda found: _link(found, folder), markdown)


def _link(found: re.Match[str], folder: str) -> str:
    mark, text, target, anchor = found.groups()
    path = posixpath.normpath(posixpath.join(folder, target))
    if path.startswith("docs/"):
        return f"{mark}[{text}]({path.removeprefix('docs/')}{anchor or ''})"
    if path in MOVED:
        return f"{mark}[{text}]({MOVED[path]}{anchor or ''})"
    if path.startswith("src/lima/") and path.endswith(".py"):
        return f"{mark}[{text}]({_place(path.removeprefix('src/lima/'))})"
    return text  # a test, an example: in the repository, not on the site


def _place(path: str) -> str:
    """``train/loop.py``: ``reference/train.md#lima.train.loop``."""
    room = path.partition("/")[0] if "/" in path else GROUND
    return f"reference/{room}.md#{_module(path)}"


def _module(path: str) -> str:
    return "lima." + path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def reference_page(room: str) -> str:
    """The modules of a room, one below the other, each by its docstrings."""
    paths = sorted(PACKAGE.glob("*.py") if room == GROUND else (PACKAGE / room).rglob("*.py"))
    names = [path.relative_to(PACKAGE).as_posix() for path in paths if "migrations" not in path.parts]
    shown = [name for name in names if not posixpath.basename(name).startswith("__")]
    title = "The ground floor" if room == GROUND else f"lima.{room}"
    return "\n\n".join([f"# {title}", *(f"::: {_module(name)}" for name in shown), ""])


def reference_index() -> str:
    """`lima.api`: every command with its function and its settings."""
    sys.path.insert(0, str(PACKAGE.parent))
    from lima.cli import COMMANDS

    rows = []
    for name, command in COMMANDS.items():
        function, settings = (place.replace(":", ".") for place in (command.run, command.settings))
        calls = f"[`api.{function.rpartition('.')[2]}`][{function}]([`{command.kind}`][{settings}])"
        rows.append(f"| `lima {name}` | {calls} | {command.summary} |")
    table = "\n".join(["| command | in Python | what it does |", "|---|---|---|", *rows])
    rooms = ", ".join(f"[`{room}`]({room}.md)" for room in ROOMS)
    return REFERENCE.format(table=table, rooms=rooms, ground=GROUND)


REFERENCE = """# Python API

`lima.api` holds every command as a function of the same name. It takes the command's settings, whose fields are those of
[Configuration](../configuration.md), and returns what it made. A mistake in the settings or the input is a
[`LimaError`][lima.errors.LimaError]. The [notebook](../notebook.md) shows the main ones at work.

{table}

What stages read and write are the [records][lima.records]. All modules, by room: {rooms}, and the [ground floor]({ground}.md).
"""


def notebook_page(path: Path) -> str:
    """A notebook as Markdown: its text, its code and the outputs that it was saved with."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join(part for cell in cells for part in _cell(cell)) + "\n"


def _cell(cell: Any) -> list[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return [resolved(source, "notebooks")]
    texts = ["".join(output.get("text") or output["data"]["text/plain"]) for output in cell["outputs"]]
    return [f"```python\n{source}\n```", *(f"```text\n{text.rstrip()}\n```" for text in texts)]
