"""Which models the engine can run: those whose layers read a flat batch of many texts as each text alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lima.errors import LimaError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PROBE_LENGTHS = (7, 5)
PROBE_ERROR = (0.1, 1e-3)
"""Relative difference of logits that is rounding: in half precision, in float32."""
ELSEWHERE = "Serve it with another engine and give its address as URL#model."


def refuse_other_layers(model: PreTrainedModel) -> None:
    """Recurrent layers would read the flat batch as one sequence; attention in chunks has another mask.

    Raises:
        LimaError: the model has such layers.
    """
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}
    chunk = getattr(config, "attention_chunk_size", None)
    if kinds or chunk:
        found = ", ".join(sorted(kinds)) or f"attention in chunks of {chunk}"
        raise LimaError(
            f"{type(model).__name__} has layers that the engine cannot run ({found}). {ELSEWHERE}"
        )


def probes(model: PreTrainedModel) -> list[tuple[int, ...]]:
    """Prompts on which the engine is compared with the stock model."""
    vocabulary = model.get_input_embeddings().weight.shape[0]
    return [
        tuple((3 + 7 * place + length) % vocabulary for place in range(length)) for length in PROBE_LENGTHS
    ]


@torch.inference_mode()
def plain_logits(model: PreTrainedModel, prompt: tuple[int, ...]) -> Tensor:
    """The logits of the last token, as the stock model computes them; float32, (V,)."""
    ids = torch.tensor([prompt], device=next(model.parameters()).device)
    logits: Tensor = model.eval()(input_ids=ids, use_cache=False).logits[0, -1].float()
    return logits
