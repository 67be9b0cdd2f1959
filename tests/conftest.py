"""Fixtures that several stages share: the smallest real model with its tokenizer, and examples for it."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as property_settings

from lima.records import Example, Message
from lima.world.oracle import Oracle
from lima.world.people import World, make_world
from lima.world.settings import WorldSettings

# A time limit a case tells of the machine, not of the code: other work on two cores made right code fail it.
# The same cases each time: a change is judged by what it changed. `LIMA_EXPLORE=1` draws new ones.
property_settings.register_profile("suite", deadline=None, derandomize=not os.environ.get("LIMA_EXPLORE"))
property_settings.load_profile("suite")

# A shell without job control starts its background commands deaf to Ctrl-C, and their children inherit that: tests of it would hang.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an untrained two-layer LLaMA (16 wide, 256 positions) with a byte tokenizer of 258 tokens."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny-llama")
    config = LlamaConfig(
        vocab_size=258,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=0,
        eos_token_id=1,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def byte_tokenizer(bos: str | None = "<s>") -> Any:
    """A tokenizer with one token a byte, ``<s>`` (0) and ``</s>`` (1)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<s>", "</s>", *alphabet])}
    core = Tokenizer(models.BPE(vocabulary, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token=bos, eos_token="</s>")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A real browser (``playwright.sync_api.Browser``) without a window.

    Not for the whole session: while it is open an event loop runs, and other tests begin loops of their own.
    """
    from playwright import sync_api

    found = shutil.which("chromium")
    if found is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    quiet = ("background-networking", "component-update", "sync", "gpu")
    flags = ["--headless", "--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in quiet)]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def examples() -> list[Example]:
    """Ten short conversations; the last is a dialogue of two exchanges."""
    single = [
        Example(
            id=f"made/{number}",
            source="made",
            messages=(
                Message(role="user", content=f"What is {number} + {number}?"),
                Message(role="assistant", content=f"It is {2 * number}." + " Surely." * (number % 3)),
            ),
        )
        for number in range(9)
    ]
    dialogue = Example(
        id="made/dialogue",
        source="made",
        messages=(
            Message(role="user", content="Hello"),
            Message(role="assistant", content="Hello, how can I help?"),
            Message(role="user", content="Tell me a fact."),
            Message(role="assistant", content="Rivers flow downhill."),
        ),
    )
    return [*single, dialogue]


@pytest.fixture
def lima_data() -> Path:
    """The folder of real data, which the environment variable LIMA_DATA names."""
    folder = os.environ.get("LIMA_DATA")
    if not folder:
        pytest.skip("LIMA_DATA is unset: no folder of real data")
    return Path(folder)


@pytest.fixture(scope="session")
def world() -> World:
    """The default world."""
    return make_world(WorldSettings())


@pytest.fixture(scope="session")
def oracle(world: World) -> Oracle:
    """Ground truth of the default world."""
    return Oracle(world)


@pytest.fixture(scope="session")
def words() -> Any:
    """The tokenizer of the default world."""
    from lima.world.tokenizer import make_tokenizer

    return make_tokenizer()
