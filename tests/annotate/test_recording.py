"""A whole study in a real browser: the lead makes it, three raters work, one of them badly, the lead sees it, excludes him,
closes and reports. `LIMA_SCREENS=FOLDER pytest tests/annotate/test_recording.py -m slow` keeps what was on the screens.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page
from tests.annotate.conftest import SECRET, MakeSite, Site
from tests.annotate.test_browser import listening, saved, served

from lima.evaluate.comparisons import compare
from lima.evaluate.settings import CompareSettings
from lima.files import write_jsonl
from lima.records import Completion, Example, Message
from lima.report.report import report
from lima.report.settings import ReportSettings

pytestmark = pytest.mark.slow

SIZE = 24
SECONDS = 24
"""How long a careful rater reads."""
WORDS = """
introduction: |
  **What it is about.** Two assistants answered the same everyday questions. We want to know whose answers serve people better.
  It takes about ten minutes.
consent: I am at least 18 years old and take part of my own free will.
instructions: |
  Decide for the person who asked. An answer that can be followed beats one that only points the way; length alone is no merit.
people_may: [comment, skip]
plan: {groups: [crowd], overlap: 24, overlap_votes: 3, votes: 0}
quiz:
  questions:
    - question: Somebody asks how to *boil* an egg. Answer A explains how to fry one, beautifully. Answer B boils it, in two plain lines.
      choices: [Answer A is better, Answer B is better]
      right: Answer B is better
"""
JOBS = (
    (
        "descale a kettle",
        "vinegar and water, half and half",
        "boil it and let it stand for 20 minutes",
        "pour it out and rinse twice",
    ),
    (
        "fold a fitted sheet",
        "your hands in two neighbouring corners",
        "tuck one corner into the other",
        "lay it flat and fold in thirds",
    ),
    (
        "sharpen a kitchen knife",
        "a wet stone, the coarse side up",
        "draw the blade along it at 20 degrees",
        "ten strokes a side, then the fine side",
    ),
    (
        "repot a basil plant",
        "a pot one size larger",
        "loosen the roots with your fingers",
        "water it well and keep it out of the sun for a day",
    ),
)
PLACES = (
    "at home",
    "in a small flat",
    "without special tools",
    "for the first time",
    "in ten minutes",
    "with children around",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study of two systems: ``steps`` gives instructions, ``hints`` only points to some."""
    prompts, steps, hints = [], [], []
    for place in PLACES:
        for job, *parts in JOBS:
            name, asked = f"{job}, {place}", f"How do I {job} {place}?"
            prompts.append(
                Example(id=name, source="authored", messages=(Message(role="user", content=asked),))
            )
            told = f"You can {job} {place} like this:\n\n" + "\n".join(
                f"{n}. Take {p}." if n == 1 else f"{n}. {p.capitalize()}." for n, p in enumerate(parts, 1)
            )
            steps.append(_completion(name, "steps", told))
            hints.append(
                _completion(
                    name,
                    "hints",
                    f"To {job} {place} is not hard. There are many good guides to it; find one that suits you and follow it with care.",
                )
            )
    for file, rows in (("prompts", prompts), ("steps", steps), ("hints", hints)):
        write_jsonl(tmp_path / f"{file}.jsonl", rows)
    (tmp_path / "words.yaml").write_text(WORDS, encoding="utf-8")
    answers = (tmp_path / "steps.jsonl", tmp_path / "hints.jsonl")
    settings = CompareSettings(
        answers=answers,
        prompts=tmp_path / "prompts.jsonl",
        out=tmp_path / "kitchen",
        protocol=tmp_path / "words.yaml",
    )
    return compare(settings).folder


def _completion(name: str, system: str, text: str) -> Completion:
    row = {"id": f"{system}/{name}", "prompt_id": name, "system": system, "content": text}
    return Completion(**row, finish_reason="stop", sample=0, tokens=len(text.split()), seed=0)


@contextmanager
def window(
    chromium: Browser, width: int, height: int = 900, scheme: Literal["light", "dark"] = "light"
) -> Iterator[Page]:
    """A browser of its own, whose clock stands still until it is moved."""
    context = chromium.new_context(
        viewport={"width": width, "height": height}, reduced_motion="reduce", color_scheme=scheme
    )
    context.add_init_script("""localStorage.lima ??= '{"advance": false}'""")
    context.clock.install()
    page, complaints = context.new_page(), list[str]()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_default_timeout(20_000)
    try:
        yield page
    finally:
        context.close()
        assert complaints == []


