from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import uvicorn
from examples.rule_judge import MODEL, Rule, serving
from tests.generate.conftest import byte_tokenizer, tiny_llama
from tokenizers import processors

from lima import model as models_io
from lima.files import read_jsonl, write_jsonl
from lima.generate.run import generate
from lima.generate.serve.server import Server
from lima.generate.settings import GenerateSettings, ServeSettings
from lima.generate.systems.remote import RemoteSystem
from lima.records import Completion, Example, Message
from lima.remote.listening import listen

openai = pytest.importorskip("openai")

Start = Callable[..., "Running"]


class Running:
    """A server in a thread of its own, on a free port of this machine."""

    def __init__(self, settings: ServeSettings) -> None:
        self.server = Server(settings)
        config = uvicorn.Config(self.server.app(), log_level="warning", timeout_graceful_shutdown=1)
        self._uvicorn, listening = uvicorn.Server(config), listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._uvicorn.run, args=([listening],), daemon=True)
        self._thread.start()

    def client(self, **options: Any) -> Any:
        options = {"api_key": "none", "max_retries": 0, "timeout": 60, **options}
        return openai.OpenAI(base_url=f"{self.url}/v1", **options)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=30) as response:
            text: str = response.read().decode()
            return text

    def metric(self, name: str) -> int:
        lines = dict(line.rsplit(" ", 1) for line in self.get("/metrics").splitlines())
        return int(lines[name])

    def is_idle(self, seconds: float = 20) -> bool:
        """Waits until no request is open: a client has its answer, or is gone, a moment before the worker knows."""
        end = time.monotonic() + seconds
        while self.metric("lima_requests_open") or self.metric("lima_requests_running"):
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def stop(self) -> None:
        self._uvicorn.should_exit = True
        self._thread.join()


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    running: list[Running] = []

    def begin(folder: Path, **changes: Any) -> Running:
        running.append(Running(ServeSettings(model=str(folder), **changes)))
        return running[-1]

    yield begin
    for server in running:
        server.stop()


@pytest.fixture(scope="module")
def tuned(start: Start, tuned_folder: Path) -> Running:
    return start(tuned_folder)


HELLO = [{"role": "user", "content": "Hello there"}]


def ask(running: Running, **changes: Any) -> Any:
    body = {"model": "tuned-epoch-02", "messages": HELLO, "max_tokens": 12, "seed": 1, **changes}
    return running.client().chat.completions.create(**body)


def test_chat_greedy_equals_the_library(tuned: Running, tuned_folder: Path) -> None:
    reply = ask(tuned, temperature=0, extra_body={"repetition_penalty": 1.0})
    model, tokenizer = models_io.load(tuned_folder)
    ids = tokenizer.apply_chat_template(HELLO, return_tensors="pt", return_dict=False)
    expected = model.generate(ids, do_sample=False, max_new_tokens=12)[0, ids.shape[1] :]
    choice = reply.choices[0]
    assert choice.message.role == "assistant"
    assert choice.message.content == tokenizer.decode(expected, skip_special_tokens=True).strip()
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (ids.shape[1], len(expected))
    assert choice.finish_reason == ("length" if len(expected) == 12 else "stop")


def test_penalty_as_in_vllm_counts_the_prompt_unless_told_otherwise(
    tuned: Running, tuned_folder: Path
) -> None:
    every_letter = [{"role": "user", "content": "".join(map(chr, range(32, 127)))}]
    model, tokenizer = models_io.load(tuned_folder)
    ids = tokenizer.apply_chat_template(every_letter, return_tensors="pt", return_dict=False)
    expected = model.generate(ids, do_sample=False, max_new_tokens=60, repetition_penalty=2.0)[
        0, ids.shape[1] :
    ]
    like_vllm = ask(
        tuned, temperature=0, max_tokens=60, messages=every_letter, extra_body={"repetition_penalty": 2.0}
    )
    assert (
        like_vllm.choices[0].message.content == tokenizer.decode(expected, skip_special_tokens=True).strip()
    )
    ours = ask(
        tuned,
        temperature=0,
        max_tokens=60,
        messages=every_letter,
        extra_body={"repetition_penalty": 2.0, "penalize_prompt": False},
    )
    assert ours.choices[0].message.content != like_vllm.choices[0].message.content


