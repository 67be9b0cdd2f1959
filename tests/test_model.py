import errno
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BertConfig, LlamaConfig, LlamaForCausalLM

from lima import chat, model
from lima.errors import LimaError


def llama(*, tied: bool, vocabulary: int = 258) -> Any:
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        tie_word_embeddings=tied,
    )
    return LlamaForCausalLM(config)


@pytest.fixture
def tokenizer(tiny_model: Path) -> Any:
    return model.load_tokenizer(tiny_model)


class FullTokenizer:
    """The package `tokenizers` tells a full disk as a bare exception."""

    def save_pretrained(self, folder: Path) -> None:
        raise Exception("No space left on device (os error 28)")


def test_a_disk_that_fills_with_the_tokenizer_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(LimaError, match="No space left"):
        model.save(llama(tied=True), FullTokenizer(), tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("token", "problem"), [("", "empty"), ("<s>", "begins every text"), ("A", "ordinary token")]
)
def test_an_eot_that_cannot_be_one_is_refused(tokenizer: Any, token: str, problem: str) -> None:
    with pytest.raises(LimaError, match=problem):
        model.add_eot(llama(tied=True), tokenizer, token)


def test_llama_cpp_finds_the_eot_too(tokenizer: Any, tmp_path: Path) -> None:
    """Its converter reads the tokenizer's `eos_token`, transformers the generation config."""
    base = llama(tied=True)
    model.add_eot(base, tokenizer)
    model.save(base, tokenizer, tmp_path / "saved")
    saved = model.load_tokenizer(tmp_path / "saved")
    assert (saved.eos_token, saved.eos_token_id) == (chat.EOT, chat.eot_id(saved))


def test_a_base_with_sampling_values_and_no_sampling_can_be_saved(tokenizer: Any, tmp_path: Path) -> None:
    base = llama(tied=True)
    base.generation_config.temperature, base.generation_config.top_p = 0.9, 0.6
    model.add_eot(base, tokenizer)
    model.save(base, tokenizer, tmp_path / "saved")
    again, _ = model.load(tmp_path / "saved")
    assert (again.generation_config.temperature, again.generation_config.do_sample) == (0.9, True)


def test_weights_that_do_not_fit_their_config_are_an_error(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"intermediate_size": 32', '"intermediate_size": 48'))
    with pytest.raises(LimaError, match="cannot be loaded"):
        model.load(folder)


@pytest.mark.parametrize("tied", [True, False])
def test_the_eot_rows_start_as_those_of_the_end_of_a_text(tokenizer: Any, tied: bool) -> None:
    """Before any tuning the new token is as likely as the base's own; a base without one has the mean to start from."""
    base, eos = llama(tied=tied), tokenizer.eos_token_id
    tokens = torch.tensor([[3, 7, 5]])
    assert model.add_eot(base, tokenizer)
    logits = base(tokens).logits
    torch.testing.assert_close(logits[..., chat.eot_id(tokenizer)], logits[..., eos])
    torch.testing.assert_close(*base.get_input_embeddings()(torch.tensor([eos, chat.eot_id(tokenizer)])))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("has_eos", [True, False])
def test_the_eot_rows_can_start_as_the_mean_of_the_others(tokenizer: Any, tied: bool, has_eos: bool) -> None:
    base = llama(tied=tied)
    embedding = base.get_input_embeddings().weight.detach().clone()
    head = base.get_output_embeddings().weight.detach().clone()
    if not has_eos:
        tokenizer.eos_token = None
    assert model.add_eot(base, tokenizer, start="mean" if has_eos else "eos")
    eot = chat.eot_id(tokenizer)
    assert eot == 258
    after, after_head = base.get_input_embeddings().weight, base.get_output_embeddings().weight
    assert (after is after_head) is tied
    assert after.shape[0] == base.config.vocab_size == 259
    torch.testing.assert_close(after[eot], embedding.mean(0))
    torch.testing.assert_close(after_head[eot], head.mean(0))
    assert torch.equal(after[:258], embedding)
    assert torch.equal(after_head[:258], head)


def test_a_padded_vocabulary_keeps_its_size_and_its_padding_out_of_the_mean(tokenizer: Any) -> None:
    base = llama(tied=False, vocabulary=320)
    with torch.no_grad():
        base.get_input_embeddings().weight[258:] = 1e6  # rows that no token uses
    used = base.get_input_embeddings().weight[:258].detach().clone()
    model.add_eot(base, tokenizer, start="mean")
    assert base.get_input_embeddings().weight.shape[0] == 320
    torch.testing.assert_close(base.get_input_embeddings().weight[258], used.mean(0))


def test_a_known_eot_keeps_its_row(tokenizer: Any, tmp_path: Path) -> None:
    base = llama(tied=True)
    model.add_eot(base, tokenizer)
    with torch.no_grad():
        base.get_input_embeddings().weight[258] = 7.0
    model.save(base, tokenizer, tmp_path / "tuned")
    again, its_tokenizer = model.load(tmp_path / "tuned", device="cpu")
    assert not model.add_eot(again, its_tokenizer)
    assert torch.equal(again.get_input_embeddings().weight[258], torch.full((16,), 7.0))
    assert again.generation_config.eos_token_id[0] == 258


def test_a_saved_model_loads_in_plain_transformers(tokenizer: Any, tmp_path: Path) -> None:
    base = llama(tied=False)
    model.add_eot(base, tokenizer)
    model.save(base, tokenizer, tmp_path / "tuned")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "tuned")
    plain_tokenizer = AutoTokenizer.from_pretrained(tmp_path / "tuned")
    ids = torch.tensor([chat.encode_plain(plain_tokenizer, "Hello")])
    assert torch.equal(plain(ids).logits, base.eval()(ids).logits)
    assert plain.generation_config.eos_token_id[0] == 258
    assert not list(tmp_path.glob(".*")), "no temporary folder is left"
    assert len({file.stat().st_mode for file in (tmp_path / "tuned").iterdir()}) == 1, (
        "all as readable as the rest"
    )


