"""The page of ``lima serve --page``: what is served, and two models talked with in a real browser."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from tests.generate.test_server import Running

from lima.errors import LimaError
from lima.files import read_jsonl
from lima.generate.serve.page import FILES, FOLDER
from lima.generate.serve.server import Server
from lima.generate.settings import ServeSettings
from lima.records import Example

MARKUP = "<b>Hi</b><img src=x onerror='document.title = 1'>"


@pytest.fixture(scope="module")
def two(tuned_folder: Path, base_folder: Path) -> Iterator[Running]:
    settings = ServeSettings(model=str(tuned_folder), against=str(base_folder), page=True, slots=4)
    running = Running(settings)
    yield running
    running.stop()


def test_the_page_loads_nothing_from_elsewhere(two: Running) -> None:
    for path, name in FILES.items():
        with urllib.request.urlopen(two.url + path) as reply:
            text = reply.read().decode()
            assert text == (FOLDER / name).read_text()
            assert "default-src 'none'" in reply.headers["content-security-policy"]
            assert "unsafe" not in reply.headers["content-security-policy"]
        assert "//" not in text.replace("// ", "")  # no address but the server's own
        assert "innerHTML" not in text


def test_without_the_flag_there_is_no_page(tuned_folder: Path) -> None:
    plain = Running(ServeSettings(model=str(tuned_folder), slots=1))
    with pytest.raises(urllib.error.HTTPError, match="404"):
        plain.get("/")
    plain.stop()


def test_two_models_answer_behind_one_address(two: Running) -> None:
    names = [model.id for model in two.client().models.list()]
    assert names == ["tuned-epoch-02", "base"]
    said = [ask(two, name) for name in names]
    assert said[0] != said[1]
    assert said == [ask(two, name) for name in names]
    with pytest.raises(Exception, match="no model 'other' here, only 'tuned-epoch-02' and 'base'"):
        ask(two, "other")
    assert 'lima_requests_total{model="base"}' in two.get("/metrics")


def test_two_models_of_one_name_are_refused(tuned_folder: Path) -> None:
    with pytest.raises(LimaError, match="both models are called 'tuned-epoch-02'"):
        Server(ServeSettings(model=str(tuned_folder), against=str(tuned_folder)))


def ask(running: Running, model: str, *turns: str, seed: int = 0) -> str:
    """The answer that the API gives where the page's settings are sent."""
    turns = turns or ("Hello",)
    roles = ("user", "assistant") * len(turns)
    messages: Any = [{"role": role, "content": turn} for role, turn in zip(roles, turns, strict=False)]
    reply = running.client().chat.completions.create(
        model=model, messages=messages, seed=seed, temperature=0.7, top_p=0.9, max_completion_tokens=40
    )
    return str(reply.choices[0].message.content)


Open = Callable[..., Page]


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Open]:
    """Opens a page; what leaves for another address or breaks a rule of the page fails the test."""
    complaints: list[str] = []
    contexts = []

    def go(running: Running, width: int = 1440, mode: Literal["light", "dark"] = "light") -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=mode, reduced_motion="reduce"
        )
        contexts.append(context)
        page: Page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda line: complaints.append(line.text) if "Failed to load" not in line.text else None,
        )
        page.on(
            "request",
            lambda asked: (
                None
                if asked.url.startswith((running.url, "data:", "blob:"))
                else complaints.append(asked.url)
            ),
        )
        page.goto(running.url)
        page.evaluate("document.querySelector('details').open = true")
        page.get_by_label("Longest answer, tokens").fill("40")
        return page

    yield go
    for context in contexts:
        context.close()
    assert complaints == []


def said(page: Page, text: str = "Answered.") -> None:
    expect(page.get_by_role("status")).to_have_text(text, timeout=60_000)


def answers(page: Page) -> list[str]:
    return [box.text_content() or "" for box in page.locator(".assistant p:not(.note)").all()]