def test_a_seed_repeats_and_n_differs(tuned: Running) -> None:
    first, again, other = (ask(tuned, n=3, temperature=1.0, seed=seed) for seed in (5, 5, 6))
    texts = [[choice.message.content for choice in reply.choices] for reply in (first, again, other)]
    assert texts[0] == texts[1] != texts[2]
    assert len(set(texts[0])) == 3
    assert [choice.index for choice in first.choices] == [0, 1, 2]


def test_streaming_gives_the_same_text(tuned: Running) -> None:
    whole = ask(tuned, n=2)
    texts, reasons, usage = ["", ""], [None, None], None
    for chunk in ask(tuned, n=2, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            reasons[choice.index] = choice.finish_reason or reasons[choice.index]
    assert [t.rstrip("�") for t in texts] == [c.message.content.rstrip("�") for c in whole.choices]
    assert reasons == [choice.finish_reason for choice in whole.choices]
    assert usage == whole.usage


def test_stop_strings(tuned: Running) -> None:
    whole = ask(tuned, temperature=0).choices[0].message.content
    stop = next(c for c in whole[2:] if c.isascii() and c.isalnum())
    cut = ask(tuned, temperature=0, stop=[stop])
    assert cut.choices[0].message.content == whole[: whole.index(stop)].strip()
    assert cut.choices[0].finish_reason == "stop"


def test_logprobs_are_the_models_own(tuned: Running, tuned_folder: Path) -> None:
    reply = ask(tuned, temperature=0, logprobs=True, top_logprobs=3, max_tokens=1)
    model, tokenizer = models_io.load(tuned_folder)
    ids = tokenizer.apply_chat_template(HELLO, return_tensors="pt", return_dict=False)
    top = model(ids).logits[0, -1].log_softmax(-1).topk(3)
    (token,) = reply.choices[0].logprobs.content
    assert [entry.logprob for entry in token.top_logprobs] == pytest.approx(top.values.tolist(), abs=1e-4)
    assert [entry.token for entry in token.top_logprobs] == [
        tokenizer.decode([i]) for i in top.indices.tolist()
    ]
    assert token.logprob == pytest.approx(top.values[0].item(), abs=1e-4)


def test_plain_completions_take_text_and_ids(tuned: Running, tuned_folder: Path) -> None:
    model, tokenizer = models_io.load(tuned_folder)
    client = tuned.client()
    body: dict[str, Any] = {"model": "tuned-epoch-02", "max_tokens": 6, "temperature": 0}
    plain = {"extra_body": {"repetition_penalty": 1.0}}
    ids = tokenizer.encode("Once upon")  # this tokenizer adds nothing by itself
    reply = client.completions.create(**body, prompt=["Once upon", "Then"], logprobs=2, **plain)
    same = client.completions.create(**body, prompt=ids, **plain)
    assert reply.choices[0].text == same.choices[0].text
    import torch

    expected = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=6)[0, len(ids) :]
    assert same.choices[0].text == tokenizer.decode(expected, skip_special_tokens=True)
    assert len(reply.choices) == 2
    assert len(reply.choices[0].logprobs.token_logprobs) == len(expected)


@pytest.fixture(scope="module")
def raw(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """A model whose tokenizer begins every text with BOS, as LLaMA's does."""
    tokenizer = byte_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 256)]
    )
    folder = tmp_path_factory.mktemp("raw") / "raw"
    models_io.save(tiny_llama(), tokenizer, folder)
    return start(folder)


def complete(running: Running, prompt: Any, **fields: Any) -> Any:
    body = {"max_tokens": 6, "temperature": 0, "extra_body": {"repetition_penalty": 1.0}, **fields}
    return running.client().completions.create(model=running.server.name, prompt=prompt, **body)


def test_raw_text_is_read_as_the_tokenizer_reads_it(raw: Running) -> None:
    """A client that renders a template by itself sends BOS and special tokens as text."""
    letters = byte_tokenizer().encode("Hi")
    wanted = complete(raw, [256, *letters, 257, letters[1]])
    for text in ("Hi</s>i", "<s>Hi</s>i"):  # BOS is added once, whoever writes it
        found = complete(raw, text)
        assert found.choices[0].text == wanted.choices[0].text
        assert found.usage.prompt_tokens == wanted.usage.prompt_tokens == 5
    alone = {"repetition_penalty": 1.0, "add_special_tokens": False}
    assert complete(raw, "Hi", extra_body=alone).usage.prompt_tokens == 2


