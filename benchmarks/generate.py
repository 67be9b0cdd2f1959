"""Tokens a second of `lima generate`'s engine against transformers' own ways, in the same process and run.

    python benchmarks/generate.py --prompts 300 --threads 2 --dtype bfloat16

Work: a random LLaMA (384 wide, 6 layers, 6 heads, vocabulary 16,000), prompts of about 91 tokens, answers with
a long tail (mean about 128, at most 256), nucleus 0.9, temperature 0.7, repetition penalty 1.2. A random
model never says EOT, so that each answer ends at a length drawn beforehand, which neither `generate` nor the engine
knows in advance: the library is told by a stopping criterion, the engine by `Engine.cancel`. The library's continuous
batching knows it, because a request of it cannot be ended otherwise. It drops the repetition penalty,
which it does not support. Every way makes the
same number of useful tokens; what the library computes for rows that have ended is not counted.

With ``--model FOLDER`` a real model instead (`generate_real.py`).

With ``--llama-cpp INTERPRETER`` llama.cpp does the same work (``benchmarks/generate_llama_cpp.py``) on the same weights,
after a check that its greedy continuation is ours. Then: one stream alone; the time to the first token of a new
request while 16 others decode, beside a lone step and its prefill; and how far a decode step is from its limit.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models
from transformers import LlamaConfig, LlamaForCausalLM, StoppingCriteria, StoppingCriteriaList

from lima.generate.engine.decoding import Decoding, noise_key
from lima.generate.engine.engine import Engine
from lima.generate.engine.requests import Request

WORDLESS = transformers.PreTrainedTokenizerFast(
    tokenizer_object=Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
)
"""Random weights have no words; the answers here end before the engine asks for any."""
LLAMA_CPP = Path(__file__).with_name("generate_llama_cpp.py")
LONGEST = 256
VOCABULARY = 16_000
SAMPLING: dict[str, Any] = {
    "do_sample": True,
    "top_p": 0.9,
    "top_k": 0,
    "temperature": 0.7,
    "repetition_penalty": 1.2,
    "max_new_tokens": LONGEST,
    "pad_token_id": 0,
}


@dataclass(frozen=True)
class Work:
    prompts: list[list[int]]
    lengths: list[int]

    @property
    def tokens(self) -> int:
        return sum(self.lengths)


def make_work(count: int, seed: int = 0) -> Work:
    random = np.random.default_rng(seed)
    prompt_lengths = np.clip(random.lognormal(4.2, 0.75, count), 8, 400).astype(int)
    lengths = np.clip(random.lognormal(4.6, 0.8, count), 4, LONGEST).astype(int)
    prompts = [random.integers(10, VOCABULARY, n).tolist() for n in prompt_lengths]
    return Work(prompts, lengths.tolist())


def make_model(dtype: torch.dtype) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=6,
        num_attention_heads=6,
        vocab_size=VOCABULARY,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        initializer_range=0.05,
        eos_token_id=None,
    )
    model = LlamaForCausalLM(config).eval()
    model.model.norm.weight.data.fill_(
        3.5
    )  # logits as peaked as a trained model's: nuclei of some dozen tokens
    return model.to(dtype)


class _EndsAtItsLength(StoppingCriteria):  # type: ignore[misc]
    def __init__(self, width: int, lengths: list[int]) -> None:
        self.ends = torch.tensor(lengths) + width

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        return input_ids.shape[1] >= self.ends


def library(model: LlamaForCausalLM, work: Work, batch: int) -> None:
    """``model.generate`` on left-padded batches of prompts sorted by length."""
    order = sorted(range(len(work.prompts)), key=lambda i: -len(work.prompts[i]))
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        width = max(len(work.prompts[i]) for i in chosen)
        ids = torch.zeros(len(chosen), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, i in enumerate(chosen):
            ids[row, width - len(work.prompts[i]) :] = torch.tensor(work.prompts[i])
            mask[row, width - len(work.prompts[i]) :] = 1
        lengths = [work.lengths[i] for i in chosen]
        model.generate(
            ids,
            attention_mask=mask,
            **SAMPLING,
            stopping_criteria=StoppingCriteriaList([_EndsAtItsLength(width, lengths)]),
        )


def continuous(model: LlamaForCausalLM, work: Work) -> None:
    """``generate_batch``: the library's own continuous batching, through its manager for lengths of their own."""
    config = transformers.GenerationConfig(
        **SAMPLING,
        eos_token_id=-1,
    )
    with model.continuous_batching_context_manager(generation_config=config) as manager:
        for number, (prompt, length) in enumerate(zip(work.prompts, work.lengths, strict=True)):
            manager.add_request(prompt, request_id=str(number), max_new_tokens=length)
        made: dict[str, int] = {}
        while len(made) < len(work.prompts):
            result = manager.get_result(timeout=60)
            assert result is not None, "the library's batching made nothing for a minute"
            if result.is_finished():
                made[result.request_id] = len(result.generated_tokens)
    assert [made[str(number)] for number in range(len(work.lengths))] == work.lengths


