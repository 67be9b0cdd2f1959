"""Settings of training; every default is the paper's 65B recipe where the paper gives one (LIMA, section 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import tyro
from pydantic import Field, model_validator

from lima.hub import DataFile, ModelPlace
from lima.settings import Settings

Precision = Literal["auto", "float32", "bfloat16"]
PAPER_WIDTH = 4096
"""Width of the paper's smallest model: its learning rates and residual dropout are for models at least as wide."""
MOST_ROUNDED_BETA2 = 0.99
"""A mean that shrinks by less than 0.4 % a step stays where it is in bfloat16."""


class FitSettings(Settings):
    """How weights are fitted to token sequences: optimiser, schedule, batches. What `lima.train.loop.fit` takes."""

    epochs: int = Field(15, gt=0)
    """Passes over the data."""
    steps: int | None = Field(None, gt=0)
    """Optimiser steps in all; where set, it overrides ``epochs``."""
    batch_size: int = Field(32, gt=0)
    """Examples of one optimiser step; the last batch of an epoch is smaller."""
    learning_rate: float = Field(1e-5, gt=0)
    """Learning rate of the first step (after the warm-up, if any)."""
    final_learning_rate: float = Field(1e-6, ge=0)
    """Learning rate of the last step."""
    schedule: Literal["linear", "cosine"] = "linear"
    """How the learning rate falls from the first to the last step."""
    warmup_steps: int = Field(0, ge=0)
    """Steps over which the learning rate first rises from zero; the paper has none."""
    warmup_share: float = Field(0.0, ge=0, lt=1)
    """The same as a share of all steps, rounded up; where ``warmup_steps`` is set, that counts."""
    beta1: float = Field(0.9, ge=0, lt=1)
    """AdamW: decay of the mean of gradients."""
    beta2: float = Field(0.95, ge=0, lt=1)
    """AdamW: decay of the mean of squared gradients."""
    eps: float = Field(1e-8, gt=0)
    """AdamW: added to the denominator."""
    weight_decay: float = Field(0.1, ge=0)
    """AdamW: decoupled weight decay, on matrices only (not on norms and biases)."""
    clip_norm: float = Field(1.0, gt=0)
    """Gradients of a step are scaled down to this norm."""
    residual_dropout: float = Field(0.3, ge=0, lt=1)
    """Dropout on the sub-layer outputs of the last layer; the rate rises linearly from 0 at the first."""
    neftune_alpha: float = Field(0.0, ge=0)
    """NEFTune: uniform noise on the embeddings in training, in +-alpha / sqrt(length x width); 5 is usual."""
    micro_batch_tokens: int = Field(2048, gt=0)
    """Tokens that go through the model at once; less needs less memory, the step stays the same. More is no faster on a CPU; on a
    card with memory to spare, try 8192."""
    precision: Precision = "auto"
    """Arithmetic of the forward and backward pass; the weights stay float32. ``auto``: bfloat16 on CUDA and on
    processors with bfloat16 instructions where the model is wide enough to gain from it, else float32."""
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, about a third more work."""
    compile: bool = False
    """Compile the decoder's layers (torch.compile): a minute or two at first, needs a C++ compiler on a CPU. Worth it on
    CUDA and on processors with AMX (6 to 38 % less time in the layers); dropout draws other numbers than without."""
    seed: int = 0
    """Seed of the order of examples and of dropout."""
    memory: Literal["full", "low"] = "full"
    """``full``: weights, gradients and AdamW's moments in float32, 16 bytes a weight. ``low``: all in bfloat16 beside what rounding
    the weights cuts off, 10 bytes a weight, so that no small step is lost; products in bfloat16; one device, no adapters."""
    save_every: int | None = Field(None, gt=0)
    """Steps from one saved training state to the next, for resuming; where unset, as often as takes 5 % of the time.
    A state is saved at the end of every epoch in any case."""

    @model_validator(mode="before")
    @classmethod
    def _low_memory_is_bfloat16(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or values.get("memory") != "low":
            return values
        if values.get("precision") == "float32":
            raise ValueError("--memory low holds bfloat16 weights: leave --precision float32 out")
        return {**values, "precision": "bfloat16"}

    @model_validator(mode="after")
    def _moments_move(self) -> Self:
        if self.memory == "low" and self.beta2 > MOST_ROUNDED_BETA2:
            raise ValueError(
                f"--beta2 {self.beta2:g} changes the squared gradients' mean by less than bfloat16 can show: with --memory low "
                f"give at most {MOST_ROUNDED_BETA2:g} (the paper's is 0.95)"
            )
        return self

    @model_validator(mode="after")
    def _rate_falls(self) -> Self:
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"the learning rate would rise, from {self.learning_rate:g} to {self.final_learning_rate:g}: "
                f"give --final-learning-rate too, such as {self.learning_rate / 10:g}"
            )
        return self

    def warmup(self, steps: int) -> int:
        """Steps of the warm-up in a run of this many steps."""
        return self.warmup_steps or math.ceil(round(self.warmup_share * steps, 6))


Tracker = Literal["tensorboard", "wandb", "trackio"]
"""Where the rows of ``metrics.jsonl`` can go, too (`lima.train.metrics`)."""


class TrainSettings(FitSettings):
    """Fine-tune a base language model on conversations, with the recipe of the LIMA paper.

    Writes one Hugging Face folder an epoch, `metrics.jsonl` and `rejects.jsonl` into the run folder. The same
    command again resumes a run that was stopped at any moment.

    Example: lima train huggyllama/llama-7b train.jsonl --out runs/lima-7b --preset lima-7b --heldout heldout.jsonl
    """

    input_fields: ClassVar[frozenset[str]] = frozenset({"model", "data", "heldout", "dev", "replay"})
    free_fields: ClassVar[frozenset[str]] = frozenset(
        {"out", "preset", "dry_run", "strict", "save_every", "log_to"}
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "lima-65b": {"batch_size": 32, "residual_dropout": 0.3},
        "lima-30b": {"batch_size": 64, "residual_dropout": 0.2},
        "lima-7b": {"batch_size": 64, "residual_dropout": 0.2},
        "alpaca": {
            "epochs": 3,
            "batch_size": 128,
            "learning_rate": 2e-5,
            "final_learning_rate": 0.0,
            "schedule": "cosine",
            "warmup_share": 0.03,
            "beta2": 0.999,
            "weight_decay": 0.0,
            "residual_dropout": 0.0,
            "max_length": 512,
        },
        "lora": {
            "lora_rank": 16,
            "learning_rate": 1e-4,
            "final_learning_rate": 1e-5,
            "residual_dropout": 0.0,
            "lora_dropout": 0.05,
        },
        "qlora": {
            "lora_rank": 16,
            "learning_rate": 1e-4,
            "final_learning_rate": 1e-5,
            "residual_dropout": 0.0,
            "lora_dropout": 0.05,
            "four_bit": True,
            "activation_checkpointing": True,
        },
        "tiny": {
            "epochs": 3,
            "batch_size": 16,
            "learning_rate": 1e-3,
            "final_learning_rate": 1e-4,
            "residual_dropout": 0.0,
            "max_length": 512,
            "keep_eot": True,
        },
    }

    model: tyro.conf.Positional[ModelPlace]
    """The base model: a Hugging Face folder or a hub id, pinned by USER/NAME@REVISION where that matters."""
    data: tyro.conf.Positional[DataFile]
    """Training conversations, JSON Lines of examples (see 'lima curate' and 'lima import'), or such rows on the hub:
    hf://USER/NAME, also with a revision and a split, hf://USER/NAME@REVISION:test."""
    out: Path
    """The run folder."""
    preset: str | None = None
    """Named values to start from: lima-65b, lima-30b, lima-7b (the paper's), alpaca (how the paper's
    baseline of 52,000 examples was made, by its authors' published recipe), lora (adapters), qlora (adapters on weights of
    4 bits, for one small GPU), tiny (a model of a few million parameters on a laptop)."""
    max_length: int = Field(2048, gt=1)
    """Longest text in tokens; longer ones lose their end."""
    keep_eot: bool = False
    """End a trimmed text with EOT in place of its last token, so that its answer still ends."""
    loss_on: Literal["assistant", "all"] = "assistant"
    """Tokens that carry loss: the assistant's with their EOT, or all."""
    prompt_loss_weight: float = Field(0.0, ge=0, le=1)
    """Weight in the loss of the tokens that otherwise carry none, the user's."""
    eot_token: str = "<|eot|>"
    """The special token that ends every utterance; added to the vocabulary where it is missing."""
    eot_start: Literal["auto", "eos", "mean"] = "auto"
    """What a new end-of-turn token starts as: the base's token for the end of a text (`eos`), the mean of all tokens, or what the
    base finds likelier of the two at the ends of some examples (`auto`). From a bad start a few hundred steps do not teach a small base
    to stop."""
    chat_template: str = "lima"
    """Format of conversations: `lima` (the paper's: utterances that end in EOT), `tokenizer` (the template that the base
    brings, such as ChatML; no token is added, the one that ends its turns is trained), or a file with a Jinja template."""
    lora_rank: int = Field(0, ge=0)
    """Train low-rank adapters of this rank on all linear layers, and the EOT row, in place of all weights; the saved
    model holds them merged. It wants a learning rate about ten times higher. A base that is stored in bfloat16 is held so where
    products are. 0: train all weights."""
    lora_alpha: float = Field(32.0, gt=0)
    """Adapters: their product is scaled by this over the rank."""
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    """Adapters: dropout of their input."""
    four_bit: bool = False
    """Adapters: hold the frozen weights of the linear layers in 4 bits (NF4, package bitsandbytes), an eighth of their
    memory. The saved model holds the rounded weights with the adapters merged into them."""
    keep_epochs: tuple[int, ...] = ()
    """Epochs whose folder is written, such as `3 6 9`; `0`: all. None given: 5 to 10, among which the paper chooses, or
    all of a run of fewer than 5. The last is always written."""
    save_dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Type of the saved weights; they are trained in float32 (see ``memory``). ``auto``: the type that the base is stored in."""
    average_last: int = Field(0, ge=0)
    """Write the mean of the weights of this many last epochs too, into the folder `average`; 0: do not."""
    replay: Path | None = None
    """Pretraining text to mix into the steps, so that the model forgets less: a text file, or JSON Lines with `text`."""
    replay_share: float = Field(0.1, gt=0, lt=1)
    """Its share of all tokens, where there is such a file."""
    heldout: DataFile | None = None
    """Held-out conversations whose loss per token is logged every epoch (it misleads: LIMA, appendix)."""
    dev: DataFile | None = None
    """Development conversations with answers, logged likewise."""
    log_to: tuple[Tracker, ...] = ()
    """Send the rows of metrics.jsonl there too: tensorboard (files in the run folder), wandb, trackio. Each needs its package."""
    device: str | None = None
    """Where to train, such as `cuda:0` or `cpu`; unset: CUDA where there is one."""
    strict: bool = False
    """Stop when an example cannot be trained on (a blank turn, no supervised token), instead of naming it in rejects.jsonl."""
    dry_run: bool = False
    """Check the inputs, count tokens and steps, train nothing."""
