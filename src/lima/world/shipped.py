"""The demo's base as it ships with the package: its weights in float16, and a record of what made them.

It is data, like a word list, and no result of the code at hand: its folder in the cache is named by the hash of the weights, never like
a base that `make_base` would make. Results whose key hashes code (`lima experiment`) are made from pretrained bases alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from lima import console, model
from lima.errors import LimaError
from lima.files import read_json, sha256, text_hash, write_json
from lima.runs import versions
from lima.world.base import cache_folder, make_base, untrained
from lima.world.people import make_world
from lima.world.settings import BaseSettings
from lima.world.tokenizer import make_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WEIGHTS = Path(__file__).with_name("base.safetensors")
RECORD = Path(__file__).with_name("base.json")


def shipped_base(settings: BaseSettings) -> Path | None:
    """The folder of the base that ships, unpacked into the cache as float32; None where it is not the wanted one.

    It is not where other settings are asked for, and where the people or the words of the world have changed since.

    Raises:
        LimaError: the file of weights is not the recorded one.
    """
    record = read_json(RECORD)
    if record["settings"] != settings.model_dump(mode="json"):
        return None
    if record["world"] != _world(settings):
        console.note(
            "the base that ships has read about another version of the world; one is pretrained here instead"
        )
        return None
    if sha256(WEIGHTS) != record["sha256"]:
        raise LimaError(f"{WEIGHTS}: damaged (its sha256 is not that of {RECORD.name}). Install lima again.")
    folder = cache_folder() / f"shipped-{record['sha256'][:16]}"
    if not (folder / "config.json").exists():
        network = untrained(settings)
        network.load_state_dict(load_file(WEIGHTS), strict=False)  # the tied head is the embedding
        model.save(network, make_tokenizer(), folder)
    return folder


def ship(settings: BaseSettings, command: str) -> None:
    """Put the base that `make_base` gives here into the package, with the ``command`` that pretrains it on any machine."""
    network, _ = model.load(make_base(settings), device="cpu")
    save_file(_halves(network), WEIGHTS)
    facts = {
        "command": command,
        "settings": settings.model_dump(mode="json"),
        "sha256": sha256(WEIGHTS),
        "versions": versions() | {"vector instructions": torch.backends.cpu.get_cpu_capability()},
        "world": _world(settings),
    }
    write_json(RECORD, facts)


def _halves(network: PreTrainedModel) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().to(torch.float16) for name, tensor in network.named_parameters()}


def _world(settings: BaseSettings) -> str:
    """A hash of what the weights are about: every person's facts, and the number of each word."""
    world = make_world(settings.world)
    return text_hash(repr(world), repr(sorted(make_tokenizer().get_vocab().items())))
