"""Other people's checkpoints: every tensor of the model comes from the file, or loading ends with its name."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

from lima import model, weights
from lima.errors import LimaError

UP = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture
def rewritten(
    tiny_model: Path, tmp_path: Path
) -> Callable[[Callable[[dict[str, Any]], dict[str, Any]]], Path]:
    """A copy of the tiny model whose tensors went through a function."""

    def make(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
        folder = shutil.copytree(tiny_model, tmp_path / "model")
        file = folder / "model.safetensors"
        save_file(change(load_file(file)), file, metadata={"format": "pt"})
        return folder

    return make


def configured(tiny_model: Path, folder: Path, **changes: Any) -> Path:
    shutil.copytree(tiny_model, folder)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def same(one: Any, other: Any) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda name: f"_orig_mod.{name}",  # torch.compile
        lambda name: f"module.{name}",  # DistributedDataParallel
        lambda name: f"module.module.{name}",  # the same around DeepSpeed's engine
        lambda name: f"module._orig_mod.{name}",
        lambda name: f"_orig_mod.module.{name}",
        lambda name: name.replace(".mlp.", "._orig_mod.mlp."),  # layers compiled one by one
        lambda name: name.replace("layers.0.", "layers.0._fsdp_wrapped_module."),
        lambda name: f"base_model.model.{name}",  # peft, after its adapters were unloaded
    ],
)
def test_a_wrapper_s_prefix_is_left_out_with_a_note_and_never_comes_back(
    tiny_model: Path,
    rewritten: Any,
    wrap: Callable[[str], str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = rewritten(lambda tensors: {wrap(name): tensor for name, tensor in tensors.items()})
    found, tokenizer = model.load(folder, device="cpu")
    assert "of a program that wrapped the model; it is left out" in capsys.readouterr().err
    plain, _ = model.load(tiny_model, device="cpu")
    assert same(found, plain)
    model.save(found, tokenizer, tmp_path / "saved")
    names = load_file(tmp_path / "saved" / "model.safetensors").keys()
    assert names == load_file(tiny_model / "model.safetensors").keys()


@pytest.mark.parametrize("read", [lambda f: model.load(f, device="cpu"), model.check_tensors])
def test_a_missing_tensor_is_named(rewritten: Any, read: Callable[[Path], object]) -> None:
    folder = rewritten(lambda tensors: {name: t for name, t in tensors.items() if name != UP})
    with pytest.raises(LimaError, match=rf"{UP} is not in the weights; 1 of the 21 tensors") as caught:
        read(folder)
    assert "\n" not in str(caught.value)


def test_names_of_another_model_are_all_missing_and_one_that_is_there_is_shown(rewritten: Any) -> None:
    folder = rewritten(lambda tensors: {f"gpt.{name}": tensor for name, tensor in tensors.items()})
    with pytest.raises(
        LimaError, match=r"of the 21 tensors of a LlamaForCausalLM are missing. They hold gpt\."
    ):
        model.load(folder, device="cpu")


def test_a_tensor_that_the_config_knows_nothing_of_is_named(rewritten: Any) -> None:
    """A Qwen read as a LLaMA would lose the biases of its attention, and answer a little worse."""
    bias = "model.layers.0.self_attn.q_proj.bias"
    folder = rewritten(lambda tensors: tensors | {bias: torch.ones(16)})
    with pytest.raises(LimaError, match=rf"hold {bias}, which a LlamaForCausalLM .* does not use; 1 such"):
        model.load(folder, device="cpu")


def test_frequencies_that_old_checkpoints_hold_are_no_fault(rewritten: Any) -> None:
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    model.load(rewritten(lambda tensors: tensors | {name: torch.ones(2)}), device="cpu")


def test_shapes_of_another_config_are_told(tiny_model: Path, tmp_path: Path) -> None:
    folder = configured(tiny_model, tmp_path / "wide", intermediate_size=48)
    with pytest.raises(
        LimaError, match=r"down_proj.weight is 16 x 32 in the weights, 16 x 48 by config.json"
    ):
        model.load(folder, device="cpu")


def test_an_adapter_beside_the_model_is_refused_with_what_to_do(rewritten: Any) -> None:
    def adapted(tensors: dict[str, Any]) -> dict[str, Any]:
        found = {f"base_model.model.{name}": tensor for name, tensor in tensors.items()}
        return found | {f"base_model.model.{UP.removesuffix('.weight')}.lora_A.weight": torch.ones(4, 16)}

    with pytest.raises(LimaError, match=r"hold an adapter beside the model.*merge_and_unload"):
        model.load(rewritten(adapted), device="cpu")


def test_a_folder_of_an_adapter_is_not_taken_for_its_base(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(LimaError, match=r"an adapter .* Merge it into its base"):
        model.load(folder, device="cpu")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named_and_not_saved(
    tiny_model: Path, rewritten: Any, tmp_path: Path, bad: float
) -> None:
    folder = rewritten(lambda tensors: tensors | {UP: torch.full_like(tensors[UP], bad)})
    for read in (lambda: model.load(folder, device="cpu"), lambda: weights.stored_kinds(folder)):
        with pytest.raises(LimaError, match=f"{UP} holds NaN or infinite numbers"):
            read()
    network, tokenizer = model.load(tiny_model, device="cpu")
    network.get_parameter(UP).data[3, 3] = bad
    with pytest.raises(
        LimaError, match=f"the model is not saved, {UP} holds NaN or infinite numbers: try a lower"
    ):
        model.save(network, tokenizer, tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_numbers_too_large_for_float16_are_not_saved_as_infinite_ones(
    tiny_model: Path, tmp_path: Path
) -> None:
    network, tokenizer = model.load(tiny_model, device="cpu")
    network.get_parameter(UP).data[0, 0] = 1e5  # the largest float16 is 65,504
    with pytest.raises(LimaError, match="as float16; save in bfloat16"):
        model.save(network, tokenizer, tmp_path / "saved", dtype=torch.float16)
    model.save(network, tokenizer, tmp_path / "saved", dtype=torch.bfloat16)


def test_large_numbers_are_numbers() -> None:
    """Their sum overflows."""
    assert (
        weights.not_numbers([("a", torch.full((4,), 3e38)), ("b", torch.zeros(3, dtype=torch.int64))]) is None
    )


def test_a_head_of_its_own_stays_apart_though_the_config_ties_it(rewritten: Any, tmp_path: Path) -> None:
    head = torch.randn(258, 16)
    folder = rewritten(lambda tensors: tensors | {"lm_head.weight": head})
    network, tokenizer = model.load(folder, device="cpu")
    assert torch.equal(network.get_output_embeddings().weight, head)
    model.save(network, tokenizer, tmp_path / "saved")
    again, _ = model.load(tmp_path / "saved", device="cpu")
    assert torch.equal(again.get_output_embeddings().weight, head)


def test_the_first_layers_alone_are_those_of_the_whole(tmp_path: Path, tiny_model: Path) -> None:
    config = LlamaConfig(
        vocab_size=258, hidden_size=16, intermediate_size=32, num_hidden_layers=4, num_attention_heads=4
    )
    config.layer_types = ["full_attention"] * 4
    LlamaForCausalLM(config).save_pretrained(tmp_path / "deep")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_model / file, tmp_path / "deep")
    whole, _ = model.load(tmp_path / "deep", device="cpu")
    part, _ = model.load(tmp_path / "deep", device="cpu", layers=2)
    assert (part.config.num_hidden_layers, len(part.config.layer_types)) == (2, 2)
    assert whole.config.num_hidden_layers == 4
    mine, theirs = part.state_dict(), whole.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert not any(".layers.2." in name for name in mine)


@pytest.mark.parametrize("method", ["gptq", "awq", "compressed-tensors", "fp8"])
def test_weights_that_are_quantised_beyond_reading_are_refused_with_what_to_take(
    tiny_model: Path, tmp_path: Path, method: str
) -> None:
    folder = configured(
        tiny_model, tmp_path / "small", quantization_config={"quant_method": method, "bits": 4}
    )
    with pytest.raises(
        LimaError, match=rf"quantised \({method}\), which is not read here. Take the full model;"
    ):
        model.load(folder, device="cpu")
    (folder / "README.md").write_text("---\nbase_model: made/up-7b\n---\n")
    for device in ("cpu", "meta"):
        with pytest.raises(LimaError, match="Take the full model, made/up-7b;"):
            model.load(folder, device=device)


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        (
            {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": torch.bfloat16},
            0.15,
        ),
        ({"load_in_8bit": True}, 0.02),
    ],
)
def test_weights_of_bitsandbytes_are_read_as_whole_numbers(
    tiny_model: Path,
    tmp_path: Path,
    settings: dict[str, Any],
    most: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """NF4 is 9 % off for normal variables; eight bits with the row's largest as 127 steps, at most 1 %."""
    pytest.importorskip("bitsandbytes")
    plain = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=258,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            tie_word_embeddings=True,
        )
    )
    plain.save_pretrained(tmp_path / "whole")
    folder = tmp_path / "small"
    quantised = AutoModelForCausalLM.from_pretrained(
        tmp_path / "whole", quantization_config=BitsAndBytesConfig(**settings)
    )
    quantised.save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_model / file, folder)
    assert load_file(folder / "model.safetensors")[UP].dtype in (torch.uint8, torch.int8)
    network, tokenizer = model.load(folder, device="cpu")
    assert "are quantised (bitsandbytes" in capsys.readouterr().err
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    wanted = plain.get_parameter(UP)
    assert 0 < (network.get_parameter(UP) - wanted).norm() / wanted.norm() < most
    model.save(network, tokenizer, tmp_path / "saved")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    assert same(again, network)
    assert not hasattr(again.config, "quantization_config")
    assert model.check_tensors(folder) > 0


