"""Logits -> the next token: temperature, nucleus, top-k and repetition penalty (LIMA, section 4.1).

Pure functions on a batch of rows, each row with its own settings and its own random number. A row's token
depends on nothing but its own logits, settings and number, so that batching cannot change an answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from lima.errors import LimaError
from lima.files import text_hash

PREFIXES = (64, 512)
"""How many of the highest logits are sorted; rows whose nucleus is wider go on to the next, at last to all."""
COLDEST = 1e-3
"""Lower temperatures are greedy: a logit that is divided by less can leave the range of its type."""
MOST_TOP_K = 2**31 - 1
LEAST_PENALTY, MOST_PENALTY = 0.01, 100.0
"""Bounds of the repetition penalty, for the same reason."""


@dataclass(frozen=True)
class Decoding:
    """How one answer is sampled. The defaults are the paper's."""

    temperature: float = 0.7
    """0, or less than `COLDEST`, takes the likeliest token (greedy)."""
    top_p: float = 0.9
    top_k: int = 0
    """0 is no limit. The nucleus is taken within the top k, as in most libraries."""
    repetition_penalty: float = 1.2
    penalize_prompt: bool = False
    """Whether tokens of the prompt count as repeated too, as they do in most libraries."""

    def __post_init__(self) -> None:
        """Refuse what the engine, which many requests share, could not compute with."""
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise LimaError(f"temperature {self.temperature}: it is 0 or more.")
        if not 0 <= self.top_p <= 1:
            raise LimaError(f"top_p {self.top_p}: it is from 0 to 1.")
        if not 0 <= self.top_k <= MOST_TOP_K:
            raise LimaError(f"top_k {self.top_k}: it is from 0 to {MOST_TOP_K}.")
        if not LEAST_PENALTY <= self.repetition_penalty <= MOST_PENALTY:
            raise LimaError(
                f"repetition_penalty {self.repetition_penalty}: {LEAST_PENALTY} to {MOST_PENALTY}."
            )


PAPER = Decoding()


@dataclass(frozen=True)
class DecodingBatch:
    """The `Decoding` of each row of a batch as tensors of shape (B,)."""

    temperature: Tensor
    top_p: Tensor
    top_k: Tensor
    repetition_penalty: Tensor

    @classmethod
    def of(cls, rows: Sequence[Decoding], device: torch.device | None = None) -> Self:
        """Stack the settings of the rows."""
        return cls(
            temperature=torch.tensor([row.temperature for row in rows], device=device),
            top_p=torch.tensor([row.top_p for row in rows], dtype=torch.float64, device=device),
            top_k=torch.tensor([row.top_k for row in rows], device=device),
            repetition_penalty=torch.tensor([row.repetition_penalty for row in rows], device=device),
        )


def next_tokens(logits_BV: Tensor, uniform_B: Tensor, rows: DecodingBatch) -> Tensor:
    """The next token of each row, (B,): the likeliest where the temperature is 0, else a draw.

    Args:
        logits_BV: float32, already penalised.
        uniform_B: float64 numbers in [0, 1), one a row (`uniforms`).
        rows: the settings of each row.
    """
    greedy = rows.temperature < COLDEST
    if bool(greedy.all()):
        return logits_BV.argmax(-1)
    scaled = logits_BV / torch.where(greedy, 1.0, rows.temperature)[:, None]
    drawn = draw(scaled, uniform_B, rows.top_p, rows.top_k)
    return torch.where(greedy, logits_BV.argmax(-1), drawn) if bool(greedy.any()) else drawn


def penalize(logits_BV: Tensor, seen_BV: Tensor, penalty_B: Tensor) -> Tensor:
    """Make repeated tokens less likely: divide a positive logit by the penalty, multiply a negative one.

    Args:
        logits_BV: float32; changed in place and returned.
        seen_BV: bool, the tokens that count as repeated, however often they occurred.
        penalty_B: 1 changes nothing.

    Source: Keskar et al., CTRL (arXiv 1909.05858), in the form that libraries gave it for negative logits.
    """
    row, token = seen_BV.nonzero(as_tuple=True)
    logit, penalty = logits_BV[row, token], penalty_B[row]
    logits_BV[row, token] = torch.where(logit > 0, logit / penalty, logit * penalty)
    return logits_BV


