"""What leaves the checkout works elsewhere: the wheel without extras, and the steps of the container, which run here without Docker."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
import yaml

from lima import cli
from lima.annotate.settings import AnnotateSettings

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COPIED = [
    name
    for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.M)
    for name in line.split()
    if not name.startswith("-")
]


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command without the checkout on Python's path."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_container_s_extras_and_its_command_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (asked,) = re.findall(r"^ARG EXTRAS=(\S+)$", DOCKERFILE, re.M)
    assert set(asked.split(",")) <= set(extras)
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    name, *arguments = services["annotate"]["command"]
    settings = cli.parse(name, AnnotateSettings, arguments)
    assert settings.host == "0.0.0.0"
    assert settings.database == "postgresql://lima@database/lima"
    assert services["annotate"]["ports"] == [
        f"127.0.0.1:{settings.port}:{settings.port}"
    ]  # not open to the network
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(COPIED) == allowed


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_of_the_container_s_files_works_without_extras(tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    for name in COPIED:
        place = ROOT / name
        if place.is_dir():
            shutil.copytree(place, context / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(place, context / name)
    pip = [sys.executable, "-m", "pip", "--quiet"]
    built = run(*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path / "dist", context, cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "dist").glob("lima_align-*.whl")
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    installed = run(
        *pip,
        "--python",
        python,
        "install",
        "--no-compile",
        "-c",
        context / "constraints.txt",
        wheel,
        cwd=tmp_path,
    )
    assert installed.returncode == 0, installed.stderr
    lima = tmp_path / "venv" / "bin" / "lima"
    assert run(lima, "--help", cwd=tmp_path).stdout.startswith("lima: turn a base language model")
    refused = run(lima, "demo", cwd=tmp_path)
    assert refused.returncode == 2
    assert f"pip install '{wheel}[train]'" in refused.stderr
    row = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    made = run(lima, "import", "openai", "rows.jsonl", "--out", "train.jsonl", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    packed = (
        "import lima, pathlib; print(*sorted(p.name for p in pathlib.Path(lima.__file__).parent.rglob('*')))"
    )
    files = run(python, "-c", packed, cwd=tmp_path).stdout.split()
    assert {"base.safetensors", "base.json", "page.js", "index.html", "own-data.yaml"} <= set(files)
