"""The padding-free, chunked path against plain one-sequence-at-a-time transformers, in float64."""

from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch.nn.functional import cross_entropy

from lima.chat import IGNORE, Tokens
from lima.train.attention import inside_documents
from lima.train.batches import collate
from lima.train.loop import mean_loss
from lima.train.loss import PRODUCT_ROWS, chunk_rows, chunked_cross_entropy, summed_loss

VOCABULARY = 64
LENGTHS = (9, 3, 17, 5, 2)
CPU = torch.device("cpu")

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama-tied": {"tie_word_embeddings": True},
    "mistral": {"sliding_window": 6},
    "qwen2": {},
    "qwen3": {"head_dim": 8},
    "gemma": {"head_dim": 8},
    "gemma3_text": {"head_dim": 8, "sliding_window": 6, "query_pre_attn_scalar": 8},
    "phi3": {"pad_token_id": 0},
    "smollm3": {"pad_token_id": 0},
    "starcoder2": {},
    "olmo": {"pad_token_id": 0},
    "olmo2": {"pad_token_id": 0},
    "olmo3": {"pad_token_id": 0, "sliding_window": 6},
}


IN_FLOAT32 = ("gemma", "gemma3_text")
"""Their norms sum the gradient of their weight in float32, also in a float64 model."""