def test_saving_on_a_full_disk_keeps_the_model_that_was_there(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = llama(tied=False)
    model.save(base, tokenizer, tmp_path / "tuned")
    before = (tmp_path / "tuned" / "model.safetensors").read_bytes()

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tokenizer, "save_pretrained", full)
    with pytest.raises(LimaError, match=r"No space left.*again"):
        model.save(base, tokenizer, tmp_path / "tuned")
    assert (tmp_path / "tuned" / "model.safetensors").read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(LimaError, match="no such model folder"):
        model.load(tmp_path / "nowhere")
    with pytest.raises(LimaError, match="no such model folder"):
        model.load("./nowhere")


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(LimaError, match=r"no config\.json"):
        model.load(tmp_path)
    for epoch in ("checkpoint-500", "checkpoint-1000"):
        (tmp_path / epoch).mkdir()
        (tmp_path / epoch / "config.json").touch()
    with pytest.raises(LimaError, match=r"It holds models, as a run does; name one: .*checkpoint-1000$"):
        model.load(tmp_path)


def test_the_folder_of_align_names_its_last_epoch(tmp_path: Path) -> None:
    for place in ("run/epoch-04", "run/epoch-05", "run/.epoch-06.tmp"):  # the last was being written
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "config.json").touch()
    with pytest.raises(LimaError, match=r"name one: .*epoch-05$"):
        model.load(tmp_path)


def test_a_model_without_causal_head(tmp_path: Path) -> None:
    BertConfig(architectures=["BertForMaskedLM"]).save_pretrained(tmp_path)
    with pytest.raises(LimaError, match="no causal language-model head"):
        model.load(tmp_path)


def test_an_unreachable_hub_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(LimaError, match="made-up/model") as caught:
        model.load("made-up/model")
    assert "\n" not in str(caught.value)


def test_cut_off_weights_are_named(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(tiny_model, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(LimaError, match=r"cut: cannot be loaded as a model"):
        model.load(folder)


def test_a_device_that_is_not_there_and_a_mistyped_folder_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(LimaError, match="no device 'gpu'"):
        model.checked_device("gpu")
    (tmp_path / "runs").mkdir()
    with pytest.raises(LimaError, match="no such model folder"):
        model.load(f"{tmp_path}/runs/nowhere")
    if not torch.cuda.is_available():
        with pytest.raises(LimaError, match="finds no CUDA here"):
            model.checked_device("cuda")
