"""A tokenizer.json -> how llama.cpp has to split text for the same token ids, or the reason why it cannot.

The converter knows tokenizers by the hash of one text's ids. That text does not tell all of them apart: it takes SmolLM2's merges with GPT-2's
rules for another (55 of 400 texts of LIMA got other ids), and LLaMA's merges lose their order (353 of 400). Hence the rules are read here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lima.errors import LimaError
from lima.extras import install
from lima.files import read_json

SENTENCEPIECE = "sentencepiece"
"""LLaMA's first kind: no words, merges by score, bytes for what is in no merge."""
_LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_QWEN2 = _LLAMA3.replace("{1,3}", "")


def _bytes(use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "use_regex": use_regex}


def _sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(steps)}


def _split(regex: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}


RULES: dict[str, dict[str, Any]] = {
    "gpt-2": _bytes(use_regex=True),
    "smollm": _sequence({"type": "Digits", "individual_digits": True}, _bytes(use_regex=True)),
    "llama-bpe": _sequence(_split(_LLAMA3), _bytes(use_regex=False)),
    "qwen2": _sequence(_split(_QWEN2), _bytes(use_regex=False)),
}
"""llama.cpp's names for ways to cut a text into words, and the same in tokenizer.json; compared on 400 texts of LIMA each."""


def splitting(checkpoint: Path) -> str:
    """`SENTENCEPIECE`, or llama.cpp's name of the rules that cut text into words.

    Raises:
        LimaError: llama.cpp has no such tokenizer, or none that is known to give the same ids.
    """
    facts = _read(checkpoint)
    core = facts["model"]
    if core["type"] != "BPE":
        raise _no_form(checkpoint, f"of the kind {core['type']}; llama.cpp's has merges (BPE)")
    rules, normalizer = _plain(facts["pre_tokenizer"]), _plain(facts["normalizer"])
    if core.get("byte_fallback") and rules is None and normalizer == _sequence_of_llama():
        return SENTENCEPIECE
    name = next((name for name, known in RULES.items() if rules == known), None)
    if name is None or core.get("byte_fallback") or bool(core.get("ignore_merges")) != (name == "llama-bpe"):
        kind = rules["type"] if rules else "none"
        raise _no_form(checkpoint, f"merges with the pre-tokenizer {kind}, and none of {', '.join(RULES)}")
    if normalizer is not None and not (name == "qwen2" and normalizer == {"type": "NFC"}):
        raise _no_form(checkpoint, f"with the normalizer {normalizer['type']}, which llama.cpp has not")
    return name


def sentencepiece_model(checkpoint: Path) -> bytes:
    """The tokenizer.model that the converter reads: a merge's score is its rank, so that the order of merges is kept.

    Raises:
        LimaError: the package sentencepiece is missing.
    """
    try:
        from sentencepiece import sentencepiece_model_pb2 as form
    except ImportError:
        raise LimaError(
            f"{checkpoint}: a tokenizer of LLaMA's kind needs two packages: {install('gguf')}"
        ) from None
    facts = _read(checkpoint)
    kinds = form.ModelProto.SentencePiece
    merges = facts["model"]["merges"]
    ranks = {
        "".join(merge if isinstance(merge, list) else merge.split(" ")): -float(n)
        for n, merge in enumerate(merges)
    }
    special = {token["content"] for token in facts["added_tokens"] if token["special"]}
    made = form.ModelProto()
    made.trainer_spec.model_type = form.TrainerSpec.BPE
    made.trainer_spec.byte_fallback = True
    made.normalizer_spec.add_dummy_prefix = True
    made.normalizer_spec.remove_extra_whitespaces = False
    for token, _ in sorted(facts["model"]["vocab"].items(), key=lambda item: int(item[1])):
        kind = kinds.NORMAL
        if token == facts["model"]["unk_token"]:
            kind = kinds.UNKNOWN
        elif token in special:
            kind = kinds.CONTROL
        elif len(token) == 6 and token.startswith("<0x"):
            kind = kinds.BYTE
        made.pieces.add(piece=token, score=ranks.get(token, -float(len(merges))), type=kind)
    return bytes(made.SerializeToString())


def added_tokens(checkpoint: Path) -> str:
    """``added_tokens_decoder`` of tokenizer_config.json: the converter finds new tokens there alone."""
    config = read_json(checkpoint / "tokenizer_config.json")
    decoder = {
        str(token["id"]): {key: token[key] for key in ("content", "special")}
        for token in _read(checkpoint)["added_tokens"]
    }
    return json.dumps(config | {"added_tokens_decoder": decoder})


def _read(checkpoint: Path) -> dict[str, Any]:
    if not (checkpoint / "tokenizer.json").is_file():
        raise _no_form(checkpoint, "not kept as tokenizer.json")
    found: dict[str, Any] = read_json(checkpoint / "tokenizer.json")
    return found


def _plain(step: Any) -> Any:
    """A step of tokenizer.json without the fields that change no id (offsets), at any depth."""
    if isinstance(step, dict):
        return {key: _plain(value) for key, value in step.items() if key != "trim_offsets"}
    return [_plain(one) for one in step] if isinstance(step, list) else step


def _sequence_of_llama() -> dict[str, Any]:
    steps = [
        {"type": "Prepend", "prepend": "\u2581"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
    ]
    return {"type": "Sequence", "normalizers": steps}


def _no_form(checkpoint: Path, what: str) -> LimaError:
    kind = ""
    if (checkpoint / "config.json").is_file():
        kind = f" of model type {read_json(checkpoint / 'config.json').get('model_type')!r}"
    return LimaError(
        f"{checkpoint}: the tokenizer{kind} has no GGUF form that is known to give the same token ids: it is {what}. "
        "Serve it with lima serve or vLLM."
    )
