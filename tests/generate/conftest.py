"""The smallest real systems: random models of a few thousand parameters and a byte tokenizer."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lima import model as models_io

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return byte_tokenizer()


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """256 bytes, then ``<s>`` (256) and ``</s>`` (257)."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")
    assert len(made) == 258
    return made


def tiny_llama(seed: int = 0, **changes: Any) -> LlamaForCausalLM:
    """Two layers, 32 wide. Weights are large, so that the likeliest token is clear."""
    torch.manual_seed(seed)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(
        **{
            **sizes,
            "num_key_value_heads": 4,
            "vocab_size": 258,
            "max_position_embeddings": 256,
            "initializer_range": 0.4,
            "bos_token_id": 256,
            "eos_token_id": 257,
            "pad_token_id": None,
            **changes,
        }
    )
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="session")
def tuned_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with EOT and chat template, as training leaves it."""
    folder = tmp_path_factory.mktemp("runs") / "tuned" / "epoch-02"
    llama, tokenizer = tiny_llama(), byte_tokenizer()
    models_io.add_eot(llama, tokenizer)
    models_io.save(llama, tokenizer, folder)
    return folder


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bases") / "base"
    models_io.save(tiny_llama(seed=1), byte_tokenizer(), folder)
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    if "LIMA_DATA" not in os.environ:
        pytest.skip("LIMA_DATA is not set: no real data")
    return Path(os.environ["LIMA_DATA"])


@pytest.fixture
def scripted() -> Iterator[Callable[..., Any]]:
    """Starts servers of a model ``parrot`` on loopback that say, request after request, what a test wrote down.

    An answer is its pieces; a last piece that is an Exception breaks it off, and alone it is a refusal (HTTP 400).
    """
    servers: list[ThreadingHTTPServer] = []

    def start(*answers: Sequence[str | Exception], model: str = "parrot") -> tuple[str, list[dict[str, Any]]]:
        asked: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._begin(200, "application/json")
                self.wfile.write(json.dumps({"data": [{"id": model}]}).encode())

            def do_POST(self) -> None:
                asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                pieces = answers[(len(asked) - 1) % len(answers)]
                if isinstance(pieces[0], Exception):
                    self._begin(400, "application/json")
                    self.wfile.write(json.dumps({"error": {"message": str(pieces[0])}}).encode())
                    return
                self._begin(200, "text/event-stream")
                for piece in pieces:
                    failed = isinstance(piece, Exception)
                    said = {"error": str(piece)} if failed else {"choices": [{"delta": {"content": piece}}]}
                    self.wfile.write(b"data: " + json.dumps(said).encode() + b"\n\n")
                self.wfile.write(b"data: [DONE]\n\n")

            def _begin(self, status: int, kind: str) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/v1#{model}", asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
