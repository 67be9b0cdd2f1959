"""How likely a text is under the model, token by token: for ``echo`` of ``/v1/completions``."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lima.generate.engine.attention import BatchLayout, Span, by_sdpa
from lima.generate.engine.engine import Engine
from lima.generate.engine.requests import LogProbs
from lima.generate.engine.slots import SlotCache

CHUNK = 256
"""Tokens of one pass: it bounds the memory of the logits, (256, V) float32."""


@torch.inference_mode()
def prompt_logprobs(engine: Engine, prompt: Sequence[int], top: int) -> list[LogProbs]:
    """Log-probabilities of every token of ``prompt`` but the first, each given all before it.

    Args:
        engine: its running requests are not touched.
        prompt: token ids.
        top: how many likeliest tokens to name at each place.
    """
    device, cache = engine.model.device, SlotCache(1)
    found = []
    for start in range(0, len(prompt) - 1, CHUNK):
        ids, following = prompt[start : start + CHUNK], prompt[start + 1 : start + CHUNK + 1]
        layout = BatchLayout.of(cache, (Span(0, start, len(ids), 0),), device, by_sdpa)
        logits_1TV = engine.model(
            input_ids=torch.tensor([ids], device=device),
            position_ids=layout.position_T[None],
            use_cache=False,
            layout=layout,
        ).logits
        logprob_TV = logits_1TV[0, : len(following)].float().log_softmax(-1)
        chosen_T = logprob_TV.gather(-1, torch.tensor(following, device=device)[:, None])[:, 0]
        values_Tk, ids_Tk = logprob_TV.topk(top)
        for chosen, tokens, values in zip(
            chosen_T.tolist(), ids_Tk.tolist(), values_Tk.tolist(), strict=True
        ):
            found.append(LogProbs(chosen, tuple(zip(tokens, values, strict=True))))
    return found
