"""``lima serve``: a model, or two, behind the OpenAI API; all open requests to a model share its engine's batch.

A client that goes away takes its request with it. More requests than the queue holds get 429.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from lima import console
from lima.errors import LimaError
from lima.generate.engine.worker import Broken, QueueFull, Worker
from lima.generate.serve.api import ApiError, ChatRequest, CompletionRequest, ErrorBody
from lima.generate.serve.page import add_page
from lima.generate.serve.replies import Body, PromptIds, Replies, engine_failed, json_reply, too_long
from lima.generate.settings import ServeSettings
from lima.generate.systems.local import LocalModel
from lima.remote.endpoint import read_key
from lima.remote.listening import is_loopback, listen, run_app, until_stopped
from lima.runs import versions

LONGEST_TOKEN = 128
"""Characters of the longest tokens that vocabularies have (blanks)."""
LARGEST_BODY = 16 * 2**20
SHUTDOWN_SECONDS = 1
"""Streams that are open at Ctrl-C are broken off after so long."""
ERRORS: dict[int | str, str] = {
    400: "a field is missing, wrong or not offered here; `error.param` names it",
    401: "the key is missing or wrong",
    404: "no such model or address",
    413: "the body is too long",
    429: "the queue is full; Retry-After says when to try again",
    503: "the engine has failed",
    "default": "any other error",
}
STREAM = "One JSON object; with `stream`, server-sent events that end with `data: [DONE]`."


def serve(settings: ServeSettings) -> None:
    """Serve a model until Ctrl-C.

    Raises:
        LimaError: no such model, or the port is taken.
    """
    server = Server(settings)
    facts = [
        f"{hosted.name}: {hosted.model.describe()}; context of {hosted.model.context} tokens"
        for hosted in server.hosted.values()
    ]
    if settings.dry_run:
        console.note("\n".join(facts))
        return
    with until_stopped():
        listening = listen(settings.host, settings.port)
        if not is_loopback(settings.host) and not server.key:
            console.warn(
                f"{settings.host} can be reached from other machines, and no key is asked for. Set one in the "
                f"environment variable {settings.api_key_env}."
            )
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        here = f"http://{host}:{listening.getsockname()[1]}"
        for name in server.hosted:
            console.results.print(f"{here}/v1#{name}", markup=False)
        page = f"Talk with it in a browser: {here}/\n" if settings.page else ""
        console.note("\n".join([*facts, f"{page}Ctrl-C stops."]))  # below the addresses, which scripts read
        run_app(server.app(), listening, grace=SHUTDOWN_SECONDS)


class Hosted:
    """One loaded model, its name for clients, and the worker that runs it."""

    def __init__(self, place: str, name: str | None, settings: ServeSettings) -> None:
        self.model = LocalModel(place, settings)
        self.name = name or self.model.name
        self.worker = Worker(self.model.engine(settings.slots, settings.compile), most_open=settings.queue)
        self.replies = Replies(self.worker, self.model)
        self._started = int(time.time())

    def card(self) -> dict[str, Any]:
        """What `/v1/models` says of it."""
        return {
            "id": self.name,
            "object": "model",
            "created": self._started,
            "owned_by": "lima",
            "description": self.model.form.explanation,
            "max_model_len": self.model.context,
        }


class Server:
    """The application around the loaded models; ``name``, ``model`` and ``worker`` are those of the first."""

    def __init__(self, settings: ServeSettings) -> None:
        first = Hosted(settings.model, settings.name, settings)
        self.hosted = {first.name: first}
        if settings.against is not None:
            second = Hosted(settings.against, None, settings)
            if second.name in self.hosted:
                raise LimaError(f"both models are called {second.name!r}. Rename the first: --name NAME.")
            self.hosted[second.name] = second
        self.name, self.model, self.worker = first.name, first.model, first.worker
        self.key = read_key(settings.api_key_env)
        self._page = settings.page

    def app(self) -> FastAPI:
        """The web application; its start and end are the worker's."""
        app = FastAPI(
            title=f"lima serve: {' and '.join(self.hosted)}",
            version=versions().get("lima", "0"),
            description="The OpenAI API. What a request leaves out is the paper's decoding.",
            docs_url=None,
            redoc_url=None,
            lifespan=self._lifetime,
            max_body_size=LARGEST_BODY,
            responses={status: {"model": ErrorBody, "description": text} for status, text in ERRORS.items()},
        )
        self._add_answers(app)
        self._add_facts(app)
        if self._page:
            add_page(app)
        for kind in (ApiError, QueueFull, Broken, RequestValidationError, HTTPException, Exception):
            app.add_exception_handler(kind, problem_reply)
        app.add_middleware(Entrance, key=self.key)
        return app

    @asynccontextmanager
    async def _lifetime(self, app: FastAPI) -> AsyncIterator[None]:
        for hosted in self.hosted.values():
            hosted.worker.start()
        yield
        for hosted in self.hosted.values():
            await asyncio.to_thread(hosted.worker.stop)

    def _add_answers(self, app: FastAPI) -> None:
        kinds: dict[str, Any] = {"application/json": {}, "text/event-stream": {}}
        answering: dict[str, Any] = {
            "response_class": Response,
            "responses": {200: {"description": STREAM, "content": kinds}},
            # Describes the key; `Entrance` checks it.
            "dependencies": [Depends(HTTPBearer(auto_error=False))] if self.key else [],
        }
        app.post("/v1/chat/completions", summary="Answer a chat", **answering)(self._chat)
        app.post("/v1/completions", summary="Go on with a text", **answering)(self._complete)

    def _add_facts(self, app: FastAPI) -> None:
        app.get("/v1/models", summary="The models that are served")(self._models)
        app.get("/v1/models/{model:path}", summary="One model")(self._model)
        app.get("/health", summary="Whether the engine works")(self._health)
        metrics = app.get(
            "/metrics", summary="Counts in the format of Prometheus", response_class=PlainTextResponse
        )
        metrics(self._metrics)
        describe = app.openapi

        def with_the_name() -> dict[str, Any]:
            document = describe()
            name = {"type": "string", "enum": list(self.hosted)}
            for request in (ChatRequest, CompletionRequest):
                document["components"]["schemas"][request.__name__]["properties"]["model"] = name
            document["paths"]["/v1/models/{model}"]["get"]["parameters"][0]["schema"] = name
            return document

        app.openapi = with_the_name  # type: ignore[method-assign]  # FastAPI's way to extend the description

    async def _chat(self, body: ChatRequest) -> Response:
        hosted = self._hosted(body.model)
        messages = [message.message() for message in body.messages]
        if messages[-1].role != "user":
            raise ApiError(400, "the last message must be the user's", param="messages")
        _check_length(sum(len(message.content) for message in messages), body, hosted.model)
        try:
            ids = hosted.model.form.encode(messages)
        except LimaError as error:
            raise ApiError(400, str(error), param="messages") from None
        return _reply(hosted, body, [PromptIds(tuple(ids))])

    async def _complete(self, body: CompletionRequest) -> Response:
        hosted = self._hosted(body.model)
        for prompt in body.prompts:
            _check_length(len(prompt), body, hosted.model)
        return _reply(hosted, body, [_prompt(prompt, body, hosted.model) for prompt in body.prompts])

    def _hosted(self, name: str) -> Hosted:
        if name not in self.hosted:
            text = f"no model {name!r} here, only {' and '.join(map(repr, self.hosted))}"
            raise ApiError(404, text, param="model", code="model_not_found")
        return self.hosted[name]

    async def _models(self) -> dict[str, Any]:
        return {"object": "list", "data": [hosted.card() for hosted in self.hosted.values()]}

    async def _model(self, model: str) -> dict[str, Any]:
        return self._hosted(model).card()

    async def _health(self) -> dict[str, str]:
        for hosted in self.hosted.values():
            if hosted.worker.failure is not None:
                raise Broken(str(hosted.worker.failure))
        return {"status": "ok"}

    async def _metrics(self) -> str:
        lines = [line for hosted in self.hosted.values() for line in self._counts(hosted)]
        return "\n".join(lines) + "\n"

    def _counts(self, hosted: Hosted) -> list[str]:
        """One model's numbers; beside a second one they bear its name."""
        counts, worker = hosted.worker.counts, hosted.worker
        label = f"model={orjson.dumps(hosted.name).decode()}" if len(self.hosted) > 1 else ""
        numbers = {
            "lima_requests_total": counts.requests,
            "lima_requests_cancelled_total": counts.cancelled,
            "lima_requests_refused_total": counts.refused,
            "lima_prompt_tokens_total": counts.prompt_tokens,
            "lima_generated_tokens_total": counts.generated_tokens,
            "lima_requests_open": worker.open,
            "lima_requests_running": worker.running,
        }
        lines = [f"{name}{'{' + label + '}' if label else ''} {value}" for name, value in numbers.items()]
        for reason, count in sorted(counts.finished.items()):
            labels = ",".join(filter(None, (f'reason="{reason}"', label)))
            lines.append(f"lima_requests_finished_total{{{labels}}} {count}")
        return lines


