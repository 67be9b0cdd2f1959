"""``benchmarks/generate.py --model FOLDER``: the engine, its peers and its limit on a real model.

Two settings. Short: the first LIMA test prompts, one a slot, cut to few tokens, a fixed number of new tokens, one after
the other in several rounds; beside them the rate of the model's linear layers alone, which no engine can pass: one
product of every layer with as many rows as there are slots, with stock weights and with weights packed by oneDNN. Long
(``--answers``): prompts spread over the LIMA test set, whole, answers that end where they end, each peer at its best.

Rates are useful new tokens (the end token included) a CPU second. The paper's decoding everywhere, but that
``generate_batch`` has no repetition penalty. One process; llama.cpp in its own.

    LIMA_DATA=DATA python benchmarks/generate.py --model MODEL --threads 1 --dtype float32 --answers 64 --llama-cpp PEERS/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn

from lima import model as models_io
from lima.generate.engine.decoding import Decoding, noise_key
from lima.generate.engine.engine import Engine
from lima.generate.engine.requests import Request
from lima.generate.prompts import PromptFormat
from lima.records import Message

LLAMA_CPP = Path(__file__).with_name("generate_llama_cpp.py")
SHORT_PROMPT, SHORT_ANSWER, LONG_ANSWER = 16, 48, 256


@dataclass(frozen=True)
class Work:
    """Prompts, the longest answer, and the tokens that end one."""

    prompts: list[list[int]]
    longest: int
    ends: frozenset[int] = frozenset()

    def useful(self, ids: list[int]) -> int:
        """Tokens of an answer up to its end."""
        return next((at + 1 for at, token in enumerate(ids) if token in self.ends), len(ids))


Way = Callable[[Work], int]
"""Does the work; returns the number of useful tokens."""


class Peers:
    """transformers' own ways on a model of their own."""

    def __init__(self, model: transformers.PreTrainedModel, batch: int) -> None:
        self.model, self.batch = model, batch

    def sampling(self, work: Work) -> dict[str, Any]:
        shared = {"do_sample": True, "top_p": 0.9, "top_k": 0, "temperature": 0.7, "repetition_penalty": 1.2}
        ends = sorted(work.ends) or None
        return {**shared, "max_new_tokens": work.longest, "eos_token_id": ends, "pad_token_id": 0}

    def generate(self, work: Work) -> int:
        """Left-padded batches of prompts sorted by length."""
        self.model.set_attn_implementation("sdpa")
        self.model.generation_config.eos_token_id = None  # else it would come in for a missing one
        waiting, made = sorted(work.prompts, key=len, reverse=True), 0
        for start in range(0, len(waiting), self.batch):
            chosen = waiting[start : start + self.batch]
            width = max(map(len, chosen))
            ids = torch.zeros(len(chosen), width, dtype=torch.long)
            mask = torch.zeros_like(ids)
            for row, prompt in enumerate(chosen):
                ids[row, width - len(prompt) :] = torch.tensor(prompt)
                mask[row, width - len(prompt) :] = 1
            out = self.model.generate(ids, attention_mask=mask, **self.sampling(work))
            made += sum(work.useful(row[width:].tolist()) for row in out)
        return made

    def generate_batch(self, work: Work) -> int:
        """The library's continuous batching."""
        config = transformers.GenerationConfig(
            **self.sampling(work) | {"eos_token_id": sorted(work.ends) or -1}
        )
        made: dict[str, int] = {}
        with self.model.continuous_batching_context_manager(generation_config=config) as manager:
            for number, prompt in enumerate(work.prompts):
                manager.add_request(prompt, request_id=str(number), max_new_tokens=work.longest)
            while len(made) < len(work.prompts):
                result = manager.get_result(timeout=300)
                assert result is not None, "the library's batching made nothing for five minutes"
                if result.is_finished():
                    made[result.request_id] = work.useful(result.generated_tokens)
        return sum(made.values())


class Ours:
    """The engine; it also keeps the rate of its decode steps alone."""

    def __init__(
        self,
        model: transformers.PreTrainedModel,
        tokenizer: transformers.PreTrainedTokenizerBase,
        slots: int,
        *,
        compiled: bool = False,
    ) -> None:
        self.engine = Engine(model, tokenizer, slots=slots, compiled=compiled)
        self.decoding = 0.0

    def __call__(self, work: Work) -> int:
        self.engine.reset()
        for number, prompt in enumerate(work.prompts):
            request = Request(
                str(number),
                tuple(prompt),
                work.longest,
                Decoding(),
                noise_key(0, str(number), 0),
                stop_ids=work.ends,
            )
            self.engine.submit(request)
        made, steps, seconds = 0, 0, 0.0
        while self.engine.busy:
            began, prefilled = time.process_time(), self.engine.prefilled
            step = self.engine.step()
            made += len(step)
            if self.engine.prefilled == prefilled:
                steps, seconds = steps + len(step), seconds + time.process_time() - began
        self.decoding = steps / seconds
        return made


def linear_layers(model: nn.Module, rows: int) -> Callable[[Work], int]:
    """One product of every linear layer, each with ``rows`` rows, as often as an answer has tokens."""
    linear = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    # layers that are packed together compute one product, whichever of them is called
    layers = list({id(getattr(layer, "_packed", layer)): layer for layer in linear}.values())
    dtype = next(model.parameters()).dtype
    inputs = {width: torch.randn(rows, width).to(dtype) for width in {layer.in_features for layer in layers}}

    @torch.inference_mode()
    def run(work: Work) -> int:
        for _ in range(10):
            for layer in layers:
                layer(inputs[layer.in_features])
        return 10 * rows

    return run