def test_echo_gives_the_log_probabilities_of_the_prompt(raw: Running) -> None:
    import torch

    text = ("Once upon a time " * 15)[:250]
    model, tokenizer = models_io.load(raw.server.model.network.name_or_path)
    ids = tokenizer.encode(text)
    expected = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    reply = complete(raw, [ids, ids[:9]], echo=True, logprobs=2, max_tokens=0)
    assert [choice.text for choice in reply.choices] == ["<s>" + text, "<s>" + text[:8]]
    assert [choice.finish_reason for choice in reply.choices] == ["length"] * 2
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (251 + 9, 0)
    for choice, size in zip(reply.choices, (251, 9), strict=True):
        found = choice.logprobs
        assert found.tokens == [tokenizer.decode([i]) for i in ids[:size]]
        assert (found.token_logprobs[0], found.top_logprobs[0]) == (None, None)
        chosen = [expected[place, ids[place + 1]].item() for place in range(size - 1)]
        assert found.token_logprobs[1:] == pytest.approx(chosen, abs=1e-4)
        best = expected[: size - 1].max(-1).values.tolist()
        assert [max(top.values()) for top in found.top_logprobs[1:]] == pytest.approx(best, abs=1e-4)
        assert found.text_offset[:3] == [0, 3, 4]


def test_echo_goes_on_with_the_answer_whole_or_streamed(raw: Running) -> None:
    plain = complete(raw, "Hi", logprobs=1)
    whole = complete(raw, "Hi", echo=True, logprobs=1)
    assert whole.choices[0].text == "Hi" + plain.choices[0].text
    alone = plain.choices[0].logprobs.token_logprobs
    assert whole.choices[0].logprobs.token_logprobs[3:] == pytest.approx(alone, abs=1e-5)
    assert whole.usage == plain.usage
    chunks = list(complete(raw, "Hi", echo=True, logprobs=1, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks).rstrip("�") == whole.choices[0].text.rstrip("�")
    told = [
        value for chunk in chunks if (found := chunk.choices[0].logprobs) for value in found.token_logprobs
    ]
    assert told == pytest.approx(whole.choices[0].logprobs.token_logprobs, abs=1e-5)
    with pytest.raises(openai.BadRequestError, match="max_tokens 0 needs echo"):
        complete(raw, "Hi", max_tokens=0)


def test_models_health_metrics(tuned: Running) -> None:
    assert [card.id for card in tuned.client().models.list()] == ["tuned-epoch-02"]
    assert tuned.client().models.retrieve("tuned-epoch-02").owned_by == "lima"
    assert json.loads(tuned.get("/health")) == {"status": "ok"}
    before = tuned.metric("lima_generated_tokens_total")
    reply = ask(tuned)
    assert tuned.metric("lima_generated_tokens_total") == before + reply.usage.completion_tokens


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"model": "gpt-5"}, 404, "no model 'gpt-5' here"),
        ({"messages": []}, 400, "messages"),
        (
            {"messages": [{"role": "user", "content": "x" * 300}]},
            400,
            "leave no room for an answer within 256",
        ),
        (
            {"messages": [*HELLO, {"role": "assistant", "content": "Hi"}]},
            400,
            "the last message must be the user's",
        ),
        ({"temperature": -1}, 400, "temperature"),
        ({"frequency_penalty": 0.5}, 400, "frequency_penalty"),
        ({"extra_body": {"min_tokens": 4}}, 400, "min_tokens: not offered here"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            400,
            "messages.0.content.0: only text parts are understood",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}]}]},
            400,
            "messages.0.content.0.cache_control: not offered here",
        ),
    ],
)
def test_errors_have_openais_shape(tuned: Running, changes: dict[str, Any], status: int, text: str) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        ask(tuned, **changes)
    assert caught.value.status_code == status
    assert text in caught.value.body["message"]
    assert caught.value.body["type"] == "invalid_request_error"


