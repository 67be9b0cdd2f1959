"""torch.compile on the decoder's layers: the same steps, the same dropout, a plain model afterwards."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.test_dropout import LAST, LAYERS
from tests.train.test_loop import documents, rows, settings, weights
from tests.train.test_loss import build
from torch._dynamo.utils import counters

from lima.train.dropout import decoder_layers, residual_dropout
from lima.train.loop import fit
from lima.train.precision import compiled_layers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("name", ["llama", "qwen3", "olmo2"])
def test_the_steps_are_those_of_the_plain_model(tmp_path: Path, name: str, checkpointing: bool) -> None:
    torch._dynamo.reset()
    counters.clear()
    losses, models = [], []
    for compiled in (True, False):
        model = build(name).float()
        choice = settings(compile=compiled, activation_checkpointing=checkpointing)
        fit(model, documents(), choice, tmp_path / str(compiled))
        losses.append([row["loss"] for row in rows(tmp_path / str(compiled)) if "loss" in row])
        models.append(weights(model))
        assert all(part._compiled_call_impl is None for part in model.modules())
    assert counters["stats"]["unique_graphs"] > 0  # it was compiled, not skipped
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    torch.testing.assert_close(models[0], models[1], rtol=1e-3, atol=1e-4)


def test_a_compiled_fit_with_dropout_is_repeatable_and_can_be_resumed(tmp_path: Path) -> None:
    choice = settings(compile=True, residual_dropout=0.3, save_every=1)
    undisturbed = build("llama").float()
    fit(undisturbed, documents(), choice, tmp_path / "a")

    def stop(epoch: int) -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(build("llama").float(), documents(), choice, tmp_path / "b", on_epoch=stop)
    resumed = build("llama").float()
    fit(resumed, documents(), choice, tmp_path / "b")
    assert torch.equal(weights(resumed), weights(undisturbed))
    without = build("llama").float()
    fit(without, documents(), settings(compile=True), tmp_path / "c")
    assert not torch.equal(weights(without), weights(undisturbed))


def test_the_rates_hold_in_compiled_layers() -> None:
    """A layer whose MLP gives ones and whose attention gives zeros adds the mask itself to its input."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=50,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        mlp_bias=True,
    )
    model: Any = LlamaForCausalLM(config).train()
    layers: list[Any] = list(decoder_layers(model))
    for layer in layers:
        with torch.no_grad():
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
            layer.mlp.down_proj.bias.fill_(1.0)
    states: list[torch.Tensor] = []
    with residual_dropout(model, LAST), compiled_layers(model, whole=True), torch.no_grad():
        hidden = torch.zeros(4, 100, 64)
        positions = model.model.rotary_emb(hidden, torch.arange(100)[None])
        for layer in layers:
            output = layer(hidden, attention_mask=None, position_embeddings=positions)
            after = output[0] if isinstance(output, tuple) else output
            states.append(after - hidden)
            hidden = after
    for number, added in enumerate(states):
        expected = LAST * number / (LAYERS - 1)
        # 25,600 elements: four standard errors
        assert float((added.abs() < 0.5).float().mean()) == pytest.approx(expected, abs=0.0115)
        assert float(added.max()) == pytest.approx(1 / (1 - expected), rel=1e-4)
