"""The functions that scripts and notebooks call are those of the command line, and a script of the README runs."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lima import api
from lima.cli import COMMANDS

README = Path(__file__).parent.parent / "README.md"


def names_for_editors() -> set[str]:
    tree = ast.parse(Path(api.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_every_command_is_there_with_its_settings() -> None:
    assert len(api.__all__) == 2 * len(COMMANDS)
    assert names_for_editors() == set(api.__all__) == set(dir(api))


@pytest.mark.parametrize("name", api.__all__)
def test_names_are_what_the_command_line_calls(name: str) -> None:
    found = getattr(api, name)
    assert f"{found.__module__}:{found.__name__}" in {
        place for command in COMMANDS.values() for place in (command.run, command.settings)
    }


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'tune'"):
        _ = api.tune


def test_importing_it_loads_no_torch() -> None:
    code = "import sys, lima.api; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_script_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two systems answer four prompts; `lima` writes "lima", a letter less than "other", and so wins all four."""
    (script,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    monkeypatch.chdir(tmp_path)
    write("test.jsonl", [prompt(n) for n in range(4)])
    for system in ("lima", "other"):
        write(f"answers/{system}.jsonl", [answer(system, n) for n in range(4)])
    names: dict[str, Any] = {}
    exec(script, names)
    (pair,) = names["numbers"].pairs
    assert (pair.system, pair.result.counts) == ("lima", {"win": 4, "tie": 0, "loss": 0})
    assert Path("studies/first/report.html").exists()


def write(path: str, rows: list[dict[str, object]]) -> None:
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))


def prompt(n: int) -> dict[str, object]:
    messages = [{"role": "user", "content": f"How do I bake bread number {n}?"}]
    return {"id": f"own/{n}", "source": "own", "messages": messages}


def answer(system: str, n: int) -> dict[str, object]:
    told = {"system": system, "sample": 0, "content": system, "finish_reason": "eot", "status": "ok"}
    return {"id": f"{system}/own/{n}/0", "prompt_id": f"own/{n}", "tokens": 2, "seed": 0} | told
