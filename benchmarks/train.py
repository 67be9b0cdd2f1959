"""``lima.train.loop.fit`` against a plain padded transformers loop and, where installed, TRL's SFTTrainer and LitGPT.

Every way trains the same random LLaMA on the same batch of documents with long-tailed lengths, each in a
process of its own, in turns. The first loss must agree between all ways, or nothing is reported. Printed: the
best of supervised tokens a CPU second, the ratio to lima, and the peak memory of the process.

    python benchmarks/train.py --model ~/.cache/real-models/smollm2-135m-instruct --rows first --threads 1 --trl-python ...
    python benchmarks/train.py --model DIR --rows lima --threads 2 --trl-python /tmp/trl/bin/python
    python benchmarks/train.py                                    # 384 wide, 6 layers, vocabulary 16,000
    python benchmarks/train.py --size small --trl-python /tmp/trl/bin/python --litgpt-python /tmp/trl/bin/python
    python benchmarks/train.py --size small --trl-python /tmp/trl/bin/python --losses   # 20 steps, loss by loss

A real model (``--model``) trains on LIMA's own rows (``LIMA_DATA/lima/train.jsonl``): ``first`` cuts 4 of them to 256 tokens
(``short`` to 64), so that nobody pads; ``lima`` takes 8 at up to 2,048. Figures are CPU seconds, since other work may share the machine.

The share of the matrix products' ceiling (MFU) is the model's 6 x weights x tokens (attention's products left out) over the
time of a step, beside the rate of one large product in the same arithmetic and with the same threads.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lima.chat import IGNORE, Tokens

SIZES = {
    "full": {"width": 384, "layers": 6, "heads": 6, "vocabulary": 16_000, "examples": 32, "longest": 2048},
    "small": {"width": 128, "layers": 2, "heads": 4, "vocabulary": 2_000, "examples": 16, "longest": 512},
}
TRL_WAYS = {
    "TRL default": {},
    "TRL micro-batch 1": {"per_device_train_batch_size": 1, "gradient_checkpointing": False},
    "TRL default, float32": {"bf16": False},
    "TRL micro-batch 1, float32": {
        "per_device_train_batch_size": 1,
        "gradient_checkpointing": False,
        "bf16": False,
    },
    "TRL micro-batch 4": {"per_device_train_batch_size": 4, "gradient_checkpointing": False},
    "TRL micro-batch 4, float32": {
        "per_device_train_batch_size": 4,
        "gradient_checkpointing": False,
        "bf16": False,
    },
    "TRL padding-free 8": {
        "per_device_train_batch_size": 8,
        "gradient_checkpointing": False,
        "padding_free": True,
    },
}
LITGPT_WAYS = {
    f"LitGPT {name}": {"precision": precision, "micro_batch": micro_batch}
    for name, precision, micro_batch in (
        ("micro-batch 1, bfloat16", "bf16-mixed", 1),
        ("micro-batch 4, bfloat16", "bf16-mixed", 4),
        ("micro-batch 1, float32", "32-true", 1),
    )
}
LONGEST = {"short": 64, "first": 256, "lima": 2048}
"""Tokens that the rows of a real model are cut to."""
LEARNING_RATE = 1e-4
Result = tuple[float, list[float]]
"""Lowest CPU seconds of a step without the first, and the losses."""
COMPARED = 20
"""Steps whose losses are compared with TRL's, each on rows of its own: on the same rows a real model would know them by heart after five."""


def main() -> None:
    arguments = _arguments()
    if arguments.way:
        print(json.dumps(run_way(arguments.way, Path(arguments.work), arguments.steps)))
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if arguments.model:
            place = Path(arguments.model).expanduser()
            tokens, supervised = prepare_real(
                work, place, arguments.rows, COMPARED if arguments.losses else 1
            )
        else:
            size = SIZES[arguments.size]
            more = {"examples": COMPARED * size["examples"]} if arguments.losses else {}
            tokens, supervised = prepare(work, {**size, **more})
        name = arguments.model or arguments.size
        if arguments.losses:
            print(f"{name}: {tokens:,} tokens in {COMPARED} steps, {supervised:,} of them supervised")
            compare_losses(work, arguments)
            return
        print(f"{name}: {tokens:,} tokens a step, {supervised:,} of them supervised")
        peers = [
            *(TRL_WAYS if arguments.trl_python else ()),
            *(LITGPT_WAYS if arguments.litgpt_python else ()),
        ]
        ways = [*WAYS, *peers]
        wanted = (way for way in ways if any(text in way for text in arguments.only))
        ways = ["lima", *(way for way in wanted if way not in ("lima", AS_TRL))]
        results: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
        for _ in range(arguments.rounds):
            for way in ways:
                results[way].append(_in_a_process(way, work, arguments))
        report(results, supervised)
        weights = weights_of(work / "model")
        state_utilisation(results, (tokens, supervised), weights, arguments.threads)