def test_a_tokenizer_of_a_larger_model_is_refused_and_a_late_pad_is_not(
    tiny_model: Path, tmp_path: Path
) -> None:
    network, tokenizer = model.load(tiny_model, device="cpu")
    tokenizer.add_special_tokens({"pad_token": "<pad>"})
    model.save(network, tokenizer, tmp_path / "pad")
    model.load(tmp_path / "pad", device="cpu")
    tokenizer.add_tokens(["larger"])
    model.save(network, tokenizer, tmp_path / "larger")
    with pytest.raises(LimaError, match="has 260 tokens, the model 258 rows for them; 'larger' has none"):
        model.load(tmp_path / "larger", device="cpu")


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "pointer of Git LFS.*git lfs pull"),
        ("tokenizer.json", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "pointer of Git LFS.*git lfs pull"),
        ("model.safetensors", b"<!DOCTYPE html>", "cannot be loaded as a model"),
        ("tokenizer.json", b"{", "its tokenizer cannot be loaded .* beside the weights"),
        ("config.json", b"[]", "cannot be loaded as a model"),
        ("config.json", b'{"model_type": "llama", "hidden_size": "64"}', "expected int, got str"),
        ("config.json", b'{"model_type": "llama", "rope_scaling": {"type": "su", "factor": 2}}', r"unknown: 'su'"),
        ("config.json", b'{"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}', "needs its author's own code, which lima does not run"),
        ("generation_config.json", b"{broken", "generation_config.json: not JSON"),
        ("generation_config.json", b"[]", "generation_config.json: expected an object"),
        ("generation_config.json", b'{"eos_token_id": "</s>"}', "eos_token_id of generation_config.json is '</s>', expected"),
    ],
)  # fmt: skip
def test_a_damaged_file_ends_loading_in_one_line(
    tiny_model: Path, tmp_path: Path, file: str, content: bytes, says: str
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / file).write_bytes(content)
    with pytest.raises(LimaError, match=says) as error:
        model.load(folder, device="cpu")
    assert "\n" not in str(error.value)


