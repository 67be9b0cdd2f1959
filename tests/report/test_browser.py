"""The report in real Chromium: on a phone and a wide screen, light and dark, on paper, and looked at by axe."""

import re
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from lima.report.report import report
from lima.report.settings import ReportSettings

pytestmark = pytest.mark.slow


@pytest.fixture
def pages(study: Path) -> list[Path]:
    """The report, and of its further pages one of each kind."""
    report(ReportSettings(study=study, rounds=200, all_items=True, posterior=True, against=study))
    further = (
        "report_items/comparisons-*.html",
        "report_rows/preference-*.html",
        "report_rows/agreement-*.html",
    )
    return [study / "report.html", *(next(iter(sorted(study.glob(name)))) for name in further)]


def opened(chromium: Browser, path: Path, width: int, mode: Literal["light", "dark"]) -> Page:
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, color_scheme=mode, offline=True, reduced_motion="reduce"
    )
    page: Page = context.new_page()
    page.goto(path.as_uri())
    return page


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    pages: list[Path], chromium: Browser, width: int, mode: Literal["light", "dark"]
) -> None:
    for path in pages:
        page = opened(chromium, path, width, mode)
        page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
        found = Axe().run(page)
        assert found.violations_count == 0, (path.name, found.generate_report())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
        page.context.close()


def test_it_loads_nothing_and_logs_nothing(pages: list[Path], chromium: Browser) -> None:
    page = opened(chromium, pages[0], 1440, "light")
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.reload()
    assert [url for url in requests if url.startswith("data:") is False] == [pages[0].as_uri()]
    assert complaints == []
    page.context.close()


def test_a_number_leads_to_its_rows_and_a_row_to_its_texts(pages: list[Path], chromium: Browser) -> None:
    page = opened(chromium, pages[0], 1440, "light")
    page.locator("#preferences a.rows").first.click()
    page.wait_for_url(re.compile("report_rows/preference-"))
    page.locator("tbody a").first.click()
    page.wait_for_url(re.compile(r"report\.html#|report_items/"))
    target = page.url.rpartition("#")[2]
    assert page.locator(f"[id='{target}']").is_visible()
    page.context.close()


def test_it_prints(pages: list[Path], chromium: Browser) -> None:
    page = opened(chromium, pages[0], 1440, "dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") in (
        "rgb(255, 255, 255)",
        "rgba(0, 0, 0, 0)",
    )
    assert len(page.pdf()) > 10_000
    page.context.close()
