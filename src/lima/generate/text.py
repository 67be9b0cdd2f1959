"""Generated ids -> text as it grows, cut at a stop string."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tokenizers.decoders import DecodeStream

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class TextStream:
    """The text of one growing answer, without outer white space unless ``raw``.

    Text that could be the beginning of a stop string is held back until the next token decides, and so is
    white space that could be the end of the answer.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str] = (), *, raw: bool = False
    ) -> None:
        self._backend = tokenizer.backend_tokenizer
        self._decoder = DecodeStream(skip_special_tokens=True)
        self._stop = tuple(text for text in stop if text)
        self._raw = raw
        self._text = ""
        self._shown = 0
        self.stopped = False
        """Whether a stop string has come."""

    def add(self, token: int) -> str:
        """Take one token; return the text that is now certain."""
        self._text += self._decoder.step(self._backend, token) or ""
        ends = [at for at in (self._text.find(text, self._shown) for text in self._stop) if at >= 0]
        if ends:
            self._text = self._text[: min(ends)]
            self.stopped = True
        return self._show(len(self._text) - (0 if self.stopped else self._held()))

    def finish(self) -> str:
        """The rest of the text, once no more tokens come."""
        return self._show(len(self._text))

    @property
    def text(self) -> str:
        """All text so far, without a stop string."""
        return self._text if self._raw else self._text.strip()

    def _held(self) -> int:
        """Length of the longest end of the text that begins a stop string."""
        longest = max(map(len, self._stop), default=1) - 1
        for size in range(min(longest, len(self._text)), 0, -1):
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
