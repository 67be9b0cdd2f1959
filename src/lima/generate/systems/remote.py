"""A model behind an OpenAI-compatible server, ``URL#model``: commercial baselines, vLLM, llama.cpp, ``lima serve``.

The raw replies are kept beside the completions (``<out>.replies.jsonl``), so that no answered request is
ever sent again. What a server does not honour is printed, and stands in the record of the run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from lima import console
from lima.errors import LimaError
from lima.generate.engine.decoding import noise_key
from lima.generate.jobs import Job, TooLong, beside, default_name
from lima.generate.settings import GenerateSettings, SamplingSettings
from lima.records import Completion, Example, FinishReason, Message, Reject, Status
from lima.remote.client import complete_all, describe_model, run_async
from lima.remote.endpoint import parse_address, read_key, with_extras
from lima.remote.limits import Budget, Counters, Limits
from lima.remote.log import CallLog, ChatAnswer, ChatCall, Ending, Reply, read_answer
from lima.remote.sampling import Sampling, dialect_of, parameters
from lima.remote.stream import Rejected, stream_answer

REASONS: dict[Ending, FinishReason] = {"length": "length", "filter": "filter"}


class RemoteSystem:
    """One model of a server.

    Raises:
        LimaError: nobody answers there, or it has no such model.
    """

    def __init__(self, address: str, settings: SamplingSettings) -> None:
        self.name = default_name(address)
        key = read_key(settings.api_key_env, settings.api_key_file)
        self._endpoint = with_extras(parse_address(address, key), settings.header, settings.query)
        self._settings = settings
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

    def fits(self, messages: Sequence[Message]) -> bool:
        """Only the server knows."""
        return True

    def facts(self) -> dict[str, Any]:
        """Whose fields the requests had, and what the server did not honour."""
        return {"format": "chat requests", "server": self._dialect, "warnings": self.warnings}

    def answer(
        self, jobs: Sequence[Job], settings: GenerateSettings, take: Callable[[Completion], None]
    ) -> None:
        """Send what has no logged reply; the others are read from the log.

        Raises:
            LimaError: the server goes on failing, or --max-calls is reached; what is done is kept.
        """
        counters = Counters()
        with CallLog(beside(settings.out, "replies.jsonl")) as log:
            waiting: dict[str, tuple[Job, ChatCall]] = {}
            for job in jobs:
                request = self._request(job.id, job.messages, (job.prompt_id, job.sample))
                last = log.last(request)
                answer = read_answer(last.raw) if last and last.outcome == "replied" else None
                if answer is None:
                    waiting[job.id] = (job, request)
                else:
                    take(self._completion(job, answer))

            async def send() -> None:
                replies = complete_all(
                    (request for _, request in waiting.values()),
                    self._endpoint,
                    log,
                    limits=Limits(
                        concurrency=settings.concurrency, timeout=settings.timeout, attempts=settings.attempts
                    ),
                    budget=Budget(calls=settings.max_calls),
                    counters=counters,
                )
                async for reply in replies:
                    take(self._ending(waiting[reply.request.id][0], reply))

            if waiting:
                run_async(send())
            log.sort()
        if counters.stopped:
            raise LimaError(
                f"{self._endpoint.address}: {counters.stopped} is used up. What is done is kept; the "
                "same command continues."
            )

    def say(self, messages: Sequence[Message], attempt: int) -> Generator[str, None, None]:
        """Ask for the next turn.

        Raises:
            TooLong: the server says that the conversation does not fit.
            LimaError: the server gives no answer.
        """
        request = self._request("turn", messages, (messages[-1].content, attempt))
        begun = False
        try:
            for piece in stream_answer(self._endpoint, request.body, timeout=self._settings.timeout):
                begun = True
                yield piece
            return
        except Rejected as error:
            if "context" in str(error).lower() or "no room" in str(error):
                raise TooLong(str(error)) from None
            raise
        except LimaError:
            if begun:
                raise
        yield run_async(self._patiently(request))

    async def _patiently(self, request: ChatCall) -> str:
        """The whole answer of a server that is busy or streams nothing, with retries."""
        limits = Limits(timeout=self._settings.timeout)
        with tempfile.TemporaryDirectory() as folder, CallLog(Path(folder) / "replies.jsonl") as log:
            (reply,) = [r async for r in complete_all([request], self._endpoint, log, limits=limits)]
        if reply.answer is None:
            raise LimaError(f"{self._endpoint.address}: no answer ({reply.last.outcome}).")
        return reply.answer.content.strip()

    def _ending(self, job: Job, reply: Reply) -> Completion:
        if reply.answer is not None:
            return self._completion(job, reply.answer)
        console.warn(f"{job.id}: no answer ({reply.last.outcome}); the same command asks again.")
        return job.completion("", "error", 0, "error")

    def _completion(self, job: Job, answer: ChatAnswer) -> Completion:
        tokens = answer.completion_tokens or 0
        if answer.refusal:
            return job.completion(answer.refusal.strip(), "filter", tokens, "refused")
        natural: FinishReason = "stop" if self._settings.stop else "eot"
        reason = REASONS.get(answer.ending, natural)
        status: Status = "refused" if reason == "filter" else "ok"
        return job.completion(answer.content.strip(), reason, tokens, status)

    def _request(self, name: str, messages: Sequence[Message], noise: tuple[str, int]) -> ChatCall:
        # A server takes a small number as a seed: the low bits of the key that local sampling uses.
        fields, _ = self._fields(noise_key(self._settings.seed, *noise) % 2**31)
        turns = [{"role": message.role, "content": message.content} for message in messages]
        return ChatCall(id=name, body={"model": self._endpoint.model, "messages": turns, **fields})

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
