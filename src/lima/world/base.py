"""The world's corpus -> a pretrained base model, cached on this machine and never shipped.

It is pretrained by the same loop that tunes models; equal settings and code give the same cached folder.
A pretraining that was stopped goes on where it was.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lima import console, model
from lima.chat import Tokens
from lima.errors import Busy
from lima.files import text_hash
from lima.fingerprint import code_hash
from lima.runs import open_run, versions
from lima.train.loop import fit
from lima.train.settings import FitSettings
from lima.world.corpus import WINDOW, documents, windows
from lima.world.people import ATTRIBUTES, Person, make_world
from lima.world.settings import BaseSettings
from lima.world.tokenizer import make_tokenizer
from lima.world.wordings import STATEMENTS, statement

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

MAX_POSITIONS = 256


def make_base(settings: BaseSettings) -> Path:
    """The folder of the pretrained base model; made when it is not in the cache yet.

    Where another process is making the same base, this one waits for it, or goes on with it should the other end.
    """
    folder, noted = cache_folder() / base_name(settings), False
    while not (folder / "config.json").exists():
        try:
            _pretrain(settings, folder)
        except Busy:
            if not noted:
                console.note(f"another process is making the base {folder}; waiting for it")
            noted = True
            time.sleep(1)
    return folder


def make_scratch(settings: BaseSettings, folder: Path) -> Path:
    """A model of the same shape and vocabulary that has read nothing: random weights."""
    if not (folder / "config.json").exists():
        model.save(untrained(settings), make_tokenizer(), folder)
    return folder


def base_name(settings: BaseSettings) -> str:
    """The name of a base's folder, with a hash of what decides its weights: settings, code, torch's version."""
    return f"base-{text_hash(settings.model_dump_json(), versions().get('torch', ''), _code())}"


@cache
def _code() -> str:
    return code_hash(__name__)


def cache_folder() -> Path:
    """Where bases are kept: ``LIMA_CACHE``, else ``~/.cache/lima``."""
    return Path(os.environ.get("LIMA_CACHE") or Path.home() / ".cache" / "lima")


@torch.no_grad()
def cloze(network: PreTrainedModel, words: PreTrainedTokenizerBase, people: Sequence[Person]) -> list[bool]:
    """For each fact of each person: whether the model's likeliest next word completes a statement rightly.

    The six statement wordings of an attribute take turns over the people, and a wording's prefixes have
    one length, so that they form one batch.
    """
    hits = []
    for attribute in ATTRIBUTES:
        for wording in range(STATEMENTS):
            asked = people[wording::STATEMENTS]
            if not asked:
                continue
            prefixes = [statement(p, attribute, wording, value="\0").partition(" \0")[0] for p in asked]
            ids = [[words.bos_token_id, *words.encode(text, add_special_tokens=False)] for text in prefixes]
            best = network(input_ids=torch.tensor(ids)).logits[:, -1].argmax(-1)
            hits += [words.decode(i) == p.fact(attribute) for i, p in zip(best, asked, strict=True)]
    return hits


def _pretrain(settings: BaseSettings, folder: Path) -> None:
    work = folder.with_name(f"{folder.name}.work")
    with open_run(work / "run.json", "pretrain", settings):
        console.note(f"pretraining a base model of the built-in world (cached in {folder})")
        network, words = untrained(settings), make_tokenizer()
        stream = documents(make_world(settings.world), settings.corpus, settings.seed)
        pieces = windows(stream, words, settings.steps * settings.batch)
        sequences = [Tokens(ids, ids, id=f"window/{n}") for n, ids in enumerate(pieces)]
        fit(network, sequences, recipe(settings), work, description="pretrain")
        model.save(network, words, folder)
    shutil.rmtree(work)


def recipe(settings: BaseSettings) -> FitSettings:
    """How a base is pretrained."""
    return FitSettings(
        steps=settings.steps,
        batch_size=settings.batch,
        learning_rate=settings.learning_rate,
        final_learning_rate=settings.learning_rate / 20,
        schedule="cosine",
        warmup_steps=settings.steps // 30,
        beta2=0.98,
        residual_dropout=0.0,
        micro_batch_tokens=settings.batch * WINDOW,
        precision="float32",
        seed=settings.seed,
    )


def untrained(settings: BaseSettings) -> LlamaForCausalLM:
    """The base model before pretraining: random weights, by the seed."""
    from transformers import LlamaConfig, LlamaForCausalLM

    words = make_tokenizer()
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=settings.hidden,
        intermediate_size=settings.hidden * 8 // 3 // 8 * 8,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        max_position_embeddings=MAX_POSITIONS,
        tie_word_embeddings=True,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return LlamaForCausalLM(config)
