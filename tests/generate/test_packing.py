from __future__ import annotations

import pytest
import torch
from tests.generate.conftest import byte_tokenizer, tiny_llama
from tests.generate.test_engine import MAKERS
from torch import nn
from transformers import PreTrainedModel

from lima.generate.engine import Engine, fused, packing
from lima.generate.engine.packing import PackedLinear
from lima.generate.engine.requests import Request

IDS = torch.tensor([[256, *b"How do tides work?"]])

pytestmark = pytest.mark.skipif(not packing.can_pack(tiny_llama()), reason="torch without oneDNN")


def packed_layers(model: nn.Module) -> list[PackedLinear]:
    return [layer for layer in model.modules() if isinstance(layer, PackedLinear)]


def linear_layers(model: nn.Module) -> int:
    return sum(isinstance(layer, nn.Linear) for layer in model.modules())


def packed_llama(*, tied: bool = False) -> PreTrainedModel:
    model = tiny_llama(tie_word_embeddings=tied)
    packing.pack(model)
    assert len(packed_layers(model)) == linear_layers(model) == 15
    return model


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_layers_compute_what_the_stock_ones_do(tied: bool, dtype: torch.dtype) -> None:
    model = tiny_llama(tie_word_embeddings=tied).to(dtype)
    if not packing.can_pack(model):
        pytest.skip("no bfloat16 products on this processor")
    with torch.inference_mode():
        expected = model(IDS).logits.float()
        packing.pack(model)
        found = model(IDS).logits.float()
    assert packed_layers(model)
    tolerance = 1e-5 if dtype == torch.float32 else 3e-2
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max()))


def test_weights_are_held_once_but_for_a_tied_head() -> None:
    for tied in (False, True):
        plain = [layer for layer in packed_layers(packed_llama(tied=tied)) if layer.weight.numel()]
        assert len(plain) == (1 if tied else 0)


@pytest.mark.parametrize(
    "use",
    [
        lambda model: model.state_dict(),
        lambda model: model.train(),
        lambda model: model.double(),
        lambda model: model(IDS).logits.sum().backward(),
        packing.unpack,
    ],
    ids=["save", "train", "move", "differentiate", "unpack"],
)
@pytest.mark.parametrize("tied", [False, True])
def test_any_other_use_finds_stock_layers_with_the_same_parameters(use, tied: bool) -> None:  # type: ignore[no-untyped-def]
    model = packed_llama(tied=tied)
    before = dict(model.named_parameters())
    use(model)
    assert not packed_layers(model)
    assert {type(layer) for layer in model.modules() if isinstance(layer, nn.Linear)} == {nn.Linear}
    original = tiny_llama(tie_word_embeddings=tied).state_dict()
    after = model.state_dict()
    assert list(after) == list(original)
    assert all(torch.equal(after[name].float(), original[name]) for name in original)
    assert all(value is before[name] for name, value in model.named_parameters())


def test_loading_weights_into_a_packed_model_is_not_lost() -> None:
    model, other = packed_llama(tied=True), tiny_llama(seed=5, tie_word_embeddings=True)
    model.load_state_dict(other.state_dict())
    with torch.inference_mode():
        assert torch.equal(model(IDS).logits, other(IDS).logits)


def test_a_gradient_flows_through_a_model_that_was_packed() -> None:
    model, stock = packed_llama(), tiny_llama(tie_word_embeddings=False)
    with torch.inference_mode():
        model.state_dict()  # unpacks here
    for one in (model, stock):
        one(IDS, labels=IDS).loss.backward()
    grads = [[p.grad for p in one.parameters()] for one in (model, stock)]
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_the_engine_packs_by_itself() -> None:
    model = tiny_llama()
    Engine(model, byte_tokenizer(), slots=2)
    assert len(packed_layers(model)) == 15


def test_a_model_that_reads_its_weights_otherwise_stays_as_it_is() -> None:
    request = Request(id="a", prompt=(256, 72, 105), max_new_tokens=5)
    expected = next(Engine(tiny_llama(), byte_tokenizer()).run([request]))
    model = tiny_llama()
    model.model.layers[0].mlp.register_forward_hook(
        lambda mlp, inputs, output: output + 0 * mlp.down_proj.weight[0, 0]
    )
    engine = Engine(model, byte_tokenizer())
    assert not packed_layers(model)
    assert next(engine.run([request])).ids == expected.ids


@pytest.mark.parametrize("name", ["llama-gqa", "mistral-window", "qwen2", "qwen3", "gemma3"])
def test_known_blocks_are_fused_by_the_engine_and_stock_again_afterwards(name: str) -> None:
    """That they compute the same is asked by the greedy answers of `test_engine`; here that they are in use at all."""
    model, stock = MAKERS[name](), MAKERS[name]()
    engine = Engine(model, byte_tokenizer(), slots=2)
    blocks = [module for module in model.modules() if isinstance(module, fused.FusedAttention)]
    assert len(blocks) == 2
    ran = []
    for block in blocks:
        block.q_proj.register_forward_hook(lambda *_: ran.append("alone"))  # type: ignore[union-attr]
    assert list(engine.run([Request(id="a", prompt=(256, 72, 105), max_new_tokens=5)]))
    assert not ran, "the queries' product was made by itself"
    packing.unpack(model)
    assert list(map(type, model.modules())) == list(map(type, stock.modules()))


def test_a_fused_block_in_training_is_the_stock_one() -> None:
    model, stock = packed_llama(), tiny_llama(tie_word_embeddings=False)
    assert any(isinstance(module, fused.FusedAttention) for module in model.modules())
    with torch.no_grad():  # packed, but outside the engine
        torch.testing.assert_close(model(IDS).logits, stock(IDS).logits, rtol=1e-5, atol=1e-4)
    assert torch.equal(model.train()(IDS).logits, stock.train()(IDS).logits)
