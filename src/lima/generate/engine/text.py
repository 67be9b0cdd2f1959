"""Generated ids -> text as it grows, cut at a stop string."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CONTEXT = 5
"""Tokens of the prompt before a plain continuation, without which its first word would lose its blank."""
HALF = "\ufffd"
"""What the bytes of a character that is not whole decode to."""


def text_of(
    tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], *, raw: bool = False, prompt: Sequence[int] = ()
) -> str:
    """The text of a whole answer, the same as in a stream.

    Where characters are broken, a decoder of byte tokens gives up good ones beside them too, so that only the way
    piece by piece gives what a stream has shown.
    """
    before = list(prompt[-CONTEXT:]) if raw else []
    text: str = tokenizer.decode([*before, *ids], skip_special_tokens=True)
    text = text[len(tokenizer.decode(before, skip_special_tokens=True)) :] if before else text
    if HALF in text:
        stream = TextStream(tokenizer, raw=raw, prompt=prompt)
        for token in ids:
            stream.add(token)
        stream.finish()
        text = stream.text
    return text if raw else text.strip()


class TextStream:
    """The text of one growing answer, without outer white space unless ``raw``.

    Text that could be the beginning of a stop string is held back until the next token decides, and so is
    white space that could be the end of the answer.

    Args:
        tokenizer: of the ids.
        stop: texts that end the answer.
        raw: keep white space around the text (plain continuation of ``prompt``).
        prompt: the ids before the answer.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        stop: Sequence[str] = (),
        *,
        raw: bool = False,
        prompt: Sequence[int] = (),
    ) -> None:
        self._backend = tokenizer.backend_tokenizer
        self._ids = list(prompt[-CONTEXT:]) if raw else []
        self._known, self._read = 0, len(self._ids)
        """Where the last decoded window begins, and up to where the ids have become text."""
        self._window = self._decode(self._known, self._read)
        self._stop = tuple(text for text in stop if text)
        self._longest = max(map(len, self._stop), default=1)
        self._raw = raw
        self._text = ""
        self._shown = 0
        self.stopped = False
        """Whether a stop string has come."""

    def add(self, token: int) -> str:
        """Take one token; return the text that is now certain."""
        self._ids.append(token)
        self._grow(whole=False)
        return self._show(len(self._text) - (0 if self.stopped else self._held()))

    def finish(self) -> str:
        """The rest of the text, once no more tokens come."""
        self._grow(whole=True)
        return self._show(len(self._text))

    @property
    def text(self) -> str:
        """All text so far, without a stop string."""
        return self._text if self._raw else self._text.strip()

    def _decode(self, start: int, end: int) -> str:
        text: str = self._backend.decode(self._ids[start:end], skip_special_tokens=True)
        return text

    def _grow(self, *, whole: bool) -> None:
        """Turn ids into text, up to a character that is not whole yet.

        A token's text depends on the one before it (blanks), so each is decoded behind those before it.
        """
        text = self._decode(self._known, len(self._ids))
        if len(text) <= len(self._window) or (text.endswith(HALF) and not whole):
            return
        before = len(self._text)
        self._text += text[len(self._window) :]
        self._known, self._read = self._read, len(self._ids)
        self._window = self._decode(self._known, self._read)
        start = max(0, before - self._longest + 1)
        ends = [at for at in (self._text.find(stop, start) for stop in self._stop) if at >= 0]
        if ends:
            self._text = self._text[: min(ends)]
            self.stopped = True

    def _held(self) -> int:
        """Length of the longest end of the text that begins a stop string."""
        for size in range(min(self._longest - 1, len(self._text)), 0, -1):
            if any(stop.startswith(self._text[-size:]) for stop in self._stop):
                return size
        return 0

    def _show(self, end: int) -> str:
        if not self._raw:
            end = len(self._text[:end].rstrip())
            self._shown = max(self._shown, len(self._text) - len(self._text.lstrip()))
        new = self._text[self._shown : end]
        self._shown = max(self._shown, end)
        return new
