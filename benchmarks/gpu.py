"""One card, at most 10 minutes: what a run of `lima train` on CUDA reaches, as a table and as JSON (`make gpu`).

    python benchmarks/gpu.py --out gpu.json [--budget 540] [--shapes 1B 8B]

Random weights of a 1B and an 8B shape, LIMA-like lengths: full tuning with and without compiling, LoRA, QLoRA, each with MFU
(the products' FLOPs over the rate of an 8,192^3 product on the same card), peak memory beside the estimate, and the time of a
checkpoint and of going on from it; generation beside transformers' own. What does not fit the budget is left out and said so.
Without CUDA it says so and ends.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lima.chat import IGNORE, Tokens

VOCABULARY = 128_000
SHAPES: dict[str, dict[str, int]] = {
    "1B": {
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
    },
    "8B": {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
    },
}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "1B full": ("1B", {}),
    "1B full, compiled": ("1B", {"compile": True}),
    "1B full, checkpointing": ("1B", {"activation_checkpointing": True}),
    "1B full, low memory": ("1B", {"memory": "low"}),
    "8B LoRA": ("8B", {"lora_rank": 16, "activation_checkpointing": True}),
    "8B QLoRA": ("8B", {"lora_rank": 16, "four_bit": True, "activation_checkpointing": True}),
}
STEPS = 4
GOALS = {"1B full": 0.45, "8B LoRA": 0.40}
"""MFU that full tuning of 1B and LoRA of 8B should reach."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--budget", type=float, default=540, help="seconds after which nothing new is begun")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA here: nothing was measured.")
        return
    began, found = (
        time.monotonic(),
        [{"way": "card", "name": torch.cuda.get_device_name(), "torch": torch.__version__}],
    )
    for name, (shape, changes) in WAYS.items():
        if shape in arguments.shapes:
            found.append(_attempt(name, began, arguments.budget, lambda: tune(shape, changes)))  # noqa: B023
    found.append(_attempt("1B checkpoint and resume", began, arguments.budget, resume))
    found.append(_attempt("1B generation", began, arguments.budget, generation))
    arguments.out.write_text(json.dumps(found, indent=2) + "\n")
    print(f"wrote {arguments.out} in {time.monotonic() - began:.0f} s")
    if any("error" in row for row in found):
        sys.exit(1)


def _attempt(name: str, began: float, budget: float, measure: Any) -> dict[str, Any]:
    """Measure and print one row; an error is a row too, so that one fault does not cost the other figures."""
    if time.monotonic() - began > budget:
        row: dict[str, Any] = {"way": name, "left out": "the time is up"}
    else:
        gc.collect()  # a model in a cycle of references would stay on the card
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        try:
            row = {"way": name, **measure()}
        except Exception as error:
            row = {"way": name, "error": f"{type(error).__name__}: {str(error)[:300]}"}
    if name in GOALS and "mfu" in row:
        row["goal"] = GOALS[name]
    print(
        "  ".join(
            f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in row.items()
        ),
        flush=True,
    )
    return row