def test_a_stop_token_that_the_model_has_no_row_for_is_passed_over(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    for given, kept in (([2, 50256], [2]), (50256, None), (-1, None), (2, 2)):
        (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": given}))
        found, _ = model.load(folder, device="cpu")
        assert found.generation_config.eos_token_id == kept
        assert ("but the model has 258 tokens; it is ignored" in capsys.readouterr().err) == (given != kept)


class Program:
    """What a pickle may hold."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("run"),)


def test_a_pickle_with_a_program_in_it_is_not_run(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors | {"more": Program()}, folder / "pytorch_model.bin")
    with pytest.raises(
        LimaError, match=r"holds more than tensors and could run any program; use model.safetensors"
    ):
        model.load(folder, device="cpu")
    assert not Path("run").exists()


def test_a_part_of_the_weights_that_was_not_fetched_is_named(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    whole, _ = model.load(folder, device="cpu")
    (folder / "model.safetensors").unlink()
    whole.save_pretrained(folder, max_shard_size="20KB")
    assert same(whole, model.load(folder, device="cpu")[0])
    index = folder / "model.safetensors.index.json"
    sound = index.read_bytes()
    for damaged in (b"{broken", b"[]", b'{"weight_map": []}', b'{"weight_map": {"x": 1}}'):
        index.write_bytes(damaged)
        with pytest.raises(LimaError, match=r"index\.json: (not JSON|no weight_map)"):
            model.check_place(folder)
    index.write_bytes(sound)
    part = sorted(folder.glob("model-*-of-*"))[-1]
    part.unlink()
    with pytest.raises(LimaError, match=f"{part.name}: missing, though the index names it"):
        model.load(folder, device="cpu")


@pytest.mark.parametrize("pad", [-1, 258, 32000])
def test_a_pad_that_the_model_has_no_row_for_is_none(tiny_model: Path, tmp_path: Path, pad: int) -> None:
    folder = configured(tiny_model, tmp_path / "pad", pad_token_id=pad)
    (folder / "generation_config.json").write_text(json.dumps({"pad_token_id": -1}))
    found, tokenizer = model.load(folder, device="cpu")
    model.set_template(found, tokenizer)
    model.save(found, tokenizer, tmp_path / "saved")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "saved").config.pad_token_id is None


def test_a_stop_token_that_is_the_pad_too_is_learnt_where_it_is_read(
    tiny_model: Path, tmp_path: Path
) -> None:
    """Transformers keeps the gradient of the pad's row at zero; no text here is padded, so each of its tokens means something."""
    found, _ = model.load(configured(tiny_model, tmp_path / "pad", pad_token_id=2), device="cpu")
    rows: Any = found.get_input_embeddings()
    rows(torch.tensor([2])).sum().backward()
    assert rows.weight.grad[2].abs().sum() > 0


def test_the_type_of_the_weights_is_read_from_them_where_the_config_is_silent(
    rewritten: Any, tmp_path: Path
) -> None:
    folder = rewritten(lambda tensors: {name: tensor.bfloat16() for name, tensor in tensors.items()})
    config = json.loads((folder / "config.json").read_text())
    for said, stored in (
        ("float32", torch.float32),
        ("float8_e4m3fn", torch.bfloat16),
        (None, torch.bfloat16),
    ):
        (folder / "config.json").write_text(json.dumps(config | {"dtype": said}))
        assert model.stored_dtype(folder) == stored
        assert model.is_whole_in(folder, torch.bfloat16)


def test_a_type_that_holds_only_some_of_the_weights_does_not_hold_them_whole(rewritten: Any) -> None:
    """Norms are kept wider than matrices in some checkpoints, and a config may promise what the files do not hold."""
    folder = rewritten(
        lambda tensors: {n: tensor if "norm" in n else tensor.bfloat16() for n, tensor in tensors.items()}
    )
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}))
    assert not model.is_whole_in(folder, torch.bfloat16)