def test_what_is_no_json_is_refused(tuned: Running) -> None:
    for path, data in (
        ("/v1/chat/completions", b"{"),
        ("/v1/completions", b"[1]"),
        ("/v1/chat/completions", b"\xff"),
    ):
        request = urllib.request.Request(tuned.url + path, data=data, method="POST")
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=30)
        assert caught.value.code == 400
        assert "error" in json.loads(caught.value.read())


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_a_text_cut_within_an_emoji_is_answered(tuned: Running, path: str) -> None:
    """Half of a surrogate pair becomes U+FFFD, as where we read files."""
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi \ud83d"}]}
    if path == "/v1/completions":
        asked = {"prompt": "Hi \ud83d"}
    body = {"model": "tuned-epoch-02", "max_tokens": 2, "stop": "\ud83d", **asked}
    request = urllib.request.Request(tuned.url + path, data=json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert json.loads(reply.read())["choices"]


def test_a_client_that_goes_away_frees_its_slot(tuned: Running) -> None:
    cancelled = tuned.metric("lima_requests_cancelled_total")
    stream = ask(tuned, stream=True, max_tokens=230, n=4)
    next(iter(stream))
    stream.close()
    assert tuned.is_idle()
    assert tuned.metric("lima_requests_cancelled_total") > cancelled
    assert ask(tuned).choices


def test_a_whole_answer_is_broken_off_too_when_its_client_goes_away(start: Start, tuned_folder: Path) -> None:
    running = start(tuned_folder, name="small")
    running.server.model.network.register_forward_pre_hook(lambda *_: time.sleep(0.02))  # 4 seconds an answer
    body = json.dumps({"model": "small", "messages": HELLO, "max_tokens": 200, "temperature": 2}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2]))) as client:
        client.sendall(head.encode() + body)
        while not running.metric("lima_requests_running"):
            time.sleep(0.01)
    gone = time.monotonic()
    while running.metric("lima_requests_running"):
        assert time.monotonic() - gone < 2
    assert running.metric("lima_requests_cancelled_total") == 1
    assert running.is_idle()


def test_a_score_that_fails_ends_its_request_alone(start: Start, tuned_folder: Path) -> None:
    running = start(tuned_folder, name="small")
    failures = iter([True])

    def fail(*_: Any) -> None:
        if next(failures, False):
            raise RuntimeError("out of memory")

    running.server.model.network.register_forward_pre_hook(fail)
    with pytest.raises(openai.InternalServerError, match="RuntimeError: out of memory"):
        complete(running, "Hi", echo=True, logprobs=1, max_tokens=0)
    assert len(complete(running, "Hi", echo=True, logprobs=1, max_tokens=0).choices[0].logprobs.tokens) == 2


def test_a_full_queue_is_429_and_a_key_is_asked_for(
    start: Start, tuned_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMA_SERVE_KEY", "secret")
    running = start(tuned_folder, queue=2, name="small")
    with pytest.raises(openai.AuthenticationError):
        running.client(api_key="wrong").models.list()
    client = running.client(api_key="secret")
    with pytest.raises(openai.BadRequestError, match="2 are the most"):  # which no waiting would help
        client.chat.completions.create(model="small", messages=HELLO, n=3)
    with running.server.worker.room(1), pytest.raises(openai.RateLimitError, match="queue is full"):
        client.chat.completions.create(model="small", messages=HELLO, n=2)
    assert client.chat.completions.create(model="small", messages=HELLO, n=2, max_tokens=2).choices
    assert running.metric("lima_requests_refused_total") == 1
    assert running.is_idle()


def test_requests_that_come_at_once_do_not_pass_the_bound(start: Start, tuned_folder: Path) -> None:
    running = start(tuned_folder, queue=3, name="small")
    engine, most = running.server.worker._engine, 0

    def slowly(*_: Any) -> None:
        nonlocal most
        most = max(most, engine.running + engine.waiting)
        time.sleep(0.005)  # requests pile up

    engine.model.register_forward_pre_hook(slowly)

    def one(number: int) -> int:
        body = json.dumps({"model": "small", "messages": HELLO, "max_tokens": 20, "seed": number})
        return post(running, body.encode())[0]

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(one, range(32)))
    assert set(found) <= {200, 429}
    assert found.count(200) >= 3
    assert found.count(429)
    assert most <= 3


