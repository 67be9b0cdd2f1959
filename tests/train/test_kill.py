"""kill -9 at any moment and the same command again: the files of an undisturbed run, and no finished step repeated.

The command runs in a process of its own, which notes every step that it computes in a file.
"""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from lima import cli
from lima.files import sha256, write_jsonl
from lima.records import Example
from lima.train.metrics import MEASURED

COUNTING_MAIN = """
import os, sys
from lima import cli
from lima.train import loop

computed = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
gradients = loop.gradients

def noted(model, batch, settings, step, *more):
    result = gradients(model, batch, settings, step, *more)
    os.write(computed, f"{step}\\n".encode())
    return result

loop.gradients = noted
cli.main(sys.argv[2:])
"""
STEPS = 12
"""10 examples in batches of 3: 4 steps an epoch, 3 epochs."""


class Command:
    """`lima train` into one run folder; dropout is on and the training state is saved after every step."""

    def __init__(self, folder: Path, model: Path, data: Path, *more: str) -> None:
        self.run = folder / "run"
        self.computed = folder / "computed"
        flags = "--epochs 3 --batch-size 3 --learning-rate 1e-3 --max-length 256 --micro-batch-tokens 64 --device cpu"
        self.arguments = ["train", str(model), str(data), "--out", str(self.run), "--save-every", "1"]
        self.arguments += [*flags.split(), *more]
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads()), "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "-c", COUNTING_MAIN, str(self.computed), *self.arguments]
        return subprocess.Popen(
            command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    def finish(self) -> None:
        assert self.start().wait() == 0

    def kill_after(self, steps: int, delay: float = 0.0) -> None:
        """Start the command and kill it ``delay`` seconds after the ``steps``-th step of all was computed."""
        process = self.start()
        while len(self.steps()) < steps and process.poll() is None:
            time.sleep(0.001)
        time.sleep(delay)
        process.kill()
        process.wait()

    def steps(self) -> list[int]:
        """The steps computed so far, by all processes together."""
        return [int(line) for line in self.computed.read_text().split()] if self.computed.exists() else []

    def files(self) -> dict[str, str]:
        """Digest of every file of the run, times taken out of the two that hold them."""
        digests = {}
        for path in sorted(p for p in self.run.rglob("*") if p.is_file() and not p.name.startswith(".")):
            name = path.relative_to(self.run).as_posix()
            digests[name] = sha256(path) if name not in ("metrics.jsonl", "run.json") else ""
        return digests | {"metrics.jsonl": json.dumps(self.rows())}

    def rows(self) -> list[dict[str, object]]:
        lines = (self.run / "metrics.jsonl").read_text().splitlines()
        return [
            {key: value for key, value in json.loads(line).items() if key not in MEASURED} for line in lines
        ]


@pytest.fixture
def data(tmp_path: Path, examples: list[Example]) -> Path:
    write_jsonl(tmp_path / "train.jsonl", examples)
    return tmp_path / "train.jsonl"


@pytest.fixture
def undisturbed(tmp_path: Path, tiny_model: Path, data: Path) -> Command:
    """The run to compare with, in this process."""
    command = Command(tmp_path / "undisturbed", tiny_model, data)
    with pytest.raises(SystemExit) as end:
        cli.main(command.arguments)
    assert end.value.code == 0
    return command


@pytest.mark.slow
def test_two_kills(tmp_path: Path, tiny_model: Path, data: Path, undisturbed: Command) -> None:
    command = Command(tmp_path / "killed", tiny_model, data)
    command.kill_after(4)  # around the end of the first epoch: state, model folder, row of the epoch
    command.kill_after(7)
    command.finish()
    assert command.files() == undisturbed.files()
    assert len(command.steps()) <= STEPS + 2, "each kill may cost the step in flight, and no other"


@pytest.mark.slow
def test_a_kill_while_text_is_replayed(tmp_path: Path, tiny_model: Path, data: Path) -> None:
    """The same windows of text come in the same steps as if there had been no kill."""
    text = tmp_path / "text.txt"
    text.write_text("".join(f"Line {n} of the text. " for n in range(400)))
    more = ("--replay", str(text), "--replay-share", "0.3")
    whole = Command(tmp_path / "whole", tiny_model, data, *more)
    with pytest.raises(SystemExit):
        cli.main(whole.arguments)
    assert any(row.get("replayed") for row in whole.rows())
    command = Command(tmp_path / "killed", tiny_model, data, *more)
    command.kill_after(5)
    command.finish()
    assert command.files() == whole.files()


@pytest.mark.acceptance
def test_twenty_kills_at_random_moments(
    tmp_path: Path, tiny_model: Path, data: Path, undisturbed: Command
) -> None:
    kill_at_random_moments(tmp_path, tiny_model, data, undisturbed, kills=20)


def kill_at_random_moments(
    folder: Path, model: Path, data: Path, undisturbed: Command, *, kills: int
) -> None:
    generator = random.Random(0)
    run = 0
    while kills:
        command = Command(folder / f"killed-{run}", model, data)
        for _ in range(min(kills, 5)):
            reached = len(command.steps())
            command.kill_after(reached + generator.randint(0, 2), generator.uniform(0, 0.05))
        command.finish()
        assert command.files() == undisturbed.files()
        assert len(command.steps()) <= STEPS + min(kills, 5)
        kills, run = kills - min(kills, 5), run + 1
