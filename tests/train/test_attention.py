from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from lima.chat import Tokens
from lima.errors import LimaError
from lima.model import load
from lima.train.attention import Documents, document_attention, in_product_type, inside_documents
from lima.train.batches import collate

CPU = torch.device("cpu")


def test_perturbing_one_document_changes_no_logit_of_another(tiny_model: Path) -> None:
    model, _ = load(tiny_model, device="cpu")
    first, second, third = [5, 6, 7, 8], [9, 10, 11], [12, 13, 14, 15, 16]

    def hidden(middle: list[int]) -> torch.Tensor:
        batch = collate([Tokens(ids, ids) for ids in (first, middle, third)], CPU)
        with inside_documents(model), torch.no_grad():
            states = model.get_decoder()(
                input_ids=batch.ids,
                position_ids=batch.position_ids,
                documents=batch.documents,
                use_cache=False,
            )
        logits: torch.Tensor = model.get_output_embeddings()(states.last_hidden_state)[0]
        return logits

    before, after = hidden(second), hidden([20, 21, 22])
    assert torch.equal(before[:4], after[:4])
    assert torch.equal(before[7:], after[7:])
    assert not torch.equal(before[4:7], after[4:7])


def test_a_token_sees_no_later_token(tiny_model: Path) -> None:
    model, _ = load(tiny_model, device="cpu")

    def hidden(last: int) -> torch.Tensor:
        batch = collate([Tokens([5, 6, last], [5, 6, last]), Tokens([7, 8], [7, 8])], CPU)
        with inside_documents(model), torch.no_grad():
            states = model.get_decoder()(
                input_ids=batch.ids,
                position_ids=batch.position_ids,
                documents=batch.documents,
                use_cache=False,
            )
        rows: torch.Tensor = states.last_hidden_state[0]
        return rows

    assert torch.equal(hidden(9)[:2], hidden(10)[:2])
    assert not torch.equal(hidden(9)[2], hidden(10)[2])


def test_the_model_gets_its_own_attention_back(tiny_model: Path) -> None:
    model, _ = load(tiny_model, device="cpu")
    before = model.config._attn_implementation
    with pytest.raises(RuntimeError, match="stop"), inside_documents(model):
        raise RuntimeError("stop")
    assert model.config._attn_implementation == before
    assert "lima" not in str(model.config.to_dict())


def test_a_window_limits_what_is_seen() -> None:
    """With equal keys attention is the mean of the values seen: a window of 2 sees this and the last token."""
    values = torch.tensor([1.0, 2.0, 3.0, 4.0])
    value = values.view(1, 1, 4, 1)
    query = key = torch.zeros(1, 1, 4, 1)
    documents = Documents.of([4], CPU)
    out, _ = document_attention(
        torch.nn.Module(), query, key, value, None, documents=documents, sliding_window=2
    )
    assert out.flatten().tolist() == [1.0, 1.5, 2.5, 3.5]


def test_an_attention_that_we_cannot_compute_is_refused() -> None:
    x = torch.zeros(1, 1, 2, 1)
    with pytest.raises(LimaError, match="softcap"):
        document_attention(torch.nn.Module(), x, x, x, None, documents=Documents.of([2], CPU), softcap=30.0)


def test_under_autocast_queries_and_keys_are_halves_as_values_are() -> None:
    """Rotary tables are float32, and so is what they are multiplied into; a kernel for halves must be found all the same."""
    table, product = torch.ones(2), torch.ones(2, dtype=torch.bfloat16)
    query = product * table
    assert query.dtype == torch.float32
    assert [x.dtype for x in in_product_type(query, product)] == [torch.float32, torch.bfloat16]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert [x.dtype for x in in_product_type(query, product)] == [torch.bfloat16, torch.bfloat16]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("window", [None, 3])
def test_the_kernel_on_cuda_equals_one_document_at_a_time(window: int | None) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = ((1, 4, 12, 16), (1, 2, 12, 16), (1, 2, 12, 16))  # heads 4, key heads 2, 12 tokens
    exact = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]

    def attend(tensors: list[torch.Tensor], device: str) -> Any:
        documents = Documents.of([5, 1, 6], torch.device(device))
        query, key, value = (x.to(device) for x in tensors)
        output, _ = document_attention(
            torch.nn.Module(), query, key, value, None, documents=documents, sliding_window=window
        )
        return output.double().cpu()

    on_card = attend([x.bfloat16() for x in exact], "cuda")
    torch.testing.assert_close(on_card, attend(exact, "cpu"), rtol=0.03, atol=0.03)


@pytest.mark.parametrize("window", [None, 3, 64, 70, 100])
@pytest.mark.parametrize(
    ("heads", "lengths"), [((4, 2), [150]), ((3, 1), [5, 130, 1, 65]), ((2, 2), [70, 70])]
)
def test_blocks_on_a_cpu_equal_torch(window: int | None, heads: tuple[int, int], lengths: list[int]) -> None:
    """Output and gradients of attention in blocks, in every document, with and without a window that is shorter than it."""
    generator = torch.Generator().manual_seed(0)
    total = sum(lengths)
    # laid out as a model does it: (1, N, heads, size), seen with the heads first; values of another size
    shapes = ((1, total, heads[0], 8), (1, total, heads[1], 8), (1, total, heads[1], 4))
    tensors = [torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in shapes]
    query, key, value = (x.transpose(1, 2) for x in tensors)
    ours, _ = document_attention(
        torch.nn.Module(),
        query,
        key,
        value,
        None,
        documents=Documents.of(lengths, CPU),
        scaling=0.4,
        sliding_window=window,
    )
    place, document = torch.arange(total), torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    back = place[:, None] - place
    mask = (back >= 0) & (back < (window or total)) & (document[:, None] == document)
    exact = scaled_dot_product_attention(query, key, value, mask, scale=0.4, enable_gqa=True).transpose(1, 2)
    slope = torch.randn(exact.shape, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(ours, exact)
    torch.testing.assert_close(
        torch.autograd.grad(ours, tensors, slope), torch.autograd.grad(exact, tensors, slope)
    )


def test_blocks_in_bfloat16_lose_little_more_than_the_kernel_of_torch() -> None:
    """Scores are rounded before the softmax, as in transformers' own attention; .0042 and .0048 of the gradients' norm."""
    length = 300
    generator = torch.Generator().manual_seed(0)
    tensors = [
        torch.randn(1, 8, length, 16, generator=generator).bfloat16().requires_grad_() for _ in range(3)
    ]
    slope = torch.randn(1, length, 8, 16, generator=generator)

    def gradients(attend: Any, dtype: torch.dtype) -> list[torch.Tensor]:
        inputs = [x.detach().to(dtype).requires_grad_() for x in tensors]
        return [x.double() for x in torch.autograd.grad(attend(*inputs), inputs, slope.to(dtype))]

    def ours(*inputs: torch.Tensor) -> Any:
        return document_attention(torch.nn.Module(), *inputs, None, documents=Documents.of([length], CPU))[0]

    def torchs(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        return scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2)

    exact = gradients(torchs, torch.float64)

    def lost(attend: Any) -> float:
        pairs = zip(gradients(attend, torch.bfloat16), exact, strict=True)
        return max(float((x - y).norm() / y.norm()) for x, y in pairs)

    assert lost(ours) < 1.25 * lost(torchs)
