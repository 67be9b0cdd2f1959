"""``lima serve``: one model behind the OpenAI API; all open requests share the engine's batch.

A client that goes away takes its request with it. More requests than the queue holds get 429.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from pydantic import ValidationError

from lima import chat, console, model
from lima.errors import LimaError
from lima.generate.engine.attention import worth_compiling
from lima.generate.engine.engine import Engine
from lima.generate.engine.worker import Broken, Busy, Worker
from lima.generate.jobs import default_name
from lima.generate.prompts import PromptFormat
from lima.generate.serve.api import ApiError, ChatRequest, CompletionRequest
from lima.generate.serve.openapi import describe
from lima.generate.serve.replies import Replies, json_response
from lima.generate.settings import ServeSettings
from lima.remote.endpoint import read_key
from lima.remote.listening import is_loopback, until_stopped

log = logging.getLogger("lima.generate")
LONGEST_TOKEN = 128
"""Characters of the longest tokens that vocabularies have (blanks)."""
SHUTDOWN_SECONDS = 1.0
"""Streams that are open at Ctrl-C are broken off after so long."""


def serve(settings: ServeSettings) -> None:
    """Serve a model until Ctrl-C.

    Raises:
        LimaError: no such model, or the port is taken.
    """
    server = Server(settings)
    if settings.dry_run:
        console.note(f"{server.name}: {server.format.explanation}, context of {server.context} tokens")
        return
    with until_stopped():
        asyncio.run(_run(server, settings))


async def _run(server: Server, settings: ServeSettings) -> None:
    runner = web.AppRunner(
        server.app(), handler_cancellation=True, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        try:
            await site.start()
        except OSError as error:
            raise LimaError(
                f"{settings.host}:{settings.port}: {error.strerror}. Choose another --port."
            ) from None
        port = runner.addresses[0][1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        console.results.print(f"http://{host}:{port}/v1#{server.name}", markup=False)
        console.note(f"{server.name}: {server.format.explanation}. Ctrl-C stops.")
        if not is_loopback(settings.host) and not server.asks_for_key:
            console.warn(
                f"{settings.host} can be reached from other machines, and no key is asked for. Set one in the "
                f"environment variable {settings.api_key_env}."
            )
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


class Server:
    """The application around one loaded model."""

    def __init__(self, settings: ServeSettings) -> None:
        self.name = settings.name or default_name(settings.model)
        path = Path(settings.model)
        loaded, tokenizer = model.load(path if path.exists() else settings.model, settings.dtype)
        self.format = PromptFormat.of(loaded, tokenizer)
        self.context = min(settings.max_length, model.context_length(loaded) or settings.max_length)
        self._vocabulary = loaded.get_input_embeddings().weight.shape[0]
        self._key = read_key(settings.api_key_env)
        compiled = worth_compiling(settings.compile, loaded)
        engine = Engine(loaded, tokenizer, slots=settings.slots, compiled=compiled)
        self.worker = Worker(engine, most_open=settings.queue)
        self._replies = Replies(self.worker, self.format, self.context)
        self._started = int(time.time())

    @property
    def asks_for_key(self) -> bool:
        """Whether clients must send a key."""
        return bool(self._key)

    def app(self) -> web.Application:
        """The web application; its start and end are the worker's."""
        app = web.Application(middlewares=[self._guard], client_max_size=16 * 2**20)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._complete)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/v1/models/{model:.+}", self._model)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/openapi.json", self._openapi)

        async def lifetime(_: web.Application) -> AsyncIterator[None]:
            self.worker.start()
            yield
            await asyncio.to_thread(self.worker.stop)

        app.cleanup_ctx.append(lifetime)
        return app

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Check the key, and give every error OpenAI's shape."""
        try:
            if self._key and request.path.startswith("/v1/"):
                given = request.headers.get("Authorization", "").removeprefix("Bearer ")
                if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._key.encode()):
                    raise ApiError(401, "the API key is missing or wrong", code="invalid_api_key")
            return await handler(request)
        except ApiError as error:
            return json_response(error.body, error.status)
        except Busy:
            full = ApiError(
                429, f"{self.worker.open} requests are open: the queue is full", code="queue_full"
            )
            return json_response(full.body, full.status, {"Retry-After": "1"})
        except Broken as error:
            return json_response(ApiError(503, f"the engine has failed: {error}").body, 503)
        except web.HTTPException as error:
            return json_response(ApiError(error.status, error.reason).body, error.status)
        except Exception:
            log.exception("a request failed")
            return json_response(ApiError(500, "the server failed; its log says how").body, 500)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await _read(request, ChatRequest)
        self._check_model(body.model)
        messages = [message.message() for message in body.messages]
        if messages[-1].role != "user":
            raise ApiError(400, "the last message must be the user's", param="messages")
        self._check_length(sum(len(message.content) for message in messages), "messages")
        try:
            ids = self.format.encode(messages)
        except LimaError as error:
            raise ApiError(400, str(error), param="messages") from None
        if not ids:
            raise ApiError(400, "the prompt is empty", param="messages")
        return await self._replies.reply(request, body, [ids])

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await _read(request, CompletionRequest)
        self._check_model(body.model)
        for prompt in body.prompts:
            self._check_length(len(prompt), "prompt")
        prompts = [self._raw_ids(prompt) for prompt in body.prompts]
        if not prompts or not all(prompts):
            raise ApiError(400, "the prompt is empty", param="prompt")
        return await self._replies.reply(request, body, prompts)

    def _check_length(self, size: int, param: str) -> None:
        """Refuse what cannot fit without reading it: other requests would wait for the tokenizer."""
        if size > LONGEST_TOKEN * self.context:
            raise ApiError(
                400,
                f"the prompt's {size} characters leave no room for an answer within {self.context} tokens",
                param=param,
                code="context_length_exceeded",
            )

    def _raw_ids(self, prompt: str | list[int]) -> list[int]:
        if isinstance(prompt, str):
            return chat.encode_plain(self.format.tokenizer, prompt)
        if any(not 0 <= token < self._vocabulary for token in prompt):
            raise ApiError(400, f"token ids must be from 0 to {self._vocabulary - 1}", param="prompt")
        return prompt

    def _check_model(self, name: str) -> None:
        if name != self.name:
            raise ApiError(
                404, f"no model {name!r} here, only {self.name!r}", param="model", code="model_not_found"
            )

    async def _models(self, request: web.Request) -> web.Response:
        return json_response({"object": "list", "data": [self._card()]})

    async def _model(self, request: web.Request) -> web.Response:
        self._check_model(request.match_info["model"])
        return json_response(self._card())

    def _card(self) -> dict[str, Any]:
        return {
            "id": self.name,
            "object": "model",
            "created": self._started,
            "owned_by": "lima",
            "description": self.format.explanation,
            "max_model_len": self.context,
        }

    async def _health(self, request: web.Request) -> web.Response:
        if self.worker.failure is not None:
            raise Broken(str(self.worker.failure))
        return json_response({"status": "ok"})

    async def _openapi(self, request: web.Request) -> web.Response:
        return json_response(describe(self.name))

    async def _metrics(self, request: web.Request) -> web.Response:
        counts = self.worker.counts
        numbers = {
            "lima_requests_total": counts.requests,
            "lima_requests_cancelled_total": counts.cancelled,
            "lima_requests_refused_total": counts.refused,
            "lima_prompt_tokens_total": counts.prompt_tokens,
            "lima_generated_tokens_total": counts.generated_tokens,
            "lima_requests_open": self.worker.open,
            "lima_requests_running": self.worker.running,
        }
        lines = [f"{name} {value}" for name, value in numbers.items()]
        for reason, count in sorted(counts.finished.items()):
            lines.append(f'lima_requests_finished_total{{reason="{reason}"}} {count}')
        return web.Response(text="\n".join(lines) + "\n")


async def _read(request: web.Request, kind: type[Any]) -> Any:
    try:
        return kind.model_validate_json(await request.read())
    except (web.RequestPayloadError, aiohttp.ClientError) as error:
        raise ApiError(400, f"the body cannot be read: {error}") from None
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        unknown = problem["type"] == "extra_forbidden"
        text = f"{place}: not offered here" if unknown else f"{place}: {problem['msg']}".removeprefix(": ")
        raise ApiError(
            400, text, param=place or None, code="unknown_parameter" if unknown else None
        ) from None
