"""The settings of ``lima align`` -> those of each of its stages, and where everything lies."""

from __future__ import annotations

from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lima import chat
from lima.align.settings import AlignSettings, assignments
from lima.checkpoint.settings import CheckpointSettings
from lima.commands import command
from lima.doctor.settings import DoctorSettings
from lima.evaluate.settings import CompareSettings, JudgeSettings
from lima.files import read_jsonl, text_hash, write_jsonl
from lima.generate.prompts import PromptFormat
from lima.generate.settings import GenerateSettings
from lima.model import load, load_tokenizer
from lima.records import Example
from lima.report.settings import ReportSettings
from lima.select.settings import SelectSettings
from lima.settings import preset_values, typed, validate
from lima.train.run import epoch_folder
from lima.train.settings import PAPER_WIDTH, TrainSettings

EPOCHS = 5
STEPS_AN_EPOCH = 30
"""The paper's: 1,000 examples in batches of 32."""
SMALLEST_BATCH = 4
LONGEST = 2048
"""Context of a base whose config names none."""
NAMES = ("tuned", "base")
"""The system under test first."""


class Stages:
    """Where the stages of one alignment lie, and the settings of each."""

    def __init__(self, settings: AlignSettings) -> None:
        self.settings = settings
        out = settings.out
        self.data, self.run, self.study = out / "data", out / "run", out / "study"
        self.pool = self.data / "train.jsonl"
        self.chosen = out / "chosen" / "train.jsonl"
        self.doctor_note = out / "doctor.txt"
        self.answers = out / "answers"
        self.demonstrations = self.answers / "in-context.jsonl"

    @cached_property
    def config(self) -> Any:
        """The base's config, of its text model."""
        return self.base.config.get_text_config()

    @cached_property
    def base(self) -> PreTrainedModel:
        """The base without its weights.

        Raises:
            LimaError: it is no causal language model.
        """
        return load(self.settings.base, device="meta")[0]

    @property
    def context(self) -> int | None:
        """Positions of the base, where its config names them."""
        return getattr(self.config, "max_position_embeddings", None)

    @property
    def width(self) -> int:
        """Of the base's hidden states."""
        return int(self.config.hidden_size)

    def epoch(self, number: int) -> Path:
        """The folder of an epoch's model."""
        return epoch_folder(self.run, number)

    def select(self) -> SelectSettings:
        """The number of examples that are tuned on, out of the pool."""
        settings = self.settings
        return SelectSettings(
            pool=self.pool,
            out=self.chosen,
            number=settings.number,
            by=(settings.by,),
            target=settings.target,
            model=settings.base if settings.by in ("ifd", "rds") else None,
            seed=settings.seed,
        )

    def doctor(self) -> DoctorSettings:
        """Every check of model and data."""
        training = self.train()
        return DoctorSettings(
            model=self.settings.base,
            data=self.chosen,
            max_length=training.max_length,
            keep_eot=training.keep_eot,
            eot_token=training.eot_token,
            show=1,
        )

    def train(self) -> TrainSettings:
        """The paper's recipe at the base's width, then the preset, then what the user says."""
        settings = self.settings
        rate = float(f"{1e-5 * max(1.0, PAPER_WIDTH / self.width):.3g}")
        values: dict[str, Any] = {
            "epochs": EPOCHS,
            "learning_rate": rate,
            "batch_size": self._batch_size(),
            "final_learning_rate": float(f"{rate / 10:.3g}"),
            "residual_dropout": 0.2 if self.width >= PAPER_WIDTH else 0.0,
            "seed": settings.seed,
        }
        if settings.judge or settings.oracle:
            values["keep_epochs"] = (0,)
        if settings.preset:
            values |= preset_values(TrainSettings, settings.preset) | {"preset": settings.preset}
        longest = values.get("max_length", TrainSettings.model_fields["max_length"].default)
        values["max_length"] = min(longest, self.context or longest)
        given = typed(TrainSettings, assignments(settings.train, "--train"), "lima align --train")
        if "learning_rate" in given and "final_learning_rate" not in given:
            given["final_learning_rate"] = given["learning_rate"] / 10
        fixed = {"model": settings.base, "data": self.chosen, "out": self.run}
        return validate(TrainSettings, values | given | fixed, "lima align --train")

    def _batch_size(self) -> int:
        """The paper's; with few examples a smaller one, so that an epoch has about 30 steps as in the paper: 5 steps in all teach nothing."""
        usual: int = TrainSettings.model_fields["batch_size"].default
        if not self.chosen.exists():
            return usual
        examples = sum(1 for _ in read_jsonl(self.chosen, Example))
        return min(usual, max(SMALLEST_BATCH, examples // STEPS_AN_EPOCH))

    def checkpoint(self, last: int) -> CheckpointSettings:
        """All epochs that were kept, rated by the judge or the oracle."""
        settings = self.settings
        return CheckpointSettings(
            run=self.run,
            dev=self.data / "dev.jsonl",
            epochs=tuple(range(1, last + 1)),
            judge=settings.judge,
            oracle=settings.oracle,
            max_new_tokens=settings.max_new_tokens,
            seed=settings.seed,
            api_key_env=settings.api_key_env,
        )

    def answers_of_tuned(self, chosen: Path) -> GenerateSettings:
        """The tuned model and the test questions."""
        return self._answers(str(chosen), "tuned")

    def answers_of_base(self) -> GenerateSettings:
        """The base with examples in its prompt, which is what tuning must beat."""
        return self._answers(
            self.settings.base,
            "base",
            in_context=self.demonstrations if self.demonstrations.exists() else None,
        )

    def _answers(self, system: str, name: str, **more: Any) -> GenerateSettings:
        return GenerateSettings(
            system=system,
            prompts=self.data / "test.jsonl",
            out=self.answers / f"{name}.jsonl",
            name=name,
            max_new_tokens=self.settings.max_new_tokens,
            seed=self.settings.seed,
            **more,
        )

    def write_demonstrations(self) -> int:
        """Examples for the base's prompt, from the shorter half, drawn by a hash of their ids; returns how many there are.

        As many as are wanted and fit half of the base's context.
        """
        single = [row for row in read_jsonl(self.chosen, Example) if len(row.turns) == 2]
        single.sort(key=lambda row: sum(len(turn.content) for turn in row.turns))
        short = single[: max(self.settings.in_context, len(single) // 2)]
        short.sort(key=lambda row: text_hash(str(self.settings.seed), "in context", row.id))
        taken = short[: self.settings.in_context]
        room = self.context or LONGEST
        while (
            taken
            and len(PromptFormat("in-context", self._tokenizer, demonstrations=tuple(taken)).encode(()))
            > room / 2
        ):
            taken.pop()
        if taken:
            write_jsonl(self.demonstrations, taken)
        return len(taken)

    def has_room(self, example: Example) -> bool:
        """Whether the first answer begins within the tokens of an example that training reads."""
        asked = [turn.content for turn in takewhile(lambda turn: turn.role != "assistant", example.messages)]
        if sum(len(text.encode()) + 1 for text in asked) + 1 < self._room:  # a token has a byte at least
            return True
        encode = self._tokenizer.encode
        return sum(len(encode(text, add_special_tokens=False)) + 1 for text in asked) + 1 < self._room

    def template_note(self) -> str | None:
        """What to know about a base that has a chat template which is not used."""
        if self.train().chat_template != "lima" or not self._tokenizer.chat_template:
            return None
        if chat.eot_token(self._tokenizer):  # it was tuned by lima
            return None
        return (
            "the base has a chat template of its own and is tuned in lima's: with few examples, "
            "--train chat_template=tokenizer keeps the base's, in which it knows already how to end"
        )

    @cached_property
    def _room(self) -> int:
        return self.train().max_length

    @cached_property
    def _tokenizer(self) -> PreTrainedTokenizerBase:
        return load_tokenizer(self.settings.base)

    def compare(self) -> CompareSettings:
        """Tuned against base, blind."""
        answers = tuple(self.answers / f"{name}.jsonl" for name in NAMES)
        return CompareSettings(
            answers=answers, out=self.study, prompts=self.data / "test.jsonl", seed=self.settings.seed
        )

    def judge(self) -> JudgeSettings:
        """The pairs, in both orders."""
        assert self.settings.judge is not None
        return JudgeSettings(
            study=self.study,
            judge=self.settings.judge,
            api_key_env=self.settings.api_key_env,
            prices=self.settings.prices,
        )

    def report(self) -> ReportSettings:
        """The study's page."""
        return ReportSettings(study=self.study, system="tuned", seed=self.settings.seed)

    def as_yaml(self) -> str:
        """The settings as a commented recipe: ``lima align BASE DATA --recipe align.yaml --out OTHER`` does the same."""
        settings = self.settings
        lines = [
            f"# {command('align', settings.base, settings.data, '--out', settings.out)}",
            "# with the settings below; a copy of this file is a recipe: lima align BASE DATA --recipe FILE --out OUT",
            "",
        ]
        values = settings.model_dump(mode="json", exclude={"base", "data", "out", "recipe", "plan", "until"})
        for name, value in values.items():
            described = AlignSettings.model_fields[name].description or ""
            lines += [f"# {line}" for line in described.splitlines() if line.strip()]
            lines += [yaml.safe_dump({name: value}, sort_keys=False, allow_unicode=True).rstrip(), ""]
        return "\n".join(lines)