def ours(model: LlamaForCausalLM, work: Work, slots: int, *, compiled: bool) -> None:
    engine = Engine(model, WORDLESS, slots=slots, compiled=compiled)
    order = sorted(range(len(work.prompts)), key=lambda i: -len(work.prompts[i]))
    made = dict.fromkeys(map(str, order), 0)
    for i in order:
        noise = noise_key(0, str(i), 0)
        engine.submit(Request(str(i), tuple(work.prompts[i]), LONGEST + 1, Decoding(), noise))
    while engine.busy:
        for step in engine.step():
            made[step.request.id] += 1
            if made[step.request.id] == work.lengths[int(step.request.id)]:
                engine.cancel(step.request.id)
    assert [made[str(i)] for i in range(len(work.prompts))] == work.lengths


def prefilled(model: LlamaForCausalLM, prompts: list[list[int]], slots: int, *, compiled: bool) -> Engine:
    """An engine in which these prompts are decoding, with room for more."""
    engine = Engine(model, WORDLESS, slots=slots, compiled=compiled)
    for number, prompt in enumerate(prompts):
        noise = noise_key(0, str(number), 0)
        engine.submit(Request(str(number), tuple(prompt), 900, Decoding(), noise))
    for _ in range(len(prompts) + 4):
        engine.step()
    return engine


def seconds_a_step(engine: Engine, steps: int = 60) -> float:
    """Median time of a decode step."""
    taken = []
    for _ in range(steps):
        began = time.perf_counter()
        engine.step()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def first_token(model: LlamaForCausalLM, prompt: list[int], others: int, *, compiled: bool) -> list[float]:
    """Seconds from a request to its first token while ``others`` decode, 15 times."""
    engine = prefilled(
        model, make_work(max(1, others), seed=2).prompts[:others], others + 1, compiled=compiled
    )
    taken = []
    for number in range(18):
        name, began = f"new-{number}", time.perf_counter()
        engine.submit(Request(name, tuple(prompt), 40, Decoding(), noise_key(0, name, 0)))
        while not any(step.request.id == name for step in engine.step()):
            pass
        taken.append(time.perf_counter() - began)
        engine.cancel(name)
        engine.step()
    return taken[3:]


def latency(dtype: torch.dtype, *, compiled: bool) -> None:
    """A new request's first token while 16 others decode, beside a lone step and its own prefill."""
    model, prompt = make_model(dtype), make_work(1, seed=3).prompts[0] * 8
    prompt = prompt[:91]
    step = seconds_a_step(prefilled(model, [prompt], 1, compiled=compiled))
    alone = float(np.median(first_token(model, prompt, 0, compiled=compiled)))
    busy = float(np.median(first_token(model, prompt, 16, compiled=compiled)))
    bound = 5 * step + alone
    print(
        f"first token, {len(prompt)} tokens of prompt: {1e3 * busy:.1f} ms while 16 decode; alone {1e3 * alone:.1f} ms, a lone step "
        f"{1e3 * step:.1f} ms; {busy / bound:.2f} of 5 steps + prefill"
    )


def limit(dtype: torch.dtype, slots: int, *, compiled: bool) -> None:
    """A decode step beside the time to read the weights once, and to multiply them with ``slots`` rows."""
    model = make_model(dtype)
    weights = sum(p.numel() for p in model.parameters())
    matrix = torch.randn(4096, 4096).to(dtype)
    many = [torch.randn(4096, 4096).to(dtype) for _ in range(12)]  # 400 MB in bf16: more than the caches
    vector, rows = torch.randn(1, 4096).to(dtype), torch.randn(slots, 4096).to(dtype)
    reading = _seconds(lambda: [vector @ one for one in many]) / (len(many) * matrix.nbytes)
    multiplying = _seconds(lambda: [rows @ one for one in many]) / (len(many) * matrix.numel())
    floor = max(reading * weights * matrix.element_size(), multiplying * weights)
    step = seconds_a_step(prefilled(model, make_work(slots, seed=4).prompts, slots, compiled=compiled))
    print(
        f"a decode step at {slots} slots: {1e3 * step:.1f} ms; its limit by {slots} rows times the weights {1e3 * floor:.1f} ms "
        f"(weights read at {1e-9 / reading:.0f} GB/s), so {step / floor:.1f} times the limit"
    )


def _seconds(run: Callable[[], object]) -> float:
    run()
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        run()
        taken.append(time.perf_counter() - began)
    return min(taken)


def one_stream(model: LlamaForCausalLM, *, compiled: bool) -> float:
    """Tokens a second of three answers of 256 tokens, one after the other."""
    work = make_work(3)
    single = Work(work.prompts, [LONGEST] * 3)
    ours(model, Work(work.prompts[:1], [40]), 1, compiled=compiled)
    return timed(partial(ours, model, single, 1, compiled=compiled), single.tokens).wall


