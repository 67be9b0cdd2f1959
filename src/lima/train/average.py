"""The mean of the last checkpoints of a run, which is often better than any one of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open


def average_weights(folders: Sequence[Path]) -> dict[str, torch.Tensor]:
    """The mean, tensor by tensor, of the weights in Hugging Face folders of one architecture.

    Sums are in float64, so that the order of folders does not matter; one folder's tensor is read at a time.
    """
    totals: dict[str, torch.Tensor] = {}
    dtypes: dict[str, torch.dtype] = {}
    for folder in folders:
        for shard in sorted(folder.glob("*.safetensors")):
            with safe_open(shard, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 (the file is no mapping)
                    tensor = file.get_tensor(name)
                    dtypes[name] = tensor.dtype
                    totals[name] = tensor.double() + totals.get(name, 0.0)
    return {name: (total / len(folders)).to(dtypes[name]) for name, total in totals.items()}
