"""Low-rank adapters (LoRA, arXiv 2106.09685) on all linear layers, with a trainable EOT row.

The model is changed in place, so that the training loop sees an ordinary model with few trainable weights; what
is saved is an ordinary model again, with the adapters merged into its weights.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers.pytorch_utils import Conv1D

from lima.errors import LimaError
from lima.extras import install
from lima.files import text_hash
from lima.train.four_bit import whole_weight
from lima.train.parallel import gathered, whole

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ADAPTER = "default"


def add_adapters(
    model: PreTrainedModel, eot: int, *, rank: int, alpha: float, dropout: float, seed: int
) -> PeftModel:
    """Freeze the model, add adapters to all linear layers of its decoder, and let the EOT row be trained.

    Experts that are kept as one tensor are no linear layers: they stay as they are. Returns what peft saves an adapter's folder from. Without its row the model would never learn to stop: a new token has no meaning yet.

    Raises:
        LimaError: the package peft is not installed, or the head has a bias.
    """
    # peft imports bitsandbytes, which then tells everybody of a kernel that only inference lacks
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        from peft import LoraConfig, get_peft_model
    except ModuleNotFoundError:
        raise LimaError(f"adapters need the package 'peft'. Install it: {install('lora')}") from None
    names = {_name_of(model, model.get_input_embeddings()): [eot]}
    if not model.config.tie_word_embeddings:
        if getattr(model.get_output_embeddings(), "bias", None) is not None:
            raise LimaError(
                f"adapters: the head of model type {model.config.model_type!r} has a bias, which the trainable EOT row "
                "would lose. Train all weights: leave --lora-rank out."
            )
        names[_name_of(model, model.get_output_embeddings())] = [eot]
    settings = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=_linear_layers(model),
        trainable_token_indices=names,
        task_type="CAUSAL_LM",
    )
    _leave_experts(settings, model)
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "`is_gradient_checkpointing`"
        )  # peft asks by the name of early releases
        torch.manual_seed(int(text_hash("lora", str(seed), length=15), 16))
        found: PeftModel = get_peft_model(model, settings, adapter_name=ADAPTER)
    return found


def _linear_layers(model: PreTrainedModel) -> list[str]:
    """Names of the linear layers, the head left out."""
    head = model.get_output_embeddings()
    kinds = (torch.nn.Linear, Conv1D)
    found = [name for name, part in model.named_modules() if isinstance(part, kinds) and part is not head]
    if not found:
        raise LimaError(
            f"adapters: model type {model.config.model_type!r} has no linear layers. Train all weights: leave --lora-rank out."
        )
    return found


def _leave_experts(settings: LoraConfig, model: PreTrainedModel) -> None:
    """Take out the layers that peft would take for experts by their names.

    It puts adapters on fused experts too where a name such as ``gate_proj`` is asked for; these take no dropout, and a merge
    of them is not ours.
    """
    try:
        from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers
    except ImportError:  # a release that does not
        return
    convert_peft_config_for_transformers(settings, model=model, conversions=None)
    settings.target_parameters, settings.rank_pattern, settings.alpha_pattern = None, {}, {}


def experts_share(model: PreTrainedModel) -> float:
    """The share of a model's weights that no adapter can go on: experts that are kept as one tensor."""
    sizes: list[tuple[int, bool]] = [(p.numel(), p.ndim == 3) for p in model.parameters()]
    return sum(n for n, fused in sizes if fused) / sum(n for n, _ in sizes)


def adapter_weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """What is trained, by the names that peft gives it; in full where it is spread over processes, which all must call this."""
    trained = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    return {f"base_model.model.{name}": whole(weight) for name, weight in trained.items()}


def save_adapters(
    adapters: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    base: str,
    trained: dict[str, torch.Tensor],
) -> None:
    """Write the adapters, ``trained``, as a folder of peft, which is small and goes on top of the base.

    By the tokenizer beside them peft's ``AutoPeftModelForCausalLM`` gives the base a row for a new EOT, which is among what was
    trained. To ``PeftModel`` such a base must be given with it (`lima.model.add_eot`).
    """
    for settings in adapters.peft_config.values():
        settings.base_model_name_or_path = base
    adapters.save_pretrained(folder, state_dict=trained, save_embedding_layers=False)
    tokenizer.save_pretrained(folder)


@torch.no_grad()
def merged_weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """The weights of the plain model with the adapters added in; the model itself is not touched.

    Where they are spread over processes they are gathered on the CPU, a tensor at a time; every process must call it.
    """
    from peft.tuners.lora import LoraLayer
    from peft.tuners.trainable_tokens import TrainableTokensLayer

    weights = {}
    for name, module in model.named_modules():
        plain = name.replace(".token_adapter", "")
        if isinstance(module, TrainableTokensLayer):
            rows = whole(module.get_base_layer().weight).clone()
            rows[module.token_indices[ADAPTER]] = whole(module.trainable_tokens_delta[ADAPTER]).to(rows)
            weights[f"{plain}.weight"] = rows
        elif isinstance(module, LoraLayer):
            base = module.get_base_layer()
            weights[f"{plain}.weight"] = whole_weight(base) + module.get_delta_weight(ADAPTER)
            if base.bias is not None:
                weights[f"{plain}.bias"] = base.bias
        elif not _inside_adapter(name):
            weights |= {f"{name}.{key}": value for key, value in module.named_parameters(recurse=False)}
            weights |= {f"{name}.{key}": value for key, value in saved_buffers(module)}
    found = _untied(model, weights)
    return {name: gathered(weight.detach()).contiguous() for name, weight in found.items()}


def saved_buffers(module: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    """What a module keeps beside its parameters and saves, such as the bias of a router."""
    return [
        (name, value)
        for name, value in module.named_buffers(recurse=False)
        if name not in module._non_persistent_buffers_set
    ]


def _inside_adapter(name: str) -> bool:
    return any(part in name for part in (".base_layer", ".lora_", ".token_adapter", ".original_module"))


def _untied(model: PreTrainedModel, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without the head's weight where it is the embedding's."""
    if not model.config.tie_word_embeddings:
        return weights
    head = _name_of(model, model.get_output_embeddings())
    return {name: weight for name, weight in weights.items() if name != f"{head}.weight"}


def _name_of(model: PreTrainedModel, wanted: torch.nn.Module) -> str:
    names: dict[torch.nn.Module, str] = {module: name for name, module in model.named_modules()}
    return names[wanted]
