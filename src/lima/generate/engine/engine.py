"""Requests -> answers: continuous batching on a stock transformers model (LIMA, section 4.1).

A fixed number of slots share one key-value cache. Each step runs the model once over one flat batch: one
token for every row that decodes, the prompt for every row that starts. A finished row's slot is refilled
at the next step. A new prompt that begins like one still held in a slot reuses its keys and values: the K
samples of one prompt are prefilled once, and so are the in-context examples that all prompts share.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lima.errors import LimaError
from lima.generate.engine import attention, packing
from lima.generate.engine.attention import BatchLayout, Span
from lima.generate.engine.decoding import DecodingBatch, next_tokens, penalize, uniforms
from lima.generate.engine.requests import Answer, LogProbs, Request, Step
from lima.generate.engine.slots import GrowingAnswer, Slots
from lima.generate.engine.supported import ELSEWHERE, PROBE_ERROR, plain_logits, probes, refuse_other_layers
from lima.generate.engine.text import TextStream, text_of
from lima.model import sent
from lima.records import FinishReason

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PREFILL_TOKENS = 4096
"""Prompt tokens that one step takes in at most (a single longer prompt goes alone)."""

settings_of = lru_cache(maxsize=8)(DecodingBatch.of)
"""The settings of the rows change only where one of them ends."""


class Engine:
    """Runs one model; the model belongs to the engine, whose attention function it gets.

    On a CPU its linear layers are packed (`packing`); training, saving or moving the model puts them back.

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
        self._one_query = attention.by_sums if compiled else attention.fastest
        self._slots = Slots(slots)
        self._waiting: deque[Request] = deque()
        self._probe(expected)
        self._pack(expected)

    def reset(self) -> None:
        """Forget all requests and everything that is held for later ones."""
        self._waiting.clear()
        self._slots.reset()

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
        self._slots.cancel(request_id)

    @property
    def running(self) -> int:
        """Requests that have a slot."""
        return len(self._slots.rows)

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
        self._slots.close_gaps()
        rows = self._slots.rows
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

    @torch.inference_mode()
    def _probe(self, expected: Sequence[Tensor]) -> None:
        """Run two prompts at once: one that this model reads otherwise alone is refused before there are requests."""
        name = type(self.model).__name__
        for prompt in probes(self.model):
            self.submit(Request(id=f"probe of {len(prompt)}", prompt=prompt, max_new_tokens=1))
        try:
            self._admit()
            found = self._forward(self._slots.rows)
        except LimaError:
            raise
        except Exception as error:
            raise LimaError(
                f"{name} cannot be run by the engine ({type(error).__name__}: {error})."
            ) from error
        finally:
            self.reset()
            self.prefilled = 0
        most = PROBE_ERROR[self.model.dtype == torch.float32]
        for logits, alone in zip(found, expected, strict=False):  # with one slot the second one waits
            if alone.isfinite().all() and not (logits - alone).norm() <= most * alone.norm():
                raise LimaError(
                    f"{name} has layers that read a batch otherwise than single texts. {ELSEWHERE}"
                )

    def _pack(self, expected: Sequence[Tensor]) -> None:
        """Pack the linear layers where that gives the same logits, and leave them as they are elsewhere."""
        if not packing.can_pack(self.model):
            return
        try:
            packing.pack(self.model)
            self._probe(expected)
        except (
            LimaError,
            RuntimeError,
        ):  # a layer whose weight is used elsewhere too, or a build without the kernels
            packing.unpack(self.model)

    def _admit(self) -> None:
        """Start waiting requests in free slots, as far as one step can take in their prompts."""
        budget = PREFILL_TOKENS
        starting: set[tuple[int, ...]] = set()
        for slot in self._slots.free:
            if not self._waiting or self._waiting[0].prompt in starting:
                return  # its prompt is run in this step; it can copy it in the next
            request = self._waiting[0]
            source, shared = self._slots.longest_held_prefix(request.prompt)
            cost = len(request.prompt) - shared
            if cost > budget and budget < PREFILL_TOKENS:
                return  # in the order of submission: a shorter one behind it does not overtake
            budget -= cost
            self._waiting.popleft()
            self._slots.start(slot, self._begin(request, shared), source)
            if cost > 1:  # a prompt that is held but for its last token gains nothing by waiting
                starting.add(request.prompt)

    def _begin(self, request: Request, shared: int) -> GrowingAnswer:
        noise = uniforms(request.noise, request.max_new_tokens)
        text = None
        if request.stop or request.stream:
            text = TextStream(self.tokenizer, request.stop, raw=request.raw, prompt=request.prompt)
        return GrowingAnswer(request, shared, noise, text)

    def _forward(self, rows: list[GrowingAnswer]) -> Tensor:
        """One pass of the model; float32 logits of each row's last token, (n, V)."""
        ids: list[int] = []
        spans = []
        for slot, row in enumerate(rows):
            new = row.pending
            spans.append(Span(slot, row.cached, len(new), len(ids)))
            ids += new
        layout = BatchLayout.of(self._slots.cache, tuple(spans), self._device, self._one_query)
        logits_1nV = self.model(
            input_ids=sent(torch.tensor([ids]), self._device),
            position_ids=layout.position_T[None],
            logits_to_keep=layout.last_n,
            use_cache=False,
            layout=layout,
        ).logits
        for slot, row in enumerate(rows):
            if not row.ids:
                self.prefilled += len(row.pending)
                self._slots.hold(slot, row.request.prompt)
            row.cached = spans[slot].end
        logits: Tensor = logits_1nV[0].float()
        return logits

    def _choose(self, rows: list[GrowingAnswer], logits_nV: Tensor) -> tuple[list[int], list[bool]]:
        decodings = tuple(row.request.decoding for row in rows)
        penalties = [decoding.repetition_penalty for decoding in decodings]
        penalize(logits_nV, [row.repeated for row in rows], penalties)
        uniform = torch.tensor([row.noise[len(row.ids)] for row in rows], dtype=torch.float64)
        return next_tokens(logits_nV, sent(uniform, self._device), settings_of(decodings, self._device))

    def _take(self, slot: int, row: GrowingAnswer, token: int | None, logprobs: LogProbs | None) -> Step:
        """Give a row its new token (None: its logits held none) and end it where it is finished."""
        request = row.request
        if token is None:
            self._slots.release(slot)
            self._slots.wipe(slot)  # a NaN in masked positions would spread: 0 x NaN is NaN
            return Step(request, None, "", self._answer(row, "error"))
        text = row.add(token)
        reason = _finish_reason(row, token)
        if reason is None:
            return Step(request, token, text, None, logprobs)
        self._slots.release(slot)
        # The next turn of a conversation begins with this prompt and answer, so they can be reused. The last token was
        # never run, so the cache ends before it.
        self._slots.hold(slot, (*request.prompt, *row.ids)[: row.cached])
        if row.text is not None and reason != "stop":
            text += row.text.finish()
        return Step(request, token, text, self._answer(row, reason), logprobs)

    def _answer(self, row: GrowingAnswer, reason: FinishReason) -> Answer:
        if reason == "stop":
            assert row.text is not None
            text = row.text.text
        else:
            request = row.request
            text = text_of(self.tokenizer, row.ids, raw=request.raw, prompt=request.prompt)
        return Answer(row.request, tuple(row.ids), text, reason)


def _tell_logprobs(
    plain_mV: Tensor, asked: list[int], rows: list[GrowingAnswer], token_n: list[int]
) -> dict[int, LogProbs]:
    told = {}
    for slot, logprob_V in zip(asked, plain_mV, strict=True):
        values, ids = logprob_V.topk(rows[slot].request.logprobs or 0)
        top = tuple(zip(ids.tolist(), values.tolist(), strict=True))
        told[slot] = LogProbs(float(logprob_V[token_n[slot]]), top)
    return told


def _finish_reason(row: GrowingAnswer, token: int) -> FinishReason | None:
    if token in row.request.stop_ids:
        return "eot"
    if row.text is not None and row.text.stopped:
        return "stop"
    return "length" if len(row.ids) >= row.request.max_new_tokens else None


def _expected_length(request: Request) -> tuple[int, int, tuple[int, ...]]:
    """Work that a request may need; the long ones first leave no stragglers at the end."""
    total = len(request.prompt) + request.max_new_tokens
    return (total, len(request.prompt), request.prompt)