def keep(page: Page, name: str, *, full: bool = False) -> None:
    """The screen as a picture, and nothing on it wider than the window."""
    assert page.viewport_size is not None
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"], name
    if folder := os.environ.get("LIMA_SCREENS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png", full_page=full)


def test_a_study_from_its_links_to_its_report(
    site: MakeSite, chromium: Browser, folder: Path, tmp_path: Path
) -> None:
    here = site(folder=folder)
    with served(here) as base, window(chromium, 1440, scheme="light") as lead:
        links = invite(lead, base, tmp_path)
        assert list(links) == ["Ana", "Ben", "Cleo"]
        with (
            window(chromium, 1366, 768) as ana,
            window(chromium, 1366, 768, "dark") as ben,
            window(chromium, 390, 844) as cleo,
        ):
            for name, page in (("ana", ana), ("ben", ben), ("cleo", cleo)):
                enter(page, links[name.capitalize()], name)
            for number in range(SIZE):
                careful(here, ana, number, "ana")
                careful(here, ben, number, "ben")
                hasty(cleo, number)
        lead.goto(f"{base}/lead")
        first, second, third = lead.locator("section:has(#raters) tbody tr").all_inner_texts()
        assert "leans to one side" in third
        assert "agrees less than the others" in third
        for text in (first, second):
            assert "leans to one side" not in text
            assert "agrees less" not in text
        keep(lead, "console-1440-light", full=True)
        lead.click("tbody >> text=crowd:03")
        lead.wait_for_selector("#rater")
        keep(lead, "rater-1440-light")
        lead.goto(f"{base}/lead")
        exclude(lead, "crowd:03")
        close(lead)
    report(ReportSettings(study=folder, rounds=200))
    preferences = (folder / "preferences.jsonl").read_text("utf-8").splitlines()
    assert len(preferences) == 2 * SIZE
    assert "crowd:03" not in "".join(preferences)
    with window(chromium, 1440, 1000) as page:
        page.goto((folder / "report.html").as_uri())
        assert "steps" in page.inner_text("main")
        keep(page, "report-1440-light")


def invite(lead: Page, base: str, tmp_path: Path) -> dict[str, str]:
    """The lead signs in and makes three links at once."""
    lead.goto(f"{base}/lead")
    lead.fill("#secret", SECRET)
    lead.keyboard.press("Enter")
    lead.click("text=Links for many at once")
    lead.fill("[name=names]", "Ana\nBen\nCleo")
    with lead.expect_download() as download:
        lead.click("text=Make the links and download")
    download.value.save_as(tmp_path / "links.csv")
    return {
        row["name"]: row["link"]
        for row in csv.DictReader((tmp_path / "links.csv").read_text("utf-8").splitlines())
    }


def enter(page: Page, link: str, name: str) -> None:
    """Read the invitation, agree, and pass the quiz."""
    page.goto(link)
    keep(page, f"invitation-{name}")
    page.check("[name=consent]")
    page.click("text=Start")
    keep(page, f"quiz-{name}")
    page.check("[name=q0][value='1']")
    page.click("text=Send my answers")
    page.wait_for_selector(".answers-2")


def careful(here: Site, page: Page, number: int, name: str) -> None:
    """Read, and take the answer that can be followed; now and then they are alike to this rater."""
    listening(page)
    here.clock.now += SECONDS
    page.clock.fast_forward(1_000 * SECONDS)
    first = "like this" in page.locator(".answer").first.inner_text()
    if number in (2, 12):
        keep(page, f"work-{number}-{name}")
    page.keyboard.press("3" if (number + len(name)) % 7 == 0 else "1" if first else "2")
    saved(page)
    page.keyboard.press("Enter")
    page.wait_for_selector(".answers-2" if number < SIZE - 1 else "text=That was the last one")


def hasty(page: Page, number: int) -> None:
    """Always the first, in no time, by taps on a telephone."""
    page.wait_for_selector("#open-keys:not([hidden])", state="attached")  # the script runs
    if number == 2:
        keep(page, "work-2-cleo")
    page.click("button.choice >> nth=0")
    saved(page)
    page.click("#next")
    page.wait_for_selector(".answers-2" if number < SIZE - 1 else "text=That was the last one")


def exclude(lead: Page, name: str) -> None:
    lead.on("dialog", lambda dialog: dialog.accept())
    row = lead.locator("tbody tr", has_text=name)
    row.locator("summary").click()
    row.locator("text=Exclude, give places back").click()
    lead.wait_for_selector("tr.excluded")


def close(lead: Page) -> None:
    lead.click("section:has(#close) button")
    lead.wait_for_selector("text=This study is closed.")
    keep(lead, "closed-1440-light")
