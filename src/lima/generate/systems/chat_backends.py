"""What answers, whether in this process or on a server: the seam between the commands and their systems."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol

from lima.errors import LimaError
from lima.generate.jobs import Job
from lima.generate.settings import GenerateSettings, SamplingSettings
from lima.records import Completion, Example, Message, Reject


class ChatPartner(Protocol):
    """What can take the next turn of a conversation: all that ``annotate`` needs of a system."""

    def fits(self, messages: Sequence[Message]) -> bool:
        """Whether the conversation leaves room for an answer."""
        ...

    def say(self, messages: Sequence[Message], attempt: int) -> Generator[str, None, None]:
        """The next turn, piece by piece; another ``attempt`` draws another one. Leaving the iteration stops it."""
        ...


class ChatBackend(ChatPartner, Protocol):
    """One system: answers a file of prompts (``lima generate``) or takes the next turn (``lima chat``, ``annotate``)."""

    name: str

    def describe(self) -> str:
        """How prompts are put to it, for the user."""
        ...

    def reject(self, prompts: Sequence[Example]) -> list[Reject]:
        """The prompts that it cannot take, each with the reason."""
        ...

    def answer(
        self, jobs: Sequence[Job], settings: GenerateSettings, take: Callable[[Completion], None]
    ) -> None:
        """Answer all jobs, in any order, and hand over each completion as it is finished."""
        ...

    def facts(self) -> dict[str, Any]:
        """What the record of a run should keep of it."""
        ...


def open_system(
    system: str,
    settings: SamplingSettings,
    demonstrations: Sequence[Example] | None = None,
    *,
    talks: int = 1,
) -> ChatBackend:
    """Load a model, or reach the server of an address.

    Args:
        system: a checkpoint folder, a hub id, or URL#model.
        settings: how it answers.
        demonstrations: answered examples that stand before every prompt (local models only).
        talks: how many people a local model talks with at once; others wait. A server's own limit is its own matter.

    Raises:
        LimaError: no such model, or nobody answers there.
    """
    if "://" not in system:
        from lima.generate.systems.local import LocalSystem  # torch is not needed for a server's answers

        return LocalSystem(system, settings, demonstrations, talks=talks)
    if demonstrations is not None:
        raise LimaError("--in-context needs a local model: a chat server puts its own format around it.")
    from lima.generate.systems.remote import RemoteSystem

    return RemoteSystem(system, settings)