def llama_cpp(interpreter: str, work: Work, dtype: str, slots: int, threads: int) -> tuple[Rate, float]:
    """The same work by llama.cpp, and its one stream; refuses if its greedy continuation is not the model's."""
    model = make_model(getattr(torch, dtype)).float()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        tensors = {k: v.numpy() for k, v in model.state_dict().items() if k != "lm_head.weight"}
        np.savez(folder / "weights.npz", **tensors)
        (folder / "work.json").write_text(
            json.dumps(
                {
                    "prompts": work.prompts,
                    "lengths": work.lengths,
                    "ends": [],
                    "one_stream": True,
                    "config": model.config.to_dict(),
                }
            )
        )
        kind = {"bfloat16": "bf16", "float32": "f32"}[dtype]
        command = [interpreter, LLAMA_CPP, str(folder), kind, str(slots), str(threads)]
        environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
        run = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
        assert run.returncode == 0, run.stderr
        found = json.loads(run.stdout.splitlines()[-1])
        assert found["made"] == work.tokens, found
    prompt, theirs = work.prompts[0], found["greedy"]
    with torch.no_grad():
        logits = model(torch.tensor([prompt + theirs])).logits[0, len(prompt) - 1 : -1]
    behind = logits.amax(1) - logits[torch.arange(len(theirs)), torch.tensor(theirs)]
    assert float(behind.max()) < 0.1, (theirs, behind)  # each of its tokens is ours, but for near ties
    return Rate(work.tokens / found["wall"], work.tokens / found["cpu"]), float(found["one_stream"])


@dataclass(frozen=True)
class Rate:
    wall: float
    cpu: float
    """Tokens per second of processor time: on a busy machine the fairer one of the two, with one thread."""

    def __str__(self) -> str:
        return f"{self.wall:7.0f} tokens/s  ({self.cpu:6.0f} per CPU second)"


def timed(run: Callable[[], None], tokens: int) -> Rate:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return Rate(tokens / (time.perf_counter() - wall), tokens / (time.process_time() - cpu))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prompts", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument(
        "--batches", type=int, nargs="+", default=[8, 16, 32, 64], help="0 leaves generate out"
    )
    parser.add_argument("--slots", type=int, nargs="+", default=[32])
    parser.add_argument(
        "--no-continuous", dest="continuous", action="store_false", help="leave out generate_batch"
    )
    parser.add_argument("--llama-cpp", help="interpreter with llama-cpp-python and gguf")
    parser.add_argument("--model", type=Path, help="folder of a real model, instead of the random one")
    parser.add_argument("--rounds", type=int, default=3, help="--model: rounds of short answers")
    parser.add_argument("--answers", type=int, default=0, help="--model: whole answers, at most 300")
    parser.add_argument(
        "--compiled", action="store_true", help="--model: whole answers with compiled attention too"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.model:
        importlib.import_module("generate_real").main(arguments)
        return
    dtype, work = getattr(torch, arguments.dtype), make_work(arguments.prompts)
    print(
        f"{arguments.prompts} prompts, {work.tokens} new tokens (mean {work.tokens / len(work.lengths):.0f}), "
        f"{arguments.dtype}, {arguments.threads} threads, torch {torch.__version__}, "
        f"transformers {transformers.__version__}"
    )
    warm_up = make_work(40, seed=1)
    best = Rate(0.0, 0.0)
    for batch in arguments.batches:
        rate = timed(partial(library, make_model(dtype), work, batch), work.tokens)
        best = max(best, rate, key=lambda one: one.cpu)
        print(f"transformers generate, sorted, batch {batch:3d}   {rate}", flush=True)
    batched = (
        timed(partial(continuous, make_model(dtype), work), work.tokens) if arguments.continuous else None
    )
    if batched:
        print(f"transformers generate_batch                {batched}", flush=True)
    for slots in arguments.slots:
        theirs = None
        if arguments.llama_cpp:
            theirs, stream = llama_cpp(arguments.llama_cpp, work, arguments.dtype, slots, arguments.threads)
            print(
                f"llama.cpp, {slots:3d} slots                       {theirs}; one stream {stream:.0f}",
                flush=True,
            )
        for compiled in (False, True):
            model = make_model(dtype)
            ours(model, warm_up, slots, compiled=compiled)
            rate = timed(partial(ours, model, work, slots, compiled=compiled), work.tokens)
            kind = "compiled" if compiled else "eager   "
            ratio = f"{rate.wall / best.wall:.1f} x ({rate.cpu / best.cpu:.1f} x) transformers at its best"
            ratio += (
                f", {rate.wall / batched.wall:.1f} x ({rate.cpu / batched.cpu:.1f} x) generate_batch"
                if batched
                else ""
            )
            ratio += f", {rate.wall / theirs.wall:.2f} x llama.cpp" if theirs else ""
            print(f"lima engine, {slots:3d} slots, {kind}         {rate}  {ratio}", flush=True)
    for compiled in (False, True):
        print(
            f"one stream, {'compiled' if compiled else 'eager'}: {one_stream(make_model(dtype), compiled=compiled):.0f} tokens/s"
        )
        latency(dtype, compiled=compiled)
        limit(dtype, max(arguments.slots), compiled=compiled)


if __name__ == "__main__":
    main()
