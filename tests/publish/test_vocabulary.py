"""Which tokenizers llama.cpp reads alike, and the refusal of the others by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from lima.errors import LimaError
from lima.publish.vocabulary import RULES, SENTENCEPIECE, sentencepiece_model, splitting
from lima.world.tokenizer import make_tokenizer

LLAMA = [
    {"type": "Prepend", "prepend": "▁"},
    {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
]


def folder(tmp_path: Path, pre: Any, normalizer: Any = None, **core: Any) -> Path:
    """A checkpoint's tokenizer.json: bytes a and b, a merge, and a special token."""
    model = {
        "type": "BPE",
        "unk_token": "<unk>",
        "vocab": {"<unk>": 0, "<0x41>": 1, "a": 2, "b": 3, "ab": 4, "ba": 5},
        "merges": [["b", "a"], ["a", "b"]],
        **core,
    }
    special = [
        {"id": 0, "content": "<unk>", "special": True},
        {"id": 6, "content": "<|eot|>", "special": True},
    ]
    facts = {"model": model, "pre_tokenizer": pre, "normalizer": normalizer, "added_tokens": special}
    (tmp_path / "tokenizer.json").write_text(json.dumps(facts))
    (tmp_path / "config.json").write_text('{"model_type": "made-up"}')
    return tmp_path


@pytest.mark.parametrize("name", RULES)
def test_rules_are_known_whatever_they_say_of_offsets(name: str, tmp_path: Path) -> None:
    written = json.loads(json.dumps(RULES[name]).replace('"use_regex"', '"trim_offsets": true, "use_regex"'))
    assert splitting(folder(tmp_path, written, ignore_merges=name == "llama-bpe")) == name


def test_llama_s_first_kind(tmp_path: Path) -> None:
    place = folder(tmp_path, None, {"type": "Sequence", "normalizers": LLAMA}, byte_fallback=True)
    assert splitting(place) == SENTENCEPIECE


@pytest.mark.parametrize(("pre", "normalizer", "core", "said"), [
    ({"type": "Whitespace"}, None, {}, "the pre-tokenizer Whitespace"),
    ({"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}, None, {}, "the pre-tokenizer ByteLevel"),
    ({"type": "Split", "pattern": {"String": " "}}, None, {"byte_fallback": True}, "the pre-tokenizer Split"),
    (RULES["gpt-2"], {"type": "Lowercase"}, {}, "the normalizer Lowercase"),
    (RULES["gpt-2"], None, {"ignore_merges": True}, "the pre-tokenizer ByteLevel"),
    (None, None, {"type": "Unigram"}, "of the kind Unigram"),
])  # fmt: skip
def test_others_are_refused_by_name(pre: Any, normalizer: Any, core: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(LimaError, match="model type 'made-up' has no GGUF form") as refused:
        splitting(folder(tmp_path, pre, normalizer, **core))
    assert said in str(refused.value)


def test_the_world_s_words_have_no_form(tmp_path: Path) -> None:
    make_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(LimaError, match=r"has no GGUF form.*of the kind WordLevel"):
        splitting(tmp_path)


def test_the_order_of_merges_becomes_scores(tmp_path: Path) -> None:
    """In "aba" the merge of b and a comes first, so that the text is a, ba; by equal scores it would be ab, a."""
    spm = pytest.importorskip("sentencepiece")
    letters = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "a", "b", "ab", "ba"]
    vocabulary = {token: number for number, token in enumerate(letters)}
    place = folder(
        tmp_path, None, {"type": "Sequence", "normalizers": LLAMA}, byte_fallback=True, vocab=vocabulary
    )
    processor = spm.SentencePieceProcessor(model_proto=sentencepiece_model(place))
    scores = {token: processor.GetScore(vocabulary[token]) for token in ("<unk>", "a", "b", "ab", "ba")}
    assert scores == {"<unk>": -2.0, "a": -2.0, "b": -2.0, "ab": -1.0, "ba": 0.0}
    assert processor.IsByte(vocabulary["<0x41>"])
    assert processor.IsUnknown(0)
    assert processor.encode("aba")[-2:] == [vocabulary["a"], vocabulary["ba"]]
