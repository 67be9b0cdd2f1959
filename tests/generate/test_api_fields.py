"""Fields of the API that are not offered: what asks for nothing passes, what asks for something is refused by its name."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from lima.generate.serve.api import ASKS_FOR_NOTHING, ChatRequest, CompletionRequest
from lima.generate.serve.server import invalid

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
PLAIN: dict[str, Any] = {"model": "m", "prompt": "Hi"}
OFFERED = ("echo",)
"""Of completions, where it has a meaning."""
WISHES: dict[str, Any] = {
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "tool_choice": "required",
    "function_call": {"name": "f"},
    "functions": [{"name": "f"}],
    "response_format": {"type": "json_object"},
    "service_tier": "flex",
    "modalities": ["text", "audio"],
    "logit_bias": {"5": 1},
    "chat_template_kwargs": {"enable_thinking": True},
    "reasoning_effort": "high",
    "parallel_tool_calls": 5,
    "suffix": "x",
    "annotations": [{}],
    "tool_calls": [{}],
    "documents": [{}],
    "bad_words": ["x"],
    "stop_token_ids": [5],
    "best_of": 2, "min_tokens": 3, "priority": 1, "length_penalty": 2,
    **dict.fromkeys(("continue_final_message", "echo", "ignore_eos", "include_stop_str_in_output", "store", "use_beam_search", "return_token_ids", "return_tokens_as_token_ids"), True),
    **dict.fromkeys(("add_generation_prompt", "skip_special_tokens", "spaces_between_special_tokens", "detokenize"), False),
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in ASKS_FOR_NOTHING.items() for value in (*values, None)])  # fmt: skip
def test_what_asks_for_nothing_passes(name: str, value: Any) -> None:
    assert ChatRequest.model_validate(CHAT | {name: value}) == ChatRequest.model_validate(CHAT)
    if name not in OFFERED:
        assert CompletionRequest.model_validate(PLAIN | {name: value}) == CompletionRequest.model_validate(
            PLAIN
        )


@pytest.mark.parametrize(("name", "value"), [("user", "x"), ("safety_identifier", "x"), ("prompt_cache_key", "x"), ("metadata", {"a": "b"})])  # fmt: skip
def test_hints_that_change_no_answer_pass(name: str, value: Any) -> None:
    assert getattr(ChatRequest.model_validate(CHAT | {name: value}), name) == value
    assert getattr(CompletionRequest.model_validate(PLAIN | {name: value}), name) == value


@pytest.mark.parametrize("name", sorted(ASKS_FOR_NOTHING))
def test_what_asks_for_something_is_refused_by_its_name(name: str) -> None:
    for kind, body in ((ChatRequest, CHAT), (CompletionRequest, PLAIN)):
        if kind is CompletionRequest and name in OFFERED:
            continue
        with pytest.raises(ValidationError) as caught:
            kind.model_validate(body | {name: WISHES[name]})
        places = [{**error, "loc": ("body", *error["loc"])} for error in caught.value.errors()]
        answer = invalid(RequestValidationError(places))
        assert (answer.status, answer.body["error"]["param"]) == (400, name)
        assert answer.message == f"{name}: not offered here"
