"""One loaded model: what ``lima generate``, ``chat`` and ``serve`` have in common, and how the first two use it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from lima import console, model
from lima.errors import LimaError
from lima.generate.engine.attention import worth_compiling
from lima.generate.engine.decoding import Decoding, noise_key
from lima.generate.engine.engine import Engine
from lima.generate.engine.requests import Request
from lima.generate.engine.shared import SharedEngine
from lima.generate.jobs import Job, TooLong, default_name
from lima.generate.prompts import PromptFormat
from lima.generate.settings import GenerateSettings, ModelSettings, SamplingSettings
from lima.records import Completion, Example, Message, Reject, Status


class LocalModel:
    """A model in this process with its tokenizer, prompt format and stop tokens, and the engine that runs it.

    Args:
        place: a checkpoint folder or hub id.
        settings: type of the weights and the longest context.
        demonstrations: answered examples that stand before every prompt.

    Raises:
        LimaError: no model there.
    """

    def __init__(
        self, place: str, settings: ModelSettings, demonstrations: Sequence[Example] | None = None
    ) -> None:
        path = Path(place)
        self.name = default_name(place)
        self.network, self.tokenizer = model.load(path if path.exists() else place, settings.dtype)
        self.form = PromptFormat.of(self.network, self.tokenizer, demonstrations)
        longest = model.context_length(self.network) or settings.max_length
        self.context = min(settings.max_length, longest)
        self.vocabulary: int = self.network.get_input_embeddings().weight.shape[0]
        self._ids: dict[tuple[Message, ...], tuple[int, ...]] = {}

    def describe(self) -> str:
        """Prompt format, stop tokens and the type of the weights, for the user."""
        kind = str(self.network.dtype).removeprefix("torch.")
        return f"{self.form.explanation}; {self.form.ending}; weights in {kind}"

    def engine(
        self, slots: int, compile: Literal["auto", "on", "off"] = "off", answers: int | None = None
    ) -> Engine:
        """An engine for this many answers at once (``answers``: in all, where that is known).

        Raises:
            LimaError: the engine cannot run this architecture.
        """
        compiled = worth_compiling(compile, self.network, answers=answers)
        return Engine(self.network, self.tokenizer, slots=slots, compiled=compiled)

    def room(self, prompt: Sequence[int]) -> int:
        """How long the answer to a prompt may be, in tokens.

        Raises:
            TooLong: there is none.
        """
        if not prompt:
            raise TooLong("the prompt is empty")
        if len(prompt) >= self.context:
            raise TooLong(f"{len(prompt)} tokens leave no room for an answer within {self.context}")
        return self.context - len(prompt)

    def encode(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Token ids of a conversation that ends in a user turn; the last prompt is kept for its further samples."""
        key = tuple(messages)
        ids = self._ids.get(key)
        if ids is None:
            ids = tuple(self.form.encode(messages))
            self._ids = {key: ids}
        return ids


class LocalSystem(LocalModel):
    """A loaded model that answers files of prompts, or talks, with up to ``talks`` people at once (in threads)."""

    def __init__(
        self,
        place: str,
        settings: SamplingSettings,
        demonstrations: Sequence[Example] | None = None,
        *,
        talks: int = 1,
    ) -> None:
        super().__init__(place, settings, demonstrations)
        self._talks, self._opening = talks, threading.Lock()
        self._settings = settings
        self._decoding = Decoding(
            temperature=0.0 if settings.greedy else settings.temperature,
            top_p=settings.top_p,
            top_k=settings.top_k,
            repetition_penalty=settings.repetition_penalty,
            penalize_prompt=settings.penalize_prompt,
        )
        self.talking: Engine | None = None
        """Keeps what it has read of conversations: a new turn costs its own tokens alone."""
        self._shared: SharedEngine | None = None

    def facts(self) -> dict[str, Any]:
        """The prompt format."""
        return {"format": self.form.kind}

    def reject(self, prompts: Sequence[Example]) -> list[Reject]:
        """Prompts that leave no room for an answer."""
        rejects = []
        for prompt in prompts:
            ids = self.encode(prompt.prompt)
            try:
                self.room(ids)
            except TooLong as error:
                rejects.append(Reject(id=prompt.id, rule="over-long" if ids else "empty", reason=str(error)))
        return rejects

    def answer(
        self, jobs: Sequence[Job], settings: GenerateSettings, take: Callable[[Completion], None]
    ) -> None:
        """Run the engine over all jobs."""
        engine = self.engine(settings.slots, settings.compile, answers=len(jobs))
        by_id = {job.id: job for job in jobs}
        requests = (self._request(job.id, job.messages, (job.prompt_id, job.sample)) for job in jobs)
        for answer in engine.run(requests):
            job, failed = by_id[answer.request.id], answer.finish_reason == "error"
            if failed:
                console.warn(f"{job.id}: the model's logits are not numbers; this answer is an error.")
            status: Status = "error" if failed else "ok"
            take(job.completion(answer.text, answer.finish_reason, len(answer.ids), status))

    def fits(self, messages: Sequence[Message]) -> bool:
        """Whether at least half of the longest answer, or a quarter of the context, has room."""
        wanted = min((self._settings.max_new_tokens or self.context) // 2, self.context // 4)
        return len(self.encode(messages)) + max(1, wanted) <= self.context

    def say(self, messages: Sequence[Message], attempt: int) -> Generator[str, None, None]:
        """Stream the next turn.

        Raises:
            TooLong: the conversation leaves no room.
            LimaError: the model's logits are not numbers.
        """
        request = replace(self._request("turn", messages, (messages[-1].content, attempt)), stream=True)
        with self._opening:
            if self._shared is None:
                self.talking = self.engine(slots=self._talks)
                self._shared = SharedEngine(self.talking)
        with closing(self._shared.stream(request)) as steps:
            for step in steps:
                if step.answer is not None and step.answer.finish_reason == "error":
                    raise LimaError(f"{self.name}: the model's logits are not numbers.")
                yield step.text

    def _request(self, name: str, messages: Sequence[Message], noise: tuple[str, int]) -> Request:
        settings, ids = self._settings, self.encode(messages)
        room = self.room(ids)
        return Request(
            id=name,
            prompt=ids,
            max_new_tokens=min(room, settings.max_new_tokens or room),
            decoding=self._decoding,
            noise=noise_key(settings.seed, *noise),
            stop_ids=self.form.stop_ids,
            stop=(*settings.stop, *self.form.stop),
        )
