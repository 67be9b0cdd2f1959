"""Other tools' clients sending the requests of ``benchmarks/judge.py``, at the same 64 requests at once.

Runs in an interpreter of its own, with the tools installed there (none is a dependency of lima):

    python -m venv peers && peers/bin/pip install inspect_ai openai alpaca_eval
    python benchmarks/judge.py --peer peers/bin/python

Prints seconds without imports and start-up, for each tool that is installed, at the best of the settings that
were tried for it (connections of its own limit, the SDK's faster transport, processes). What a tool does beside the
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
WARM_UP = 20


def inspect_ai(url: str, model: str, texts: list[str], connections: int) -> float:
    """Its ``generate``, with ``max_connections`` raised from its default of 10."""
    library: Any = importlib.import_module("inspect_ai.model")
    config = library.GenerateConfig(max_connections=connections, temperature=0.0, max_tokens=1024, seed=1)

    async def run() -> float:
        client = library.get_model(f"openai-api/peer/{model}", base_url=url, api_key="none", config=config)
        await client.generate("warm up")
        began = time.perf_counter()
        replies = await asyncio.gather(*(client.generate(text) for text in texts))
        assert all(reply.completion for reply in replies)
        return time.perf_counter() - began

    return asyncio.run(run())


def openai(url: str, model: str, texts: list[str], transport: str) -> float:
    """The OpenAI SDK under a semaphore, on httpx or on aiohttp."""
    library: Any = importlib.import_module("openai")

    async def run() -> float:
        http = library.DefaultAioHttpClient() if transport == "aiohttp" else None
        client = library.AsyncOpenAI(base_url=url, api_key="none", http_client=http)
        places = asyncio.Semaphore(AT_ONCE)

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


def alpaca_eval(url: str, model: str, texts: list[str], processes: int) -> float:
    """Its ``openai_completions`` with several processes."""
    os.environ |= {"OPENAI_API_KEY": "none", "OPENAI_API_BASE": url, "OPENAI_BASE_URL": url}
    library: Any = importlib.import_module("alpaca_eval.decoders.openai")
    prompts = [f"<|im_start|>user\n{text}\n<|im_end|>" for text in texts]
    began = time.perf_counter()
    found = library.openai_completions(
        prompts, model_name=model, max_tokens=1024, num_procs=processes, temperature=0, seed=1
    )
    assert all(found["completions"])
    return time.perf_counter() - began


TOOLS: dict[str, tuple[Callable[..., float], tuple[Any, ...]]] = {
    "inspect_ai": (inspect_ai, (AT_ONCE, 2 * AT_ONCE)),
    "openai": (openai, ("httpx", "aiohttp")),
    "alpaca_eval": (alpaca_eval, (8, 32, AT_ONCE)),
}
"""The tools with the settings to try, each first on a tenth of the requests; the best one does them all."""


def main(address: str, requests: Path) -> None:
    url, _, model = address.partition("#")
    texts = [json.loads(line)["body"]["messages"][0]["content"] for line in requests.open()]
    few = texts[: max(WARM_UP, len(texts) // 10)]
    for name, (run, settings) in TOOLS.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        run(url, model, texts[:WARM_UP], settings[0])
        tried = {setting: run(url, model, few, setting) for setting in settings}
        best = min(tried, key=lambda setting: tried[setting])
        print(f"{name} {version} ({best})\t{run(url, model, texts, best):.2f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
