"""A model behind an OpenAI-compatible server, ``URL#model``: commercial baselines, vLLM, llama.cpp, ``lima serve``.

The raw replies are kept beside the completions (``<out>.replies.jsonl``), so that no answered request is
ever sent again. What a server does not honour is told, and stands in the record of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lima import console
from lima.errors import LimaError
from lima.generate.engine.decoding import noise_key
from lima.generate.jobs import Job, beside
from lima.generate.settings import GenerateSettings
from lima.records import Completion, Example, FinishReason, Reject, Status
from lima.remote.client import complete_all, describe_model, run_async
from lima.remote.endpoint import parse_address, read_key
from lima.remote.limits import Budget, Counters, Limits
from lima.remote.log import Answer, CallLog, Request, read_answer
from lima.remote.sampling import Sampling, dialect_of, parameters

REASONS: dict[str, FinishReason] = {"length": "length", "content_filter": "filter"}


class ServedSystem:
    """One model of a server.

    Raises:
        LimaError: nobody answers there, or the settings ask for what only a local model can do.
    """

    def __init__(self, settings: GenerateSettings) -> None:
        if settings.in_context is not None:
            raise LimaError("--in-context needs a local model: a chat server puts its own format around it.")
        key = read_key(settings.api_key_env, settings.api_key_file)
        self._endpoint = parse_address(settings.system, key)
        self._settings = settings
        self._counters = Counters()
        self._dialect = dialect_of(settings.server, run_async(describe_model(self._endpoint)).owner)
        self.warnings = self._fields(seed=0)[1]
        for warning in self.warnings:
            console.warn(f"{self._endpoint.address}: {warning}")

    def describe(self) -> str:
        """How prompts are put to it."""
        return f"chat requests to {self._endpoint.address}"

    def reject(self, prompts: Sequence[Example]) -> list[Reject]:
        """None: only the server knows its tokens."""
        return []

    def answer(self, jobs: Sequence[Job], take: Callable[[Completion], None]) -> None:
        """Send what has no logged reply; the others are read from the log.

        Raises:
            LimaError: the server fails without end, or --max-calls is reached; what is done is kept.
        """
        with CallLog(beside(self._settings.out, "replies.jsonl")) as log:
            waiting: dict[str, tuple[Job, Request]] = {}
            for job in jobs:
                request = self._request(job)
                last = log.last(request)
                answer = read_answer(last.raw) if last and last.outcome == "replied" else None
                if answer is None:
                    waiting[job.id] = (job, request)
                else:
                    take(self._completion(job, answer))
            if waiting:
                run_async(self._send(waiting, log, take))
            log.sort()
        if self._counters.stopped:
            raise LimaError(
                f"{self._endpoint.address}: {self._counters.stopped} is used up. What is done is kept; the "
                "same command continues."
            )

    def facts(self) -> dict[str, Any]:
        """Whose fields the requests had, and what the server did not honour."""
        return {"format": "chat requests", "server": self._dialect, "warnings": self.warnings}

    async def _send(
        self, waiting: dict[str, tuple[Job, Request]], log: CallLog, take: Callable[[Completion], None]
    ) -> None:
        settings = self._settings
        replies = complete_all(
            (request for _, request in waiting.values()),
            self._endpoint,
            log,
            limits=Limits(
                concurrency=settings.concurrency, timeout=settings.timeout, attempts=settings.attempts
            ),
            budget=Budget(calls=settings.max_calls),
            counters=self._counters,
        )
        async for reply in replies:
            job, _ = waiting[reply.request.id]
            if reply.answer is None:
                console.warn(f"{job.id}: no answer ({reply.last.outcome}); the same command asks again.")
                take(job.completion("", "error", 0, "error"))
            else:
                take(self._completion(job, reply.answer))

    def _completion(self, job: Job, answer: Answer) -> Completion:
        tokens = answer.completion_tokens or 0
        if answer.refusal:
            return job.completion(answer.refusal.strip(), "filter", tokens, "refused")
        natural: FinishReason = "stop" if self._settings.stop else "eot"
        reason = REASONS.get(answer.finish_reason, natural)
        status: Status = "refused" if reason == "filter" else "ok"
        return job.completion(answer.content.strip(), reason, tokens, status)

    def _request(self, job: Job) -> Request:
        # A server takes a small number as a seed: the low bits of the key that local sampling uses.
        fields, _ = self._fields(noise_key(job.seed, job.prompt_id, job.sample) % 2**31)
        messages = [{"role": message.role, "content": message.content} for message in job.messages]
        return Request(id=job.id, body={"model": self._endpoint.model, "messages": messages, **fields})

    def _fields(self, seed: int) -> tuple[dict[str, Any], list[str]]:
        """The sampling fields of a request, and what the server will not do as asked."""
        settings = self._settings
        sampling = Sampling(
            temperature=0.0 if settings.greedy else settings.temperature,
            top_p=settings.top_p,
            max_tokens=settings.max_new_tokens or settings.max_length,
            seed=seed,
            repetition_penalty=settings.repetition_penalty,
            stop=settings.stop,
        )
        body, warnings = parameters(sampling, self._dialect)
        if settings.penalize_prompt and "penalize_prompt" in body:
            body["penalize_prompt"] = True
        elif settings.penalize_prompt:
            warnings = [warning for warning in warnings if "counts the prompt" not in warning]
        if settings.top_k and "top_k" in body:
            body["top_k"] = settings.top_k
        elif settings.top_k:
            warnings.append(f"top_k {settings.top_k} is no field of a {self._dialect} server and is not sent")
        if settings.max_new_tokens is None:
            warnings.append(
                f"max_length {settings.max_length} is sent as the limit of the answer alone: only the server "
                "knows the length of the prompt (set --max-new-tokens where it has less room)"
            )
        return body, warnings
