"""The training path on a card: the loss of the CPU, padding-free attention, halves, compiling, adapters, resume, memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import byte_tokenizer
from tests.train.test_loss import build, gradient, plain_loss, relative_error, sequences
from torch.utils._python_dispatch import TorchDispatchMode

from lima.generate.engine import Engine
from lima.generate.engine.decoding import Decoding
from lima.generate.engine.requests import Answer, Request
from lima.train.adapters import add_adapters
from lima.train.attention import inside_documents, slow_path
from lima.train.batches import collate
from lima.train.loop import fit, gradients
from lima.train.loss import chunked_cross_entropy, summed_loss
from lima.train.memory import estimate
from lima.train.metrics import Metrics
from lima.train.precision import narrow
from lima.train.settings import FitSettings

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")]
CUDA = torch.device("cuda")


def settings(**changes: Any) -> FitSettings:
    values = {"epochs": 2, "batch_size": 3, "learning_rate": 1e-2, "residual_dropout": 0.0, **changes}
    return FitSettings.model_validate(values)


@pytest.mark.parametrize("name", ["llama", "llama-tied", "mistral", "gemma3_text"])
def test_loss_and_gradient_in_float32_are_those_of_the_plain_model(name: str) -> None:
    model = build(name).float()
    expected = plain_loss(model, sequences())
    wanted = gradient(model, expected)
    model.to(CUDA)
    with inside_documents(model):
        found = summed_loss(model, collate(sequences(), CUDA))
    assert relative_error(found.cpu(), expected) < 1e-5
    assert relative_error(gradient(model, found).cpu(), wanted) < 1e-4


@pytest.mark.parametrize("name", ["llama", "mistral"])
def test_the_variable_length_kernel_gives_what_documents_alone_give(name: str) -> None:
    """In bfloat16, heads of 64: one row of five documents against each by itself through the stock model."""
    model = build(name, width=256).float()
    expected = plain_loss(model, sequences())
    wanted = gradient(model, expected)
    model.to(CUDA)
    assert slow_path(CUDA, torch.bfloat16) is None
    with inside_documents(model), torch.autocast("cuda", dtype=torch.bfloat16), _Names() as names:
        found = summed_loss(model, collate(sequences(), CUDA))
    assert any("varlen" in name for name in names.seen)
    assert not any("scaled_dot_product" in name for name in names.seen), "a document at a time"
    assert relative_error(found.cpu(), expected) < 1e-2
    assert relative_error(gradient(model, found).cpu(), wanted) < 5e-2


class _Names(TorchDispatchMode):
    """The operators that run within the block."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.add(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("vocabulary", [1000, 128_000])
def test_the_loss_s_gradient_in_place_is_autograd_s(dtype: torch.dtype, vocabulary: int) -> None:
    head = torch.nn.Linear(256, vocabulary, bias=False, device=CUDA)
    hidden = torch.randn(700, 256, device=CUDA, requires_grad=True)
    targets = torch.randint(vocabulary, (700,), device=CUDA)
    expected = torch.nn.functional.cross_entropy(head(hidden), targets, reduction="sum")
    wanted = torch.autograd.grad(expected, [hidden, head.weight])
    with torch.autocast("cuda", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        found = chunked_cross_entropy(hidden, head, targets)
    bound = 1e-4 if dtype == torch.float32 else 3e-2
    assert relative_error(found, expected) < bound
    for mine, reference in zip(torch.autograd.grad(found, [hidden, head.weight]), wanted, strict=True):
        assert relative_error(mine, reference) < bound


@pytest.mark.parametrize("changes", [{}, {"compile": True}, {"activation_checkpointing": True}], ids=str)
def test_it_learns_in_bfloat16(tmp_path: Path, changes: dict[str, Any]) -> None:
    model = build("llama", width=128).float().to(CUDA)
    rows: list[Metrics] = []
    data = sequences((9, 3, 17, 5, 2, 8, 11, 4), seed=1)
    fit(model, data, settings(epochs=15, precision="bfloat16", **changes), tmp_path, report=rows.append)
    losses = [row.loss for row in rows if row.loss is not None]
    assert losses[-1] < 0.5 * losses[0]


def test_a_resumed_run_ends_in_the_weights_of_an_undisturbed_one(tmp_path: Path) -> None:
    data, choice = sequences((9, 3, 17, 5, 2, 8), seed=1), settings(residual_dropout=0.3, precision="float32")
    whole = build("llama").float().to(CUDA)
    fit(whole, data, choice, tmp_path / "a")

    def stop(epoch: int) -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(build("llama").float().to(CUDA), data, choice, tmp_path / "b", on_epoch=stop)
    resumed = build("llama").float().to(CUDA)
    fit(resumed, data, choice, tmp_path / "b")
    for mine, reference in zip(resumed.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-6)


def test_adapters_learn_and_nothing_else_changes(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    model = build("llama", width=128).float().to(CUDA)
    add_adapters(model, 5, rank=4, alpha=8, dropout=0.0, seed=0)
    frozen = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    rows: list[Metrics] = []
    data = sequences((9, 3, 17, 5, 2, 8), seed=1)
    fit(model, data, settings(epochs=10, precision="bfloat16"), tmp_path, report=rows.append)
    losses = [row.loss for row in rows if row.loss is not None]
    assert losses[-1] < losses[0]
    assert all(torch.equal(p, frozen[name]) for name, p in model.named_parameters() if name in frozen)


def test_the_estimate_holds_within_a_fifth(tmp_path: Path) -> None:
    model = build("llama", layers=8, width=512).float().to(CUDA)
    data, choice = sequences((2000,) * 4, seed=1), settings(batch_size=4, precision="bfloat16")
    planned = estimate(model, data, choice).total
    torch.cuda.reset_peak_memory_stats()
    gradients(model, data, choice, 1)
    moments = 2 * sum(p.nbytes for p in model.parameters())
    assert torch.cuda.max_memory_allocated() + moments == pytest.approx(planned, rel=0.2)


def test_little_memory_learns_and_keeps_halves(tmp_path: Path) -> None:
    model = build("llama", width=128).float()
    narrow(model)
    model.to(CUDA)
    rows: list[Metrics] = []
    data = sequences((9, 3, 17, 5, 2, 8), seed=1)
    fit(model, data, settings(epochs=15, memory="low"), tmp_path, report=rows.append)
    losses = [row.loss for row in rows if row.loss is not None]
    assert losses[-1] < 0.5 * losses[0]
    assert all(p.dtype == torch.bfloat16 for p in model.parameters() if p.ndim >= 2)


def test_the_engine_answers_as_on_the_cpu() -> None:
    """Greedy, float32: more answers than slots, of unequal prompts, token by token."""
    answers = []
    for device in (torch.device("cpu"), CUDA):
        model = build("llama", width=128).float().to(device)
        engine = Engine(model, byte_tokenizer(), slots=2)
        for number, ids in enumerate(((5, 6, 7), (9,), (11, 12, 13, 14))):
            engine.submit(Request(str(number), ids, 8, Decoding(temperature=0.0)))
        answers.append({answer.request.id: answer.ids for answer in _answers(engine)})
    assert answers[0] == answers[1]
    assert all(len(ids) == 8 for ids in answers[1].values())


def _answers(engine: Engine) -> Iterator[Answer]:
    while engine.busy:
        yield from (step.answer for step in engine.step() if step.answer is not None)
