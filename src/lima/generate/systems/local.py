"""A model in this process, run by the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lima import console, model
from lima.generate.engine.attention import worth_compiling
from lima.generate.engine.decoding import Decoding, noise_key
from lima.generate.engine.engine import Engine
from lima.generate.engine.requests import Request
from lima.generate.jobs import Job
from lima.generate.prompts import PromptFormat, read_demonstrations
from lima.generate.settings import GenerateSettings
from lima.records import Completion, Example, Message, Reject


class LocalSystem:
    """A checkpoint folder or hub id.

    Raises:
        LimaError: no model there, or one that the engine cannot run.
    """

    def __init__(self, settings: GenerateSettings) -> None:
        path = Path(settings.system)
        self._model, tokenizer = model.load(path if path.exists() else settings.system, settings.dtype)
        self._settings = settings
        shown = read_demonstrations(settings.in_context) if settings.in_context else None
        self._format = PromptFormat.of(self._model, tokenizer, shown)
        own_limit = model.context_length(self._model) or settings.max_length
        self._limit = min(settings.max_length, own_limit)
        self._encoded: dict[tuple[Message, ...], tuple[int, ...]] = {}

    def describe(self) -> str:
        """How prompts are put to it."""
        return self._format.explanation

    def reject(self, prompts: Sequence[Example]) -> list[Reject]:
        """Prompts that leave no room for an answer."""
        rejects = []
        for prompt in prompts:
            length = len(self._encode(prompt.prompt))
            if not length:
                rejects.append(Reject(id=prompt.id, rule="empty", reason="no token is left to answer to"))
            if length >= self._limit:
                reason = f"{length} tokens leave no room for an answer within {self._limit}"
                rejects.append(Reject(id=prompt.id, rule="over-long", reason=reason))
        return rejects

    def answer(self, jobs: Sequence[Job], take: Callable[[Completion], None]) -> None:
        """Run the engine over all jobs."""
        settings = self._settings
        compiled = worth_compiling(settings.compile, self._model, answers=len(jobs))
        engine = Engine(self._model, self._format.tokenizer, slots=settings.slots, compiled=compiled)
        by_id = {job.id: job for job in jobs}
        for answer in engine.run(self._request(job) for job in jobs):
            job, failed = by_id[answer.request.id], answer.finish_reason == "error"
            if failed:
                console.warn(f"{job.id}: the model's logits are not numbers; this answer is an error.")
            take(
                job.completion(
                    answer.text, answer.finish_reason, len(answer.ids), "error" if failed else "ok"
                )
            )

    def facts(self) -> dict[str, Any]:
        """The prompt format."""
        return {"format": self._format.kind}

    def _request(self, job: Job) -> Request:
        settings = self._settings
        ids = self._encode(job.messages)
        room = self._limit - len(ids)
        return Request(
            id=job.id,
            prompt=ids,
            max_new_tokens=min(room, settings.max_new_tokens or room),
            decoding=Decoding(
                temperature=0.0 if settings.greedy else settings.temperature,
                top_p=settings.top_p,
                top_k=settings.top_k,
                repetition_penalty=settings.repetition_penalty,
                penalize_prompt=settings.penalize_prompt,
            ),
            noise=noise_key(settings.seed, job.prompt_id, job.sample),
            stop_ids=self._format.stop_ids,
            stop=(*settings.stop, *self._format.stop),
        )

    def _encode(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        if messages not in self._encoded:
            self._encoded[messages] = tuple(self._format.encode(messages))
        return self._encoded[messages]
