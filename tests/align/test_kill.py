"""kill -9 in every stage of `lima align` and the same command again: the files of an undisturbed run."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.align.messy import write_tickets
from tests.align.test_personal import left_in

from lima.train.metrics import MEASURED

STAGES = 7
FLAGS = [
    *("--pii", "redact", "--dev", "3", "--test", "4", "--number", "12", "--max-new-tokens", "8"),
    *("--in-context", "1", "--curate", "rules.length_min=20"),
    *("--train", "epochs=2", "batch_size=4", "learning_rate=1e-3", "save_every=1"),
]
TIMES = re.compile(rb'"(%s)": ?("[^"]*"|[\d.e-]+)' % "|".join(("at", *MEASURED)).encode())
SECONDS_CELL = re.compile(rb"\| [\d.]+ \|( [\d,]+ \|)?$", re.M)
"""Of the comparison's table, before that of the tokens if there is one."""
SECONDS_ROW = re.compile(rb"seconds <span.*")
"""Of the comparison's page."""


class Command:
    """`lima align` in a folder of its own, under the same relative paths."""

    def __init__(self, folder: Path, model: Path, tickets: Path) -> None:
        self.folder = folder
        self.arguments = ["align", str(model), str(tickets), "--out", "out", *FLAGS]
        folder.mkdir()

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "lima", *self.arguments],
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self) -> list[float]:
        """Run to the end; the moments at which the stages began, and the end."""
        process, moments = self.start(), []
        assert process.stderr is not None
        for line in process.stderr:
            if re.match(r"\[\d/7\]", line):
                moments.append(time.monotonic())
        assert process.wait() == 0
        return [*moments, time.monotonic()]

    def kill_in(self, stage: int, delay: float) -> bool:
        """Kill the command so many seconds after it began a stage; False where it ended before."""
        process = self.start()
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(f"[{stage}/"):
                break
        time.sleep(delay)
        ended = process.poll() is not None
        process.kill()
        process.communicate()
        return not ended

    def files(self) -> dict[str, bytes]:
        """Every file, times taken out."""
        found = sorted(path for path in (self.folder / "out").rglob("*") if path.is_file())
        return {
            str(path.relative_to(self.folder)): _without_times(path)
            for path in found
            if not path.name.startswith(".")
        }


def _without_times(path: Path) -> bytes:
    content = TIMES.sub(rb'"\1":0', path.read_bytes())
    if path.name == "train.comparison.html":
        return SECONDS_ROW.sub(b"", content)
    return SECONDS_CELL.sub(rb"|\1", content) if path.name == "train.comparison.md" else content


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_killed_in_every_stage_it_ends_in_the_same_files(tmp_path: Path, tiny_model: Path) -> None:
    values = write_tickets(tmp_path / "tickets.csv")
    whole, killed = (
        Command(tmp_path / name, tiny_model, tmp_path / "tickets.csv") for name in ("whole", "killed")
    )
    moments = whole.finish()
    assert len(moments) == STAGES + 1
    rng = random.Random(5)
    kills = [
        killed.kill_in(stage, rng.random() * (moments[stage] - moments[stage - 1]))
        for stage in range(1, STAGES + 1)
    ]
    assert sum(kills) >= STAGES - 1  # a machine that got quicker may be through the last stage
    killed.finish()
    before, after = whole.files(), killed.files()
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] != after[name]] == []
    assert list(left_in(tmp_path / "killed", values)) == []