@pytest.mark.slow
def test_a_conversation_with_two_models_is_kept_as_examples(
    two: Running, opened: Open, tmp_path: Path
) -> None:
    page = opened(two)
    expect(page.get_by_role("heading", level=1)).to_have_text("Talk with tuned-epoch-02 and base")
    page.get_by_label("Your message").fill(MARKUP)
    page.keyboard.press("Enter")
    said(page)
    first = [ask(two, name, MARKUP) for name in ("tuned-epoch-02", "base")]
    assert answers(page) == first  # streamed piece by piece, whole in the end
    assert page.locator(".user p").first.text_content() == MARKUP
    assert page.locator("main img, main b").count() == 0
    page.keyboard.type("And then?")
    page.get_by_role("button", name="Send").click()
    said(page)
    second = [
        ask(two, name, MARKUP, one, "And then?")
        for name, one in zip(("tuned-epoch-02", "base"), first, strict=True)
    ]
    assert sorted(answers(page)) == sorted(first + second)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as example").click()
    download.value.save_as(tmp_path / "chat.jsonl")
    rows = list(read_jsonl(tmp_path / "chat.jsonl", Example))
    assert [(row.meta.model_extra or {})["system"] for row in rows] == ["tuned-epoch-02", "base"]
    for row, one, other in zip(rows, first, second, strict=True):
        assert [turn.content for turn in row.messages] == [MARKUP, one, "And then?", other]
        assert row.source == "chat"


@pytest.mark.slow
def test_another_answer_and_a_new_conversation(two: Running, opened: Open) -> None:
    page = opened(two)
    page.set_viewport_size({"width": 1440, "height": 620})  # the answer grows behind the form
    page.get_by_label("Your message").fill("Hello")
    page.get_by_role("button", name="Send").click()
    said(page)
    seen = "[...document.querySelectorAll('.assistant')].at(-1).getBoundingClientRect().bottom"
    assert page.evaluate(f"{seen} <= document.querySelector('#say').getBoundingClientRect().top")
    page.get_by_role("button", name="Another answer").click()
    expect(page.locator(".assistant p").first).not_to_have_text(ask(two, "tuned-epoch-02"), timeout=60_000)
    said(page)
    assert answers(page) == [ask(two, name, seed=1) for name in ("tuned-epoch-02", "base")]
    page.get_by_role("button", name="New conversation").click()
    assert page.locator(".turn").count() == 0
    expect(page.get_by_role("button", name="Save as example")).to_be_disabled()
    expect(page.get_by_label("Your message")).to_be_focused()


@pytest.mark.slow
def test_stop_keeps_what_was_said_and_frees_the_server(tuned_folder: Path, opened: Open) -> None:
    slow = Running(ServeSettings(model=str(tuned_folder), page=True, slots=1))
    slow.server.model.network.register_forward_pre_hook(lambda *_: time.sleep(0.2))
    page = opened(slow)
    page.get_by_label("Your message").fill("Hello")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".assistant p").first).not_to_be_empty(timeout=60_000)
    page.get_by_role("button", name="Stop").click()
    said(page)
    expect(page.locator(".note")).to_have_text("Stopped.")
    for _ in range(100):
        if "lima_requests_open 0" in slow.get("/metrics"):
            break
        time.sleep(0.1)
    assert "lima_requests_cancelled_total 1" in slow.get("/metrics")
    slow.stop()


@pytest.mark.slow
def test_a_key_is_asked_for(tuned_folder: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMA_SERVE_KEY", "sesame")
    locked = Running(ServeSettings(model=str(tuned_folder), page=True, slots=1))
    page = opened(locked)
    said(page, "the API key is missing or wrong")
    page.get_by_label("Key of this server").fill("sesame")
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Talk with tuned-epoch-02")
    page.get_by_label("Your message").fill("Hello")
    page.get_by_role("button", name="Send").click()
    said(page)
    assert "sesame" not in page.content()
    locked.stop()


@pytest.mark.slow
def test_a_message_that_does_not_fit_is_said(two: Running, opened: Open) -> None:
    page = opened(two)
    page.get_by_label("Your message").fill("long " * 80)
    page.get_by_role("button", name="Send").click()
    said(page, "Not every model answered; your message is taken back there.")
    expect(page.locator(".problem").first).to_contain_text("leave no room for an answer")
    page.get_by_label("Your message").fill("Short")
    page.get_by_role("button", name="Send").click()
    said(page)
    assert answers(page)[-1] == ask(two, "base", "Short")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    two: Running, opened: Open, width: int, mode: Literal["light", "dark"]
) -> None:
    page = opened(two, width, mode)
    page.get_by_label("Your message").fill("W" * 100)
    page.get_by_role("button", name="Send").click()
    said(page)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # axe passes over buttons that wait: their words stand on the page's own ground, whatever the button looks like at work
    page.locator("button").evaluate_all("buttons => buttons.forEach(button => { button.disabled = true; })")
    grounds = "buttons => [...new Set(buttons.map(button => getComputedStyle(button).backgroundColor))]"
    assert len(page.locator("button").evaluate_all(grounds)) == 1