def model_of(shape: str, dtype: torch.dtype = torch.float32) -> Any:
    """A LLaMA of random weights, made on the card."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCABULARY, num_key_value_heads=8, max_position_embeddings=4096, **SHAPES[shape]
    )
    with torch.device("cuda"):
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            return LlamaForCausalLM(config).eval()
        finally:
            torch.set_default_dtype(before)


def documents(count: int) -> list[Tokens]:
    """Lengths as in the released LIMA set (median 350, up to 2,048), the first fifth of each a prompt."""
    generator = np.random.default_rng(0)
    lengths = np.exp(generator.normal(np.log(350), 1.0, count)).clip(16, 2048).astype(int).tolist()
    rows = [generator.integers(3, VOCABULARY, length).tolist() for length in lengths]
    return [Tokens(ids, [IGNORE] * (len(ids) // 5) + ids[len(ids) // 5 :]) for ids in rows]


def settings_of(folder: Path, changes: dict[str, Any], steps: int = STEPS) -> Any:
    from lima.train.settings import TrainSettings

    values = {
        "model": "random",
        "data": folder / "none.jsonl",
        "out": folder,
        "steps": steps,
        "batch_size": 32,
        "residual_dropout": 0.0,
    }
    # one epoch: a state is written at its end alone
    return TrainSettings.model_validate(
        {**values, "micro_batch_tokens": 8192, "save_every": 10**6, "device": "cuda", **changes}
    )


def tune(shape: str, changes: dict[str, Any]) -> dict[str, Any]:
    from lima.train.adapters import add_adapters
    from lima.train.four_bit import quantize
    from lima.train.loop import fit
    from lima.train.memory import estimate
    from lima.train.precision import narrow, narrow_frozen

    with tempfile.TemporaryDirectory() as name:
        settings, data = settings_of(Path(name), changes), documents(32 * STEPS)
        model = model_of(shape, torch.bfloat16 if settings.lora_rank else torch.float32)
        if settings.four_bit:
            quantize(model.cpu(), torch.device("cuda"), torch.bfloat16)
        elif settings.lora_rank:
            narrow_frozen(model)
        if settings.lora_rank:
            add_adapters(model, 2, rank=settings.lora_rank, alpha=32.0, dropout=0.0, seed=0)
        if settings.memory == "low":
            narrow(model)
        planned = estimate(model, data, settings).total
        torch.cuda.reset_peak_memory_stats()
        rows: list[Any] = []
        fit(model, data, settings, Path(name), report=rows.append)
    steps = [row for row in rows if row.loss is not None]
    best = max(steps[1:], key=lambda row: row.utilisation or 0)
    peak = torch.cuda.max_memory_allocated()
    return {
        "mfu": best.utilisation,
        "tokens_per_second": best.tokens_per_second,
        "peak_gb": peak / 1e9,
        "estimated_gb": planned / 1e9,
        "first_loss": steps[0].loss,
    }


def resume() -> dict[str, Any]:
    """Seconds to write a state and to go on from it; the resumed run must take the steps of an undisturbed one."""
    from lima.train.loop import fit

    with tempfile.TemporaryDirectory() as name:
        free = shutil.disk_usage(name).free
        if free < 60e9:
            return {"left out": f"states of 1B take 45 GB, {free / 1e9:.0f} GB are free in {name}"}
        settings, data = settings_of(Path(name), {"save_every": 1}, steps=2), documents(64)
        seen: list[Any] = []
        began = time.monotonic()
        fit(
            model_of("1B"),
            data[:32],
            settings.model_copy(update={"steps": 1}),
            Path(name),
            report=seen.append,
        )
        first = time.monotonic() - began
        gc.collect()
        torch.cuda.empty_cache()
        began = time.monotonic()
        fit(
            model_of("1B"),
            data[:32],
            settings.model_copy(update={"steps": 2}),
            Path(name),
            report=seen.append,
        )
        second = time.monotonic() - began
    steps = [row.step for row in seen if row.loss is not None]
    assert steps == [1, 2], f"the resumed run repeated a step: {steps}"
    return {"first_s": first, "resumed_s": second}


def generation() -> dict[str, Any]:
    """New tokens a second of 64 answers of 128: the engine beside transformers' `generate` on one batch, both greedy."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    from lima.generate.engine import Engine
    from lima.generate.engine.decoding import Decoding
    from lima.generate.engine.requests import Request

    model = model_of("1B", torch.bfloat16)
    ids = torch.randint(3, VOCABULARY, (64, 64), device="cuda")
    known = {"do_sample": False, "pad_token_id": 0, "eos_token_id": VOCABULARY + 1}
    model.generate(ids[:2], max_new_tokens=4, **known)
    theirs = _seconds(lambda: model.generate(ids, max_new_tokens=128, **known))
    # one token more than is counted: an answer that ends would be put into words, which random weights have not
    wordless = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"?": 0}, unk_token="?")))
    engine = Engine(model, wordless, slots=64)
    requests = [
        Request(str(i), tuple(row), 129, Decoding(temperature=0.0)) for i, row in enumerate(ids.tolist())
    ]

    def ours() -> None:
        for request in requests:
            engine.submit(request)
        made = dict.fromkeys((request.id for request in requests), 0)
        while engine.busy:
            for step in engine.step():
                made[step.request.id] += 1
                if made[step.request.id] == 128:
                    engine.cancel(step.request.id)

    ours()  # loads the kernels
    mine = _seconds(ours)
    rates = {"lima_tokens_per_second": 64 * 128 / mine, "transformers_tokens_per_second": 64 * 128 / theirs}
    return {
        **rates,
        "hint": "for serving at scale: vllm serve FOLDER, and lima generate http://HOST:8000/v1#FOLDER",
    }


def _seconds(work: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    began = time.monotonic()
    work()
    torch.cuda.synchronize()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
