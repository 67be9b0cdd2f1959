import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.test_dropout import zero_shares
from tests.train.test_loss import build
from transformers import AutoModelForCausalLM

from lima import model as models
from lima.chat import Tokens
from lima.errors import LimaError
from lima.files import write_jsonl
from lima.records import Example
from lima.train.adapters import add_adapters, merged_weights
from lima.train.attention import inside_documents
from lima.train.batches import collate
from lima.train.dropout import residual_dropout
from lima.train.loop import fit, gradients
from lima.train.loss import summed_loss
from lima.train.memory import estimate
from lima.train.precision import narrow_frozen
from lima.train.run import prepare, train
from lima.train.settings import FitSettings, TrainSettings

pytest.importorskip("peft")

EOT = 63
DOCUMENTS = [Tokens(ids, ids) for ids in ([5, 6, 7, EOT], [8, 9, EOT], [10, 11, 12, 13, EOT])]
FEW = FitSettings(epochs=3, batch_size=2, learning_rate=1e-2, residual_dropout=0.0)


def adapted(name: str = "llama") -> Any:
    model = build(name).float()
    add_adapters(model, EOT, rank=4, alpha=8, dropout=0.0, seed=0)
    return model


def test_a_head_with_a_bias_is_refused() -> None:
    model = build("llama").float()
    head = model.get_output_embeddings()
    head.bias = torch.nn.Parameter(torch.ones(head.weight.shape[0]))
    with pytest.raises(LimaError, match="has a bias"):
        add_adapters(model, EOT, rank=4, alpha=8, dropout=0.0, seed=0)


@pytest.mark.parametrize("name", ["llama", "llama-tied", "qwen2"])
def test_the_merged_model_is_a_plain_one_with_the_same_outputs(name: str, tmp_path: Path) -> None:
    model = adapted(name)
    fit(model, DOCUMENTS, FEW, tmp_path)
    plain = build(name).float()
    ids = torch.tensor([[5, 6, EOT, 8]])
    before = plain(ids).logits
    missing, unexpected = plain.load_state_dict(merged_weights(model), strict=False)
    plain.tie_weights()
    assert not unexpected
    assert set(missing) <= {"lm_head.weight"}
    torch.testing.assert_close(plain(ids).logits, model(ids).logits)
    assert not torch.allclose(plain(ids).logits, before)


@pytest.mark.parametrize("name", ["llama", "llama-tied"])
def test_only_adapters_and_the_eot_row_are_trained(name: str, tmp_path: Path) -> None:
    model = adapted(name)
    untouched = build(name).float().get_input_embeddings().weight
    fit(model, DOCUMENTS, FEW, tmp_path)
    after = merged_weights(model)["model.embed_tokens.weight"]
    changed = (after != untouched).any(dim=1).nonzero().flatten().tolist()
    assert changed == [EOT]
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert all("lora_" in name or "trainable_tokens" in name for name in trained)
    # 3 layers of 7 linear layers with two factors each, and the EOT row of embedding and head
    assert len(trained) == 3 * 7 * 2 + (1 if name == "llama-tied" else 2)


def test_before_the_first_step_the_loss_is_the_base_model_s() -> None:
    model, base = adapted(), build("llama").float()
    batch = collate(DOCUMENTS, torch.device("cpu"))
    with inside_documents(model), inside_documents(base):
        torch.testing.assert_close(summed_loss(model, batch), summed_loss(base, batch))


