"""What may be missing on a machine: extras and how they are installed, and a C++ compiler.

Extras come from the checkout or the wheel that lima came from, never by a name on a package index: nobody has registered ours there, and
whoever did could be a stranger.
"""

from __future__ import annotations

import json
import os
import shutil
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

CHECKOUT = Path(__file__).parents[2]


def install(extra: str, checkout: Path = CHECKOUT) -> str:
    """The command that installs an extra: ``pip install -e '.[web]'`` in a checkout, with the wheel's path elsewhere."""
    if (checkout / "pyproject.toml").is_file():
        place = "." if Path.cwd() == checkout else str(checkout)
        return f"pip install -e '{place}[{extra}]'"
    return f"pip install '{_origin() or 'WHEEL'}[{extra}]'" + (
        "" if _origin() else " (WHEEL: lima's .whl file)"
    )


def has_compiler() -> bool:
    """Whether torch.compile finds a C++ compiler, which it needs on a CPU."""
    return shutil.which(os.environ.get("CXX", "g++")) is not None


def _origin() -> str | None:
    """Where pip says that it installed lima from (PEP 610); None where it came from an index."""
    try:
        record = metadata.distribution("lima-align").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    url = str(json.loads(record)["url"]) if record else None
    return unquote(urlsplit(url).path) if url and url.startswith("file:") else url
