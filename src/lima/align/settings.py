"""Settings of ``lima align``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro
import yaml
from pydantic import Field, model_validator

from lima.curate.sources.named_columns import NamedColumns
from lima.errors import LimaError
from lima.hub import ModelPlace, RawFile
from lima.remote.endpoint import KeyVariable, ModelAddress
from lima.select.settings import Method
from lima.settings import Settings

Step = Literal["data", "select", "doctor", "train", "choose", "answers", "report"]
"""The stages, in their order."""


class AlignSettings(Settings):
    """Turn a base model into an assistant with your own data: curate, select, train, choose the epoch, answer, compare, report.

    DATA is a table of questions and answers (see `lima curate own-data`), a file of Examples, or a recipe of `lima curate`
    with --input. Every stage is an ordinary lima command whose folder lies in --out; the same command again goes on where
    it was stopped. --plan prints the steps, time, disk and cost first. All settings stand in OUT/align.yaml.

    Example: lima align HuggingFaceTB/SmolLM2-135M tickets.csv --out runs/tickets
    """

    input_fields: ClassVar[frozenset[str]] = frozenset({"data", "target"})
    free_fields: ClassVar[frozenset[str]] = frozenset(
        {"out", "plan", "until", "recipe", "prices", "api_key_env", "judge", "oracle"}
    )

    base: tyro.conf.Positional[ModelPlace]
    """The base model: a Hugging Face folder or a hub id."""
    data: tyro.conf.Positional[RawFile]
    """A table of answers or of messages, a mailbox (.mbox), a folder of tables or mails (.eml), a JSON Lines file of Examples, or a recipe (.yaml); one on the hub:
    hf://USER/NAME/PATH."""
    out: Path
    """The folder for everything."""
    recipe: Path | None = None
    """An align.yaml with these settings."""
    input: Path | None = None
    """Where a recipe's raw files are."""
    columns: NamedColumns = NamedColumns()
    """Which column of a table is what."""
    curate: tuple[str, ...] = ()
    """Settings of `lima curate own-data` for a table, NAME=VALUE: `rules.score_min=4`, `duplicates.jaccard=null` ..."""
    pii: Literal["report", "redact", "drop"] = "report"
    """E-mail addresses, telephone numbers, bank accounts, cards and IP addresses in the data: count and warn, put placeholders in
    their place, or leave such examples out (`lima curate`)."""
    number: Annotated[int, Field(ge=1)] = 1000
    """Examples to tune on; a larger pool is reduced to this number (`lima select`)."""
    by: Method = "quality-diverse"
    """How they are selected (`lima select`)."""
    target: Path | None = None
    """Examples of the kind that you want, for --by likeness and rds."""
    dev: Annotated[int, Field(ge=2)] | None = None
    """Questions by whose answers the epoch is chosen: 50 if not given, a tenth of fewer than 500 examples."""
    test: Annotated[int, Field(ge=1)] | None = None
    """Questions that no stage before the comparison sees: 100 if not given, a fifth of fewer than 500 examples."""
    preset: str | None = None
    """A preset of `lima train`, such as lora."""
    train: tuple[str, ...] = ()
    """Settings of `lima train`, NAME=VALUE: `epochs=3`, `learning_rate=1e-4` ... Where the learning rate is not given it is the
    paper's 1e-5 at a width of 4,096, and larger in proportion for narrower models; 5 epochs."""
    in_context: Annotated[int, Field(ge=0)] = 3
    """Examples in the untuned base's prompt, before each question: the baseline that tuning must beat."""
    max_new_tokens: Annotated[int, Field(ge=1)] = 512
    """Longest answer in tokens."""
    judge: ModelAddress | None = None
    """URL#model that chooses the epoch and judges the comparison. Without it the last epoch is taken, and the study waits for people."""
    oracle: str | None = None
    """A rule of yours that chooses the epoch, module:function (see `lima checkpoint`)."""
    api_key_env: KeyVariable = "LIMA_API_KEY"
    """Environment variable that holds the judge's key."""
    prices: Path | None = None
    """YAML with the judge's prices, for --plan and the report."""
    seed: int = 0
    """Everything random follows from it."""
    until: Literal["data", "select", "doctor", "train", "choose", "answers"] | None = None
    """Stop after this stage: `--until select` curates and selects, and tunes nothing."""
    plan: bool = False
    """Print the steps with their time, disk and cost, and stop."""

    def apart(self, examples: int) -> tuple[int, int]:
        """How many dev and test questions are set apart from this many examples.

        >>> AlignSettings(base="b", data="tickets.csv", out="o").apart(40)
        (4, 8)
        """
        dev = self.dev or min(50, max(2, examples // 10))
        return dev, self.test or min(100, max(1, examples // 5))

    @model_validator(mode="after")
    def _goes_together(self) -> AlignSettings:
        if self.judge and self.oracle:
            raise LimaError("--judge and --oracle: choose one of them to pick the epoch.")
        if self.data.suffix in (".yaml", ".yml") and self.input is None:
            raise LimaError(f"{self.data}: a recipe needs --input, the folder of its raw files.")
        assignments(self.train, "--train")
        assignments(self.curate, "--curate")
        return self


def assignments(pairs: tuple[str, ...], flag: str) -> dict[str, Any]:
    """``("a=1", "b.c=null")`` -> ``{"a": 1, "b": {"c": None}}``; values are YAML, and 1e-4 is a number."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise LimaError(f"{flag} {pair}: expected NAME=VALUE.")
        *folders, last = name.replace("-", "_").split(".")
        place = found
        for folder in folders:
            place = place.setdefault(folder, {})
            if not isinstance(place, dict):
                raise LimaError(f"{flag} {pair}: {folder!r} has a value of its own already.")
        try:
            place[last] = _value(text)
        except yaml.YAMLError:
            raise LimaError(f"{flag} {pair}: the value is no YAML. Quote it: {name}='\"...\"'.") from None
    return found


def _value(text: str) -> Any:
    try:
        return float(text) if "e" in text.lower() else yaml.safe_load(text)  # YAML reads 1e-4 as text
    except ValueError:
        return yaml.safe_load(text)
