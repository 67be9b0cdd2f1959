"""Logits -> the next token: temperature, nucleus, top-k and repetition penalty (LIMA, section 4.1).

Pure functions on a batch of rows, each row with its own settings and its own random number. A row's token
depends on nothing but its own logits, settings and number, so that batching cannot change an answer.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from lima.errors import LimaError
from lima.files import text_hash
from lima.model import sent

PREFIXES = (64, 512, 4096)
"""How many of the highest logits are sorted; rows whose nucleus is wider go on to the next, at last to all."""
BLOCK = 64
"""Neighbouring logits of which only the highest is looked at first."""
PART = 2**18
"""Logits that are exponentiated at once on a CPU: a megabyte."""
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

    greedy: Tensor
    temperature: Tensor
    """1 for greedy rows."""
    top_p: Tensor
    top_k: Tensor
    any_greedy: bool
    """Known on the host: to ask a GPU for it would be to wait for it."""
    all_greedy: bool

    @classmethod
    def of(cls, rows: Sequence[Decoding], device: torch.device | None = None) -> Self:
        """Stack the settings of the rows."""
        greedy = [row.temperature < COLDEST for row in rows]
        return cls(
            greedy=torch.tensor(greedy, device=device),
            temperature=torch.tensor(
                [1.0 if cold else row.temperature for row, cold in zip(rows, greedy, strict=True)],
                device=device,
            ),
            top_p=torch.tensor([row.top_p for row in rows], dtype=torch.float64, device=device),
            top_k=torch.tensor([row.top_k for row in rows], device=device),
            any_greedy=any(greedy),
            all_greedy=all(greedy),
        )

    def take(self, chosen: list[int]) -> Self:
        """The settings of some of the rows."""
        return replace(
            self,
            greedy=self.greedy[chosen],
            temperature=self.temperature[chosen],
            top_p=self.top_p[chosen],
            top_k=self.top_k[chosen],
        )


def next_tokens(logits_BV: Tensor, uniform_B: Tensor, rows: DecodingBatch) -> tuple[list[int], list[bool]]:
    """The next token of each row, the likeliest where the temperature is 0, else a draw; and whether there is one.

    A row with NaN, +inf or nothing but -inf has none. The draw inverts the cumulative distribution of the nucleus
    in falling order; the nucleus is the smallest set of likeliest tokens that holds at least ``top_p`` of the
    probability (Holtzman et al., arXiv 1904.09751), the token that crosses the line included.

    One copy to the host brings everything: on a GPU each further one would wait for the whole step again. Only
    rows whose nucleus is wider than the first prefix of sorted logits need more.

    Args:
        logits_BV: float32, already penalised.
        uniform_B: float64 numbers in [0, 1), one a row (`uniforms`).
        rows: the settings of each row.
    """
    if rows.all_greedy:
        likeliest_B = logits_BV.argmax(-1)
        best_B = logits_BV.gather(-1, likeliest_B[:, None])[:, 0]
        token, usable = torch.stack((likeliest_B, best_B.isfinite().long())).tolist()
        return token, [bool(fine) for fine in usable]
    log_total_B = _log_total(logits_BV, rows.temperature)
    token_B, settled_B, usable_B = _draw_from_top(PREFIXES[0], logits_BV, log_total_B, uniform_B, rows)
    token, settled, usable = torch.stack((token_B, settled_B.long(), usable_B.long())).tolist()
    wide = [row for row, fine in enumerate(settled) if not fine]
    for width in (*PREFIXES[1:], logits_BV.shape[-1]):
        if not wide:
            break
        chosen = (logits_BV[wide], log_total_B[wide], uniform_B[wide], rows.take(wide))
        token_W, settled_W, _ = _draw_from_top(width, *chosen)
        for row, found in zip(wide, token_W.tolist(), strict=True):
            token[row] = found
        wide = [row for row, fine in zip(wide, settled_W.tolist(), strict=True) if not fine]
    return token, [bool(fine) for fine in usable]


def penalize(
    logits_BV: Tensor, repeated: Sequence[Sequence[int] | array[int]], penalties: Sequence[float]
) -> Tensor:
    """Make repeated tokens less likely: divide a positive logit by the penalty, multiply a negative one.

    Args:
        logits_BV: float32; changed in place and returned.
        repeated: the tokens of each row that count as repeated; how often they occur does not matter.
        penalties: one a row; 1 changes nothing.

    Source: Keskar et al., CTRL (arXiv 1909.05858), in the form that libraries gave it for negative logits.
    """
    rows = [row for row, ids in enumerate(repeated) if len(ids) and penalties[row] != 1]
    if not rows:
        return logits_BV
    # Only these logits are touched: a mask of batch x vocabulary would be read whole at every step. Short rows are
    # filled up with a token of their own: to write the same value twice does no harm.
    ids = np.empty((len(rows), max(len(repeated[row]) for row in rows)), dtype=np.int64)
    for line, row in zip(ids, rows, strict=True):
        size = len(repeated[row])
        line[:size] = repeated[row]
        line[size:] = line[0]
    device = logits_BV.device
    row_R1 = sent(torch.tensor(rows), device)[:, None]
    penalty_R1 = sent(torch.tensor([penalties[row] for row in rows]), device)[:, None]
    id_RT = sent(torch.from_numpy(ids), device)
    logit_RT = logits_BV[row_R1, id_RT]
    logits_BV[row_R1, id_RT] = torch.where(logit_RT > 0, logit_RT / penalty_R1, logit_RT * penalty_R1)
    return logits_BV


def top_logits(logits_BV: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The ``width`` highest logits of each row and their tokens, as `torch.topk` finds them.

    On a CPU its selection takes longer than all the rest of sampling at a quarter million words. The highest
    ``width`` logits lie within the ``width`` blocks whose own highest logits are highest: one fast pass finds
    the blocks, and the selection looks at those alone.
    """
    vocabulary = logits_BV.shape[-1]
    whole = vocabulary // BLOCK
    if whole < 4 * width:
        top = logits_BV.topk(min(width, vocabulary))
        return top.values, top.indices
    highest_Bb = logits_BV[:, : whole * BLOCK].unflatten(-1, (whole, BLOCK)).amax(-1)
    first_BW1 = highest_Bb.topk(width, sorted=False).indices[:, :, None] * BLOCK
    inside_BC = (first_BW1 + torch.arange(BLOCK, device=logits_BV.device)).flatten(1)
    tail_BT = torch.arange(whole * BLOCK, vocabulary, device=logits_BV.device).expand(len(logits_BV), -1)
    token_BC = torch.cat((inside_BC, tail_BT), -1)
    top = logits_BV.gather(-1, token_BC).topk(width)
    return top.values, token_BC.gather(-1, top.indices)


