"""What a GPU would suffer from, counted without one: a training step of 1B and 8B shapes on meta tensors.

Meta tensors have shapes and no content. Torch's dispatcher tells every operator that a device would be given; its FLOP counter
counts the products.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from lima.chat import IGNORE, Tokens
from lima.train import loss
from lima.train.attention import inside_documents
from lima.train.loop import fit, gradients
from lima.train.precision import checkpoint_activations
from lima.train.settings import FitSettings

VOCABULARY = 128_000
HALF = torch.bfloat16
"""Products run in it on a GPU; there is no autocast for meta tensors, so hidden states are made in it."""
SHAPES = {
    "1B": {
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
    },
    "8B": {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
    },
}
LENGTHS = (1500, 700, 1800)
PRODUCTS = {"mm", "addmm", "addmm_", "bmm"}
VIEWS = {
    "t",
    "view",
    "slice",
    "detach",
    "alias",
    "_unsafe_view",
    "select",
    "expand",
    "unsqueeze",
    "transpose",
}


@pytest.fixture(params=SHAPES)
def model(request: pytest.FixtureRequest) -> Any:
    config = LlamaConfig(
        vocab_size=VOCABULARY, num_key_value_heads=8, tie_word_embeddings=False, **SHAPES[request.param]
    )
    with torch.device("meta"):
        return LlamaForCausalLM(config)


def documents(lengths: Sequence[int] = LENGTHS) -> list[Tokens]:
    """A fifth of each is a prompt."""
    return [
        Tokens([7] * length, [IGNORE] * (length // 5) + [7] * (length - length // 5)) for length in lengths
    ]


def settings(**changes: Any) -> FitSettings:
    values = {"precision": "float32", "residual_dropout": 0.0, "micro_batch_tokens": 4096, **changes}
    return FitSettings.model_validate(values)


class Waits(TorchDispatchMode):
    """Counts where the host waits for the device, and gives it ones to go on with."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, func.overloadpacket.__name__
        on_device = any(isinstance(x, torch.Tensor) and x.is_meta for x in tree_leaves((args, kwargs)))
        if on_device and name in ("_local_scalar_dense", "nonzero", "equal", "is_nonzero", "masked_select"):
            self.found[name] += 1
            return 1.0
        if on_device and name == "_to_copy" and torch.device(kwargs.get("device") or "meta").type == "cpu":
            self.found["copy to the host"] += 1
            return torch.ones(args[0].shape, dtype=args[0].dtype)
        return func(*args, **kwargs)


class Bytes(TorchDispatchMode):
    """Counts the bytes that operators read and write, products and views left out."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.moved: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name not in PRODUCTS | VIEWS and not name.startswith("empty") and not name.startswith("new_empty"):
            tensors = [
                x for x in tree_leaves((args, kwargs, out)) if isinstance(x, torch.Tensor) and x.is_meta
            ]
            if name in ("zeros_like", "new_zeros", "zeros"):  # their argument tells a shape and is not read
                tensors = tensors[-1:]
            self.moved[name] += sum(x.numel() * x.dtype.itemsize for x in tensors)
            if name == "slope_":  # its logits are written, too
                self.moved[name] += tensors[0].numel() * tensors[0].dtype.itemsize
        return out


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_products_of_a_step_are_the_model_s_own(model: Any, checkpointing: bool) -> None:
    """Two FLOPs a weight and token forward, four backward, two more where activations are computed again."""
    batch = documents()
    if checkpointing:
        checkpoint_activations(model, "enable")
    model.train()
    with inside_documents(model), FlopCounterMode(display=False) as counter:
        gradients(model, batch, settings(activation_checkpointing=checkpointing), 1)
    counts = counter.get_flop_counts()["Global"]
    # attention is apart: on meta tensors it is batched products, which nothing else here is
    found = sum(flops for operator, flops in counts.items() if str(operator) in ("aten.mm", "aten.addmm"))
    layers = sum(p.numel() for p in model.get_decoder().layers.parameters() if p.ndim == 2)
    head = model.get_output_embeddings().weight.numel()
    tokens, supervised = sum(len(x.ids) for x in batch), sum(x.supervised for x in batch)
    own = (8 if checkpointing else 6) * layers * tokens + 6 * head * supervised
    # what is computed again ends where nothing more is needed: a layer's last product is spared
    assert (0.9 if checkpointing else 1) * own <= found <= 1.03 * own


def test_the_loss_moves_little_beside_its_products(model: Any) -> None:
    """At most three passes over the head's float32 weights for each micro-batch, its share of the step's included.

    Micro-batches of 4,096 tokens, of which four fifths carry loss, four in a step.
    """
    width = model.config.hidden_size
    micro_batches = 4
    hidden = torch.empty(4096 * 4 // 5, width, device="meta", dtype=HALF, requires_grad=True)
    targets = torch.zeros(len(hidden), dtype=torch.long, device="meta")
    with Bytes() as counted, loss.accumulating(model, 0.1) as head:
        for _ in range(micro_batches):
            assert head is not None
            found = loss._fused_loss(hidden, head.head, targets, None, step_head=head)
            found.loss.backward()
    passes = sum(counted.moved.values()) / model.get_output_embeddings().weight.nbytes / micro_batches
    assert 0.5 < passes <= 3, counted.moved.most_common(8)


class _Enough(Exception):
    """Ends a run."""


def test_the_host_waits_once_a_step(model: Any, tmp_path: Any) -> None:
    del model.model.layers[2:]  # the number of layers does not matter
    found: list[int] = []

    def count(row: Any) -> None:
        found.append(sum(waits.found.values()))
        if len(found) == 3:
            raise _Enough  # before the end of the epoch, which would save gigabytes of nothing

    with Waits() as waits, pytest.raises(_Enough):
        fit(
            model,
            documents(LENGTHS * 3),
            settings(epochs=1, batch_size=3, save_every=10**6),
            tmp_path,
            report=count,
        )
    assert 3 <= found[2] <= 2 * 3, waits.found


def test_nothing_of_the_head_s_size_is_made_for_a_chunk(model: Any) -> None:
    """What is made within the loss of one micro-batch after the first is at most a chunk of logits."""
    hidden = torch.empty(2048, model.config.hidden_size, device="meta", dtype=HALF, requires_grad=True)
    targets = torch.zeros(len(hidden), dtype=torch.long, device="meta")
    sizes: list[int] = []

    class Made(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            known = {id(x) for x in tree_leaves((args, kwargs))}
            views = func.overloadpacket.__name__ in VIEWS
            sizes.extend(
                x.numel()
                for x in tree_leaves(out)
                if isinstance(x, torch.Tensor) and id(x) not in known and not views
            )
            return out

    with loss.accumulating(model, 0.1) as head:
        assert head is not None
        loss._fused_loss(hidden, head.head, targets, None, step_head=head).loss.backward()
        with Made():  # type: ignore[no-untyped-call]
            loss._fused_loss(hidden, head.head, targets, None, step_head=head).loss.backward()
    assert max(sizes) == loss.chunk_rows(2048, VOCABULARY, size=HALF.itemsize) * VOCABULARY
    assert max(sizes) < model.get_output_embeddings().weight.numel()
