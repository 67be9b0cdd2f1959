"""One API request -> engine requests -> one reply, whole or as a stream of server-sent events."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from lima.files import text_hash
from lima.generate.engine.decoding import noise_key
from lima.generate.engine.requests import Answer, Request, Step
from lima.generate.engine.token_strings import Pieces
from lima.generate.engine.worker import Broken, Worker
from lima.generate.prompts import PromptFormat
from lima.generate.serve.api import ApiError, Body, ChatRequest, CompletionRequest, Shape, Told, usage


@dataclass(frozen=True)
class _Part:
    """One choice of one request: its place in the reply and its engine request."""

    index: int
    request: Request


class Replies:
    """Makes replies with one worker; ``context`` is the most that prompt and answer may hold, in tokens."""

    def __init__(self, worker: Worker, form: PromptFormat, context: int) -> None:
        self._worker, self._format, self._context = worker, form, context
        self._numbers = itertools.count()
        self._pieces = Pieces(form.tokenizer)

    async def reply(self, request: web.Request, body: Body, prompts: list[list[int]]) -> web.StreamResponse:
        """Answer one request whose prompts are encoded: whole, or as a stream."""
        reply_id = f"{'chatcmpl' if isinstance(body, ChatRequest) else 'cmpl'}-{next(self._numbers)}"
        parts = self._parts(reply_id, body, prompts)
        if len(parts) > self._worker.most_open:
            raise ApiError(
                400, f"{len(parts)} answers in one request; {self._worker.most_open} are the most here"
            )
        with self._worker.room(len(parts)):
            shape = Shape(reply_id, body)
            prompt_tokens = sum(map(len, prompts))
            if body.stream:
                return await self._stream(request, body, shape, parts, prompt_tokens)
            finished = await _gather([self._whole(shape, part) for part in parts])
            choices = [choice for choice, _ in finished]
            return json_response(
                shape.whole(choices, usage(prompt_tokens, sum(tokens for _, tokens in finished)))
            )

    def _parts(self, reply_id: str, body: Body, prompts: list[list[int]]) -> list[_Part]:
        stop_ids = self._format.stop_ids
        parts: list[_Part] = []
        for prompt in prompts:
            room = self._context - len(prompt)
            if room < 1:
                raise ApiError(
                    400,
                    f"the prompt's {len(prompt)} tokens leave no room for an answer within {self._context}",
                    param="messages" if isinstance(body, ChatRequest) else "prompt",
                    code="context_length_exceeded",
                )
            for sample in range(body.n or 1):
                index = len(parts)
                asked = Request(
                    id=f"{reply_id}/{index}",
                    prompt=tuple(prompt),
                    max_new_tokens=min(room, body.longest or room),
                    decoding=body.decoding(),
                    noise=_noise(body.seed, prompt, sample),
                    stop_ids=stop_ids,
                    stop=body.stops(),
                    stream=bool(body.stream),
                    raw=isinstance(body, CompletionRequest),
                    logprobs=body.told_logprobs,
                )
                parts.append(_Part(index, asked))
        return parts

    async def _whole(self, shape: Shape, part: _Part) -> tuple[dict[str, Any], int]:
        told: list[Told] = []
        answer = None
        async with aclosing(self._worker.stream(part.request)) as steps:
            async for step in steps:
                told += self._told(step)
                answer = step.answer
        assert answer is not None
        _check(answer)
        return shape.choice(part.index, answer, shape.logprobs(told)), len(answer.ids)

    async def _stream(
        self, request: web.Request, body: Body, shape: Shape, parts: list[_Part], prompt_tokens: int
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        )
        await response.prepare(request)
        counts = [0] * len(parts)

        async def one(part: _Part) -> None:
            first, offset = True, 0
            async with aclosing(self._worker.stream(part.request)) as steps:
                async for step in steps:
                    counts[part.index] += step.token is not None
                    if step.answer is not None:
                        _check(step.answer)
                    told = self._told(step)
                    logprobs = shape.logprobs(told, offset)
                    offset += sum(len(token.text) for token in told)
                    if first or step.text or step.answer is not None or logprobs:
                        await _send(
                            response, shape.chunk(part.index, step.text, step.answer, logprobs, first=first)
                        )
                    first = False

        try:
            await _gather([one(part) for part in parts])
            if body.stream_options is not None and body.stream_options.include_usage:
                await _send(response, shape.usage_chunk(usage(prompt_tokens, sum(counts))))
        except ApiError as error:
            await _send(response, error.body)
        except Broken as error:
            await _send(response, ApiError(503, f"the engine has failed: {error}").body)
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    def _told(self, step: Step) -> list[Told]:
        if step.logprobs is None or step.token is None:
            return []
        text, raw = self._pieces[step.token]
        return [Told(text, raw, step.logprobs, tuple(self._pieces[token] for token, _ in step.logprobs.top))]


async def _gather(work: list[Any]) -> list[Any]:
    """All results; when one fails the others are stopped before the error goes on."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _check(answer: Answer) -> None:
    if answer.finish_reason == "error":
        raise ApiError(500, "the model's logits are not numbers for this prompt")


def _noise(seed: int | None, prompt: list[int], sample: int) -> int:
    if seed is None:
        return secrets.randbits(128)
    return noise_key(seed, text_hash(*map(str, prompt)), sample)


async def _send(response: web.StreamResponse, value: Any) -> None:
    await response.write(b"data: " + orjson.dumps(value) + b"\n\n")


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON reply."""
    return web.Response(
        body=orjson.dumps(value), status=status, headers=headers, content_type="application/json"
    )
