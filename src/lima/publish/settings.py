"""Settings of ``lima publish`` and ``lima export gguf``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from pydantic import field_validator

from lima.hub import ModelFolder
from lima.settings import Settings

Consequence = Literal["licence-may-be-infringed", "personal-data-become-public", "secrets-become-public"]
"""What follows from publishing in spite of a finding."""


@dataclass(frozen=True)
class Stop:
    """One finding that stands against publishing."""

    consequence: Consequence
    """What follows, and the value of ``--accept`` that takes it."""
    text: str
    """Place and kind, and the remedy where there is one; never a secret itself."""


REPOSITORY = re.compile(r"[\w-][\w.-]{0,95}/[\w-][\w.-]{0,95}")


class PublishSettings(Settings):
    """Make a model or a data set ready for the Hugging Face hub; with `--push`, send it there.

    Without `--push` nothing leaves this machine: the folder `--out` is written, and each of its files is listed with its size and
    SHA-256. Read its README.md (the card), change it as you like, then run the same command with `--push`: exactly this folder is sent,
    your card as you left it. Log in before (`hf auth login`), or set HF_TOKEN; no token is ever written or shown.

    A model is a checkpoint (`runs/lima/epoch-03`): weights, tokenizer, and a card with base, licence, data and, from `--study`, results
    with their intervals. A data set is a folder of `lima curate`, or one file of examples: Parquet with the licence and authors of
    each row, a card, ATTRIBUTION.md, and a description in Croissant that other tools read.

    What stops it, by name: a licence that forbids passing on or is not stated, personal data, tokens and keys.

    Example: lima publish runs/lima/epoch-03 --to USER/NAME --study study --base-model HuggingFaceTB/SmolLM2-135M --base-licence apache-2.0
    """

    folder: tyro.conf.Positional[Path]
    """A checkpoint, a folder of `lima curate`, or one JSON Lines file of examples."""
    to: str
    """The repository on the hub, USER/NAME. It is made where it is missing."""
    out: Path | None = None
    """The folder that is made ready and sent. Default: publish/NAME."""
    push: bool = False
    """Send it. Without: only make it ready and list it."""
    private: bool = False
    """Make a new repository private."""
    about: str | None = None
    """A paragraph of your own for the card: what it is for, where it comes from."""
    language: tuple[str, ...] = ()
    """Languages of the texts, as codes of ISO 639 (en de), for the card."""
    unstated_licence: str | None = None
    """The licence of examples that state none: they are yours, and you give it. Of a model: of its training data."""
    licence: str | None = None
    """Models: the licence that you give the weights. Default: the base's."""
    base_model: str | None = None
    """Models: the base's id on the hub, where it was tuned from a folder of this machine."""
    base_licence: str | None = None
    """Models: the base's licence, as its card on the hub names it (apache-2.0), where its folder does not."""
    datasets: tuple[str, ...] = ()
    """Models: ids on the hub of the data that it was tuned on."""
    study: tuple[Path, ...] = ()
    """Models: studies that rated it; each needs its report (`lima report STUDY`)."""
    system: str | None = None
    """Models: its name in those studies, if their records do not give it."""
    accept: tuple[Consequence, ...] = ()
    """Publish in spite of findings; each value names the consequence that you accept. `licence-may-be-infringed`: you have the right to
    pass it on, whatever its licence says. `personal-data-become-public`, `secrets-become-public`: what was found is false or meant."""
    dry_run: bool = False
    """Check everything and list it, but write no folder."""

    @field_validator("to")
    @classmethod
    def _is_a_repository(cls, to: str) -> str:
        if not REPOSITORY.fullmatch(to):
            raise ValueError("expected USER/NAME, letters, digits, '-', '_' and '.' alone")
        return to

    @property
    def name(self) -> str:
        """The last part of the repository's id."""
        return self.to.partition("/")[2]


class ExportGgufSettings(Settings):
    """Turn a checkpoint into a GGUF file for llama.cpp, and a Modelfile for Ollama beside it.

    llama.cpp's own converter does the work. A tokenizer that would give other token ids there is refused: the model would read other
    text than it was tuned on.

    Example: lima export gguf runs/lima/epoch-10 --out gguf --converter ~/llama.cpp
    """

    checkpoint: tyro.conf.Positional[ModelFolder]
    """A Hugging Face folder, as `lima train` writes it, or a hub id."""
    out: Path
    """The folder for the GGUF file and the Modelfile."""
    type: Literal["q8_0", "bf16"] = "q8_0"
    """Type of the weights: 8 bits in blocks of 32 with a scale each, or bfloat16."""
    name: str | None = None
    """The model's name. Default: the checkpoint's run and epoch."""
    converter: Path | None = None
    """A checkout of llama.cpp, or any folder with its convert_hf_to_gguf.py. Default: an installed package that brings it."""
    dry_run: bool = False
    """Check the tokenizer, show what would be written, and end."""