def test_files_beside_the_weights_are_not_looked_at(tiny_model: Path, tmp_path: Path) -> None:
    """Some publish a model twice in a folder, in their own names, too."""
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    save_file({"tok.weight": torch.tensor([math.nan])}, folder / "consolidated.safetensors")
    assert weights.stored_kinds(folder) == ["float32"]
    (folder / "model.safetensors").rename(folder / "one.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {UP: "one.safetensors"}}))
    assert weights.stored_kinds(folder) == ["float32"]


@pytest.mark.parametrize(
    ("beside", "says"),
    [
        ("zero_to_fp32.py", "but shards of DeepSpeed; run its zero_to_fp32.py"),
        ("pytorch_model_fsdp_0", "but shards of FSDP; merge them"),
        ("model-q4.gguf", "but GGUF, which llama.cpp reads"),
        ("model.fp16.safetensors", "but a variant; call it model.safetensors"),
        ("notes.txt", "but none in another form"),
    ],
)
def test_weights_in_another_form_are_told(tiny_model: Path, tmp_path: Path, beside: str, says: str) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "model.safetensors").unlink()
    (folder / beside).write_bytes(b"")
    with pytest.raises(LimaError, match=says):
        model.load(folder, device="cpu")
    with pytest.raises(LimaError, match="a file; name the folder that holds it"):
        model.load(folder / "config.json", device="cpu")
