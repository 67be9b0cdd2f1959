"""Requests -> answers: continuous batching on a stock transformers model (LIMA, section 4.1).

A fixed number of slots share one key-value cache. Each step runs the model once over one flat batch: one
token for every row that decodes, the prompt for every row that starts. A finished row's slot is refilled
at the next step. A new prompt that begins like one still held in a slot reuses its keys and values: the K
samples of one prompt are prefilled once, and so are the in-context examples that all prompts share.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lima.errors import LimaError
from lima.generate.engine import attention
from lima.generate.engine.attention import Plan, SlotCache, Span
from lima.generate.engine.decoding import DecodingBatch, next_tokens, penalize, uniforms, usable
from lima.generate.engine.requests import Answer, LogProbs, Request, Step
from lima.generate.engine.supported import ELSEWHERE, PROBE_ERROR, plain_logits, probes, refuse_other_layers
from lima.generate.engine.text import TextStream, text_of
from lima.records import FinishReason

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PREFILL_TOKENS = 4096
"""Prompt tokens that one step takes in at most (a single longer prompt goes alone)."""
SHARED_PREFIX = 16
"""Prompts that agree in fewer first tokens are not worth a copy."""


@dataclass
class _Row:
    """A request in its slot."""

    request: Request
    cached: int
    """Positions of this sequence that are in the cache."""
    noise: np.ndarray
    text: TextStream | None
    ids: list[int] = field(default_factory=list)

    @property
    def pending(self) -> tuple[int, ...]:
        """Tokens that the next step must run: the rest of the prompt, or the last new token."""
        return (self.ids[-1],) if self.ids else self.request.prompt[self.cached :]


class Engine:
    """Runs one model; the model belongs to the engine, whose attention function it gets.

    Args:
        model: a causal language model of transformers' kind, on its device.
        tokenizer: for the text of answers.
        slots: how many answers grow at once.
        compiled: compile the attention of decoding rows (half a minute at first, kept on disk by torch);
            pays in bfloat16 on a CPU, and needs a C++ compiler.

    Raises:
        LimaError: the architecture does not use transformers' attention interface, or computes otherwise in the engine.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        slots: int = 32,
        compiled: bool = False,
    ) -> None:
        if not model._can_set_attn_implementation():
            raise LimaError(
                f"{type(model).__name__} does not use transformers' attention interface, so that the engine "
                f"cannot run it. {ELSEWHERE}"
            )
        refuse_other_layers(model)
        if model.config._attn_implementation == attention.NAME:  # of an engine before this one
            model.set_attn_implementation("eager")
        expected = [plain_logits(model, prompt) for prompt in probes(model)]
        model.set_attn_implementation(attention.NAME)
        self.model, self.tokenizer = model.eval(), tokenizer
        self.prefilled = 0
        """Prompt tokens that the model has run, reused ones not counted."""
        self._device = next(model.parameters()).device
        self._cache = SlotCache(slots)
        self._one_query = attention.choose(self._device, model.dtype, compiled=compiled)
        self._slots: list[_Row | None] = [None] * slots
        self._held: list[np.ndarray] = [np.empty(0, dtype=np.int64) for _ in range(slots)]
        self._seen: Tensor | None = None
        self._settings: DecodingBatch | None = None
        self._waiting: deque[Request] = deque()
        self._probe(expected)

    def reset(self) -> None:
        """Forget all requests and everything that is held for later ones."""
        slots = len(self._slots)
        self._slots, self._waiting = [None] * slots, deque()
        self._held = [np.empty(0, dtype=np.int64) for _ in range(slots)]
        for slot in range(slots):
            self._cache.clear(slot)
        self._settings = None

    def run(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """Answer all requests, longest expected first, and yield each answer when it is finished.

        Requests with equal prompts stay together, so that their prompt is run once.
        """
        for request in sorted(requests, key=_expected_length, reverse=True):
            self.submit(request)
        while self.busy:
            for step in self.step():
                if step.answer is not None:
                    yield step.answer

    def submit(self, request: Request) -> None:
        """Queue a request; it starts when a slot is free, in the order of submission."""
        self._waiting.append(request)

    def cancel(self, request_id: str) -> None:
        """Forget a request, waiting or running; no step will mention it again."""
        self._waiting = deque(r for r in self._waiting if r.id != request_id)
        for slot, row in enumerate(self._slots):
            if row is not None and row.request.id == request_id:
                self._release(slot)

    @property
    def running(self) -> int:
        """Requests that have a slot."""
        return sum(row is not None for row in self._slots)

    @property
    def waiting(self) -> int:
        """Requests that have none yet."""
        return len(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether anything is running or waiting."""
        return bool(self.waiting or self.running)

    @torch.inference_mode()
    def step(self) -> list[Step]:
        """Run the model once: every running request gets one token, waiting ones start where slots are free."""
        self._admit()
        self._close_gaps()
        rows = [row for row in self._slots if row is not None]
        if not rows:
            return []
        logits_nV = self._forward(rows)
        asked = [slot for slot, row in enumerate(rows) if row.request.logprobs is not None]
        plain = logits_nV[asked].log_softmax(-1) if asked else None
        token_n, usable_n = self._choose(rows, logits_nV)
        told = {} if plain is None else _tell_logprobs(plain, asked, rows, token_n)
        return [
            self._take(slot, row, token if fine else None, told.get(slot))
            for slot, (row, token, fine) in enumerate(zip(rows, token_n, usable_n, strict=True))
        ]

    def _probe(self, expected: Sequence[Tensor]) -> None:
        """Run two prompts at once: one that this model reads otherwise alone is refused before there are requests."""
        name = type(self.model).__name__
        for prompt in probes(self.model):
            self.submit(Request(id=f"probe of {len(prompt)}", prompt=prompt, max_new_tokens=1))
        try:
            self._admit()
            found = self._forward([row for row in self._slots if row is not None])
        except LimaError:
            raise
        except Exception as error:
            raise LimaError(
                f"{name} cannot be run by the engine ({type(error).__name__}: {error})."
            ) from error
        most = PROBE_ERROR[self.model.dtype == torch.float32]
        for logits, alone in zip(found, expected, strict=False):  # with one slot the second one waits
            if alone.isfinite().all() and not (logits - alone).norm() <= most * alone.norm():
                raise LimaError(
                    f"{name} has layers that read a batch otherwise than single texts. {ELSEWHERE}"
                )
        self.reset()
        self.prefilled = 0

    def _admit(self) -> None:
        budget = PREFILL_TOKENS
        starting: set[tuple[int, ...]] = set()
        for slot in range(len(self._slots)):
            if self._slots[slot] is not None:
                continue
            if not self._waiting or self._waiting[0].prompt in starting:
                return  # its prompt is run in this step; it can copy it in the next
            request = self._waiting[0]
            source, shared = self._longest_held_prefix(request.prompt)
            cost = len(request.prompt) - shared
            if cost > budget and budget < PREFILL_TOKENS:
                return
            budget -= cost
            self._waiting.popleft()
            self._start(slot, request, source, shared)
            if cost > 1:
                starting.add(request.prompt)

    def _start(self, slot: int, request: Request, source: int, shared: int) -> None:
        if shared and source != slot:
            self._cache.copy(source, slot, shared)
        self._held[slot] = np.array(request.prompt[:shared])
        needs_text = bool(request.stop) or request.stream
        self._slots[slot] = _Row(
            request=request,
            cached=shared,
            noise=uniforms(request.noise, request.max_new_tokens),
            text=TextStream(self.tokenizer, request.stop, raw=request.raw, prompt=request.prompt)
            if needs_text
            else None,
        )
        self._settings = None
        if self._seen is not None:
            self._mark_prompt(slot, request)

    def _longest_held_prefix(self, prompt: tuple[int, ...]) -> tuple[int, int]:
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

    def _close_gaps(self) -> None:
        """Move rows from the end into free slots, so that running rows are slots 0 .. n - 1."""
        gaps = [slot for slot in range(self.running) if self._slots[slot] is None]
        movers = [slot for slot in range(self.running, len(self._slots)) if self._slots[slot] is not None]
        for gap, mover in zip(gaps, movers, strict=True):
            row = self._slots[mover]
            assert row is not None
            self._cache.copy(mover, gap, row.cached)
            self._slots[gap], self._slots[mover] = row, None
            self._held[gap] = self._held[mover]
            if self._seen is not None:
                self._seen[gap] = self._seen[mover]
            self._settings = None

    def _forward(self, rows: list[_Row]) -> Tensor:
        """One pass of the model; float32 logits of each row's last token, (n, V)."""
        ids: list[int] = []
        spans = []
        for slot, row in enumerate(rows):
            new = row.pending
            spans.append(Span(slot, row.cached, len(new), len(ids)))
            ids += new
        plan = Plan.of(self._cache, tuple(spans), self._device, self._one_query)
        logits_1nV = self.model(
            input_ids=torch.tensor([ids], device=self._device),
            position_ids=plan.position_T[None],
            logits_to_keep=plan.last_n,
            use_cache=False,
            plan=plan,
        ).logits
        for slot, row in enumerate(rows):
            if not row.ids:
                self.prefilled += len(row.pending)
                self._held[slot] = np.array(row.request.prompt)
            row.cached += spans[slot].length
        logits: Tensor = logits_1nV[0].float()
        return logits

    def _choose(self, rows: list[_Row], logits_nV: Tensor) -> tuple[list[int], list[bool]]:
        n = len(rows)
        if self._settings is None:
            self._settings = DecodingBatch.of([row.request.decoding for row in rows], self._device)
        if self._seen is None:
            self._seen = torch.zeros(
                len(self._slots), logits_nV.shape[-1], dtype=torch.bool, device=self._device
            )
            for slot, row in enumerate(rows):
                self._mark_prompt(slot, row.request)
        penalize(logits_nV, self._seen[:n], self._settings.repetition_penalty)
        uniform = np.array([row.noise[len(row.ids)] for row in rows])
        token_n = next_tokens(logits_nV, torch.from_numpy(uniform).to(self._device), self._settings)
        self._seen[torch.arange(n, device=self._device), token_n] = True
        return token_n.tolist(), usable(logits_nV).tolist()

    def _mark_prompt(self, slot: int, request: Request) -> None:
        assert self._seen is not None
        self._seen[slot] = False
        if request.decoding.penalize_prompt:
            self._seen[slot, torch.tensor(request.prompt, device=self._device)] = True

    def _take(self, slot: int, row: _Row, token: int | None, logprobs: LogProbs | None) -> Step:
        """Give a row its new token (None: its logits held none) and end it where it is finished."""
        request = row.request
        if token is None:
            self._release(slot)
            self._cache.clear(slot)
            self._held[slot] = np.empty(0, dtype=np.int64)
            return Step(request, None, "", self._answer(row, "error"))
        row.ids.append(token)
        text = row.text.add(token) if row.text is not None else ""
        reason = _finish_reason(row, token)
        if reason is None:
            return Step(request, token, text, None, logprobs)
        self._release(slot)
        # The next turn of a conversation begins with this prompt and answer: they can be reused.
        self._held[slot] = np.array((*request.prompt, *row.ids)[: row.cached])
        if row.text is not None and reason != "stop":
            text += row.text.finish()
        return Step(request, token, text, self._answer(row, reason), logprobs)

    def _answer(self, row: _Row, reason: FinishReason) -> Answer:
        if reason == "stop":
            assert row.text is not None
            text = row.text.text
        else:
            request = row.request
            text = text_of(self.tokenizer, row.ids, raw=request.raw, prompt=request.prompt)
        return Answer(row.request, tuple(row.ids), text, reason)

    def _release(self, slot: int) -> None:
        self._slots[slot] = None
        self._settings = None


def _tell_logprobs(
    plain_mV: Tensor, asked: list[int], rows: list[_Row], token_n: list[int]
) -> dict[int, LogProbs]:
    told = {}
    for slot, logprob_V in zip(asked, plain_mV, strict=True):
        values, ids = logprob_V.topk(rows[slot].request.logprobs or 0)
        top = tuple(zip(ids.tolist(), values.tolist(), strict=True))
        told[slot] = LogProbs(float(logprob_V[token_n[slot]]), top)
    return told


def _finish_reason(row: _Row, token: int) -> FinishReason | None:
    if token in row.request.stop_ids:
        return "eot"
    if row.text is not None and row.text.stopped:
        return "stop"
    return "length" if len(row.ids) >= row.request.max_new_tokens else None


def _expected_length(request: Request) -> tuple[int, int, tuple[int, ...]]:
    """Work that a request may need; the long ones first leave no stragglers at the end."""
    total = len(request.prompt) + request.max_new_tokens
    return (total, len(request.prompt), request.prompt)
