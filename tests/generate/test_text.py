"""Ids become text piece by piece, whatever the tokenizer, and stop strings are found wherever they stand."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.generate.conftest import byte_tokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from lima.generate.engine.text import HALF, TextStream, text_of
from lima.generate.engine.token_strings import TokenStrings


def byte_fallback_tokenizer() -> PreTrainedTokenizerFast:
    """Of LLaMA 2's kind: a blank before words, bytes as tokens of their own; a newline is one of them."""
    letters = [chr(code) for code in range(33, 127)]
    tokens = [
        "<s>",
        "</s>",
        "<unk>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        "▁a",
        "▁time",
        *letters,
    ]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    backend = Tokenizer(models.BPE(vocabulary, merges=[], unk_token="<unk>", byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


TOKENIZERS = {"byte-level": byte_tokenizer, "byte-fallback": byte_fallback_tokenizer}


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_any_ids_give_the_text_that_they_give_at_once(kind: str) -> None:
    """Random ids: broken characters, newlines, control tokens; nothing may raise, and nothing is lost at the end."""
    tokenizer: Any = TOKENIZERS[kind]()
    generator = random.Random(0)
    for _ in range(300):
        ids = [generator.randrange(len(tokenizer)) for _ in range(generator.randrange(1, 40))]
        stream = TextStream(tokenizer, raw=True)
        text = "".join([*map(stream.add, ids), stream.finish()])
        assert text == text_of(tokenizer, ids, raw=True)
        whole = tokenizer.decode(ids, skip_special_tokens=True)
        assert text == whole or HALF in whole


def test_a_broken_character_after_a_newline_is_replaced() -> None:
    tokenizer = byte_fallback_tokenizer()
    ids = tokenizer.convert_tokens_to_ids(["<0x0A>", "<0xF0>", "a"])
    stream = TextStream(tokenizer, raw=True)
    text = "".join([*map(stream.add, ids), stream.finish()])
    assert text == text_of(tokenizer, ids, raw=True) == "\n\ufffda"


def test_a_character_of_several_tokens_comes_whole() -> None:
    tokenizer = byte_tokenizer()
    stream = TextStream(tokenizer, raw=True)
    assert [stream.add(token) for token in tokenizer.encode("é")] == ["", "é"]


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(
    ("answer", "stop", "wanted"),
    [
        ("\n\nUser: hi", "\n\nUser:", ""),
        (" END of", " END", ""),
        ("one\n\nUser: hi", "\n\nUser:", "one"),
        ("one two", "ne tw", "o"),
    ],
)
def test_a_stop_string_is_found_wherever_it_stands(answer: str, stop: str, wanted: str, raw: bool) -> None:
    tokenizer = byte_tokenizer()
    stream = TextStream(tokenizer, [stop], raw=raw)
    shown = ""
    for token in tokenizer.encode(answer):
        shown += stream.add(token)
        if stream.stopped:
            break
    assert (stream.stopped, stream.text, shown) == (True, wanted, wanted)


def test_a_continuation_keeps_its_first_blank() -> None:
    tokenizer = byte_fallback_tokenizer()
    prompt = tokenizer.encode("Once upon", add_special_tokens=False)
    stream = TextStream(tokenizer, raw=True, prompt=prompt)
    more = tokenizer.convert_tokens_to_ids(["▁a", "▁time", ","])
    assert "".join([*map(stream.add, more), stream.finish()]) == " a time,"


def test_pieces_joined_are_the_text_and_know_their_bytes() -> None:
    tokenizer = byte_fallback_tokenizer()
    pieces = TokenStrings(tokenizer)
    ids = tokenizer.convert_tokens_to_ids(["▁a", "▁time", ",", "a"])
    assert [pieces[number][0] for number in ids] == [" a", " time", ",", "a"]
    assert pieces[tokenizer.convert_tokens_to_ids("<0xC3>")] == ("\ufffd", b"\xc3")
    level = byte_tokenizer()
    assert b"".join(TokenStrings(level)[number][1] for number in level.encode("é ")) == "é ".encode()
