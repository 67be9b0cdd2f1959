"""Pretraining text that is mixed into the steps, so that tuning forgets less (replay, also called rehearsal).

The text is cut into windows whose every token is supervised. Each step takes windows until their share of all tokens so far is
the wanted one, so it depends on the plan alone, and a resumed run takes the same ones.

Source: experience replay against forgetting, Rolnick et al. 2019 (arXiv 1811.11682); in continued pretraining, Ibrahim
et al. 2024 (arXiv 2403.08763).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lima.chat import Tokens, encode_plain
from lima.errors import InputError, LimaError
from lima.files import read_objects

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WINDOW = 512
"""Tokens of a window, or the model's longest text where that is shorter."""


@dataclass(frozen=True)
class Replay:
    """Windows of text, and which of them each step takes."""

    windows: Sequence[Tokens]
    share: float
    """Wanted share of all tokens, in [0, 1)."""
    seed: int

    def schedule(self, tokens: Sequence[int]) -> list[list[Tokens]]:
        """The windows of each step.

        Args:
            tokens: those of the examples of each step.
        """
        order, taken, wanted, plan = self._order(), 0, 0.0, []
        window = next(order)
        for count in tokens:
            wanted += count * self.share / (1 - self.share)
            step = []
            while taken + len(window.ids) / 2 <= wanted:  # at least half of it is due
                step.append(window)
                taken += len(window.ids)
                window = next(order)
            plan.append(step)
        return plan

    def _order(self) -> Iterator[Tokens]:
        """Every window once in random order, then all again in another."""
        for turn in range(2**63):
            for position in np.random.default_rng([self.seed, 12, turn]).permutation(len(self.windows)):
                yield self.windows[position]


def read_replay(
    path: Path, tokenizer: PreTrainedTokenizerBase, share: float, *, longest: int, seed: int
) -> Replay:
    """Cut a text file, or the ``text`` fields of a JSON Lines file, into windows.

    Args:
        path: ``.jsonl`` with a document a row, or any other file as one document.
        tokenizer: the model's.
        share: wanted share of all tokens.
        longest: tokens that the model and the run take at most.
        seed: of the order of windows.

    Raises:
        LimaError: no such file, or no text in it.
        InputError: a row without ``text``.
    """
    ids = [token for document in _documents(path) for token in encode_plain(tokenizer, document)]
    width = min(WINDOW, longest)
    pieces = [ids[start : start + width] for start in range(0, len(ids), width)]
    # the rest of the text is no window of its own, unless there is no other
    pieces = [piece for piece in pieces if len(piece) == width] or [
        piece for piece in pieces if len(piece) > 1
    ]
    if not pieces:
        raise LimaError(f"{path}: no text to replay.")
    windows = [Tokens(piece, piece, id=f"replay/{number}") for number, piece in enumerate(pieces)]
    return Replay(windows, share, seed)


def _documents(path: Path) -> Iterator[str]:
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        try:
            yield path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise LimaError(f"{path}: no such file.") from None
        except UnicodeDecodeError:
            raise LimaError(f"{path}: not UTF-8 text.") from None
        return
    for number, row in read_objects(path):
        if not isinstance(row.get("text"), str):
            raise InputError(path, number, "expected a field 'text' with a document.")
        yield row["text"]
