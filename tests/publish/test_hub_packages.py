"""The tests that need pyarrow, mlcroissant and datasets, in an environment that has them: they are too big for every check."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.acceptance
@pytest.mark.timeout(1200)
def test_the_data_sets_tests_pass_with_the_extra_hub_and_datasets(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    own = sysconfig.get_path("purelib", vars={"base": str(tmp_path / "venv")})
    Path(own, "shared.pth").write_text(sysconfig.get_path("purelib"))  # pytest, and what lima needs anyway
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", str(python), "install", "--no-compile"]
    packages = ["pyarrow", "mlcroissant", "datasets"]
    installed = subprocess.run(
        [*pip, "-c", str(ROOT / "constraints.txt"), *packages], capture_output=True, text=True, check=False
    )
    assert installed.returncode == 0, installed.stderr
    ran = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", "tests/publish/test_data.py", "tests/curate/test_sources.py"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "skipped" not in ran.stdout.splitlines()[-1]
