"""Frozen weights in four bits: what is rounded, what is trained, and that the saved model is the trained one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import byte_tokenizer
from tests.train.test_adapters import DOCUMENTS, EOT, FEW
from tests.train.test_loss import build, sequences
from transformers import AutoModelForCausalLM

from lima import model as models
from lima.errors import LimaError
from lima.files import write_jsonl
from lima.records import Example
from lima.train.adapters import add_adapters, merged_weights
from lima.train.batches import collate
from lima.train.four_bit import BYTES, check_rounding, elements, quantize, whole_weight
from lima.train.loop import fit
from lima.train.memory import estimate, largest_micro_batch, memory_table, saved_bytes
from lima.train.metrics import Meter
from lima.train.run import prepare, train
from lima.train.settings import TrainSettings

pytest.importorskip("peft")
bitsandbytes = pytest.importorskip("bitsandbytes")

CPU = torch.device("cpu")


def plain_model(name: str = "llama", layers: int = 3) -> Any:
    """Rows of 128 and 192 weights: bitsandbytes rounds blocks of 64."""
    return build(name, layers=layers, width=128).float()


def rounded(name: str = "llama") -> Any:
    model = plain_model(name)
    quantize(model, CPU, torch.float32)
    return model


def test_packed_weights_are_counted_one_by_one() -> None:
    """Two lie in a byte; their products are those of the plain weights, and so is what is held against the device's rate."""
    plain, packed = plain_model().requires_grad_(False), rounded().requires_grad_(False)
    assert sum(elements(p) for p in packed.parameters()) == sum(p.numel() for p in plain.parameters())
    flops = Meter.of(packed, torch.float32).flops
    assert flops == Meter.of(plain, torch.float32).flops
    assert flops[1] == 4 * plain.get_output_embeddings().weight.numel(), "a frozen head has no gradient"


@pytest.fixture
def wide_model(tmp_path: Path) -> Path:
    """A folder like `tiny_model`'s, wide enough for four bits."""
    model = plain_model("llama-tied")
    model.config.max_position_embeddings = 256
    model.resize_token_embeddings(258, mean_resizing=False)
    model.save_pretrained(tmp_path / "wide")
    byte_tokenizer().save_pretrained(tmp_path / "wide")
    return tmp_path / "wide"


def qlora(model: Path, out: Path, **values: Any) -> TrainSettings:
    preset = dict(TrainSettings.presets["qlora"]) | {"epochs": 1, "batch_size": 5, "max_length": 256}
    data = out.parent / "train.jsonl"
    return TrainSettings(model=str(model), data=data, out=out, **preset | {"device": "cpu"} | values)


def test_linear_layers_of_the_decoder_are_rounded_and_nothing_else() -> None:
    model, plain = rounded(), plain_model()
    for (name, part), (_, before) in zip(model.named_modules(), plain.named_modules(), strict=True):
        is_rounded = isinstance(part, bitsandbytes.nn.Linear4bit)
        assert is_rounded == (isinstance(before, torch.nn.Linear) and "layers." in name)
        if is_rounded:
            error = (whole_weight(part) - before.weight).norm() / before.weight.norm()
            assert 0 < error < 0.11, "a normal variable rounded to NF4 is off by a tenth"
    assert torch.equal(model.get_input_embeddings().weight, plain.get_input_embeddings().weight)


@pytest.mark.parametrize("name", ["llama", "llama-tied", "qwen2"])
def test_the_merged_model_is_a_plain_one_with_the_same_outputs(name: str, tmp_path: Path) -> None:
    model = rounded(name)
    frozen = {key: value.clone() for key, value in model.state_dict().items() if key.endswith("proj.weight")}
    add_adapters(model, EOT, rank=4, alpha=8, dropout=0.0, seed=0)
    fit(model, DOCUMENTS, FEW, tmp_path)
    after = model.state_dict()
    assert all(
        torch.equal(after[key.replace(".weight", ".base_layer.weight")], frozen[key]) for key in frozen
    )
    plain = plain_model(name)
    missing, unexpected = plain.load_state_dict(merged_weights(model), strict=False)
    plain.tie_weights()
    assert not unexpected
    assert set(missing) <= {"lm_head.weight"}
    ids = torch.tensor([[5, 6, EOT, 8]])
    torch.testing.assert_close(plain(ids).logits, model(ids).logits, rtol=1e-3, atol=1e-3)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    model = rounded()
    add_adapters(model, EOT, rank=4, alpha=8, dropout=0.0, seed=0)
    losses: list[float] = []
    fit(
        model,
        DOCUMENTS,
        FEW.model_copy(update={"epochs": 20}),
        tmp_path,
        report=lambda row: losses.append(row.loss) if row.loss is not None else None,
    )
    assert losses[-1] < 0.7 * losses[0]


