"""A missing extra is installed from where lima came from, never by a name that a stranger could register."""

import json
import re
from pathlib import Path

import pytest

from lima.extras import CHECKOUT, install

ROOT = Path(__file__).parent.parent


def test_in_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    assert install("train") == "pip install -e '.[train]'"
    monkeypatch.chdir(tmp_path)
    assert install("train") == f"pip install -e '{CHECKOUT}[train]'"


def test_from_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = tmp_path / "lima_align-9.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.4\nName: lima-align\nVersion: 9\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert install("web", checkout=tmp_path) == "pip install 'WHEEL[web]' (WHEEL: lima's .whl file)"
    wheel = {"url": "file:///my%20files/lima_align-9-py3-none-any.whl", "archive_info": {}}
    (facts / "direct_url.json").write_text(json.dumps(wheel))
    assert install("web", checkout=tmp_path) == "pip install '/my files/lima_align-9-py3-none-any.whl[web]'"


def test_no_text_installs_by_the_name_alone() -> None:
    files = [path for top in ("src", "docs", "examples", "benchmarks") for path in (ROOT / top).rglob("*")]
    for path in [ROOT / "README.md", *files]:
        if path.suffix in {".py", ".md", ".sh", ".yaml", ".html"}:
            assert not re.search(r"install ['\"]?lima-align", path.read_text()), path
