"""The OpenAPI description of ``lima serve``, made from the types that its requests are checked with."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from lima.generate.serve.api import ChatRequest, CompletionRequest
from lima.runs import versions

ERRORS = {
    "400": "a field is missing, wrong or not offered here; `error.param` names it",
    "401": "the key is missing or wrong",
    "404": "no such model or address",
    "413": "the request is too long",
    "429": "the queue is full; Retry-After says when to try again",
    "503": "the engine has failed",
}
STREAM = "One JSON object; with `stream`, server-sent events that end with `data: [DONE]`."


def describe(model: str) -> dict[str, Any]:
    """The document that ``/openapi.json`` gives.

    Args:
        model: the name that requests must give.
    """
    _, schemas = models_json_schema(
        [(ChatRequest, "validation"), (CompletionRequest, "validation")],
        ref_template="#/components/schemas/{model}",
    )
    components = schemas["$defs"]
    for request in (ChatRequest, CompletionRequest):
        components[request.__name__]["properties"]["model"] = {"type": "string", "enum": [model]}
    named = {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "enum": [model]}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"lima serve: {model}",
            "version": versions().get("lima", "0"),
            "description": "The OpenAI API for one model. What a request leaves out is the paper's decoding.",
        },
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "paths": {
            "/v1/chat/completions": {"post": _answering("Answer a chat", "ChatRequest")},
            "/v1/completions": {"post": _answering("Go on with a text", "CompletionRequest")},
            "/v1/models": {"get": _simple("The model that is served")},
            "/v1/models/{model}": {"get": _simple("One model") | {"parameters": [named]}},
            "/health": {"get": _simple("Whether the engine works")},
            "/metrics": {"get": _simple("Counts in the format of Prometheus", kind="text/plain")},
        },
    }


def _answering(summary: str, schema: str) -> dict[str, Any]:
    body = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    kinds: dict[str, Any] = {kind: {"schema": {}} for kind in ("application/json", "text/event-stream")}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": body},
        "responses": {"200": {"description": STREAM, "content": kinds}} | _errors(),
        "security": [{"key": []}, {}],
    }


def _simple(summary: str, kind: str = "application/json") -> dict[str, Any]:
    return {
        "summary": summary,
        "responses": {"200": {"description": summary, "content": {kind: {"schema": {}}}}} | _errors(),
    }


def _errors() -> dict[str, Any]:
    return {status: {"description": text} for status, text in ERRORS.items()}