def compare_losses(work: Path, arguments: argparse.Namespace) -> None:
    """The losses of some steps beside TRL's: float32, no dropout, the same batches, schedule, clipping and decay groups."""
    arguments.steps = COMPARED
    ours = _in_a_process(AS_TRL, work, arguments)["losses"]
    theirs = _in_a_process("TRL micro-batch 1, float32", work, arguments)["losses"]
    apart = [abs(x - y) / y for x, y in zip(ours, theirs, strict=True)]
    for name, losses in (("lima", ours), ("TRL", theirs)):
        print(f"{name:<5}", *(f"{loss:.4f}" for loss in losses))
    print(f"losses of {COMPARED} steps: largest relative difference {max(apart):.1e}")
    assert max(apart) < 1e-4, list(zip(ours, theirs, strict=True))


def weights_of(folder: Path) -> tuple[int, int]:
    """Weights of the decoder's matrices and of the head, by the config alone."""
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    layers = sum(p.numel() for p in model.get_decoder().layers.parameters() if p.ndim == 2)
    return layers, model.get_output_embeddings().weight.numel()


def state_utilisation(
    results: dict[str, list[dict[str, Any]]], tokens: tuple[int, int], weights: tuple[int, int], threads: int
) -> None:
    """How near lima comes to the rate of a 1,024^3 product: six FLOPs a weight and token, the head's on supervised ones."""
    torch.set_num_threads(threads)
    flops = 6 * sum(weight * count for weight, count in zip(weights, tokens, strict=True))
    for way, dtype in (("lima, float32", torch.float32), ("lima, bfloat16", torch.bfloat16)):
        if way not in results:
            continue
        a, b = torch.randn(1024, 1024).to(dtype), torch.randn(1024, 1024).to(dtype)
        taken = []
        for _ in range(10):
            began = time.process_time()
            a @ b
            taken.append(time.process_time() - began)
        ceiling = 2 * 1024**3 / min(taken)
        achieved = flops / min(run["cpu"] for run in results[way])
        share = achieved / ceiling
        print(
            f"{way}: {achieved / 1e9:.0f} GFLOP a CPU second of {ceiling / 1e9:.0f} in one product ({share:.0%})"
        )


