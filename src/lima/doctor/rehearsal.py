"""Training, saving and serving rehearsed on the first two layers of a base: what would fail after hours fails in seconds.

A model of any size fits, for of the other layers names, shapes and numbers are read, one tensor at a time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lima import model as models
from lima import weights
from lima.chat import Tokens, stop_id
from lima.errors import LimaError
from lima.generate.prompts import PromptFormat
from lima.train.adapters import add_adapters, merged_weights
from lima.train.attention import inside_documents
from lima.train.dropout import SUBLAYERS
from lima.train.invariants import training_path
from lima.train.loop import gradients
from lima.train.precision import resolve
from lima.train.settings import PAPER_WIDTH, FitSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LAYERS = 2
RANK = 4
SAME = 1e-3
"""Relative difference of logits that is rounding."""
ROUNDED = 0.05
"""The same where weights are stored in halves: the new row of the stop token is rounded, the others were before."""
LONGEST = 64
"""Tokens of the row that is run."""


def known_dropout(model: PreTrainedModel) -> bool:
    """Whether the paper's residual dropout knows where this architecture adds to its residual stream."""
    return model.config.model_type in SUBLAYERS


def narrow(model: PreTrainedModel) -> bool:
    """Whether the base is narrower than the paper's models, for which its residual dropout is made."""
    return int(model.config.get_text_config().hidden_size) < PAPER_WIDTH


def rehearse(
    place: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, encoded: Sequence[Tokens]
) -> list[tuple[str, str]]:
    """What was done, and what came out, in rows for a table.

    Args:
        place: the base, whose tensors are all looked at.
        model: its first `LAYERS` layers, ready to be tuned; its weights are changed.
        tokenizer: ready likewise.
        encoded: the data; the shortest row is run.

    Raises:
        LimaError: something would fail in training.
    """
    tensors = models.check_tensors(place)
    kinds = weights.stored_kinds(place)
    method = weights.refuse_quantised(place, models.read_config(place))
    rows = [
        ("tensors", f"{tensors:,}, each in its place" + (", all numbers finite" if kinds else "")),
        ("stored as", f"{', '.join(kinds) or 'unknown'}; saved as {_name(models.stored_dtype(place))}"),
        ("quantised", method or "no"),
        ("arithmetic", f"{resolve(model, 'auto')} on {model.device}"),
        ("residual dropout", _residual_dropout(model)),
        ("dropout of its own", _own_dropout(model)),
        ("once tuned", PromptFormat.of(model, tokenizer).ending),
    ]
    usable = [tokens for tokens in encoded if tokens.supervised]
    if not usable:
        return rows
    shortest = min(usable, key=lambda tokens: len(tokens.ids))
    ids = torch.tensor([shortest.ids[:LONGEST]], device=model.device)
    rows.append(("one step", _step(model, shortest)))
    again = _save_and_load(place, model, tokenizer, ids)
    rows.append(("saved and loaded again", "gives the same logits"))
    rows.append(("adapters", _adapters(again, model, tokenizer, ids)))
    return rows


def _residual_dropout(model: PreTrainedModel) -> str:
    if not known_dropout(model):
        return "unknown form: --residual-dropout 0"
    return (
        f"known form; narrower than {PAPER_WIDTH:,}: --residual-dropout 0" if narrow(model) else "known form"
    )


def _own_dropout(model: PreTrainedModel) -> str:
    """The dropout rates of the base's own config; training applies them on top of ``residual_dropout``."""
    settings = model.config.get_text_config().to_dict().items()
    elsewhere = ("classifier", "summary")  # heads that a language model lacks
    found = [
        f"{name} {value:g}"
        for name, value in settings
        if ("dropout" in name or "pdrop" in name)
        and not name.startswith(elsewhere)
        and isinstance(value, float)
        and value
    ]
    return f"{', '.join(found)} of config.json: on in training" if found else "none"


def _step(model: PreTrainedModel, row: Tokens) -> str:
    """Forward and backward, as training runs them."""
    with inside_documents(model), training_path(model):
        loss = float(gradients(model, [row], FitSettings(residual_dropout=0.0), 1)[0])
        norm = float(
            torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
        )
    model.zero_grad()
    if not 0 < norm < float("inf"):
        raise LimaError(
            f"{row.id}: a step on this row has a gradient of norm {norm}, at a loss of {loss:.3g}."
        )
    return f"{len(row.ids)} tokens, loss {loss:.2f}, gradient {norm:.2f}"


def _save_and_load(
    place: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, ids: torch.Tensor
) -> PreTrainedModel:
    with tempfile.TemporaryDirectory() as folder:
        saved, dtype = Path(folder) / "saved", models.stored_dtype(place)
        models.save(model, tokenizer, saved, dtype=dtype)
        again, words = models.load(saved, device=model.device)
    if words.get_vocab() != tokenizer.get_vocab() or words.chat_template != tokenizer.chat_template:
        raise LimaError(f"{place}: the tokenizer is another one once it is saved and loaded again.")
    difference = _difference(model, again, ids)
    if not difference <= (SAME if dtype == torch.float32 else ROUNDED):
        raise LimaError(
            f"{place}: logits differ by {difference:.0%} once the model is saved and loaded again."
        )
    return again


def _adapters(
    adapted: PreTrainedModel, plain: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, ids: torch.Tensor
) -> str:
    """Adapters as --lora-rank would train them, merged; a refusal of theirs is no fault of training all weights."""
    try:
        add_adapters(adapted, stop_id(tokenizer), rank=RANK, alpha=RANK, dropout=0.0, seed=0)
    except LimaError as error:
        return str(error)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:  # zero until it is trained, so that merging would show nothing
                parameter.fill_(1e-3)
    plain.load_state_dict(merged_weights(adapted), strict=False)
    plain.tie_weights()
    difference = _difference(adapted, plain, ids)
    if not difference <= SAME:
        return f"merged, they give logits {difference:.0%} off: train all weights"
    return "attached and merged, give the same logits"


@torch.no_grad()
def _difference(one: PreTrainedModel, other: PreTrainedModel, ids: torch.Tensor) -> float:
    """Relative difference of the logits of two models."""
    a, b = (model(input_ids=ids, use_cache=False).logits.float() for model in (one, other))
    return float((a - b).norm() / a.norm())


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