def _reply(hosted: Hosted, body: Body, prompts: list[PromptIds]) -> Response:
    if not prompts or not all(prompt.ids for prompt in prompts):
        param = "messages" if isinstance(body, ChatRequest) else "prompt"
        raise ApiError(400, "the prompt is empty", param=param)
    return hosted.replies.reply(body, prompts)


def _prompt(prompt: str | list[int], body: CompletionRequest, model: LocalModel) -> PromptIds:
    """A raw prompt as vLLM reads it, except that a text which begins with BOS gets no second one."""
    tokenizer, last = model.tokenizer, model.vocabulary - 1
    if isinstance(prompt, str):
        ids = tokenizer.encode(prompt, add_special_tokens=body.add_special_tokens is not False)
        doubled = ids[:2] == [tokenizer.bos_token_id] * 2
        return PromptIds(tuple(ids[1:] if doubled else ids), prompt)
    if any(not 0 <= token <= last for token in prompt):
        raise ApiError(400, f"token ids must be from 0 to {last}", param="prompt")
    return PromptIds(tuple(prompt))


def _check_length(size: int, body: Body, model: LocalModel) -> None:
    """Refuse what cannot fit without reading it: other requests would wait for the tokenizer."""
    if size > LONGEST_TOKEN * model.context:
        raise too_long(
            f"the prompt's {size} characters leave no room for an answer within {model.context} tokens",
            body,
        )


