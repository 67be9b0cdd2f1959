"""A real pretrained base becomes an assistant: Gemma-3-270m on the released rows that fit 512 tokens (acceptance, hours).

The run folder stays between calls (LIMA_ACCEPTANCE_RUNS, else ~/.cache/lima-acceptance), so that the same command goes on where it
was stopped, over days: about an hour an epoch on two idle cores. What each epoch measured is told as it ends, and stays in
``metrics.jsonl``. LIMA_REAL_BASE names the base's folder, LIMA_ACCEPTANCE_EPOCHS how far to go today (3 in the end).
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.train.test_eot import imported, that_fit

from lima.files import read_jsonl, write_jsonl
from lima.generate.run import generate
from lima.generate.settings import GenerateSettings
from lima.records import Completion, Example
from lima.train.metrics import Metrics

BASE = Path(os.environ.get("LIMA_REAL_BASE", Path.home() / ".cache" / "real-models" / "gemma-3-270m"))
RUNS = Path(os.environ.get("LIMA_ACCEPTANCE_RUNS", Path.home() / ".cache" / "lima-acceptance"))
DATA, TRL = os.environ.get("LIMA_DATA"), os.environ.get("LIMA_TRL_PYTHON")
EPOCHS = 3
TODAY = int(os.environ.get("LIMA_ACCEPTANCE_EPOCHS", EPOCHS))
LENGTH = 512
WAYS = {
    # larger steps than the paper's, whose base is 13 times as wide
    "full": "--epochs 3 --keep-epochs 0 --batch-size 8 --residual-dropout 0 --learning-rate 5e-5",
    "lora": "--preset lora --epochs 1 --batch-size 8",
}
pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(0),
    pytest.mark.skipif(not (BASE.is_dir() and DATA), reason=f"{BASE} or LIMA_DATA is missing: no real base"),
]


@pytest.fixture(scope="module")
def folder() -> Path:
    """Rows and prompts, made once."""
    folder = RUNS / BASE.name
    if not (folder / "prompts.jsonl").exists():
        folder.mkdir(parents=True, exist_ok=True)
        source = Path(str(DATA)) / "lima"
        rows = that_fit(imported(source / "train.jsonl", folder / "all.jsonl"), BASE)
        write_jsonl(folder / "train.jsonl", rows)
        write_jsonl(folder / "prompts.jsonl", imported(source / "test.jsonl", folder / "test.jsonl")[:100])
    return folder


def test_the_rows_that_fit_are_those_that_were_counted(folder: Path) -> None:
    rows = list(read_jsonl(folder / "train.jsonl", Example))
    assert 550 <= len(rows) <= 700


@pytest.mark.parametrize("way", WAYS)
def test_it_is_tuned_through_a_kill_and_learns(way: str, folder: Path) -> None:
    """Killed once after its first state; each epoch's mean loss is below the one before it."""
    out = folder / way
    epochs = min(TODAY, EPOCHS) if way == "full" else 1
    run = start(way, folder)
    if not (out / "killed").exists():
        kill_after_first_state(run, out)
        run = start(way, folder)
    told = 0
    while run.poll() is None and told < epochs:
        told = tell(out, told)
        time.sleep(2)
    assert run.poll() in (None, 0), f"training ended with {run.returncode} (-9: killed, as for memory)"
    stop(run, early=way == "full" and epochs < EPOCHS)
    tell(out, told)
    losses = epoch_losses(out)
    assert len(losses) >= epochs
    assert losses == sorted(losses, reverse=True), losses
    rows = [row.step for row in read_jsonl(out / "metrics.jsonl", Metrics) if row.loss is not None]
    assert rows == list(range(1, len(rows) + 1)), "a step is missing or was written twice"


def test_nine_of_ten_answers_end(folder: Path) -> None:
    """100 test prompts, at most 512 new tokens, the paper's decoding; `lima generate` resumes, too."""
    generate(
        GenerateSettings(
            system=str(last_epoch(folder)),
            prompts=folder / "prompts.jsonl",
            out=last_epoch(folder).with_suffix(".answers.jsonl"),
            max_new_tokens=512,
        )
    )
    answers = list(read_jsonl(last_epoch(folder).with_suffix(".answers.jsonl"), Completion))
    ends = Counter(row.finish_reason for row in answers)
    print(ends)
    assert ends.total() == 100
    assert ends["eot"] >= 90, ends


def test_plain_transformers_loads_it_and_stops(folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(last_epoch(folder))
    tokenizer = AutoTokenizer.from_pretrained(last_epoch(folder))
    question = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answer = model.generate(**ids, max_new_tokens=512, do_sample=False, repetition_penalty=1.2)[0]
    print(tokenizer.decode(answer))
    assert int(answer[-1]) in model.generation_config.eos_token_id


@pytest.mark.skipif(not TRL, reason="LIMA_TRL_PYTHON is not set: no TRL to compare with")
def test_twenty_losses_are_trl_s() -> None:
    """Equal batches in float32, each step's rows its own; the benchmark asks for 1e-4 where 1 % is wanted."""
    script = Path(__file__).parents[2] / "benchmarks" / "train.py"
    command = [sys.executable, script, "--model", BASE, "--rows", "short", "--losses", "--trl-python", TRL]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-3000:]


def start(way: str, folder: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "lima", "train", str(BASE), str(folder / "train.jsonl")]
    command += ["--out", str(folder / way), "--max-length", str(LENGTH), *WAYS[way].split()]
    return subprocess.Popen(command, env={**os.environ, "HF_HUB_OFFLINE": "1"})


def kill_after_first_state(run: "subprocess.Popen[bytes]", out: Path) -> None:
    while run.poll() is None and not list((out / "state").glob("step-*")):
        time.sleep(0.5)
    assert run.poll() is None, "it ended before its first state"
    run.send_signal(signal.SIGKILL)
    run.wait()
    (out / "killed").touch()


def stop(run: "subprocess.Popen[bytes]", *, early: bool) -> None:
    """Wait for the run's end, or end it early, where today's share is done."""
    if early:
        run.send_signal(signal.SIGINT)
        run.wait()
    else:
        assert run.wait() == 0


def tell(out: Path, told: int) -> int:
    """Print the epochs that have ended since; return how many there are."""
    losses = epoch_losses(out)
    for epoch, loss in list(enumerate(losses, 1))[told:]:
        print(json.dumps({"epoch": epoch, "mean loss": round(loss, 4)}), flush=True)
    return len(losses)


def epoch_losses(out: Path) -> list[float]:
    """The mean loss of the steps of each epoch that has ended."""
    if not (out / "metrics.jsonl").exists():
        return []
    rows = list(read_jsonl(out / "metrics.jsonl", Metrics))
    ended = sorted(row.epoch for row in rows if row.loss is None)
    found = []
    for epoch in ended:
        losses = [row.loss for row in rows if row.epoch == epoch and row.loss is not None]
        found.append(sum(losses) / len(losses))
    return found


def last_epoch(folder: Path) -> Path:
    """The newest model of the full run."""
    found = sorted(path for path in (folder / "full").glob("epoch-*") if path.is_dir())
    assert found, "no epoch has ended yet"
    return found[-1]