def llama_cpp(interpreter: str, model: transformers.PreTrainedModel, work: Work, slots: int) -> float:
    """The same work by llama.cpp, tokens a CPU second; refuses if its greedy continuation is not the model's."""
    kind = {torch.bfloat16: "bf16", torch.float32: "f32"}[model.dtype]
    job = {
        "prompts": work.prompts,
        "lengths": [work.longest] * len(work.prompts),
        "ends": sorted(work.ends),
        "one_stream": False,
        "config": model.config.to_dict(),
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        tensors = {k: v.float().numpy() for k, v in model.state_dict().items() if k != "lm_head.weight"}
        np.savez(folder / "weights.npz", **tensors)
        (folder / "work.json").write_text(json.dumps(job))
        command = [interpreter, str(LLAMA_CPP), str(folder), kind, str(slots), str(torch.get_num_threads())]
        environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
        run = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    check_greedy(model, work.prompts[0], found["greedy"])
    return float(found["made"] / found["cpu"])


@torch.inference_mode()
def check_greedy(model: transformers.PreTrainedModel, prompt: list[int], ids: list[int]) -> None:
    """Each of llama.cpp's greedy tokens is the model's, but for near ties."""
    logits = model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1].float()
    behind = logits.amax(1) - logits[torch.arange(len(ids)), torch.tensor(ids)]
    assert float(behind.max()) < 0.1 * float(logits.std()), (ids, behind)


def rate(way: Way, work: Work) -> float:
    """Tokens a CPU second."""
    began = time.process_time()
    made = way(work)
    return made / (time.process_time() - began)


def short(arguments: argparse.Namespace, prompts: list[list[int]], load: Callable[[], Any]) -> None:
    """All ways in turn on short answers, and the linear layers alone."""
    (stock, _), (packed, tokenizer) = load(), load()
    slots = arguments.slots[0]
    work = Work([prompt[:SHORT_PROMPT] for prompt in prompts[:slots]], SHORT_ANSWER)
    peers, ours = Peers(stock, slots), Ours(packed, tokenizer, slots)
    ways: dict[str, Way] = {
        "linear layers alone, stock": linear_layers(stock, slots),
        "linear layers alone, packed": linear_layers(packed, slots),
        "lima": ours,
        "transformers generate": peers.generate,
    }
    if arguments.continuous:
        ways["transformers generate_batch"] = peers.generate_batch
    found: dict[str, list[float]] = {name: [] for name in (*ways, "lima, decode steps")}
    warm = Work(work.prompts, 4)
    for way in ways.values():
        way(warm)
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            found[name].append(rate(way, work))
        found["lima, decode steps"].append(ours.decoding)
    tokens = sum(map(len, work.prompts))
    print(f"{slots} slots, {slots} prompts ({tokens} tokens), {SHORT_ANSWER} new tokens each:")
    show(found, "linear layers alone, packed", "linear layers alone, stock", "transformers generate")


def long(
    arguments: argparse.Namespace, prompts: list[list[int]], ends: frozenset[int], load: Callable[[], Any]
) -> None:
    """Whole answers, each way at its best."""
    (stock, _), (packed, tokenizer) = load(), load()
    every = max(1, len(prompts) // arguments.answers)
    work = Work(prompts[::every][: arguments.answers], LONG_ANSWER, ends)
    slots = max(arguments.slots)
    found: dict[str, list[float]] = {}
    print(f"{len(work.prompts)} whole answers of at most {LONG_ANSWER} tokens, {slots} slots:")
    if arguments.llama_cpp:
        found["llama.cpp"] = [llama_cpp(arguments.llama_cpp, stock, work, slots)]
        show(found)
    for batch in filter(None, arguments.batches):
        found[f"transformers generate, batch {batch}"] = [rate(Peers(stock, batch).generate, work)]
    if arguments.continuous:
        found["transformers generate_batch"] = [rate(Peers(stock, 0).generate_batch, work)]
    peers = tuple(found)
    for compiled in (False, True) if arguments.compiled else (False,):
        ours = Ours(packed, tokenizer, slots, compiled=compiled)
        ours(Work(work.prompts[:slots], 8))
        found["lima compiled" if compiled else "lima"] = [rate(ours, work)]
    show(found, *peers)


def show(found: dict[str, list[float]], *beside: str) -> None:
    """Rates, and those of lima as multiples of others (within rounds)."""
    for name, rates in found.items():
        line = f"  {name:36} {median(rates):7.1f} tokens a CPU second"
        if name.startswith("lima"):
            shares = (median(a / b for a, b in zip(rates, found[other], strict=True)) for other in beside)
            line += "; " + ", ".join(f"{x:.2f} x {other}" for x, other in zip(shares, beside, strict=True))
        print(line, flush=True)


def main(arguments: argparse.Namespace) -> None:
    """Both settings on one model."""
    transformers.logging.set_verbosity_error()
    load = lambda: models_io.load(arguments.model, arguments.dtype)  # noqa: E731
    model, tokenizer = load()  # type: ignore[no-untyped-call]
    form = PromptFormat.of(model, tokenizer)
    lines = (Path(os.environ["LIMA_DATA"]) / "lima" / "test.jsonl").read_text().splitlines()
    texts = [json.loads(line)["conversations"][0] for line in lines]
    prompts = [form.encode([Message(role="user", content=text)]) for text in texts]
    print(f"{arguments.model.name}, {arguments.dtype}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
          f"transformers {transformers.__version__}; prompts: {form.explanation}")  # fmt: skip
    del model
    if arguments.rounds:
        short(arguments, prompts, load)
    if arguments.answers:
        long(arguments, prompts, form.stop_ids, load)