def build(name: str, layers: int = 3, width: int = 32) -> Any:
    """A small random model of an architecture, in float64 and evaluation mode."""
    options = {"tie_word_embeddings": False, **ARCHITECTURES[name]}
    config = transformers.AutoConfig.for_model(
        name.removesuffix("-tied"),
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=3 * width // 2,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        bos_token_id=1,
        eos_token_id=2,
        **options,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.AutoModelForCausalLM.from_config(config).double().eval()


def sequences(lengths: tuple[int, ...] = LENGTHS, seed: int = 0) -> list[Tokens]:
    """Random documents whose first third carries no loss."""
    generator = np.random.default_rng(seed)
    documents = []
    for length in lengths:
        ids = generator.integers(3, VOCABULARY, length).tolist()
        documents.append(Tokens(ids, [IGNORE] * (length // 3) + ids[length // 3 :]))
    return documents


def plain_loss(model: Any, documents: list[Tokens]) -> torch.Tensor:
    """The reference: one document at a time through the stock model, all logits, stock cross-entropy."""
    losses = []
    for document in documents:
        logits = model(input_ids=torch.tensor([document.ids])).logits[0, :-1]
        labels = torch.tensor(document.labels[1:])
        losses.append(cross_entropy(logits, labels, reduction="sum", ignore_index=IGNORE))
    return torch.stack(losses).sum()


def gradient(model: Any, loss: torch.Tensor) -> torch.Tensor:
    model.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def relative_error(value: torch.Tensor, reference: torch.Tensor) -> float:
    return float(((value - reference).norm() / reference.norm()).detach())


@pytest.fixture(params=ARCHITECTURES)
def model(request: pytest.FixtureRequest) -> Any:
    return build(request.param)


@pytest.fixture
def tolerance(model: Any) -> float:
    return 1e-8 if model.config.model_type in IN_FLOAT32 else 1e-10


def test_loss_and_gradient_equal_the_plain_computation(model: Any, tolerance: float) -> None:
    documents = sequences()
    expected = plain_loss(model, documents)
    expected_gradient = gradient(model, expected)
    with inside_documents(model):
        found = summed_loss(model, collate(documents, CPU))
    assert relative_error(found, expected) <= 1e-10
    assert relative_error(gradient(model, found), expected_gradient) <= tolerance


def test_documents_of_one_length_go_as_a_batch_and_give_the_same(model: Any, tolerance: float) -> None:
    documents = sequences((7, 7, 7))
    expected = plain_loss(model, documents)
    expected_gradient = gradient(model, expected)
    with inside_documents(model):
        found = summed_loss(model, collate(documents, CPU))
    assert relative_error(found, expected) <= 1e-10
    assert relative_error(gradient(model, found), expected_gradient) <= tolerance


@pytest.mark.parametrize("rows", [1, 3, 1000])
@pytest.mark.parametrize("bias", [False, True])
def test_the_chunk_size_does_not_matter(rows: int, bias: bool) -> None:
    head = torch.nn.Linear(8, 20, bias=bias, dtype=torch.float64)
    hidden = torch.randn(10, 8, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(20, (10,))
    leaves = [hidden, *head.parameters()]
    expected = cross_entropy(head(hidden), targets, reduction="sum")
    expected_gradients = torch.autograd.grad(expected, leaves)
    found = chunked_cross_entropy(hidden, head, targets, chunk_elements=20 * rows)
    torch.testing.assert_close(found, expected)
    for mine, reference in zip(torch.autograd.grad(found, leaves), expected_gradients, strict=True):
        torch.testing.assert_close(mine, reference)


def test_a_chunk_on_a_card_has_rows_enough_for_the_speed_of_its_memory() -> None:
    """An H100 multiplies 200 FLOPs in the time of a byte; a row brings 6 FLOPs to the 12 bytes that a chunk moves a weight."""
    rows = chunk_rows(6500, 128_000, on_cuda=True)
    assert 6 * rows / 12 > 200
    assert rows * 128_000 * 2 < 300e6
    assert chunk_rows(6500, 128_000) <= PRODUCT_ROWS


def test_a_chunk_in_halves_has_twice_the_rows_in_the_same_bytes() -> None:
    assert chunk_rows(2048, 262_144, size=4) == PRODUCT_ROWS
    assert chunk_rows(2048, 262_144, size=2) == 2 * PRODUCT_ROWS


def test_a_wrapped_head_takes_the_recomputing_path_with_the_same_result() -> None:
    inner = torch.nn.Linear(8, 20, dtype=torch.float64)
    hidden = torch.randn(10, 8, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(20, (10,))
    direct = chunked_cross_entropy(hidden, inner, targets)
    wrapped = chunked_cross_entropy(hidden, torch.nn.Sequential(inner), targets, chunk_elements=60)
    torch.testing.assert_close(wrapped, direct)
    torch.testing.assert_close(torch.autograd.grad(wrapped, hidden), torch.autograd.grad(direct, hidden))


def test_a_frozen_head_with_trained_rows_gives_what_peft_s_own_way_gives() -> None:
    """The row of the EOT alone has a gradient; peft's forward pass copies the whole weight for it."""
    peft = pytest.importorskip("peft")
    model = build("llama")
    rows = {"trainable_token_indices": {"lm_head": [5, 9]}, "target_modules": ["q_proj"]}
    peft.get_peft_model(model, peft.LoraConfig(r=2, task_type="CAUSAL_LM", **rows))
    head = model.get_output_embeddings()
    hidden = torch.randn(10, 32, dtype=torch.float64, requires_grad=True)
    targets, weights = torch.randint(20, (10,)), torch.rand(10, dtype=torch.float64)
    delta = head.token_adapter.trainable_tokens_delta["default"]
    with torch.no_grad():
        delta.add_(torch.randn_like(delta))
    expected = (cross_entropy(head(hidden), targets, reduction="none") * weights).sum()
    found = chunked_cross_entropy(hidden, head, targets, weights=weights, chunk_elements=3 * VOCABULARY)
    torch.testing.assert_close(found, expected)
    mine, reference = (torch.autograd.grad(loss, [hidden, delta]) for loss in (found, expected))
    for one, other in zip(mine, reference, strict=True):
        torch.testing.assert_close(one, other)


def test_half_precision_is_close_to_the_reference() -> None:
    """What bfloat16 autocast costs: stated, not hidden (8 bits of mantissa; 2^-9 = 0.002 a rounding)."""
    model = build("llama").float()
    documents = sequences()
    expected = plain_loss(model, documents)
    expected_gradient = gradient(model, expected)
    with inside_documents(model), torch.autocast("cpu", dtype=torch.bfloat16):
        found = summed_loss(model, collate(documents, CPU))
    assert relative_error(found, expected) < 2e-3
    assert relative_error(gradient(model, found), expected_gradient) < 3e-2


def test_single_precision_is_close_to_the_reference() -> None:
    model = build("llama")
    documents = sequences()
    expected = plain_loss(model, documents)
    expected_gradient = gradient(model, expected)
    with inside_documents(model):
        found = summed_loss(model.float(), collate(documents, CPU))
    assert relative_error(found, expected) < 1e-6
    assert relative_error(gradient(model, found), expected_gradient) < 1e-5


def test_mean_loss_is_the_plain_mean_over_supervised_tokens() -> None:
    model = build("llama")
    documents = sequences()
    count = sum(document.supervised for document in documents)
    found = mean_loss(model, documents, budget=12, precision="float32")
    assert found == pytest.approx(plain_loss(model, documents).item() / count, rel=1e-12)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("wrapped", [False, True])
def test_weights_multiply_the_terms_of_the_sum(wrapped: bool) -> None:
    inner = torch.nn.Linear(8, 20, dtype=torch.float64)
    head = torch.nn.Sequential(inner) if wrapped else inner
    hidden = torch.randn(10, 8, dtype=torch.float64, requires_grad=True)
    targets, weights = torch.randint(20, (10,)), torch.rand(10, dtype=torch.float64)
    expected = (cross_entropy(inner(hidden), targets, reduction="none") * weights).sum()
    found = chunked_cross_entropy(hidden, head, targets, weights=weights, chunk_elements=60)
    torch.testing.assert_close(found, expected)
    leaves = [hidden, inner.weight, inner.bias]
    for mine, reference in zip(
        torch.autograd.grad(found, leaves), torch.autograd.grad(expected, leaves), strict=True
    ):
        torch.testing.assert_close(mine, reference)


def test_noise_on_embeddings_is_uniform_within_its_bound_and_off_in_evaluation() -> None:
    """Two documents of 4 and 16 tokens, width 32, alpha 5: bounds 5 / sqrt(4 x 32) and 5 / sqrt(16 x 32)."""
    model = build("llama").float()
    batch = collate(sequences((4, 16)), CPU)
    seen: list[torch.Tensor] = []
    model.model.register_forward_pre_hook(
        lambda module, inputs, options: seen.append(options["inputs_embeds"].detach()), with_kwargs=True
    )
    with inside_documents(model):
        for training in (True, False):
            model.train(training)
            summed_loss(model, batch, noise=5.0)
    noise = (seen[0] - model.get_input_embeddings()(batch.ids).detach())[0]
    for part, length in ((noise[:4], 4), (noise[4:], 16)):
        bound = 5 / (length * 32) ** 0.5
        assert 0.9 * bound < float(part.abs().max()) <= bound
    assert torch.equal(seen[1], model.get_input_embeddings()(batch.ids))
