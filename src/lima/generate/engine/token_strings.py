"""Single tokens as text and bytes, which joined give the answer: for log-probabilities."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class TokenStrings(dict[int, tuple[str, bytes]]):
    """Id -> text and bytes of a token; a part of a character has the text U+FFFD and its own bytes."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self._tokenizer = tokenizer
        self._in_bytes = "ByteLevel" in str(tokenizer.backend_tokenizer.decoder)
        # A blank at a text's beginning is left out by many decoders: tokens are decoded behind this one.
        self._before = tokenizer.encode("a", add_special_tokens=False)
        self._length = len(tokenizer.decode(self._before))

    def __missing__(self, token: int) -> tuple[str, bytes]:
        spelled = self._tokenizer.convert_ids_to_tokens(token)
        text = self._tokenizer.decode([*self._before, token])[self._length :]
        if match := re.fullmatch(r"<0x([0-9A-F]{2})>", spelled or ""):
            raw = bytes([int(match[1], 16)])
        elif self._in_bytes and spelled and all(letter in byte_letters() for letter in spelled):
            raw = bytes(byte_letters()[letter] for letter in spelled)
        else:
            raw = text.encode()
        self[token] = text, raw
        return self[token]


@cache
def byte_letters() -> dict[str, int]:
    """The letters in which byte-level vocabularies spell bytes: itself where it is printable, else one from U+0100 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + place): byte for place, byte in enumerate(others)}