def draw(logits_BV: Tensor, uniform_B: Tensor, top_p_B: Tensor, top_k_B: Tensor) -> Tensor:
    """Sample a token a row from its nucleus, by inversion of the cumulative distribution in falling order.

    The nucleus is the smallest set of likeliest tokens that holds at least ``top_p`` of the probability
    (Holtzman et al., arXiv 1904.09751), the token that crosses the line included. Exact, though in most
    rows only the top 64 logits are sorted: sorting all of them was a big cost of the library path.
    """
    log_total_B = logits_BV.logsumexp(-1)
    token_B = torch.zeros_like(log_total_B, dtype=torch.int64)
    vocabulary = logits_BV.shape[-1]
    rows = torch.arange(len(logits_BV), device=logits_BV.device)
    open_rows = [logits_BV, log_total_B, uniform_B, top_p_B, top_k_B]
    for width in (*(size for size in PREFIXES if size < vocabulary), vocabulary):
        found, settled = _draw_from_top(width, *open_rows)
        token_B[rows] = found
        if bool(settled.all()):
            break
        rows = rows[~settled]
        open_rows = [x[~settled] for x in open_rows]
    return token_B


def _draw_from_top(
    width: int, logits_BV: Tensor, log_total_B: Tensor, uniform_B: Tensor, top_p_B: Tensor, top_k_B: Tensor
) -> tuple[Tensor, Tensor]:
    """Tokens from the ``width`` likeliest ones, and whether that was enough to know them."""
    logit_BW, token_BW = logits_BV.topk(width)
    mass_BW = (logit_BW.double() - log_total_B.double()[:, None]).exp()
    rank_W = torch.arange(width, device=logits_BV.device)
    limited_B = top_k_B > 0
    mass_BW = mass_BW.masked_fill(limited_B[:, None] & (rank_W >= top_k_B[:, None]), 0.0)
    whole_B = torch.where(limited_B, mass_BW.sum(-1), 1.0)
    cumulative_BW = mass_BW.cumsum(-1)
    inside_BW = (cumulative_BW - mass_BW < (top_p_B * whole_B)[:, None]) & (mass_BW > 0)
    inside_BW[:, 0] = True  # top_p = 0 leaves the likeliest token

    unlimited_B = ~limited_B & (top_p_B >= 1)
    mass_inside_B = torch.where(unlimited_B, 1.0, (mass_BW * inside_BW).sum(-1))
    target_B = uniform_B * mass_inside_B
    index_B = (cumulative_BW <= target_B[:, None]).sum(-1).minimum(inside_BW.sum(-1) - 1)

    ends_here_B = torch.where(limited_B, top_k_B <= width, cumulative_BW[:, -1] >= top_p_B)
    settled_B = torch.where(unlimited_B, target_B < cumulative_BW[:, -1], ends_here_B)
    return token_BW.gather(-1, index_B[:, None]).squeeze(-1), settled_B | ~log_total_B.isfinite()


def noise_key(seed: int, prompt_id: str, sample: int) -> int:
    """The 128-bit key of one answer's random numbers."""
    return int(text_hash(str(seed), prompt_id, str(sample), length=32), 16)


def uniforms(key: int, count: int) -> np.ndarray:
    """``count`` numbers in [0, 1); the one at position t is used for the t-th generated token.

    Philox is counter-based: number t depends on the key and t alone, whatever else is generated when.
    """
    return np.random.Generator(np.random.Philox(key=key)).random(count)


def usable(logits_BV: Tensor) -> Tensor:
    """Which rows a token can be chosen from, (B,) bool: no NaN, no +inf, not all -inf."""
    return logits_BV.amax(-1).isfinite()
