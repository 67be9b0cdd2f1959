"""The estimate of memory against the bytes that a real forward pass keeps, and against the real optimiser's."""

from typing import Any

import pytest
import torch
from tests.train.test_loss import build, sequences

from lima.train.batches import collate
from lima.train.memory import NAMES, estimate, largest_micro_batch, memory_table, saved_bytes
from lima.train.optimizer import adamw
from lima.train.precision import checkpoint_activations, resolve
from lima.train.settings import FitSettings

LENGTHS = (40, 9, 33, 17, 60, 12)


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3_text"])
@pytest.mark.parametrize(
    "changes",
    [
        {"residual_dropout": 0.0},
        {"residual_dropout": 0.3},
        {"precision": "bfloat16"},
        {"activation_checkpointing": True},
        {"micro_batch_tokens": 50},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_activations_are_those_that_autograd_keeps(family: str, changes: dict[str, Any]) -> None:
    model = build(family, layers=4).float()
    settings = FitSettings.model_validate({"batch_size": 4, "precision": "float32", **changes})
    data = sequences(LENGTHS, seed=0)
    if settings.activation_checkpointing:
        checkpoint_activations(model, "enable")
    counted = saved_bytes(model, collate(largest_micro_batch(data, settings), model.device), settings)
    assert estimate(model, data, settings).activations == pytest.approx(counted, rel=0.1)


def test_weights_gradients_and_moments_are_counted_in_bytes(tmp_path: Any) -> None:
    model = build("llama").float()
    found = estimate(model, sequences(LENGTHS, seed=0), FitSettings(batch_size=2))
    optimizer = adamw(model, FitSettings())
    sum(p.sum() for p in model.parameters()).backward()
    optimizer.step()
    parameters = list(model.parameters())
    assert found.weights == sum(p.nbytes for p in parameters)
    assert found.gradients == sum(p.grad.nbytes for p in parameters if p.grad is not None)
    moments = sum(value.nbytes for p in parameters for value in optimizer.state[p].values() if value.ndim)
    assert found.moments == moments
    assert found.total > found.weights + found.gradients + found.moments


def test_no_memory_is_taken_for_a_plan() -> None:
    """A model of 65 billion weights, in a second and without any of them (LLaMA 65B: 80 layers, 8,192 wide)."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=8192,
        intermediate_size=22016,
        num_hidden_layers=80,
        num_attention_heads=64,
        vocab_size=32001,
    )
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    data = sequences((2048,) * 4, seed=0)
    settings = FitSettings(
        batch_size=32, micro_batch_tokens=2048, activation_checkpointing=True, precision="bfloat16"
    )
    head, *rows = memory_table(model, data, settings)
    assert head[-1] == "16 devices"
    gib = {name: [float(cell.replace(",", "")) for cell in cells] for name, *cells in rows}
    weights, activations = gib[NAMES["weights"]], gib[NAMES["activations"]]
    assert weights[0] * 2**30 == pytest.approx(65.3e9 * 4, rel=0.01)
    # one input of 2,048 x 8,192 a layer is kept, in float32
    assert activations[0] * 2**30 == pytest.approx(80 * 2048 * 8192 * 4, rel=0.25)
    assert weights[0] / weights[-1] == pytest.approx(16, rel=0.01)


def test_auto_is_float32_on_a_card_that_only_emulates_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A T4 says that it supports it where emulation counts; its own kernel for many documents does not run at all."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert resolve(build("llama"), "auto", torch.device("cuda")) == "float32"
