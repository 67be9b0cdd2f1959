"""Which architectures can be tuned, with all weights or adapters, and be run: docs/models.md, from tiny random models.

Each model is made from the config class that transformers ships (two layers, 64 wide), tuned for two steps, saved, and
loaded by plain transformers, which must give the loss that training measured; then `lima generate` must give the tokens
that plain transformers gives greedily. What does not work must be refused in one line. Run by hand (`python -m tests.zoo`)
it writes the page; `make slow` holds the page to what the code does.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tests.conftest import byte_tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from lima import chat, console
from lima.errors import LimaError
from lima.files import read_jsonl, write_jsonl
from lima.generate.run import generate
from lima.generate.settings import GenerateSettings
from lima.records import Completion, Example, Message
from lima.train.metrics import Metrics
from lima.train.run import train
from lima.train.settings import TrainSettings

PAGE = Path(__file__).parent.parent / "docs" / "models.md"
HEAD = """# Models

What works with 47 architectures of transformers, each tried as a tiny random model (`tests/zoo.py` writes this page; `make slow`
checks it against the code). *Tuned* means that plain transformers finds in the saved model the loss that training measured. *Run*
means that `lima generate` and `lima serve` give the tokens that plain transformers decodes greedily. What does not work is refused in one
line before the first step; the numbers below the table are those lines. `lima doctor` checks a model of your own, and more.

Mixtures of experts can be tuned with all weights; adapters leave the experts as they are. Residual dropout, which is part of
the paper's recipe, works with the architectures in bold; the others need `--residual-dropout 0`.

Weights quantised by bitsandbytes (4 or 8 bits) are converted to floating point, rounding included, before tuning or running; GPTQ,
AWQ, compressed-tensors and other kinds are refused.

"""
COMMON = {
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": None,
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
DEEPSEEK = {
    "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "n_group": 1, "topk_group": 1,
    "first_k_dense_replace": 1, "q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16,
    "v_head_dim": 16, "num_key_value_heads": 4,
}  # fmt: skip
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": 8},
    "qwen2": {},
    "qwen3": {"head_dim": 16},
    "gemma": {"head_dim": 16},
    "gemma2": {"head_dim": 16},
    "gemma3_text": {"head_dim": 16, "sliding_window": 8},
    "phi": {},
    "phi3": {},
    "olmo": {},
    "olmo2": {},
    "olmo3": {"sliding_window": 8},
    "starcoder2": {},
    "smollm3": {},
    "stablelm": {},
    "cohere": {},
    "cohere2": {"sliding_window": 8},
    "granite": {"logits_scaling": 2.0},
    "glm": {"head_dim": 16},
    "glm4": {"head_dim": 16},
    "nemotron": {},
    "persimmon": {},
    "helium": {"head_dim": 16},
    "ernie4_5": {"head_dim": 16},
    "exaone4": {"sliding_window": 8},
    "seed_oss": {"head_dim": 16},
    "hunyuan_v1_dense": {"head_dim": 16},
    "arcee": {},
    "apertus": {},
    "gpt2": {},
    "gpt_neox": {},
    "gptj": {"rotary_dim": 8},
    "opt": {"ffn_dim": 96, "word_embed_proj_dim": 64, "pad_token_id": 1},
    "bloom": {},
    "falcon": {},
    "mixtral": {"num_local_experts": 4},
    "qwen2_moe": EXPERTS | {"shared_expert_intermediate_size": 32},
    "qwen3_moe": EXPERTS | {"head_dim": 16},
    "olmoe": EXPERTS,
    "granitemoe": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "deepseek_v3": DEEPSEEK,
    "glm4_moe": DEEPSEEK | {"head_dim": 16, "num_key_value_heads": 2},
    "gpt_oss": {"num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 16, "sliding_window": 8},
    "llama4_text": {"num_local_experts": 2, "head_dim": 16, "intermediate_size_mlp": 96},
    "qwen3_next": EXPERTS | {"head_dim": 16, "shared_expert_intermediate_size": 32, "linear_num_value_heads": 4,
                             "linear_num_key_heads": 2, "linear_key_head_dim": 16, "linear_value_head_dim": 16},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "mamba": {"state_size": 8},
}  # fmt: skip
BLIND = ("hidden_size", "num_attention_heads", "num_hidden_layers")
"""What GPT-2 and its kin call otherwise; transformers takes these names too."""


@dataclass(frozen=True)
class Outcome:
    """What one architecture allows: "yes", or why not."""

    whole: str
    adapters: str
    run: str


def make(name: str, folder: Path) -> None:
    """Write a random model of the architecture with a byte tokenizer."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = AutoConfig.for_model(name, **COMMON | ARCHITECTURES[name])
        model = AutoModelForCausalLM.from_config(config)
        for (
            parameter
        ) in model.parameters():  # biases and norms start as 0 and 1, which hides mistakes in them
            torch.nn.init.normal_(
                parameter, 1.0 if parameter.ndim == 1 else 0.0, 0.1
            ) if parameter.ndim < 3 else None
        model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)


