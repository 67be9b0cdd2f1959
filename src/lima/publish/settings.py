"""Settings of ``lima export gguf``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import tyro

from lima.settings import Settings


class ExportGgufSettings(Settings):
    """Turn a checkpoint into a GGUF file for llama.cpp, and a Modelfile for Ollama beside it.

    llama.cpp's own converter does the work. A tokenizer that would give other token ids there is refused: the model would read other
    text than it was tuned on.

    Example: lima export gguf runs/lima/epoch-10 --out gguf --converter ~/llama.cpp
    """

    checkpoint: tyro.conf.Positional[Path]
    """A Hugging Face folder, as `lima train` writes it."""
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
