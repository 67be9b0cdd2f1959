"""Someone to talk with: a conversation in, its next turn out, piece by piece."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Protocol

from lima import model
from lima.errors import LimaError
from lima.generate.engine.decoding import Decoding, noise_key
from lima.generate.engine.engine import Engine
from lima.generate.engine.requests import Request
from lima.generate.jobs import default_name
from lima.generate.prompts import PromptFormat
from lima.generate.settings import ChatSettings
from lima.records import Message
from lima.remote.client import complete_all, describe_model, run_async
from lima.remote.endpoint import parse_address, read_key
from lima.remote.limits import Limits
from lima.remote.log import CallLog, Reply
from lima.remote.log import Request as CallRequest
from lima.remote.sampling import Sampling, dialect_of, parameters
from lima.remote.stream import Rejected, stream_answer


class TooLong(LimaError):
    """The conversation has outgrown what the system reads."""


class Speaker(Protocol):
    """One system of a chat."""

    name: str

    def fits(self, messages: Sequence[Message]) -> bool:
        """Whether the conversation leaves room for an answer."""
        ...

    def say(self, messages: Sequence[Message], attempt: int) -> Generator[str, None, None]:
        """The next turn; another ``attempt`` draws another one. Leaving the iteration stops it."""
        ...


def open_speaker(system: str, settings: ChatSettings) -> Speaker:
    """A local model or one on a server."""
    return ServedSpeaker(system, settings) if "://" in system else LocalSpeaker(system, settings)


class LocalSpeaker:
    """A model in this process. The engine keeps what it has read: a new turn costs its own tokens alone."""

    def __init__(self, system: str, settings: ChatSettings) -> None:
        self.name = default_name(system)
        path = Path(system)
        loaded, tokenizer = model.load(path if path.exists() else system, settings.dtype)
        self.format = PromptFormat.of(loaded, tokenizer)
        self._settings = settings
        self._context = min(settings.max_length, model.context_length(loaded) or settings.max_length)
        self.engine = Engine(loaded, tokenizer, slots=1)
        self._turns = 0

    def fits(self, messages: Sequence[Message]) -> bool:
        """Whether at least half of the longest answer, or a quarter of the context, has room."""
        room = min(self._settings.max_new_tokens // 2, self._context // 4)
        return len(self.format.encode(messages)) + max(1, room) <= self._context

    def say(self, messages: Sequence[Message], attempt: int) -> Generator[str, None, None]:
        """Stream the next turn."""
        settings, ids = self._settings, tuple(self.format.encode(messages))
        if not 0 < len(ids) < self._context:
            raise LimaError(f"{len(ids)} tokens leave no room for an answer within {self._context}.")
        self._turns += 1
        request = Request(
            id=f"turn {self._turns}",
            prompt=ids,
            max_new_tokens=min(settings.max_new_tokens, self._context - len(ids)),
            decoding=Decoding(settings.temperature, settings.top_p, 0, settings.repetition_penalty),
            noise=noise_key(settings.seed, messages[-1].content, attempt),
            stop_ids=self.format.stop_ids,
            stream=True,
        )
        self.engine.submit(request)
        try:
            while self.engine.busy:
                for step in self.engine.step():
                    if step.answer is not None and step.answer.finish_reason == "error":
                        raise LimaError(f"{self.name}: the model's logits are not numbers.")
                    yield step.text
        finally:
            self.engine.cancel(request.id)


class ServedSpeaker:
    """A model on a server; its turn is streamed as it is written."""

    def __init__(self, system: str, settings: ChatSettings) -> None:
        self._endpoint = parse_address(system, read_key(settings.api_key_env))
        self.name = default_name(system)
        self._settings = settings
        self._dialect = dialect_of(settings.server, run_async(describe_model(self._endpoint)).owner)

    def fits(self, messages: Sequence[Message]) -> bool:
        """Only the server knows."""
        return True

    def say(self, messages: Sequence[Message], attempt: int) -> Generator[str, None, None]:
        """Ask for the next turn.

        Raises:
            TooLong: the server says that the conversation does not fit.
            LimaError: the server gives no answer.
        """
        settings = self._settings
        sampling = Sampling(
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_tokens=settings.max_new_tokens,
            seed=noise_key(settings.seed, messages[-1].content, attempt) % 2**31,
            repetition_penalty=settings.repetition_penalty,
        )
        fields, _ = parameters(sampling, self._dialect)
        turns = [{"role": message.role, "content": message.content} for message in messages]
        body = {"model": self._endpoint.model, "messages": turns, **fields}
        begun = False
        try:
            for piece in stream_answer(self._endpoint, body, timeout=settings.timeout):
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
        yield self._patiently(body)  # a server that is busy, or streams nothing: with retries, in one piece

    def _patiently(self, body: dict[str, Any]) -> str:
        reply = run_async(self._ask(CallRequest(id="turn", body=body)))
        if reply.answer is None:
            raise LimaError(f"{self._endpoint.address}: no answer ({reply.last.outcome}).")
        return reply.answer.content.strip()

    async def _ask(self, request: CallRequest) -> Reply:
        limits = Limits(timeout=self._settings.timeout)
        with tempfile.TemporaryDirectory() as folder, CallLog(Path(folder) / "replies.jsonl") as log:
            async for reply in complete_all([request], self._endpoint, log, limits=limits):
                return reply
        raise LimaError(f"{self._endpoint.address}: no answer.")