def post(running: Running, body: bytes, **headers: str) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{running.url}/v1/chat/completions", body, {"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.parametrize(
    ("changes", "headers"),
    [
        ({"top_k": 2**63}, {}),
        ({"stop": ["x"] * 100_000}, {}),
        ({}, {"Content-Encoding": "gzip"}),
        ({}, {"Content-Encoding": "br"}),
        ({}, {"Content-Encoding": "zstd"}),
    ],
)
def test_odd_requests_are_refused_in_openai_s_shape_and_the_server_goes_on(
    tuned: Running, changes: dict[str, Any], headers: dict[str, str]
) -> None:
    body = json.dumps({"model": "tuned-epoch-02", "messages": HELLO, **changes}).encode()
    status, reply = post(tuned, body, **headers)
    assert status == 400
    assert reply["error"]["type"] == "invalid_request_error"
    assert ask(tuned).choices


def test_a_prompt_of_megabytes_is_refused_unread(tuned: Running) -> None:
    body = {"model": "tuned-epoch-02", "messages": [{"role": "user", "content": "x " * 2_000_000}]}
    status, reply = post(tuned, json.dumps(body).encode())
    assert (status, reply["error"]["code"]) == (400, "context_length_exceeded")
    assert "4000000 characters leave no room" in reply["error"]["message"]  # it was measured, not tokenised


def test_a_body_that_is_too_long_is_refused(tuned: Running) -> None:
    body = {"model": "tuned-epoch-02", "messages": [{"role": "user", "content": "x" * 17 * 2**20}]}
    with socket.create_connection(("127.0.0.1", int(tuned.url.rpartition(":")[2]))) as sent:
        length = len(json.dumps(body))
        sent.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()
        )
        assert sent.recv(12) == b"HTTP/1.1 413"  # before any of it was sent


def test_a_key_that_is_no_text_is_wrong(
    start: Start, tuned_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMA_SERVE_KEY", "secret")
    running = start(tuned_folder, name="small")
    assert post(running, b"{}", Authorization="Bearer \xff\xfe")[0] == 401


def test_an_empty_prompt_is_refused_where_there_is_no_bos(start: Start, tmp_path: Path) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.bos_token = None
    models_io.save(tiny_llama(), tokenizer, tmp_path / "nobos")
    running = start(tmp_path / "nobos", name="small")
    body = json.dumps({"model": "small", "messages": [{"role": "user", "content": ""}]}).encode()
    status, reply = post(running, body)
    assert (status, reply["error"]["message"]) == (400, "the prompt is empty")


def test_a_reply_can_be_sent_back(tuned: Running) -> None:
    """The pattern of every client of the openai package, and fields that ask for nothing."""
    first = ask(tuned)
    turn = {"role": "user", "content": "And you?"}
    for reply in (first.choices[0].message, first.choices[0].message.model_dump()):
        assert ask(tuned, messages=[*HELLO, reply, turn]).choices
    extra: dict[str, Any] = {
        "best_of": 1,
        "min_tokens": None,
        "ignore_eos": False,
        "chat_template_kwargs": {},
    }
    hints: dict[str, Any] = {
        "store": False,
        "metadata": {},
        "service_tier": "auto",
        "tool_choice": "none",
        "user": "x",
    }
    assert ask(tuned, parallel_tool_calls=False, prompt_cache_key="x", safety_identifier="x", **hints).choices
    with pytest.raises(openai.BadRequestError, match="store: not offered"):
        ask(tuned, store=True)
    assert ask(tuned, logit_bias={}, response_format={"type": "text"}, tools=[], extra_body=extra).choices
    with pytest.raises(openai.BadRequestError, match="logit_bias: not offered"):
        ask(tuned, logit_bias={"5": 1})


def test_a_step_that_fails_ends_its_requests_alone(start: Start, tuned_folder: Path) -> None:
    running = start(tuned_folder, name="small")
    # Of five requests the first fails at once, the third at its second step, and the last ones three times in a row.
    failures = iter([True, *[False] * 3, False, True, *[False] * 3, *[True] * 3])

    def fail(*_: Any) -> None:
        if next(failures, False):
            raise RuntimeError("out of memory")

    running.server.model.network.register_forward_pre_hook(fail)
    client = running.client()

    def works() -> bool:
        try:
            return bool(client.chat.completions.create(model="small", messages=HELLO, max_tokens=3).choices)
        except openai.InternalServerError:
            return False

    assert [works() for _ in range(4)] == [False, True, False, True]
    assert json.loads(running.get("/health")) == {"status": "ok"}
    assert [works() for _ in range(3)] == [False, False, False]
    with pytest.raises(
        urllib.error.HTTPError, match="503"
    ):  # it goes wrong whatever is asked: the worker has ended
        running.get("/health")


def test_an_open_server_warns_and_ctrl_c_breaks_off_a_long_stream(tmp_path: Path) -> None:
    llama, tokenizer = tiny_llama(max_position_embeddings=200_000), byte_tokenizer()
    llama.generation_config.eos_token_id = None
    models_io.save(llama, tokenizer, tmp_path / "endless")
    command = [sys.executable, "-m", "lima", "serve", str(tmp_path / "endless"), "--host", "0.0.0.0"]
    command += ["--port", "0", "--max-length", "150000"]
    environment = os.environ | {"LIMA_SERVE_KEY": ""}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url, _, name = process.stdout.readline().strip().partition("#")
        assert url.startswith("http://0.0.0.0:")
        local = url.replace("0.0.0.0", "127.0.0.1")
        client = openai.OpenAI(base_url=local, api_key="none", max_retries=0)
        stream = client.chat.completions.create(model=name, messages=HELLO, stream=True)
        next(iter(stream))
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(timeout=30) == 130
    assert "no key is asked for. Set one in the environment variable LIMA_SERVE_KEY" in said
    assert said.endswith("\nStopped serving.\n")
    assert "Traceback" not in said
    assert "ERROR" not in said


def test_concurrent_clients_get_the_answers_they_would_get_alone(tuned: Running) -> None:
    def text(number: int) -> str:
        messages = [{"role": "user", "content": f"Question {number}"}]
        answer: str = ask(tuned, messages=messages, seed=number).choices[0].message.content
        return answer

    alone = [text(number) for number in range(12)]
    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(text, range(12))) == alone