def _log_total(logits_BV: Tensor, temperature_B: Tensor) -> Tensor:
    """The logarithm of each row's sum of exponentials, (B,).

    On a CPU in parts that stay in the processor's cache: the intermediate results of a whole batch are tens of megabytes,
    which the allocator fetches from the system and gives back at every step.
    """
    if logits_BV.is_cuda:
        return (logits_BV / temperature_B[:, None]).logsumexp(-1)
    rows = max(1, PART // logits_BV.shape[-1])
    buffer_RV = torch.empty_like(logits_BV[:rows])
    found = []
    for part_RV, warmth_R in zip(logits_BV.split(rows), temperature_B.split(rows), strict=True):
        scaled_RV = torch.div(part_RV, warmth_R[:, None], out=buffer_RV[: len(part_RV)])
        top_R = scaled_RV.amax(-1)
        # torch's softmax makes two passes of what would be four; the likeliest token has exp(0) / total
        found.append(top_R - torch.softmax(scaled_RV, -1, out=scaled_RV).amax(-1).log())
    return torch.cat(found)


def _draw_from_top(
    width: int, logits_BV: Tensor, log_total_B: Tensor, uniform_B: Tensor, rows: DecodingBatch
) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens from the ``width`` likeliest ones, whether that was enough to know them, and whether there are any."""
    logit_BW, token_BW = top_logits(logits_BV, width)
    usable_B = logit_BW[:, 0].isfinite()
    scaled_BW = logit_BW / rows.temperature[:, None]
    mass_BW = (scaled_BW.double() - log_total_B.double()[:, None]).exp()
    rank_W = torch.arange(logit_BW.shape[-1], device=logits_BV.device)
    limited_B = rows.top_k > 0
    mass_BW = mass_BW.masked_fill(limited_B[:, None] & (rank_W >= rows.top_k[:, None]), 0.0)
    whole_B = torch.where(limited_B, mass_BW.sum(-1), 1.0)
    cumulative_BW = mass_BW.cumsum(-1)
    inside_BW = (cumulative_BW - mass_BW < (rows.top_p * whole_B)[:, None]) & (mass_BW > 0)
    inside_BW[:, 0] = True  # top_p = 0 leaves the likeliest token

    unlimited_B = ~limited_B & (rows.top_p >= 1)
    mass_inside_B = torch.where(unlimited_B, 1.0, (mass_BW * inside_BW).sum(-1))
    target_B = uniform_B * mass_inside_B
    index_B = (cumulative_BW <= target_B[:, None]).sum(-1).minimum(inside_BW.sum(-1) - 1)
    drawn_B = token_BW.gather(-1, index_B[:, None]).squeeze(-1)

    ends_here_B = torch.where(limited_B, rows.top_k <= width, cumulative_BW[:, -1] >= rows.top_p)
    settled_B = torch.where(unlimited_B, target_B < cumulative_BW[:, -1], ends_here_B) | ~usable_B
    if rows.any_greedy:
        drawn_B = torch.where(rows.greedy, logits_BV.argmax(-1), drawn_B)
        settled_B |= rows.greedy
    return drawn_B, settled_B, usable_B


def noise_key(seed: int, prompt_id: str, sample: int) -> int:
    """The 128-bit key of one answer's random numbers."""
    return int(text_hash(str(seed), prompt_id, str(sample), length=32), 16)


def uniforms(key: int, count: int) -> np.ndarray:
    """``count`` numbers in [0, 1); the one at position t is used for the t-th generated token.

    Philox is counter-based: number t depends on the key and t alone, whatever else is generated when.
    """
    return np.random.Generator(np.random.Philox(key=key)).random(count)
