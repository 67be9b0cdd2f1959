"""Slots: which request sits where, and whose keys and values lie in each slot's cache."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lima.generate.engine.requests import Request
from lima.generate.engine.text import TextStream

ROUND = 32
"""Contexts are rounded up to a multiple of this, so that few shapes occur."""
SHARED_PREFIX = 16
"""Prompts that agree in fewer first tokens are not worth a copy."""


@dataclass
class SlotCache:
    """Keys and values of every layer, made at a layer's first use.

    Both lie in one tensor, (slots, 2 x heads, capacity, head size), the heads of the keys first: new tokens are written at once.
    """

    slots: int
    capacity: int = 0
    stores: dict[int, Tensor] = field(default_factory=dict)

    def reserve(self, length: int) -> None:
        """Make room for ``length`` positions a slot; doubling keeps the copies few."""
        if length <= self.capacity:
            return
        self.capacity = max(length, 2 * self.capacity, 2 * ROUND)
        self.capacity += -self.capacity % ROUND
        for layer, old in self.stores.items():
            # Zeros, not uninitialised memory: a NaN there would survive a weight of zero.
            self.stores[layer] = old.new_zeros(*old.shape[:2], self.capacity, old.shape[3])
            self.stores[layer][:, :, : old.shape[2]] = old

    def store(self, index: int, new_TGd: Tensor) -> Tensor:
        """The storage of one layer, for new tokens with G heads of keys and values."""
        if index not in self.stores:
            heads, size = new_TGd.shape[1:]
            self.stores[index] = new_TGd.new_zeros(self.slots, heads, self.capacity, size)
        return self.stores[index]

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first ``length`` positions of one slot to another."""
        for store in self.stores.values():
            store[target, :, :length] = store[source, :, :length]

    def clear(self, slot: int) -> None:
        """Zero a slot: one that held NaN would spoil the next row in it."""
        for store in self.stores.values():
            store[slot] = 0


@dataclass
class GrowingAnswer:
    """A request in its slot, and its answer so far."""

    request: Request
    cached: int
    """Positions of this sequence that are in the cache."""
    noise: np.ndarray
    """A random number for each of its new tokens."""
    text: TextStream | None
    ids: list[int] = field(default_factory=list)
    repeated: array[int] = field(default_factory=lambda: array("q"))
    """Tokens that the repetition penalty counts."""

    def __post_init__(self) -> None:
        if self.request.decoding.penalize_prompt:
            self.repeated.extend(self.request.prompt)

    @property
    def pending(self) -> tuple[int, ...]:
        """Tokens that the next step must run: the rest of the prompt, or the last new token."""
        return (self.ids[-1],) if self.ids else self.request.prompt[self.cached :]

    def add(self, token: int) -> str:
        """Take the next token; return the text that is now certain."""
        self.ids.append(token)
        self.repeated.append(token)
        return self.text.add(token) if self.text is not None else ""


class Slots:
    """A fixed number of places for growing answers, over one cache.

    A slot whose answer is finished keeps its keys and values until the next one needs the place: a prompt that
    begins with the same tokens copies them.
    """

    def __init__(self, count: int) -> None:
        self.cache = SlotCache(count)
        self._rows: list[GrowingAnswer | None] = [None] * count
        self._held: list[np.ndarray] = [_NOTHING] * count
        """Tokens whose keys and values lie in each slot."""

    @property
    def rows(self) -> list[GrowingAnswer]:
        """The growing answers in the order of their slots."""
        return [row for row in self._rows if row is not None]

    @property
    def free(self) -> list[int]:
        """Slots that a request can start in."""
        return [slot for slot, row in enumerate(self._rows) if row is None]

    @torch.inference_mode()
    def reset(self) -> None:
        """Forget all answers and everything that is held for later ones."""
        for slot in range(len(self._rows)):
            self.release(slot)
            self.wipe(slot)

    def longest_held_prefix(self, prompt: tuple[int, ...]) -> tuple[int, int]:
        """The slot whose cached tokens agree longest with the prompt, and how long.

        The last token is never counted: it has to run for its logits.
        """
        ids = np.array(prompt[:-1])
        best, longest = 0, 0
        for slot, held in enumerate(self._held):
            size = min(len(held), len(ids))
            if size > longest:
                differs = np.flatnonzero(held[:size] != ids[:size])
                agree = int(differs[0]) if len(differs) else size
                if agree > longest:
                    best, longest = slot, agree
        worthwhile = longest >= SHARED_PREFIX or longest == len(ids)
        return (best, longest) if worthwhile else (0, 0)

    def start(self, slot: int, row: GrowingAnswer, source: int) -> None:
        """Seat an answer whose first ``row.cached`` tokens lie in the slot ``source``."""
        if row.cached and source != slot:
            self.cache.copy(source, slot, row.cached)
        self._rows[slot] = row
        self.hold(slot, row.request.prompt[: row.cached])

    def hold(self, slot: int, ids: tuple[int, ...]) -> None:
        """Say which tokens lie in the cache of a slot."""
        self._held[slot] = np.array(ids, dtype=np.int64)

    def release(self, slot: int) -> None:
        """Free a slot; what it holds stays."""
        self._rows[slot] = None

    def wipe(self, slot: int) -> None:
        """Let go what a slot holds."""
        self.cache.clear(slot)
        self._held[slot] = _NOTHING

    def cancel(self, request_id: str) -> None:
        """Free the slot of a request, if it has one."""
        for slot, row in enumerate(self._rows):
            if row is not None and row.request.id == request_id:
                self.release(slot)

    def close_gaps(self) -> None:
        """Move rows from the end into free slots, so that growing answers are in slots 0 .. n - 1.

        A step can then attend over a slice of the cache instead of gathering rows of it in every layer.
        """
        running = len(self.rows)
        gaps = [slot for slot in self.free if slot < running]
        movers = [slot for slot in range(running, len(self._rows)) if self._rows[slot] is not None]
        for gap, mover in zip(gaps, movers, strict=True):
            row = self._rows[mover]
            assert row is not None
            self.cache.copy(mover, gap, row.cached)
            self._rows[gap], self._rows[mover] = row, None
            self._held[gap] = self._held[mover]


_NOTHING = np.empty(0, dtype=np.int64)