def outcome(name: str, folder: Path) -> Outcome:
    """Put one architecture through everything, within a folder."""
    base, data = folder / "base", folder / "data.jsonl"
    make(name, base)
    write_jsonl(data, EXAMPLES)
    whole = attempt(lambda: tune(base, data, folder / "whole"))
    adapters = attempt(lambda: tune(base, data, folder / "adapters", lora_rank=4, lora_dropout=0.05))
    tuned = next(
        (
            folder / run / "epoch-01"
            for run, said in (("whole", whole), ("adapters", adapters))
            if said == "yes"
        ),
        base,
    )
    return Outcome(whole, adapters, attempt(lambda: run(tuned, data, folder / "answers.jsonl")))


def attempt(work: Callable[[], None]) -> str:
    """The word yes, or the line that refuses; any other error is one."""
    try:
        with console.part_of_a_whole():
            work()
    except LimaError as error:
        return str(error)
    return "yes"


def tune(base: Path, data: Path, out: Path, **changes: Any) -> None:
    """Two steps; plain transformers must find the loss that training measured, in what was saved."""
    settings: Mapping[str, Any] = {
        "batch_size": 2,
        "epochs": 1,
        "learning_rate": 1e-3,
        "final_learning_rate": 1e-3,
    }
    train(
        TrainSettings(
            model=str(base), data=data, dev=data, out=out, residual_dropout=0.0, max_length=64, precision="float32",
            device="cpu", **settings, **changes,
        )
    )  # fmt: skip
    (measured,) = [
        row.dev_nll for row in read_jsonl(out / "metrics.jsonl", Metrics) if row.dev_nll is not None
    ]
    found = plain_loss(out / "epoch-01")
    assert abs(found - measured) <= 2e-5 * measured, (base, found, measured)


@torch.no_grad()
def plain_loss(folder: Path) -> float:
    """The loss of a saved model a supervised token, without any code of ours but the labels."""
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
    )
    total = count = 0.0
    for example in EXAMPLES:
        tokens = chat.encode_example(tokenizer, example.messages)
        logits = model(input_ids=torch.tensor([tokens.ids]), use_cache=False).logits[0, :-1].double()
        labels = torch.tensor(tokens.labels[1:])
        total += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
        count += tokens.supervised
    return total / count


def run(model: Path, data: Path, out: Path) -> None:
    """The tokens of `lima generate` are the greedy ones of plain transformers."""
    generate(
        GenerateSettings(
            system=str(model), prompts=data, out=out, greedy=True, repetition_penalty=1.0, max_new_tokens=8
        )
    )
    plain, tokenizer = (
        AutoModelForCausalLM.from_pretrained(model).eval(),
        AutoTokenizer.from_pretrained(model),
    )
    for example, found in zip(EXAMPLES, read_jsonl(out, Completion), strict=True):
        encode = chat.encode_prompt if chat.eot_id(tokenizer) is not None else plain_prompt
        ids = torch.tensor([encode(tokenizer, example.prompt)])
        wanted = plain.generate(ids, do_sample=False, max_new_tokens=8, attention_mask=torch.ones_like(ids))[
            0, ids.shape[1] :
        ]
        assert found.content == chat.decode_answer(tokenizer, wanted.tolist()), (model, found.content)


def plain_prompt(tokenizer: Any, messages: Any) -> list[int]:
    """How a base is prompted."""
    return chat.encode_plain(tokenizer, "\n\n".join(message.content for message in messages))


def _example(number: int) -> Example:
    texts = (("user", f"What is {number} + {number}?"), ("assistant", f"It is {2 * number}."))
    return Example(
        id=f"z/{number}",
        source="zoo",
        messages=tuple(Message.model_validate({"role": r, "content": c}) for r, c in texts),
    )


EXAMPLES = [_example(number) for number in range(4)]


def page(found: Mapping[str, Outcome]) -> str:
    """The text of docs/models.md."""
    from lima.train.dropout import SUBLAYERS

    notes: list[str] = []

    def cell(said: str) -> str:
        if said == "yes":
            return said
        said = re.sub(r"model type '\w+'|\b\w+(Attention|ForCausalLM)\b", "it", said)
        said = re.sub(
            r"(?:(?<= of )|(?<= has ))[\d.]+\d", "x", said
        )  # losses, whose last digits depend on the machine
        if said not in notes:
            notes.append(said)
        return f"no ({notes.index(said) + 1})"

    rows = []
    for name, one in found.items():
        shown = f"**`{name}`**" if name in SUBLAYERS else f"`{name}`"
        rows.append(f"| {shown} | {cell(one.whole)} | {cell(one.adapters)} | {cell(one.run)} |")
    head = ["| architecture | tuned, all weights | tuned, adapters | run |", "|---|---|---|---|"]
    return HEAD + "\n".join([*head, *rows, "", *(f"{i}. {said}" for i, said in enumerate(notes, 1)), ""])


def main() -> None:
    """Write the page, or print the outcome of the architectures that are named."""
    names = sys.argv[1:] or list(ARCHITECTURES)
    found = {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = outcome(name, Path(folder))
        print(name, found[name], flush=True)
    if not sys.argv[1:]:
        PAGE.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
