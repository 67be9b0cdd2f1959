"""The answers to make, and what systems and files are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lima.errors import LimaError
from lima.files import checkpoint_name, sibling
from lima.generate.settings import GenerateSettings
from lima.records import Completion, Example, FinishReason, Message, Status


class TooLong(LimaError):
    """A prompt leaves no room for an answer."""


@dataclass(frozen=True)
class Job:
    """One answer to make."""

    prompt_id: str
    sample: int
    messages: tuple[Message, ...]
    """A conversation that ends in a user turn."""
    system: str
    seed: int

    @property
    def id(self) -> str:
        """The id of the completion."""
        return f"{self.system}/{self.prompt_id}/{self.sample}"

    def completion(
        self, content: str, reason: FinishReason, tokens: int, status: Status = "ok"
    ) -> Completion:
        """The record of the finished job."""
        return Completion(
            id=self.id,
            prompt_id=self.prompt_id,
            system=self.system,
            sample=self.sample,
            content=content,
            finish_reason=reason,
            status=status,
            tokens=tokens,
            seed=self.seed,
        )


def plan(prompts: Sequence[Example], settings: GenerateSettings, system: str) -> list[Job]:
    """A job for each prompt and sample."""
    return [
        Job(prompt.id, sample, prompt.prompt, system, settings.seed)
        for prompt in prompts
        for sample in range(settings.samples)
    ]


def beside(out: Path, ending: str) -> Path:
    """``answers.jsonl`` -> ``answers.jsonl.run.json`` and so on."""
    return sibling(out, f"{out.name}.{ending}")


def default_name(system: str) -> str:
    """What a system is called: its folder (run and epoch), or the model's name."""
    if "://" in system:
        return system.rpartition("#")[2].rpartition("/")[2]
    return checkpoint_name(Path(system).resolve() if Path(system).exists() else Path(system))
