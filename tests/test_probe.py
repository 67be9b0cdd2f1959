"""The probe against a made-up sampler whose manners are known."""

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from lima.files import read_json
from lima.remote.probe import make_trials, probe
from lima.remote.settings import ProbeSettings


async def answer(request: web.Request) -> web.Response:
    """Honours temperature, seed, max_tokens and stop; refuses repeat_penalty; ignores everything else."""
    body: dict[str, Any] = await request.json()
    if "repeat_penalty" in body:
        return web.json_response({"error": {"message": "unknown field repeat_penalty"}}, status=400)
    prompt = body["messages"][0]["content"]
    if prompt.startswith("Count"):
        words = [str(number) for number in range(1, 21)]
    elif "yes" in prompt:
        words = ["yes"] * (20 if body["frequency_penalty"] else 50)
    else:
        draw = random.Random(body["seed"] if body["temperature"] else 0)
        words = [draw.choice(["sun", "moon", "star", "sea"]) for _ in range(8)]
    most = body.get("max_tokens", 100)
    text = " ".join(words[:most])
    for stop in body.get("stop", []):
        text = text.partition(stop)[0]
    choice = {"message": {"content": text}, "finish_reason": "length" if len(words) > most else "stop"}
    return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": most}})


@contextmanager
def sampler() -> Iterator[str]:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])

    yield f"http://127.0.0.1:{asyncio.run_coroutine_threadsafe(start(), loop).result(10)}/v1#sampler"
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)


def test_each_field_gets_its_finding(tmp_path: Path) -> None:
    with sampler() as address:
        results, rounds = probe(ProbeSettings(address=address, out=tmp_path / "probe.json", at_once=(1, 4)))
    assert {result.name: result.finding for result in results} == {
        "temperature": "honoured",
        "top_p": "ignored",
        "top_k": "ignored",
        "seed": "honoured",
        "max_tokens": "honoured",
        "max_completion_tokens": "ignored",
        "stop": "honoured",
        "frequency_penalty": "honoured",
        "presence_penalty": "ignored",
        "repetition_penalty": "ignored",
        "repeat_penalty": "refused",
        "logprobs": "ignored",
        "an unknown field": "ignored",
    }
    assert [(row.at_once, row.failed) for row in rounds] == [(1, 0), (4, 0)]
    kept = read_json(tmp_path / "probe.json")
    assert kept["address"] == address
    assert len(kept["fields"]) == len(make_trials()) == len(results)
