"""The compose file's command serves a study from PostgreSQL: its own words, with the places of this machine in them."""

import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from tests.annotate.conftest import MakeStudy, free_port

ROOT = Path(__file__).parents[2]


@pytest.mark.acceptance
def test_the_command_of_the_compose_file_serves_a_study_from_postgresql(
    postgresql: str, study: MakeStudy, tmp_path: Path
) -> None:
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["annotate"]
    folder, port = study(4), free_port()
    places = {
        "/studies/first": str(folder),  # as the volume has it
        "postgresql://lima@database/lima": f"{postgresql}/postgres",
        "0.0.0.0": "127.0.0.1",
        "8400": str(port),
    }
    words = [places.get(word, word) for word in service["command"]]
    assert set(places) <= set(service["command"])
    server = subprocess.Popen(
        [sys.executable, "-m", "lima", *words],
        env=os.environ | dict.fromkeys(service["environment"], "any"),
        stderr=(tmp_path / "log").open("w"),
    )
    try:
        for _ in range(600):
            assert server.poll() is None, (tmp_path / "log").read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/lead", timeout=5) as page:
                    assert page.status == 200
                    break
            except OSError:
                time.sleep(0.1)
        else:
            raise AssertionError("no page within a minute")
    finally:
        server.terminate()
        server.wait(timeout=30)
