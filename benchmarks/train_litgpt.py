"""One run of LitGPT's full fine-tuning for ``benchmarks/train.py``, in LitGPT's own environment.

Its model, collate function, chunked loss, optimiser and Fabric, in the order of ``litgpt.finetune.full.fit``; each
micro-batch's loss is weighted by its tokens, which that function leaves out, so that all ways have one loss.

python benchmarks/train_litgpt.py WORK STEPS '{"precision": "bf16-mixed", "micro_batch": 1}'
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from litgpt.data.base import get_sft_collate_fn
from litgpt.model import GPT, Config
from litgpt.scripts.convert_hf_checkpoint import copy_weights_hf_llama
from litgpt.utils import chunked_cross_entropy, instantiate_torch_optimizer
from safetensors.torch import load_file


def main() -> None:
    work, steps, changes = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    rows = json.loads((work / "batch.json").read_text())
    micro_batch = changes["micro_batch"]
    fabric = lightning.Fabric(accelerator="cpu", devices=1, precision=changes["precision"])
    with fabric.init_module():
        model = GPT(config_of(json.loads((work / "model" / "config.json").read_text())))
    model.load_state_dict(weights_of(model.config, work / "model" / "model.safetensors"))
    model.max_seq_length = max(len(row["input_ids"]) for row in rows)
    model = fabric.setup(model)
    chosen = {
        "class_path": "torch.optim.AdamW",
        "init_args": {"lr": 1e-4, "betas": (0.9, 0.95), "weight_decay": 0.1},
    }
    optimizer = fabric.setup_optimizers(instantiate_torch_optimizer(chosen, model.parameters()))
    collate = get_sft_collate_fn(pad_id=0)
    supervised = sum(sum(label >= 0 for label in row["labels"][1:]) for row in rows)
    times, losses = [], []
    model.train()
    for _ in range(steps):
        began, total = time.process_time(), 0.0
        for start in range(0, len(rows), micro_batch):
            batch = collate([_tensors(row) for row in rows[start : start + micro_batch]])
            targets = batch["labels"][..., 1:]
            loss = chunked_cross_entropy(model(batch["input_ids"])[..., :-1, :], targets)
            loss = loss * int((targets >= 0).sum()) / supervised
            fabric.backward(loss)
            total += float(loss.detach())
        fabric.clip_gradients(model, optimizer, max_norm=1.0)
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.process_time() - began)
        losses.append(total)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"cpu": min(times[1:]), "loss": losses[0], "losses": losses, "peak": peak}))


def config_of(found: dict[str, Any]) -> Config:
    """LitGPT's config of the same LLaMA."""
    return Config(
        name="llama",
        block_size=found["max_position_embeddings"],
        vocab_size=found["vocab_size"],
        padded_vocab_size=found["vocab_size"],
        n_layer=found["num_hidden_layers"],
        n_head=found["num_attention_heads"],
        n_embd=found["hidden_size"],
        intermediate_size=found["intermediate_size"],
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
        norm_class_name="RMSNorm",
        norm_eps=found["rms_norm_eps"],
        mlp_class_name="LLaMAMLP",
    )


def weights_of(config: Config, path: Path) -> dict[str, torch.Tensor]:
    """The weights of a transformers folder under LitGPT's names."""
    weights: dict[str, torch.Tensor] = {}
    copy_weights_hf_llama(config, {}, weights, load_file(path))
    return weights


def _tensors(row: dict[str, list[int]]) -> dict[str, Any]:
    return {
        "input_ids": torch.tensor(row["input_ids"]),
        "labels": torch.tensor(row["labels"]),
        "token_counts": {"raw": len(row["labels"]), "raw_plus_prompt_template": len(row["labels"])},
    }


if __name__ == "__main__":
    main()