class Entrance:
    """What every request passes first: the key is checked, and a body is JSON whatever its sender calls it.

    Args:
        app: what answers.
        key: what clients must send; empty asks for none.
    """

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app, self._key = app, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with an error."""
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            headers = MutableHeaders(scope=scope)
            if (problem := self._problem(headers)) is not None:
                await json_reply(problem.body, problem.status)(scope, receive, send)
                return
            headers["content-type"] = "application/json"  # curl -d calls it a form
        await self._app(scope, receive, send)

    def _problem(self, headers: Headers) -> ApiError | None:
        given = headers.get("authorization", "").removeprefix("Bearer ")
        if self._key and not hmac.compare_digest(given.encode(), self._key.encode()):
            return ApiError(401, "the API key is missing or wrong", code="invalid_api_key")
        if headers.get("content-encoding", "identity") != "identity":
            return ApiError(400, "the body cannot be read: send it without Content-Encoding")
        return None


async def problem_reply(request: Request, error: Exception) -> Response:
    """Every error in OpenAI's form."""
    headers = None
    if isinstance(error, RequestValidationError):
        error = invalid(error)
    elif isinstance(error, QueueFull):
        error = ApiError(429, "the queue is full", code="queue_full")
        headers = {"Retry-After": "1"}
    elif isinstance(error, Broken):
        error = engine_failed(error)
    elif isinstance(error, HTTPException):
        error = ApiError(error.status_code, str(error.detail))
    elif not isinstance(error, ApiError):
        error = ApiError(500, "the server failed; its log says how")
    return json_reply(error.body, error.status, headers)


def invalid(error: RequestValidationError) -> ApiError:
    """The first problem of a request; where a value may have several forms, the form that went furthest is judged."""
    problem = max(error.errors(), key=lambda one: len(one["loc"]))
    if problem["type"] == "json_invalid":
        return ApiError(400, f"the body is not JSON: {problem['ctx']['error']}")
    forms = {"str", "int", "list"}
    place = ".".join(str(part) for part in problem["loc"][1:] if re.split(r"\[", str(part))[0] not in forms)
    if problem["type"] == "extra_forbidden":
        return ApiError(400, f"{place}: not offered here", param=place, code="unknown_parameter")
    text = problem["msg"].removeprefix("Value error, ")
    return ApiError(400, f"{place}: {text}".removeprefix(": "), param=place or None)
