"""One API request -> engine requests -> one reply, whole or as a stream of server-sent events."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lima.files import text_hash
from lima.generate.engine.decoding import noise_key
from lima.generate.engine.requests import LogProbs, Request, Step
from lima.generate.engine.token_strings import TokenStrings
from lima.generate.engine.worker import Broken, Worker
from lima.generate.jobs import TooLong
from lima.generate.serve.api import ApiError, ChatRequest, CompletionRequest
from lima.generate.systems.local import LocalModel

Body = ChatRequest | CompletionRequest


@dataclass(frozen=True)
class PromptIds:
    """Token ids, and their text where a request spelled them out."""

    ids: tuple[int, ...]
    text: str | None = None


@dataclass(frozen=True)
class ScoredToken:
    """A token as text and bytes with its log-probability; ``likely`` are the likeliest in its place."""

    text: str
    raw: bytes
    logprob: float | None
    """None for the first token of a prompt, which nothing precedes."""
    likely: tuple[tuple[str, bytes, float], ...] = ()


@dataclass(frozen=True)
class Piece:
    """What is new of one answer; the last piece says how it ended."""

    text: str
    tokens: Sequence[ScoredToken] = ()
    generated: int = 0
    finish: str | None = None


class Replies:
    """Makes the replies of one model, which ``worker`` runs."""

    def __init__(self, worker: Worker, model: LocalModel) -> None:
        self.worker, self.model = worker, model
        self.strings = TokenStrings(model.tokenizer)
        self._numbers = itertools.count()

    def reply(self, body: Body, prompts: Sequence[PromptIds]) -> ApiReply:
        """The reply to one request, not begun yet.

        Raises:
            ApiError: more answers than the server ever takes at once, or a prompt that leaves no room.
        """
        answers = len(prompts) * (body.n or 1)
        if answers > self.worker.most_open:
            raise ApiError(
                400, f"{answers} answers in one request; {self.worker.most_open} are the most here"
            )
        name = f"{'chatcmpl' if isinstance(body, ChatRequest) else 'cmpl'}-{next(self._numbers)}"
        parts = [
            AnswerPart(self, body, prompt, self._request(f"{name}/{place}/{sample}", body, prompt, sample))
            for place, prompt in enumerate(prompts)
            for sample in range(body.n or 1)
        ]
        return ApiReply(self.worker, body, name, parts)

    def _request(self, name: str, body: Body, prompt: PromptIds, sample: int) -> Request | None:
        """What the engine is asked for; None where the prompt alone is to be scored."""
        if body.longest == 0 and len(prompt.ids) <= self.model.context:
            return None
        try:
            room = self.model.room(prompt.ids)
        except TooLong as error:
            raise too_long(str(error), body) from None
        seeded = None if body.seed is None else text_hash(*map(str, prompt.ids))
        return Request(
            id=name,
            prompt=prompt.ids,
            max_new_tokens=min(room, body.longest or room),
            decoding=body.decoding(),
            noise=secrets.randbits(128) if seeded is None else noise_key(body.seed or 0, seeded, sample),
            stop_ids=self.model.form.stop_ids,
            stop=body.stops(),
            stream=bool(body.stream),
            raw=isinstance(body, CompletionRequest),
            logprobs=body.likeliest,
        )


def too_long(text: str, body: Body) -> ApiError:
    """The error for a prompt that leaves no room for an answer."""
    param = "messages" if isinstance(body, ChatRequest) else "prompt"
    return ApiError(400, text, param=param, code="context_length_exceeded")


@dataclass(frozen=True)
class AnswerPart:
    """One of the answers to one request."""

    replies: Replies
    body: Body
    prompt: PromptIds
    request: Request | None

    async def pieces(self) -> AsyncGenerator[Piece]:
        """The answer as it grows; where nobody reads along, its text comes with the last piece.

        Raises:
            ApiError: the model's logits are not numbers.
            Broken: the engine has failed.
        """
        if isinstance(self.body, CompletionRequest) and self.body.echo:
            yield await self._echo()
        if self.request is None:
            yield Piece("", finish="length")
            return
        async with aclosing(self.replies.worker.stream(self.request)) as steps:
            async for step in steps:
                yield self._piece(step)

    def _piece(self, step: Step) -> Piece:
        answer, finish = step.answer, None
        if answer is not None:
            _refuse_nan(answer.finish_reason == "error")
            finish = "length" if answer.finish_reason == "length" else "stop"
        text = step.text if self.body.stream else answer.text if answer is not None else ""
        scored = step.token is not None and step.logprobs is not None
        tokens = [self._scored(step.token, step.logprobs)] if scored else []
        return Piece(text, tokens, step.token is not None, finish)

    async def _echo(self) -> Piece:
        ids, tokens = self.prompt.ids, []
        if self.body.likeliest is not None:
            scores = await self.replies.worker.score(ids, self.body.likeliest)
            _refuse_nan(any(score.chosen != score.chosen for score in scores))
            tokens = [self._scored(*pair) for pair in zip(ids, (None, *scores), strict=True)]
        text = self.prompt.text
        return Piece(self.replies.model.tokenizer.decode(ids) if text is None else text, tokens)

    def _scored(self, token: int | None, score: LogProbs | None) -> ScoredToken:
        assert token is not None
        strings = self.replies.strings
        likely = tuple((*strings[other], value) for other, value in score.top) if score else ()
        return ScoredToken(*strings[token], score.chosen if score else None, likely)


def _refuse_nan(found: bool) -> None:
    if found:
        raise ApiError(500, "the model's logits are not numbers for this prompt")


class ApiReply(Response):
    """The reply to one request: takes its room in the queue when it begins, and ends when the client goes away."""

    def __init__(self, worker: Worker, body: Body, name: str, parts: Sequence[AnswerPart]) -> None:
        super().__init__()
        self._worker, self._body, self._parts = worker, body, parts
        self._chat = isinstance(body, ChatRequest)
        self._head = {"id": name, "created": int(time.time()), "model": body.model}
        self._prompt_tokens = sum(len(part.prompt.ids) for part in parts) // (body.n or 1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the reply (a Starlette response).

        Raises:
            QueueFull: there is no room; nothing was sent.
        """
        with self._worker.room(len(self._parts)):
            if self._body.stream:
                await while_connected(receive, self._stream(send))
            else:
                await while_connected(receive, self._whole(scope, receive, send))

    async def _whole(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = await gather([_collect(part) for part in self._parts])
        choices = [self._choice(index, piece) for index, piece in enumerate(found)]
        value = self._value(choices, usage=self._usage(sum(piece.generated for piece in found)))
        await json_reply(value)(scope, receive, send)

    async def _stream(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        generated = 0

        async def event(value: dict[str, Any]) -> None:
            data = b"data: " + orjson.dumps(value) + b"\n\n"
            await send({"type": "http.response.body", "body": data, "more_body": True})

        async def one(index: int, part: AnswerPart) -> None:
            nonlocal generated
            first, offset = True, 0
            async with aclosing(part.pieces()) as pieces:
                async for piece in pieces:
                    generated += piece.generated
                    if first or piece.text or piece.finish or piece.tokens:
                        await event(self._value([self._choice(index, piece, offset, first=first)]))
                    first, offset = False, offset + sum(len(token.text) for token in piece.tokens)

        try:
            await gather([one(index, part) for index, part in enumerate(self._parts)])
            if self._body.stream_options is not None and self._body.stream_options.include_usage:
                await event(self._value([], usage=self._usage(generated)))
        except ApiError as error:
            await event(error.body)
        except Broken as error:
            await event(engine_failed(error).body)
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    def _value(self, choices: list[dict[str, Any]], **others: Any) -> dict[str, Any]:
        chunk = ".chunk" if self._body.stream else ""
        kind = f"chat.completion{chunk}" if self._chat else "text_completion"
        return {**self._head, "object": kind, "choices": choices, **others}

    def _choice(self, index: int, piece: Piece, offset: int = 0, *, first: bool = True) -> dict[str, Any]:
        """A whole answer, or a piece of a stream that begins ``offset`` characters of tokens into it."""
        logprobs = None
        if piece.tokens:
            logprobs = _chat_logprobs(piece.tokens) if self._chat else _logprobs(piece.tokens, offset)
        ending = {"index": index, "finish_reason": piece.finish, "logprobs": logprobs}
        if not self._chat:
            return {**ending, "text": piece.text}
        said = {"role": "assistant", "content": piece.text} if first else {"content": piece.text}
        return ending | ({"delta": said} if self._body.stream else {"message": {**said, "refusal": None}})

    def _usage(self, generated: int) -> dict[str, int]:
        prompt = self._prompt_tokens
        return {"prompt_tokens": prompt, "completion_tokens": generated, "total_tokens": prompt + generated}


async def _collect(part: AnswerPart) -> Piece:
    """The whole answer as one piece."""
    async with aclosing(part.pieces()) as growing:
        pieces = [piece async for piece in growing]
    return Piece(
        text="".join(piece.text for piece in pieces),
        tokens=[token for piece in pieces for token in piece.tokens],
        generated=sum(piece.generated for piece in pieces),
        finish=pieces[-1].finish,
    )


def _chat_logprobs(tokens: Sequence[ScoredToken]) -> dict[str, Any]:
    def entry(text: str, raw: bytes, logprob: float | None) -> dict[str, Any]:
        return {"token": text, "logprob": logprob, "bytes": list(raw)}

    content = [
        entry(token.text, token.raw, token.logprob) | {"top_logprobs": [entry(*one) for one in token.likely]}
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def _logprobs(tokens: Sequence[ScoredToken], offset: int) -> dict[str, Any]:
    lengths = itertools.accumulate((len(token.text) for token in tokens), initial=offset)
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [
            # Several tokens may have one text (parts of characters): the likeliest one keeps it.
            {text: value for text, _, value in reversed(token.likely)} if token.logprob is not None else None
            for token in tokens
        ],
        "text_offset": list(lengths)[:-1],
    }


async def while_connected(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, or stop it when the client goes away."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(gone())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            tasks[0].result()
    finally:
        await _stop(tasks)


async def gather(work: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """All results; when one fails the others are stopped before the error goes on."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await _stop(tasks)


async def _stop(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def engine_failed(error: Broken) -> ApiError:
    """The error that clients see."""
    return ApiError(503, f"the engine has failed: {error}")


def json_reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON reply; NaN becomes null."""
    return Response(orjson.dumps(value), status, headers, media_type="application/json")
