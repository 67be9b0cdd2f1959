"""AdamW with decay on matrices only, and the learning rate of every step (LIMA, section 3)."""

from __future__ import annotations

import math

import torch

from lima.train.settings import FitSettings


def adamw(model: torch.nn.Module, settings: FitSettings) -> torch.optim.AdamW:
    """AdamW over the trainable parameters; vectors (norms, biases) are not decayed."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.eps,
        fused=not any(p.is_meta for p in trainable),  # a plan on meta tensors has no kernel
    )


def learning_rate_at(step: int, steps: int, settings: FitSettings) -> float:
    """The learning rate of step ``step`` of ``steps``, counted from 0.

    After the warm-up it starts at ``learning_rate`` and reaches ``final_learning_rate`` at the last step.
    """
    warmup = settings.warmup(steps)
    if step < warmup:
        return settings.learning_rate * (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, steps - 1 - warmup)
    fall = progress if settings.schedule == "linear" else (1 - math.cos(math.pi * progress)) / 2
    return settings.learning_rate + fall * (settings.final_learning_rate - settings.learning_rate)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give all parameter groups this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