def test_generate_asks_a_server_and_resumes_without_asking_twice(
    tuned: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    user = (Message(role="user", content="Why?"),)
    write_jsonl(prompts, [Example(id=f"p/{i}", source="test", messages=user) for i in range(4)])
    out = tmp_path / "served.jsonl"
    settings = GenerateSettings(
        system=f"{tuned.url}#tuned-epoch-02",
        prompts=prompts,
        out=out,
        samples=2,
        max_new_tokens=6,
        temperature=1.0,
        max_calls=5,
    )
    before = tuned.metric("lima_requests_total")
    with pytest.raises(Exception, match="budget of 5 calls is used up"):
        generate(settings)
    assert "repetition_penalty" not in capsys.readouterr().err  # the server says that it is ours
    generate(settings.model_copy(update={"max_calls": None}))
    assert tuned.metric("lima_requests_total") == before + 8
    rows = list(read_jsonl(out, Completion))
    assert [row.id for row in rows] == [f"tuned-epoch-02/p/{i}/{k}" for i in range(4) for k in range(2)]
    assert {row.status for row in rows} == {"ok"}
    assert all(0 < row.tokens <= 6 for row in rows)
    assert len({row.content for row in rows}) > 4  # every prompt and sample has a seed of its own
    facts = json.loads(Path(f"{out}.run.json").read_text())["facts"]
    assert facts["completions"] == 8
    assert (facts["server"], facts["warnings"]) == ("lima", [])


def test_what_a_strange_server_does_not_honour_is_told(tmp_path: Path) -> None:
    with serving(Rule()) as url:
        settings = GenerateSettings(system=f"{url}#{MODEL}", prompts=tmp_path, out=tmp_path, max_new_tokens=6)
        system = RemoteSystem(settings.system, settings)
    assert system.warnings == ["repetition_penalty 1.2 is no field of a generic server and is not sent"]
    assert system.facts()["server"] == "generic"


def test_a_server_of_our_own_samples_as_the_engine_does(
    tuned: Running, tuned_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Greedy with the penalty on generated tokens: the same answers from the folder and over HTTP."""
    prompts = tmp_path / "prompts.jsonl"
    text = "".join(map(chr, range(32, 127)))
    write_jsonl(prompts, [Example(id="p", source="t", messages=(Message(role="user", content=text),))])
    contents: list[list[str]] = []
    for place in (str(tuned_folder), f"{tuned.url}#tuned-epoch-02"):
        out = tmp_path / f"{len(contents)}.jsonl"
        generate(GenerateSettings(system=place, prompts=prompts, out=out, max_new_tokens=40, greedy=True))
        contents.append([row.content for row in read_jsonl(out, Completion)])
    assert contents[0] == contents[1]
    assert "repetition_penalty" not in capsys.readouterr().err


def test_failed_requests_are_errors_and_are_asked_again(tuned: Running, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    texts = ["Why?", "x" * 300]  # the second is too long for the server
    write_jsonl(
        prompts,
        [
            Example(id=f"p/{i}", source="t", messages=(Message(role="user", content=t),))
            for i, t in enumerate(texts)
        ],
    )
    out = tmp_path / "served.jsonl"
    settings = GenerateSettings(
        system=f"{tuned.url}#tuned-epoch-02", prompts=prompts, out=out, max_new_tokens=6
    )
    generate(settings)
    assert [row.status for row in read_jsonl(out, Completion)] == ["ok", "error"]
    before = tuned.metric("lima_requests_total")
    generate(settings)
    assert [row.status for row in read_jsonl(out, Completion)] == ["ok", "error"]
    assert tuned.metric("lima_requests_total") == before


@pytest.mark.parametrize(
    "count",
    [pytest.param(200, marks=pytest.mark.slow), pytest.param(2000, marks=pytest.mark.acceptance)],
)
def test_many_clients_of_whom_some_leave_and_some_err(start: Start, tuned_folder: Path, count: int) -> None:
    """64 at once; 5 % go away, 2 % send nonsense; every other answer is the one it would get alone."""
    running = start(tuned_folder, name="busy")
    random = np.random.default_rng(0)
    kinds = random.choice(["ask", "leave", "err"], count, p=[0.93, 0.05, 0.02])
    resident: list[int] = []

    async def one(session: aiohttp.ClientSession, number: int) -> tuple[int, str]:
        body = {
            "model": "busy" if kinds[number] != "err" else "other",
            "messages": [{"role": "user", "content": f"Question {number % 20}"}],
            "max_tokens": 200 if kinds[number] == "leave" else 4 + number % 20,
            "seed": number % 20,
            "stream": bool(number % 2) or kinds[number] == "leave",
        }
        url = f"{running.url}/v1/chat/completions"
        async with session.post(url, json=body) as response:
            if kinds[number] == "leave":
                await response.content.readany()
                return 0, ""
            return response.status, _text((await response.read()).decode(), stream=bool(body["stream"]))

    async def all_of_them() -> list[tuple[int, str]]:
        gate = asyncio.Semaphore(64)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def gated(number: int) -> tuple[int, str]:
                async with gate:
                    resident.append(_resident_bytes())
                    return await one(session, number)

            return await asyncio.gather(*(gated(number) for number in range(count)))

    replies = asyncio.run(all_of_them())
    alone: dict[int, str] = {}
    for number, (status, text) in enumerate(replies):
        if kinds[number] == "err":
            assert status == 404
        elif kinds[number] == "ask":
            assert status == 200
            assert alone.setdefault(number % 20, text) == text
    for number, text in list(alone.items())[:5]:
        messages = [{"role": "user", "content": f"Question {number}"}]
        reply = ask(running, model="busy", messages=messages, seed=number, max_tokens=4 + number)
        assert reply.choices[0].message.content.rstrip("�") == text
    assert running.is_idle()
    if count >= 2000:
        assert max(resident[count // 2 :]) < 1.05 * max(resident[: count // 2])


def _text(body: str, *, stream: bool) -> str:
    if not stream:
        reply = json.loads(body)
        return reply["choices"][0]["message"]["content"].rstrip("�") if "choices" in reply else ""
    pieces = [json.loads(line[6:]) for line in body.splitlines() if line.startswith("data: {")]
    return "".join(piece["choices"][0]["delta"]["content"] for piece in pieces if "choices" in piece).rstrip(
        "�"
    )


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