def test_a_base_in_bfloat16_gives_the_gradients_of_float32() -> None:
    """Its matrices are what autocast would make of them; norms, embeddings and adapters stay in float32."""
    narrow = build("llama").to(torch.bfloat16)
    narrow_frozen(narrow)
    add_adapters(narrow, EOT, rank=4, alpha=8, dropout=0.0, seed=0)
    with torch.no_grad():
        for name, factor in narrow.named_parameters():
            if "lora_B" in name:  # zero at first, and so would be the gradients of the other factor
                factor.normal_(generator=torch.Generator().manual_seed(3))
    wide = copy.deepcopy(narrow).float()
    types = {p.dtype: p.requires_grad for _, p in narrow.named_parameters() if p.ndim == 2}
    assert types == {torch.bfloat16: False, torch.float32: True}
    settings = FEW.model_copy(update={"precision": "bfloat16"})
    losses = []
    for model in (narrow, wide):
        with inside_documents(model.train()):
            losses.append(gradients(model, DOCUMENTS, settings, 1, stop=EOT))
    assert torch.equal(*losses)
    for (name, mine), theirs in zip(narrow.named_parameters(), wide.parameters(), strict=True):
        assert (mine.grad is None) == (theirs.grad is None) == (not mine.requires_grad), name
        if mine.grad is not None:
            # nothing follows the EOT of these documents, so that its embedding learns nothing
            assert mine.grad.any() == ("embed_tokens" not in name), name
            assert torch.equal(mine.grad, theirs.grad), name


@pytest.mark.parametrize(
    ("stored", "said"), [("bfloat16", "bfloat16"), ("float32", "float32"), ("float32", "bfloat16")]
)
def test_only_a_base_that_loses_nothing_is_held_in_bfloat16(
    stored: str, said: str, tiny_model: Path, tmp_path: Path, examples: list[Example]
) -> None:
    """What is saved is what was trained: the base's own weights, whatever its config says, with the adapters on them."""
    base, tokenizer = models.load(tiny_model, device="cpu")
    models.save(base, tokenizer, tmp_path / "base", dtype=getattr(torch, stored))
    config = tmp_path / "base" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"dtype": said}))
    write_jsonl(tmp_path / "train.jsonl", examples)
    values = {"lora_rank": 2, "epochs": 1, "max_length": 256, "device": "cpu", "precision": "bfloat16"}
    settings = TrainSettings.model_validate(
        {"model": str(tmp_path / "base"), "data": tmp_path / "train.jsonl", "out": tmp_path / "run", **values}
    )
    inputs = prepare(settings)
    held = {p.dtype for name, p in inputs.model.named_parameters() if name.endswith("base_layer.weight")}
    assert (torch.bfloat16 in held) == (stored == "bfloat16")
    mine = inputs.model.get_parameter("model.layers.0.mlp.up_proj.base_layer.weight")
    again, _ = models.load(tmp_path / "base", device="cpu")
    assert torch.equal(mine.float(), again.get_parameter("model.layers.0.mlp.up_proj.weight"))
    planned = estimate(inputs.model, inputs.data.sequences, settings)
    assert planned.weights == sum(p.numel() * p.element_size() for p in inputs.model.parameters())
    planning = settings.model_copy(update={"dry_run": True})
    assert estimate(prepare(planning).model, inputs.data.sequences, planning) == planned


def test_the_residual_dropout_ramp_holds_under_adapters() -> None:
    model = adapted().train()
    with residual_dropout(model, 0.3):
        shares = zero_shares(model)
    # 400 tokens x 32 = 12,800 elements: four standard errors are at most .0162
    for layer, rates in enumerate(shares):
        assert rates == pytest.approx([0.3 * layer / 2] * 2, abs=0.0162)


def test_a_run_with_adapters_saves_plain_models_and_repeats_itself(
    tiny_model: Path, tmp_path: Path, examples: list[Example]
) -> None:
    write_jsonl(tmp_path / "train.jsonl", examples)
    weights = []
    for name in ("a", "b"):
        values = dict(TrainSettings.presets["lora"]) | {
            "epochs": 1,
            "batch_size": 5,
            "max_length": 256,
            "device": "cpu",
        }
        settings = TrainSettings(
            model=str(tiny_model), data=tmp_path / "train.jsonl", out=tmp_path / name, **values
        )
        train(settings)
        plain = AutoModelForCausalLM.from_pretrained(tmp_path / name / "epoch-01")
        assert type(plain.model.layers[0].mlp.up_proj) is torch.nn.Linear
        weights.append(plain.state_dict())
    base, tokenizer = models.load(tiny_model, device="cpu")
    models.add_eot(base, tokenizer)
    assert weights[0].keys() == weights[1].keys() == base.state_dict().keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert not torch.equal(
        weights[0]["model.layers.0.mlp.up_proj.weight"], base.model.layers[0].mlp.up_proj.weight
    )
