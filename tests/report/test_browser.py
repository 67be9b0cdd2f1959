"""The report in real Chromium: on a phone and a wide screen, light and dark, on paper, and looked at by axe."""

import re
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from tests.report.many_systems import build

from lima.files import read_jsonl
from lima.records import Comparison
from lima.report.numbers import samples
from lima.report.numbers.study import read_study
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


def shown_items(page: Page, kind: int) -> list[str]:
    """Ids of the items that are to be seen, in their order; the first list holds comparisons."""
    ids: list[str] = page.evaluate(
        "kind => [...document.querySelectorAll('.items')[kind].children]"
        ".filter((item) => item.checkVisibility()).map((item) => item.id)",
        kind,
    )
    return ids


def test_items_are_searched_filtered_and_sorted_without_a_network(tmp_path: Path, chromium: Browser) -> None:
    """Each answer is held against what the study's files say."""
    folder = build(tmp_path / "three", 3, prompts=12)
    report(ReportSettings(study=folder, rounds=100))
    comparisons = {row.id: row for row in read_jsonl(folder / "comparisons.jsonl", Comparison)}
    page = opened(chromium, folder / "report.html", 1440, "light")
    form = page.locator("form.finder").first
    every = shown_items(page, 0)
    assert set(every) == set(comparisons)
    assert form.locator("output").inner_text() == f"{len(every)} of {len(every)}"

    form.get_by_label("Search").fill("LISBON plan")  # two words in any order and case
    found = {key for key, row in comparisons.items() if "Lisbon" in row.messages[0].content}
    assert set(shown_items(page, 0)) == found
    assert 0 < len(found) < len(every)
    assert form.locator("output").inner_text() == f"{len(found)} of {len(every)}"
    form.get_by_label("Search").fill("no such words")
    assert shown_items(page, 0) == []
    form.get_by_label("Search").fill("")
    assert shown_items(page, 0) == every

    form.get_by_label("Tag").select_option("creative")
    assert set(shown_items(page, 0)) == {key for key, row in comparisons.items() if "creative" in row.tags}
    form.get_by_label("Tag").select_option("")

    said: dict[str, set[str]] = {key: set() for key in comparisons}
    for row in samples.all_samples(read_study(folder)).comparisons:
        said[row.id] = {str(verdict.words) for verdict in row.said}
    words = sorted(set().union(*said.values()))[0]
    form.get_by_label("Said").select_option(words)
    assert set(shown_items(page, 0)) == {key for key in said if words in said[key]}
    form.get_by_label("Said").select_option("several")
    assert set(shown_items(page, 0)) == {key for key in said if len(said[key]) > 1}
    form.get_by_label("Said").select_option("")

    form.get_by_label("Sort").select_option("length")
    longest = [max(len(comparisons[key].a), len(comparisons[key].b)) for key in shown_items(page, 0)]
    assert longest == sorted(longest, reverse=True)
    assert len(set(longest)) > 1
    form.get_by_label("Sort").select_option("said")
    differing = [len(said[key]) for key in shown_items(page, 0)]
    assert differing == sorted(differing, reverse=True)
    assert len(set(differing)) > 1
    form.get_by_label("Sort").select_option("text")
    asked = [comparisons[key].messages[0].content for key in shown_items(page, 0)]
    assert [text[:20] for text in asked] == sorted((text[:20] for text in asked), key=str.lower)
    form.get_by_label("Sort").select_option("")
    assert shown_items(page, 0) == every
    assert len(shown_items(page, 1)) == 36  # the other list has a form of its own
    page.context.close()


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440, 2560])
def test_thirty_one_systems_on_any_screen(
    tmp_path: Path, chromium: Browser, width: int, mode: Literal["light", "dark"]
) -> None:
    """No name is broken or cut, nothing is wider than the screen, and on wide ones all ranks are on one page."""
    folder = build(tmp_path / "many", 31, prompts=12)
    report(ReportSettings(study=folder, rounds=100, samples=5))
    page = opened(chromium, folder / "report.html", width, mode)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    names = page.locator("#overview table.overview").first.locator("tbody th")
    assert names.count() == 31
    lines = page.evaluate(
        "[...document.querySelectorAll('#overview tbody th')].map((cell) => {"
        " const range = document.createRange(); range.selectNodeContents(cell);"
        " const box = range.getBoundingClientRect();"
        " return [box.height / parseFloat(getComputedStyle(cell).lineHeight), box.right]; })"
    )
    assert max(height for height, _ in lines) < 1.6
    assert max(right for _, right in lines) <= width
    if width >= 1440:
        assert names.last.bounding_box()["y"] - names.first.bounding_box()["y"] < 1000  # type: ignore[index]
    page.context.close()