def prepare_real(work: Path, model: Path, rows: str, steps: int = 1) -> tuple[int, int]:
    """A real model and LIMA's rows for so many steps: each has 4 cut to 64 or 256 tokens, or 8 at up to 2,048 of their own.

    Returns all and supervised tokens.
    """
    from lima import model as models
    from lima.chat import encode_example
    from lima.records import Message

    (work / "model").symlink_to(model.resolve())
    network, tokenizer = models.load(model, device="meta")
    models.add_eot(network, tokenizer)
    vocabulary = json.loads((model / "config.json").read_text())["vocab_size"]
    source = Path(os.environ["LIMA_DATA"]) / "lima" / "train.jsonl"
    found, longest = [], LONGEST[rows]
    for line in source.read_text().splitlines():
        first, second = json.loads(line)["conversations"][:2]
        turns = (Message(role="user", content=first), Message(role="assistant", content=second))
        row = encode_example(tokenizer, turns, max_length=longest)
        if row.supervised and (rows == "lima" or len(row.ids) == longest):
            # peers load the base as it is: its last row stands for the EOT
            ids = [min(token, vocabulary - 1) for token in row.ids]
            labels = [min(label, vocabulary - 1) for label in row.labels]
            found.append({"input_ids": ids, "labels": labels})
    spread = max(1, 100 // steps)  # long and short ones lie apart in the file
    batch = found[::spread][: 8 * steps] if rows == "lima" else found[: 4 * steps]
    (work / "batch.json").write_text(json.dumps(batch))
    return sum(len(r["input_ids"]) for r in batch), sum(sum(x >= 0 for x in r["labels"][1:]) for r in batch)


def prepare(work: Path, size: dict[str, int]) -> tuple[int, int]:
    """Write a model folder and a batch of documents; return all and supervised tokens."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size["vocabulary"],
        hidden_size=size["width"],
        intermediate_size=8 * size["width"] // 3,
        num_hidden_layers=size["layers"],
        num_attention_heads=size["heads"],
        max_position_embeddings=size["longest"],
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(work / "model")
    _tokenizer(size["vocabulary"]).save_pretrained(work / "model")
    generator = np.random.default_rng(0)
    # median 350 of 2,048, as the released LIMA set is distributed
    lengths = np.exp(generator.normal(math.log(0.17 * size["longest"]), 1.0, size["examples"]))
    rows = []
    for length in lengths.clip(16, size["longest"]).astype(int).tolist():
        ids = generator.integers(3, size["vocabulary"], length).tolist()
        prompt = length // 5
        rows.append({"input_ids": ids, "labels": [IGNORE] * prompt + ids[prompt:]})
    (work / "batch.json").write_text(json.dumps(rows))
    return sum(len(row["input_ids"]) for row in rows), sum(sum(x >= 0 for x in row["labels"]) for row in rows)


def report(results: dict[str, list[dict[str, Any]]], supervised: int) -> None:
    """Print the table, after checking that all ways did equal work."""
    losses = {way: runs[0]["loss"] for way, runs in results.items()}
    reference = losses["lima"]
    unequal = {way: loss for way, loss in losses.items() if abs(loss - reference) > 0.01}
    assert not unequal, f"first losses differ from lima's {reference:.4f}: {unequal}"
    print(f"first loss of all ways: {reference:.3f} +- 0.01\n")
    rates = {way: supervised / min(run["cpu"] for run in runs) for way, runs in results.items()}
    print(f"{'way':<44}{'tokens a CPU second':>20}{'lima is':>10}{'peak GiB':>10}")
    for way, rate in rates.items():
        memory = max(run["peak"] for run in results[way]) / 2**30
        print(f"{way:<44}{rate:>20,.0f}{rates['lima'] / rate:>9.2f}x{memory:>10.2f}")


def run_way(way: str, work: Path, steps: int) -> dict[str, Any]:
    """Run one way in this process: CPU seconds of a step (the lowest without the first), first loss, peak memory."""
    from lima import model as models

    model, _ = models.load(work / "model")
    rows = json.loads((work / "batch.json").read_text())
    cpu, losses = WAYS[way](model, rows, steps)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"cpu": cpu, "loss": losses[0], "losses": losses, "peak": peak}


def lima_fit(model: Any, rows: list[dict[str, list[int]]], steps: int, **changes: Any) -> Result:
    from lima.train.loop import fit
    from lima.train.settings import FitSettings

    settings = FitSettings(
        steps=steps,
        learning_rate=LEARNING_RATE,
        **{"batch_size": len(rows), "residual_dropout": 0.0, "save_every": 1000, **changes},
    )
    ends: list[float] = []
    begins: list[float] = [time.process_time()]
    losses: list[float] = []

    def note(row: Any) -> None:
        if row.loss is not None:
            ends.append(time.process_time())
            losses.append(row.loss)

    def begin(epoch: int) -> dict[str, float]:
        begins.append(time.process_time())  # every step is an epoch here, at whose end a state is saved
        return {}

    with tempfile.TemporaryDirectory() as folder:
        sequences = [Tokens(row["input_ids"], row["labels"]) for row in rows]
        fit(model, sequences, settings, Path(folder), report=note, on_epoch=begin)
    # where an epoch has several steps, one begins as the last ends
    taken = [
        end - start
        for start, end in zip(begins if len(begins) > steps else [begins[0], *ends], ends, strict=False)
    ]
    return min(taken[1:] or taken), losses


def padded_loop(
    model: Any, rows: list[dict[str, list[int]]], steps: int, *, micro_batch: int, half: bool
) -> Result:
    """What people write by hand: pad to the longest of the micro-batch, all logits, stock cross-entropy."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.1)
    supervised = sum(sum(label >= 0 for label in row["labels"][1:]) for row in rows)
    model.train()
    times, losses = [], []
    for _ in range(steps):
        began, total = time.process_time(), 0.0
        for start in range(0, len(rows), micro_batch):
            part = rows[start : start + micro_batch]
            longest = max(len(row["input_ids"]) for row in part)
            ids = torch.tensor([row["input_ids"] + [0] * (longest - len(row["input_ids"])) for row in part])
            mask = torch.tensor(
                [[1] * len(r["input_ids"]) + [0] * (longest - len(r["input_ids"])) for r in part]
            )
            labels = torch.tensor([row["labels"] + [IGNORE] * (longest - len(row["labels"])) for row in part])
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
                output = model(
                    input_ids=ids,
                    attention_mask=mask,
                    labels=labels,
                    num_items_in_batch=supervised,
                    use_cache=False,
                )
            output.loss.backward()
            total += float(output.loss.detach())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.process_time() - began)
        losses.append(total)
    return min(times[1:] or times), losses


