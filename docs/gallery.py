"""Every picture of the docs, taken anew from the running tool: ``make gallery`` (Debian's Chromium, some minutes).

    python docs/gallery.py [FOLDER]

FOLDER keeps the demo and its servers' files between runs. The pictures go to docs/gallery/; the report's is README's too. The
pictures of a human study are those of `tests/annotate/test_recording.py`, which plays one from the links to the report.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
PICTURES = Path(__file__).with_name("gallery")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--no-first-run"]
COLOURS = 128
"""A picture of a page needs no more, and is a third of the size."""
STUDY = {
    "work-2-ana": "annotate-work",
    "work-2-cleo": "annotate-phone",
    "quiz-ben": "annotate-quiz",
    "console-1440-light": "annotate-console",
}
TICKETS = (
    ("How do I reset my password?", "Open Settings, choose Account, then Reset password. A link comes by mail; it is valid for one hour."),
    ("Can I change the size of my order?", "Yes, as long as it has not been packed. As you say, the button is grey after that; write to orders@example.org and name the order."),
    ("Why was my card charged twice?", "The second charge is a reservation that your bank releases within three days. You can see it in the picture below."),
    ("Where is my parcel?", "The tracking page shows it within a day of the dispatch. See the help page for the states it can have. A parcel that has not moved for five days is sent again, free of charge."),
)  # fmt: skip


def main(folder: Path) -> None:
    """Make everything, then photograph it."""
    PICTURES.mkdir(exist_ok=True)
    demo = folder / "demo"
    if not (demo / "demo.json").exists():
        lima("demo", "--out", str(demo), cwd=folder)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        report, card = demo / "study" / "report.html", demo / "data" / "card.html"
        file_picture(browser, report, "report")
        file_picture(browser, report, "report-phone", width=390, height=844, dark=True)
        file_picture(browser, card, "card")
        chat_picture(browser, demo)
        review_picture(browser, folder)
        browser.close()
    study_pictures(folder / "screens")
    for path in sorted(PICTURES.glob("*.png")):
        Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1000} kB")


def lima(*words: str, cwd: Path) -> None:
    """Run a command to its end."""
    subprocess.run([sys.executable, "-m", "lima", *words], cwd=cwd, check=True)


@contextmanager
def window(browser: Browser, width: int = 1440, height: int = 900, *, dark: bool = False) -> Iterator[Page]:
    """A page of that size."""
    scheme = "dark" if dark else "light"
    size = {"width": width, "height": height}
    context = browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")
    yield context.new_page()
    context.close()


def file_picture(browser: Browser, path: Path, name: str, *, width: int = 1440, height: int = 900, dark: bool = False) -> None:  # fmt: skip
    """The first screen of a page on the disk."""
    with window(browser, width, height, dark=dark) as page:
        page.goto(path.as_uri())
        page.screenshot(path=PICTURES / f"{name}.png")


@contextmanager
def server(*words: str, cwd: Path) -> Iterator[str]:
    """The address of a server of lima, as it prints it."""
    command = [sys.executable, "-u", "-m", "lima", *words, "--port", "0"]
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        lines = iter(process.stdout)
        yield next(found[0] for line in lines if (found := re.search(r"http://[\w.]+:\d+", line)))
    finally:
        process.terminate()
        process.communicate()


def chat_picture(browser: Browser, demo: Path) -> None:
    """Two models side by side, after a question."""
    inputs = json.loads((demo / "tuned" / "run.json").read_text("utf-8"))["inputs"]
    shutil.copytree(inputs["model:1"]["path"], demo / "base", dirs_exist_ok=True)
    words = ("serve", str(demo / "tuned" / "epoch-03"), "--against", str(demo / "base"), "--page")
    with server(*words, cwd=demo) as url, window(browser, height=760) as page:
        page.goto(url)
        page.evaluate("document.querySelector('details').open = true")
        page.get_by_label("Longest answer, tokens").fill("40")
        page.evaluate("document.querySelector('details').open = false")
        page.get_by_label("Your message").fill("What instrument did Ada Palmer learn?")
        page.keyboard.press("Enter")
        page.get_by_text("Answered.").wait_for(timeout=60_000)
        page.screenshot(path=PICTURES / "chat.png")


def review_picture(browser: Browser, folder: Path) -> None:
    """A candidate with marks, at the review desk."""
    shutil.rmtree(folder / "review", ignore_errors=True)
    place = folder / "review"
    place.mkdir()
    with (place / "tickets.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("question", "reply"), *TICKETS])
    (place / "secret").write_text("a secret for the lead\n", encoding="utf-8")
    soft = ("length-min", "score-min")
    rules = [word for name in soft for word in (f"--sources.own.rules.{name}", "None")]
    rules += ["--sources.own.rules.no-hollow", "--sources.own.rules.no-refers-to-others"]
    lima("curate", "own-data", "--input", "tickets.csv", "--out", "data", "--review", "picks.jsonl",
         "--sources.own.columns.prompt", "question", "--sources.own.columns.answer", "reply",
         "--sources.own.review", *rules, cwd=place)  # fmt: skip
    words = ("annotate", "--review", "picks.jsonl", "--lead-secret-file", "secret")
    with server(*words, cwd=place) as url, window(browser) as page:
        page.goto(f"{url}/lead")
        page.fill("#secret", "a secret for the lead")
        page.keyboard.press("Enter")
        page.click("text=Links for many at once")
        page.fill("[name=names]", "Ana")
        with page.expect_download() as download:
            page.click("text=Make the links and download")
        rows = csv.DictReader(download.value.path().read_text("utf-8").splitlines())
        page.goto(next(rows)["link"])
        page.click("text=Start")
        page.goto(f"{url}/review/next")
        page.wait_for_selector("#marks", timeout=10_000)
        page.screenshot(path=PICTURES / "review.png")


def study_pictures(screens: Path) -> None:
    """The pictures that the test of a whole study keeps."""
    test = ["pytest", "-q", "-p", "no:cacheprovider", "tests/annotate/test_recording.py", "-m", "slow"]
    environment = {**os.environ, "LIMA_SCREENS": str(screens)}
    subprocess.run([sys.executable, "-m", *test], cwd=ROOT, env=environment, check=True)
    for screen, name in STUDY.items():
        shutil.copy(screens / f"{screen}.png", PICTURES / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="lima-gallery-")))