def test_a_run_saves_plain_models_and_repeats_itself(
    wide_model: Path, tmp_path: Path, examples: list[Example]
) -> None:
    write_jsonl(tmp_path / "train.jsonl", examples)
    weights = []
    for name in ("a", "b"):
        train(qlora(wide_model, tmp_path / name))
        plain = AutoModelForCausalLM.from_pretrained(tmp_path / name / "epoch-01", dtype="auto")
        assert type(plain.model.layers[0].mlp.up_proj) is torch.nn.Linear
        assert not hasattr(plain.config, "quantization_config")
        assert plain.dtype == torch.float32
        weights.append(plain.state_dict())
    base, tokenizer = models.load(wide_model, device="cpu")
    models.add_eot(base, tokenizer)
    assert weights[0].keys() == weights[1].keys() == base.state_dict().keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_four_bits_without_adapters_are_refused(
    tiny_model: Path, tmp_path: Path, examples: list[Example]
) -> None:
    write_jsonl(tmp_path / "train.jsonl", examples)
    with pytest.raises(LimaError, match="--lora-rank 16, or --preset qlora"):
        prepare(qlora(tiny_model, tmp_path / "out", lora_rank=0))


def test_weights_that_come_out_wrong_are_noticed() -> None:
    """Layer 1's rounded weight beside layer 0's own: two independent normal variables are sqrt(2) = 141 % apart."""
    plain, other = plain_model(), rounded()
    before, after = plain.model.layers[0].self_attn.q_proj, other.model.layers[1].self_attn.q_proj
    check_rounding("q_proj", plain.model.layers[1].self_attn.q_proj, after)
    with pytest.raises(LimaError, match=r"q_proj.*comes back from 4 bits 1[34]\d % off"):
        check_rounding("q_proj", before, after)


def test_without_bitsandbytes_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes.nn.modules", None)
    with pytest.raises(LimaError, match=r"pip install .*\[qlora\]'"):
        rounded()


@pytest.mark.parametrize("four_bit", [False, True])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_estimate_is_what_is_held(four_bit: bool, checkpointing: bool, tmp_path: Path) -> None:
    settings = TrainSettings(
        model="m",
        data=tmp_path / "d",
        out=tmp_path / "o",
        batch_size=4,
        precision="float32",
        lora_rank=8,
        residual_dropout=0.0,
        four_bit=four_bit,
        activation_checkpointing=checkpointing,
    )
    model = plain_model(layers=4)
    parts = sum(p.numel() for name, p in model.named_parameters() if name.endswith("proj.weight"))
    if four_bit:
        quantize(model, CPU, torch.float32)
    add_adapters(model, EOT, rank=8, alpha=32, dropout=0.0, seed=0)
    data = sequences((40, 9, 33, 17, 60, 12), seed=0)
    plan = plain_model(layers=4)
    add_adapters(plan, EOT, rank=8, alpha=32, dropout=0.0, seed=0)
    found = estimate(plan, data, settings)
    if checkpointing:
        model.activation_checkpointing_enable()
    counted = saved_bytes(model, collate(largest_micro_batch(data, settings), CPU), settings)
    assert found.activations == pytest.approx(counted, rel=0.1)
    rest = 4 * (sum(p.numel() for p in plan.parameters()) - parts)
    assert found.weights == pytest.approx(rest + parts * (BYTES if four_bit else 4))
    head, *_ = memory_table(plan, data, settings)
    assert (len(head) == 2) == four_bit, "weights of four bits are for one device"
    assert found.gradients == sum(4 * p.numel() for p in model.parameters() if p.requires_grad)