def as_trl(model: Any, rows: list[dict[str, list[int]]], steps: int) -> Result:
    """In float32 with TRL's rates: its linear schedule would reach 0 one step after the last. Steps take their rows in order."""
    from lima.train.loop import StepPlan
    from lima.train.settings import FitSettings

    size = len(rows) // steps
    plan = StepPlan.of(len(rows), FitSettings(steps=steps, batch_size=size))
    shuffled = [place for step in range(1, steps + 1) for place in plan.batch(step)]
    placed = dict(zip(shuffled, rows, strict=True))
    return lima_fit(
        model,
        [placed[place] for place in range(len(rows))],
        steps,
        batch_size=size,
        precision="float32",
        final_learning_rate=LEARNING_RATE / steps,
    )


AS_TRL = "lima, float32, TRL's schedule"
WAYS: dict[str, Callable[..., Result]] = {
    "lima": lima_fit,
    "lima, bfloat16": lambda *a: lima_fit(*a, precision="bfloat16"),
    "lima, float32": lambda *a: lima_fit(*a, precision="float32"),
    "lima, row by row, bfloat16": lambda *a: lima_fit(*a, precision="bfloat16", micro_batch_tokens=1),
    "lima, row by row, float32": lambda *a: lima_fit(*a, precision="float32", micro_batch_tokens=1),
    "lima, residual dropout .3": lambda *a: lima_fit(*a, residual_dropout=0.3),
    "lima, activation checkpointing": lambda *a: lima_fit(*a, activation_checkpointing=True),
    "lima, compiled": lambda *a: lima_fit(*a, compile=True),
    AS_TRL: as_trl,
    "transformers, padded, micro-batch 8, bfloat16": lambda *a: padded_loop(*a, micro_batch=8, half=True),
    "transformers, padded, micro-batch 1, bfloat16": lambda *a: padded_loop(*a, micro_batch=1, half=True),
}


def _in_a_process(way: str, work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    peers: dict[str, tuple[str, dict[str, Any]]] = {
        "train_trl.py": (arguments.trl_python, TRL_WAYS),
        "train_litgpt.py": (arguments.litgpt_python, LITGPT_WAYS),
    }
    for name, (python, settings) in peers.items():
        if way in settings:
            script = Path(__file__).with_name(name)
            changes = dict(settings[way])
            if arguments.losses:  # of micro-batch 1; elsewhere a step has all rows
                rows = len(json.loads((work / "batch.json").read_text()))
                changes["gradient_accumulation_steps"] = rows // COMPARED
            command = [python, str(script), str(work), str(arguments.steps), json.dumps(changes)]
            break
    else:
        command = [
            sys.executable,
            __file__,
            "--way",
            way,
            "--work",
            str(work),
            "--steps",
            str(arguments.steps),
        ]
    # a thread that waits for the others sleeps: spinning counts as CPU time, twice the work's own on a busy machine
    threads = {"OMP_NUM_THREADS": str(arguments.threads), "OMP_WAIT_POLICY": "PASSIVE"}
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", **threads}
    process = subprocess.run(command, capture_output=True, text=True, env=environment)
    if process.returncode:
        sys.exit(f"{way}: {process.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    # as they come: a run of many ways can take an hour
    print(f"  {way}: {found['cpu']:.1f} CPU s, {found['peak'] / 2**30:.2f} GiB", file=sys.stderr, flush=True)
    return found


def _tokenizer(vocabulary: int) -> Any:
    """A word-level tokenizer of the right size; TRL asks for one although the data are token ids."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = {"<pad>": 0, "<s>": 1, "</s>": 2, **{f"w{number}": number for number in range(3, vocabulary)}}
    core = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<pad>"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="a real model's folder, in place of a random one")
    parser.add_argument("--rows", choices=LONGEST, default="first", help="with --model")
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument(
        "--steps",
        type=int,
        default=3,
        help="optimiser steps a run; the first is not counted where there are others",
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs of each way, in turns")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--only", nargs="+", default=[""], help="only ways whose name holds one of these texts, against lima"
    )
    parser.add_argument("--trl-python", help="the Python of an environment that has TRL")
    parser.add_argument("--litgpt-python", help="the Python of an environment that has LitGPT")
    parser.add_argument("--losses", action="store_true", help="compare 20 losses with TRL's, and end")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
