"""Other tools' clients sending the requests of ``benchmarks/judge.py``, at the same 64 requests at once.

Runs in an interpreter of its own, with the tools installed there (none is a dependency of lima):

    python -m venv peers && peers/bin/pip install inspect_ai openai alpaca_eval
    python benchmarks/judge.py --peer peers/bin/python

Prints seconds without imports and start-up, for each tool that is installed. What a tool does beside the
calls differs: inspect_ai and AlpacaEval build their own result objects, none logs to the disk as lima does.
"""

import asyncio
import importlib
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

AT_ONCE = 64


def inspect_ai(url: str, model: str, texts: list[str]) -> float:
    """Its ``generate``, with ``max_connections`` raised from its default of 10 to 64."""
    library: Any = importlib.import_module("inspect_ai.model")
    config = library.GenerateConfig(max_connections=AT_ONCE, temperature=0.0, max_tokens=1024, seed=1)

    async def run() -> float:
        client = library.get_model(f"openai-api/peer/{model}", base_url=url, api_key="none", config=config)
        await client.generate("warm up")
        began = time.perf_counter()
        replies = await asyncio.gather(*(client.generate(text) for text in texts))
        assert all(reply.completion for reply in replies)
        return time.perf_counter() - began

    return asyncio.run(run())


def openai(url: str, model: str, texts: list[str]) -> float:
    """The OpenAI SDK under a semaphore."""
    library: Any = importlib.import_module("openai")

    async def run() -> float:
        client, places = library.AsyncOpenAI(base_url=url, api_key="none"), asyncio.Semaphore(AT_ONCE)

        async def ask(text: str) -> Any:
            async with places:
                messages = [{"role": "user", "content": text}]
                return await client.chat.completions.create(
                    model=model, messages=messages, temperature=0, max_tokens=1024, seed=1
                )

        began = time.perf_counter()
        await asyncio.gather(*(ask(text) for text in texts))
        return time.perf_counter() - began

    return asyncio.run(run())


def alpaca_eval(url: str, model: str, texts: list[str]) -> float:
    """Its ``openai_completions`` with 64 processes."""
    os.environ |= {"OPENAI_API_KEY": "none", "OPENAI_API_BASE": url, "OPENAI_BASE_URL": url}
    library: Any = importlib.import_module("alpaca_eval.decoders.openai")
    prompts = [f"<|im_start|>user\n{text}\n<|im_end|>" for text in texts]
    began = time.perf_counter()
    found = library.openai_completions(
        prompts, model_name=model, max_tokens=1024, num_procs=AT_ONCE, temperature=0, seed=1
    )
    assert all(found["completions"])
    return time.perf_counter() - began


TOOLS: dict[str, Callable[[str, str, list[str]], float]] = {
    "inspect_ai": inspect_ai,
    "openai": openai,
    "alpaca_eval": alpaca_eval,
}


def main(address: str, requests: Path) -> None:
    url, _, model = address.partition("#")
    texts = [json.loads(line)["body"]["messages"][0]["content"] for line in requests.open()]
    for name, run in TOOLS.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        print(f"{name} {version}\t{run(url, model, texts):.2f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
