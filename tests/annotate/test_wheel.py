"""The installed wheel, not the checkout, serves every page: templates, styles, scripts and migrations are in it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_page_tests_pass_on_the_wheel(tmp_path: Path) -> None:
    copy = tmp_path / "checkout"  # a build leaves files where it works, which a later one would pack
    shutil.copytree(
        ROOT / "src" / "lima", copy / "src" / "lima", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path),
        str(copy),
    ]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        packed = {name for name in archive.namelist() if name.startswith("lima/")}
    there = (
        path.relative_to(copy / "src").as_posix()
        for path in (copy / "src" / "lima").rglob("*")
        if path.is_file()
    )
    assert set(there) == packed
    environment = os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    where = "import lima.annotate.app, pathlib; print(pathlib.Path(lima.annotate.app.__file__).parents[2])"
    found = subprocess.run(
        [sys.executable, "-c", where], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert found.stdout.strip() == str(site), found.stderr
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "-k",
        "not postgresql",
        "tests/annotate/test_pages.py",
    ]
    run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:]
    assert "[100%]" in run.stdout, run.stdout
