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
PIP = [sys.executable, "-m", "pip", "--quiet"]
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


def copied(folder: Path) -> Path:
    """The files that the Dockerfile copies, and no others."""
    folder.mkdir()
    for name in COPIED:
        place = ROOT / name
        if place.is_dir():
            shutil.copytree(place, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(place, folder / name)
    return folder


def made_wheel(folder: Path) -> Path:
    """Built from those files."""
    context = copied(folder / "context")
    built = run(*PIP, "wheel", "--no-deps", "--wheel-dir", folder / "dist", context, cwd=folder)
    assert built.returncode == 0, built.stderr
    (wheel,) = (folder / "dist").glob("lima_align-*.whl")
    return wheel


def installed(folder: Path, wheel: Path | str, *more: str) -> Path:
    """The folder of programs of a new environment that has it."""
    venv.create(folder / "venv", with_pip=False)
    programs = folder / "venv" / "bin"
    words = [
        "--python",
        programs / "python",
        "install",
        "--no-compile",
        "-c",
        ROOT / "constraints.txt",
        wheel,
        *more,
    ]
    done = run(*PIP, *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return programs


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_of_the_container_s_files_works_without_extras(tmp_path: Path) -> None:
    wheel = made_wheel(tmp_path)
    programs = installed(tmp_path, wheel)
    lima = programs / "lima"
    assert run(lima, "--help", cwd=tmp_path).stdout.startswith("lima: turn a base language model")
    refused = run(lima, "demo", cwd=tmp_path)
    assert refused.returncode == 2
    assert f"pip install '{wheel}[train]'" in refused.stderr
    row = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    made = run(lima, "import", "openai", "rows.jsonl", "--out", "train.jsonl", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    curated_and_reported(lima, tmp_path)
    sent = run(lima, "publish", "train.jsonl", "--to", "ann/rows", cwd=tmp_path)
    assert sent.returncode == 2
    assert f"pip install '{wheel}[hub]'" in sent.stderr
    packed = (
        "import lima, pathlib; print(*sorted(p.name for p in pathlib.Path(lima.__file__).parent.rglob('*')))"
    )
    files = run(programs / "python", "-c", packed, cwd=tmp_path).stdout.split()
    assert {"base.safetensors", "base.json", "page.js", "index.html", "own-data.yaml"} <= set(files)


def curated_and_reported(lima: Path, folder: Path) -> None:
    """Two stages that need no model: a table becomes examples, published verdicts a report without figures."""
    answer = (
        "Turn the screw on the back to the left until it clicks, wait for a minute, then turn it back again."
    )
    table = "".join(f'How do I reset part {n} of my machine?,"Part {n}: {answer}"\n' for n in range(6))
    (folder / "tickets.csv").write_text("prompt,answer\n" + table)
    words = ["--input", "tickets.csv", "--out", "data", "--sources.own.train", "4", "--unfiltered"]
    curated = run(lima, "curate", "own-data", *words, cwd=folder)
    assert curated.returncode == 0, curated.stderr
    assert (folder / "data" / "card.html").is_file()
    verdict = {"output_1": "a", "output_2": "b", "generator_1": "old", "generator_2": "new", "annotator": "m"}
    rows = [{**verdict, "instruction": f"Say {n}", "preference": 1 + n % 2} for n in range(8)]
    (folder / "annotations.json").write_text(json.dumps(rows))
    assert (
        run(lima, "import", "alpaca-eval", "annotations.json", "--out", "study", cwd=folder).returncode == 0
    )
    reported = run(lima, "report", "study", cwd=folder)
    assert reported.returncode == 0, reported.stderr
    assert (
        "Figures are left out, the tables have their numbers. They need matplotlib: pip install"
        in reported.stderr
    )
    assert (folder / "study" / "tables.md").is_file()


USES = {
    "train": "import lima.model, lima.train.run",
    "lora": "import peft, lima.train.adapters",
    "qlora": "import bitsandbytes",
    "web": "import lima.annotate.app, lima.annotate.serve",  # `lima serve` wants `train` too
    "postgresql": "import psycopg",
    "curate": "import py7zr, multivolumefile, py3langid",
    "ray": "import ray",
    "figures": "from lima.report.render.charts import canvas; assert '<svg' in canvas(9, 9)[1]()",
    "regress": "import lima.regress.regress, lm_eval",
    "hub": "import lima.publish.croissant, mlcroissant, pyarrow.parquet, huggingface_hub",
    "gguf": "import lima.publish.gguf, sentencepiece",
}
"""What each extra is for."""
USES["all"] = "; ".join([*USES.values(), "import lima.generate.serve.server"])


def test_each_extra_has_a_use_that_is_tested() -> None:
    assert (
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"].keys()
        == USES.keys()
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.mark.acceptance
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("extra", USES)
def test_the_wheel_with_an_extra_does_what_the_extra_is_for(extra: str, wheel: Path, tmp_path: Path) -> None:
    programs = installed(tmp_path, f"{wheel}[{extra}]")
    used = run(programs / "python", "-c", USES[extra], cwd=tmp_path)
    assert used.returncode == 0, used.stderr
    assert run(programs / "lima", "--help", cwd=tmp_path).returncode == 0


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_the_steps_of_the_dockerfile_run_here(tmp_path: Path) -> None:
    """Each RUN line but that which adds a user, in the copied files and a new environment; then the entry point."""
    context = copied(tmp_path / "context")
    venv.create(tmp_path / "venv", with_pip=True)
    lines = re.sub(r"\\\n", " ", DOCKERFILE)
    arguments = dict(re.findall(r"^ARG (\w+)=(.*)$", lines, re.M))
    path = f"{tmp_path / 'venv' / 'bin'}:{os.environ['PATH']}"
    steps = [step for step in re.findall(r"^RUN (.*)$", lines, re.M) if not step.startswith("useradd")]
    assert steps
    for step in steps:
        done = run("sh", "-c", step, cwd=context, PATH=path, **arguments)
        assert done.returncode == 0, done.stderr
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", lines, re.M)
    (command,) = re.findall(r"^CMD (.*)$", lines, re.M)
    begun = run(*json.loads(entry), *json.loads(command), cwd=tmp_path, PATH=path)
    assert begun.stdout.startswith("lima: turn a base language model")
    assert run(*json.loads(entry), "demo", "--dry-run", cwd=tmp_path, PATH=path).returncode == 0
