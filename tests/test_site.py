"""The docs site: it builds without a broken link, no page asks for anything from elsewhere, and it fits small and wide screens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

ROOT = Path(__file__).parent.parent
INSIDE = ("file:", "data:", "blob:")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built pages; `strict` in mkdocs.yml makes a broken link an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def visit(
    chromium: Browser, path: Path, *, width: int = 1440, mode: Literal["light", "dark"] = "light"
) -> tuple[Page, list[str]]:
    """A page from the disk, and a list that gets every address outside of it that is asked for, and every file that is missing."""
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=mode)
    trouble: list[str] = []
    page.on("request", lambda one: None if one.url.startswith(INSIDE) else trouble.append(one.url))
    page.on("requestfailed", lambda one: trouble.append(f"{one.url}: {one.failure}"))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.goto(path.as_uri())
    return page, trouble


@pytest.mark.slow
def test_it_is_searched_without_asking_elsewhere(site: Path, chromium: Browser) -> None:
    page, trouble = visit(chromium, site / "index.html")
    page.wait_for_load_state("load")  # the script that listens to the box has run
    box = page.get_by_role("textbox", name="Search")
    box.click()
    expect(page.locator(".md-search-result__meta")).to_have_text("Type to start searching", timeout=60_000)
    box.press_sequentially("nginx")
    result = page.locator(".md-search-result__link").first
    expect(result).to_be_visible(timeout=60_000)
    result.click()
    expect(page.locator("article")).to_contain_text("nginx", ignore_case=True)
    assert trouble == []
    page.close()


@pytest.mark.acceptance
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_no_page_asks_elsewhere_or_is_wider_than_the_screen(
    site: Path, chromium: Browser, mode: Literal["light", "dark"]
) -> None:
    paths = sorted(site.rglob("*.html"))
    assert len(paths) > 40
    for path in paths:
        page, trouble = visit(chromium, path, mode=mode)
        page.wait_for_load_state("networkidle")
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            wide = f"document.documentElement.scrollWidth <= {width}"
            page.wait_for_function(wide, timeout=5_000)  # scripts lay the page out anew
        assert trouble == [], path.name
        page.close()
