"""What a run leaves on the disk: which epochs, in which type, that it fits, and that it is what was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from lima import model as models
from lima.errors import LimaError
from lima.files import write_jsonl
from lima.records import Example
from lima.train.run import prepare, train
from lima.train.save import Disk, disk, kept_epochs
from lima.train.settings import TrainSettings


@pytest.fixture
def choose(tmp_path: Path, tiny_model: Path, examples: list[Example]) -> Any:
    write_jsonl(tmp_path / "train.jsonl", examples)

    def settings(**changes: Any) -> TrainSettings:
        values = {
            "model": str(tiny_model),
            "data": tmp_path / "train.jsonl",
            "out": tmp_path / "run",
            "epochs": 1,
        }
        values |= {"batch_size": 4, "learning_rate": 1e-3, "max_length": 256, "device": "cpu", **changes}
        return TrainSettings.model_validate(values)

    return settings


@pytest.mark.parametrize(
    ("epochs", "chosen", "kept"),
    [
        (15, (), [5, 6, 7, 8, 9, 10, 15]),
        (7, (), [5, 6, 7]),
        (3, (), [1, 2, 3]),
        (6, (0,), [1, 2, 3, 4, 5, 6]),
        (6, (2,), [2, 6]),
    ],
)
def test_the_epochs_that_the_paper_chooses_among_and_the_last_are_kept(
    choose: Any, epochs: int, chosen: tuple[int, ...], kept: list[int]
) -> None:
    assert kept_epochs(choose(epochs=epochs, keep_epochs=chosen), epochs) == kept


def _trained(settings: TrainSettings) -> dict[str, torch.Tensor]:
    """The weights in memory after the run, from its last training state."""
    from lima.train.loop import fit

    inputs = prepare(settings)
    fit(inputs.model, inputs.data.sequences, settings, settings.out.with_name("by-hand"))
    return {name: p.detach() for name, p in inputs.model.named_parameters()}


def test_a_saved_model_in_float32_is_what_was_trained_to_the_last_bit(choose: Any, tmp_path: Path) -> None:
    train(choose(save_dtype="float32"))
    wanted = _trained(choose())
    found = load_file(tmp_path / "run" / "epoch-01" / "model.safetensors")
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], weight) for name, weight in wanted.items())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_saved_model_in_halves_is_what_was_trained_within_rounding(
    choose: Any, tmp_path: Path, dtype: str
) -> None:
    """Bfloat16 has 8 significant bits, float16 11: a rounding is off by at most 2^-8 and 2^-11 of the number."""
    train(choose(save_dtype=dtype))
    wanted, kind = _trained(choose()), getattr(torch, dtype)
    folder = tmp_path / "run" / "epoch-01"
    found = load_file(folder / "model.safetensors")
    assert found.keys() == wanted.keys()
    for name, weight in wanted.items():
        assert found[name].dtype == kind
        bound = {"bfloat16": 2**-8, "float16": 2**-11}[dtype]
        torch.testing.assert_close(found[name].float(), weight, rtol=1.01 * bound, atol=1e-7)
    assert AutoModelForCausalLM.from_pretrained(folder, dtype="auto").dtype == kind


def test_by_default_weights_are_saved_in_the_base_s_own_type(
    choose: Any, tiny_model: Path, tmp_path: Path
) -> None:
    base, tokenizer = models.load(tiny_model, dtype="bfloat16", device="cpu")
    models.save(base, tokenizer, tmp_path / "halves")
    assert models.stored_dtype(tmp_path / "halves") == torch.bfloat16
    train(choose(model=str(tmp_path / "halves")))
    found = load_file(tmp_path / "run" / "epoch-01" / "model.safetensors")
    assert {weight.dtype for weight in found.values()} == {torch.bfloat16}


def test_weights_above_the_largest_file_are_several_files(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = models.load(tiny_model, device="cpu")
    monkeypatch.setattr(models, "LARGEST_FILE", "8KB")
    models.save(model, tokenizer, tmp_path / "parts", dtype=torch.bfloat16)
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    again, _ = models.load(tmp_path / "parts", device="cpu")
    for mine, reference in zip(again.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(mine, reference, rtol=2**-8, atol=0)


@pytest.mark.parametrize("rank", [0, 16])
def test_the_need_is_what_a_run_writes(rank: int, choose: Any, tmp_path: Path) -> None:
    if rank:
        pytest.importorskip("peft")
    settings = choose(epochs=2, lora_rank=rank)
    need = disk(prepare(settings).model, settings, 2)
    assert need.models == 2
    train(settings)
    written = [p.stat().st_size for p in (tmp_path / "run").rglob("*.safetensors")]
    assert sum(written) == pytest.approx(2 * need.model, rel=0.1)
    assert disk(prepare(settings).model, settings, 2).models == 0


def test_too_small_a_disk_is_told_before_the_first_step(tmp_path: Path) -> None:
    need = Disk(model=2 * 10**9, models=7, states=10**9, free=14 * 10**9)
    with pytest.raises(LimaError, match=r"needs 15.0 GB on the disk \(7 models of 2.0 GB.*14.0 GB are free"):
        need.check(tmp_path)
    Disk(model=1, models=1, states=1, free=2).check(tmp_path)


def test_adapters_are_saved_beside_the_merged_model_and_give_the_same(
    choose: Any, tiny_model: Path, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    train(choose(lora_rank=4, residual_dropout=0.0, save_dtype="float32"))
    folder = tmp_path / "run" / "epoch-01"
    merged = AutoModelForCausalLM.from_pretrained(folder)
    base, tokenizer = models.load(tiny_model, device="cpu")
    models.add_eot(base, tokenizer)
    adapted = peft.PeftModel.from_pretrained(base, folder / "adapter")
    ids = torch.tensor([AutoTokenizer.from_pretrained(folder).encode("What is 2 + 2?<|eot|>")])
    torch.testing.assert_close(adapted(ids).logits, merged(ids).logits, rtol=1e-4, atol=1e-5)


def test_peft_alone_puts_saved_adapters_on_the_untouched_base(choose: Any, tmp_path: Path) -> None:
    """It has no row for the new EOT: the tokenizer beside the adapters tells peft to add it."""
    peft = pytest.importorskip("peft")
    train(choose(lora_rank=4, residual_dropout=0.0, save_dtype="float32"))
    folder = tmp_path / "run" / "epoch-01"
    adapted = peft.AutoPeftModelForCausalLM.from_pretrained(folder / "adapter")
    merged = AutoModelForCausalLM.from_pretrained(folder)
    ids = torch.tensor([AutoTokenizer.from_pretrained(folder / "adapter").encode("What is 2 + 2?<|eot|>")])
    torch.testing.assert_close(adapted(ids).logits, merged(ids).logits, rtol=1e-4, atol=1e-5)
    card = (folder / "adapter" / "README.md").read_text(encoding="utf-8")
    assert "AutoPeftModelForCausalLM" in card
    assert str(tmp_path) not in card  # the hub refuses a folder of this machine as a base
    assert "More Information Needed" not in card
