"""Several processes take the steps of one: gloo on the CPU here, the same code as NCCL on GPUs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lima import model as models
from lima.files import write_jsonl
from lima.records import Example
from lima.train.metrics import MEASURED
from lima.train.parallel import ALONE, Processes

MAIN = """
import os, sys
from lima import cli
from lima.train import loop

stop_at, figures = int(sys.argv[1]), loop._figures

def stop(measured, step, batch):
    if step == stop_at:
        os._exit(9)  # as by kill -9, in every process
    return figures(measured, step, batch)

loop._figures = stop
cli.main(sys.argv[2:])
"""
NEVER = 0


class Command:
    """`lima train` of a tiny model: dropout on, five micro-batches of unequal length a step, held-out loss."""

    def __init__(self, folder: Path, model: Path, data: Path, *more: str) -> None:
        self.out, self.script, self.told = folder / "run", folder / "main.py", ""
        folder.mkdir(parents=True)
        self.script.write_text(MAIN)
        flags = "--epochs 2 --batch-size 5 --learning-rate 1e-2 --max-length 256 --micro-batch-tokens 30 --save-every 1"
        self.arguments = ["train", str(model), str(data), "--out", str(self.out), "--heldout", str(data)]
        self.arguments += [*flags.split(), "--device", "cpu", *more]

    def run(self, processes: int, stop_at: int = NEVER) -> int:
        start = [sys.executable]
        if processes > 1:
            start += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        command = [*start, str(self.script), str(stop_at), *self.arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250)
        self.told = done.stderr
        print(done.stderr[-4000:])  # shown where the test fails
        return done.returncode

    def weights(self) -> dict[str, torch.Tensor]:
        return load_file(self.out / "epoch-02" / "model.safetensors")

    def metrics(self) -> list[dict[str, Any]]:
        rows = map(json.loads, (self.out / "metrics.jsonl").read_text().splitlines())
        return [{key: value for key, value in row.items() if key not in MEASURED} for row in rows]


@pytest.fixture
def data(tmp_path: Path, examples: list[Example]) -> Path:
    path = tmp_path / "train.jsonl"
    write_jsonl(path, examples)
    return path


def _assert_same(found: Command, wanted: Command) -> None:
    assert found.weights().keys() == wanted.weights().keys()
    for name, weight in wanted.weights().items():
        # float32, the sums over micro-batches in another order
        torch.testing.assert_close(found.weights()[name], weight, rtol=1e-4, atol=1e-5)
    for mine, reference in zip(found.metrics(), wanted.metrics(), strict=True):
        assert mine == pytest.approx(reference, rel=1e-4)


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(tmp_path: Path, tiny_model: Path, data: Path) -> None:
    """With dropout, a number of micro-batches that two does not divide, and the held-out loss of each epoch."""
    alone, pair = (Command(tmp_path / name, tiny_model, data) for name in ("alone", "pair"))
    assert (alone.run(1), pair.run(2)) == (0, 0)
    _assert_same(pair, alone)
    names = {path.name for path in pair.out.iterdir() if not path.name.startswith(".")}
    assert names == {"run.json", "metrics.jsonl", "rejects.jsonl", "epoch-01", "epoch-02"}
    # Stopped in the third step by two processes, and gone on with by one: the next steps are the same.
    moved = Command(tmp_path / "moved", tiny_model, data)
    assert moved.run(2, stop_at=3) != 0
    assert [path.name for path in sorted((moved.out / "state").iterdir())] == [
        "step-00000001",
        "step-00000002",
    ]
    assert moved.run(1) == 0
    _assert_same(moved, alone)


@pytest.mark.timeout(600)
@pytest.mark.slow
@pytest.mark.parametrize("tied", [False, True])
def test_two_processes_train_the_adapters_of_one(
    tied: bool, tmp_path: Path, tiny_model: Path, data: Path
) -> None:
    """A frozen base whose matrices are held in bfloat16; one process goes on where two were stopped.

    The head of one is its own, though its config ties it: the first process alone sees that in the weights.
    """
    pytest.importorskip("peft")
    loaded, tokenizer = models.load(tiny_model, device="cpu")
    if not tied:
        head = loaded.get_output_embeddings()
        head.weight = torch.nn.Parameter(1.1 * head.weight.detach())
        loaded.config.tie_word_embeddings = False
    models.save(loaded, tokenizer, tmp_path / "base", dtype=torch.bfloat16)
    config = tmp_path / "base" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"tie_word_embeddings": True}))
    flags = [
        "--lora-rank",
        "3",
        "--lora-dropout",
        "0.1",
        "--precision",
        "bfloat16",
        "--save-dtype",
        "float32",
    ]
    alone, pair = (Command(tmp_path / name, tmp_path / "base", data, *flags) for name in ("alone", "pair"))
    assert alone.run(1) == 0
    assert pair.run(2, stop_at=3) != 0
    assert pair.run(1, stop_at=4) != 0
    assert pair.run(2) == 0
    _assert_same(pair, alone)
    mine, theirs = (
        load_file(one.out / "epoch-02" / "adapter" / "adapter_model.safetensors") for one in (pair, alone)
    )
    assert mine.keys() == theirs.keys()
    for name, weight in theirs.items():
        torch.testing.assert_close(mine[name], weight, rtol=1e-2, atol=1e-4)


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_a_run_of_one_goes_on_with_two_and_damage_is_found(
    tmp_path: Path, tiny_model: Path, data: Path
) -> None:
    alone, moved = (Command(tmp_path / name, tiny_model, data) for name in ("alone", "moved"))
    assert alone.run(1) == 0
    state = moved.out / "state"
    assert moved.run(1, stop_at=3) != 0
    assert moved.run(2, stop_at=4) != 0
    # Two states are kept, of one process and of two. The newer one breaks: the run goes on from the older.
    assert sorted(path.name.split(".")[0] for path in state.iterdir()) == ["step-00000002", "step-00000003"]
    part = max((state / "step-00000003").glob("*.distcp"), key=lambda path: path.stat().st_size)
    broken = bytearray(part.read_bytes())
    broken[len(broken) // 2] ^= 1
    part.write_bytes(broken)
    assert moved.run(2) == 0
    assert "damaged" in moved.told
    _assert_same(moved, alone)


def test_every_process_is_dealt_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = [list(Processes(rank, 3).deal("abcde")) for rank in range(3)]
    assert shares[0] == [(0, "a", True), (3, "d", True)]
    assert shares[1] == [(1, "b", True), (4, "e", True)]
    assert shares[2] == [(2, "c", True), (3, "d", False)]  # fills up, and does not count
    assert list(ALONE.deal("ab")) == [(0, "a", True), (1, "b", True)]
