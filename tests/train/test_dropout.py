"""The residual-dropout ramp: rates counted at the outputs of both sub-layers, off in evaluation."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.test_loss import ARCHITECTURES, build
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from lima.errors import LimaError
from lima.train.dropout import SUBLAYERS, decoder_layers, ramp, residual_dropout, sublayer_names

LAYERS, LAST = 4, 0.3


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=64, intermediate_size=64, num_hidden_layers=LAYERS, num_attention_heads=4
    )
    return LlamaForCausalLM(config)


def zero_shares(model: Any) -> list[list[float]]:
    """For each layer the share of zeros in the outputs of its two sub-layers, over 4 x 100 x 64 elements."""
    shares: list[list[float]] = []
    handles = []
    for layer in decoder_layers(model):
        shares.append([])
        for name in sublayer_names(model):
            counted = shares[-1]

            def count(module: Any, inputs: Any, output: Any, counted: list[float] = counted) -> None:
                first = output[0] if isinstance(output, tuple) else output
                counted.append(float((first == 0).float().mean()))

            handles.append(layer.get_submodule(name).register_forward_hook(count))
    model(input_ids=torch.randint(50, (4, 100)))
    for handle in handles:
        handle.remove()
    return shares


def test_the_rate_rises_linearly_on_both_sublayers(model: Any) -> None:
    model.train()
    with residual_dropout(model, LAST):
        shares = zero_shares(model)
    # 25,600 elements: a standard error of at most sqrt(.3 * .7 / 25600) = .0029; 4 of them = .0115
    for layer, (attention, mlp) in enumerate(shares):
        expected = LAST * layer / (LAYERS - 1)
        assert attention == pytest.approx(expected, abs=0.0115)
        assert mlp == pytest.approx(expected, abs=0.0115)
    assert shares[0] == [0.0, 0.0]


def test_it_is_off_in_evaluation_and_gone_after_the_block(model: Any) -> None:
    with residual_dropout(model, LAST):
        model.eval()
        assert zero_shares(model) == [[0.0, 0.0]] * LAYERS
    model.train()
    assert zero_shares(model) == [[0.0, 0.0]] * LAYERS


def test_kept_elements_are_scaled_up_so_that_the_mean_stays(model: Any) -> None:
    model.train()
    last = decoder_layers(model)[-1].get_submodule("mlp")
    x = torch.ones(1, 2000, 64)
    plain = last(x)
    with residual_dropout(model, 0.25):
        dropped = last(x)
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], plain[kept] / 0.75)


def test_embeddings_have_no_dropout(model: Any) -> None:
    model.train()
    ids = torch.arange(50)[None]
    with residual_dropout(model, LAST):
        assert torch.equal(model.get_input_embeddings()(ids), model.get_input_embeddings().weight[None])


def test_the_saved_model_is_untouched(model: Any, tmp_path: Path) -> None:
    names = set(model.state_dict())
    with residual_dropout(model, LAST):
        assert set(model.state_dict()) == names
        model.save_pretrained(tmp_path)
    plain = LlamaForCausalLM.from_pretrained(tmp_path).train()
    assert zero_shares(plain) == [[0.0, 0.0]] * LAYERS


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if "tied" not in name])
def test_the_named_sublayers_are_what_a_layer_adds(name: str) -> None:
    """With both outputs replaced by zeros a layer must be the identity; that proves the residual form."""
    model = build(name)
    layer = decoder_layers(model)[1]
    seen: dict[str, torch.Tensor] = {}

    def zero(module: Any, inputs: Any, output: Any) -> Any:
        return (
            (torch.zeros_like(output[0]), *output[1:])
            if isinstance(output, tuple)
            else torch.zeros_like(output)
        )

    for sublayer in sublayer_names(model):
        layer.get_submodule(sublayer).register_forward_hook(zero)
    layer.register_forward_pre_hook(lambda module, inputs: seen.update(before=inputs[0]))
    layer.register_forward_hook(lambda module, inputs, output: seen.update(after=output))
    model(input_ids=torch.randint(3, 64, (2, 5)))
    assert torch.equal(seen["before"], seen["after"])


def test_every_known_form_is_proved_here() -> None:
    assert set(SUBLAYERS) == {name for name in ARCHITECTURES if "tied" not in name}


def test_an_unknown_residual_form_is_refused_only_where_dropout_is_asked_for() -> None:
    model = GPT2LMHeadModel(GPT2Config(n_layer=2, n_embd=16, n_head=2, vocab_size=20))
    with (
        pytest.raises(LimaError, match=r"'gpt2' is unknown.*--residual-dropout 0"),
        residual_dropout(model, 0.1),
    ):
        pass
    with residual_dropout(model, 0.0):
        pass


def test_a_single_layer_has_no_dropout() -> None:
    assert ramp(1, 0.3) == [0.0]
