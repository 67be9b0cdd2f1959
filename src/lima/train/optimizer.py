"""AdamW with decay on matrices only, in float32 or in 8 bytes a weight, and the learning rate of every step (LIMA, section 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from lima.train.settings import FitSettings

SLICE = 2**18
"""Weights that a step in little memory works on at a time: 1 MiB in float32, which stays in a CPU's cache."""
SLICE_ON_DEVICE = 2**24
"""The same on CUDA, which must have enough to do for the dozen kernels that each slice starts."""


def adamw(model: torch.nn.Module, settings: FitSettings) -> torch.optim.Optimizer:
    """AdamW over the trainable parameters; vectors (norms, biases) are not decayed. Weights in bfloat16 take `CompensatedAdamW`."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    filled = [group for group in groups if group["params"]]
    values: dict[str, Any] = {
        "lr": settings.learning_rate,
        "betas": (settings.beta1, settings.beta2),
        "eps": settings.eps,
    }
    if any(p.dtype == torch.bfloat16 for p in trainable):
        return CompensatedAdamW(filled, values)
    # a plan on meta tensors has no kernel
    return torch.optim.AdamW(filled, fused=not any(p.is_meta for p in trainable), **values)


class CompensatedAdamW(torch.optim.Optimizer):
    """AdamW on weights in bfloat16 that loses no update: 8 bytes a weight, 10 with its gradient, where float32 takes 16.

    A weight near 0.1 has neighbours 0.0005 away in bfloat16, so that steps of 1e-5 would leave it where it is. The 16 bits
    of the float32 number that bfloat16 cuts off are kept beside it (``remainder``): together they are that number, bit by bit,
    and what the model computes with is its rounding, as under autocast. The moments are rounded to bfloat16, which is why
    ``beta2`` must not be near 1 (`FitSettings`). Parameters in float32 keep float32 moments.

    Source: Zamirai et al., Revisiting BFloat16 Training (arXiv 2010.06192), whose compensation this makes exact.
    """

    def __init__(self, groups: Sequence[dict[str, Any]], values: dict[str, Any]) -> None:
        super().__init__(groups, values)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step, a slice of weights at a time, so that nothing in float32 has the size of a matrix."""
        assert closure is None, "a step takes the gradients that are there"
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step(parameter, group)

    def _step(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), device=parameter.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
            if parameter.dtype == torch.bfloat16:
                state["remainder"] = torch.zeros_like(parameter, dtype=torch.int16)
        state["step"] += 1
        names = ("exp_avg", "exp_avg_sq", "remainder")
        size = SLICE if parameter.is_cpu else SLICE_ON_DEVICE
        held = [state[name].view(-1).split(size) for name in names if name in state]
        weights, slopes = parameter.view(-1).split(size), parameter.grad.reshape(-1).split(size)  # type: ignore[union-attr]
        for weight, slope, mean, square, *remainder in zip(weights, slopes, *held, strict=True):
            whole = joined(weight, remainder[0]) if remainder else weight
            whole.mul_(1 - group["lr"] * group["weight_decay"])
            whole.sub_(_direction(slope.float(), mean, square, state["step"], group).mul_(group["lr"]))
            if remainder:
                part(whole, weight, remainder[0])


def _direction(
    slope: torch.Tensor,
    mean: torch.Tensor,
    square: torch.Tensor,
    step: torch.Tensor,
    group: dict[str, Any],
) -> torch.Tensor:
    """Adam's step at a rate of 1; the moments go on, rounded to their type."""
    beta1, beta2 = group["betas"]
    first = mean.float().lerp_(slope, 1 - beta1)
    second = square.float().mul_(beta2).addcmul_(slope, slope, value=1 - beta2)
    mean.copy_(first)
    square.copy_(second)
    root = (second / (1 - beta2**step)).sqrt_().add_(group["eps"])
    direction: torch.Tensor = (first / (1 - beta1**step)).div_(root)
    return direction


def joined(weight: torch.Tensor, remainder: torch.Tensor) -> torch.Tensor:
    """The float32 numbers of which ``weight`` (bfloat16) is the rounding and ``remainder`` (int16) the rest."""
    bits: torch.Tensor = (weight.view(torch.int16).int() << 16) + remainder
    return bits.view(torch.float32)


def part(whole: torch.Tensor, weight: torch.Tensor, remainder: torch.Tensor) -> None:
    """Write float32 numbers into both halves; the lower one is signed, so that the upper one is rounded, not cut off."""
    bits = whole.view(torch.int32)
    remainder.copy_(bits)  # its lower 16 bits
    weight.view(torch.int16).copy_((bits - remainder) >> 16)


def clip(parameters: Sequence[torch.Tensor], norm: float) -> torch.Tensor:
    """Scale the gradients down to this norm; return the norm that they had."""
    slopes = [p.grad for p in parameters if p.grad is not None]
    if not any(slope.dtype == torch.bfloat16 for slope in slopes):
        return torch.nn.utils.clip_grad_norm_(parameters, norm)
    # torch would round each matrix's norm to bfloat16
    norms = torch.stack([torch.linalg.vector_norm(x, dtype=torch.float32) for x in slopes])
    total: torch.Tensor = torch.linalg.vector_norm(norms)
    torch.nn.utils.clip_grads_with_norm_(parameters, norm, total)
    return total


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
