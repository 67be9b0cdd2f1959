"""All items page by page, the costs of judges, and the headline."""

from pathlib import Path

from lima.files import write_json
from lima.report.numbers.raters import judge_costs
from lima.report.numbers.samples import Sample
from lima.report.render.detail_pages import ITEMS_A_PAGE, item_pages
from lima.report.report import report
from lima.report.settings import ReportSettings


def test_every_item_is_on_a_page(study: Path) -> None:
    (study / "report_items").mkdir()
    (study / "report_items" / "answers-009.html").write_text("from a former report")
    report(ReportSettings(study=study, rounds=200, all_items=True))
    pages = sorted((study / "report_items").iterdir())
    assert [page.name for page in pages] == ["answers-001.html", "answers-002.html", "comparisons-001.html"]
    texts = [page.read_text() for page in pages]
    assert sum(text.count('class="item"') for text in texts) == 80 + 120
    assert all(text.count("<script") == 1 for text in texts)  # search, sort and filter
    assert '<th scope="col">Rater</th><th scope="col">Said</th><th scope="col">How</th>' in texts[0]
    assert 'href="report_items/comparisons-001.html"' in (study / "report.html").read_text()


def test_page_names_and_sizes() -> None:
    items = [Sample(str(i), "p", [], [], [], []) for i in range(2 * ITEMS_A_PAGE + 1)]
    pages = list(item_pages("answers", items))
    assert [(page.name, len(page.items)) for page in pages] == [
        ("answers-001.html", ITEMS_A_PAGE), ("answers-002.html", ITEMS_A_PAGE), ("answers-003.html", 1),
    ]  # fmt: skip


def record(rater: str, cost: object, finished: bool = True) -> dict[str, object]:
    facts = {"rater": rater, "calls": 5, "outcomes": {"replied": 4, "busy": 1}, "prompt_tokens": 900,
             "completion_tokens": 80, "cost": cost}  # fmt: skip
    return {"finished": finished, "facts": facts if finished else None}


def test_costs_by_judge_and_an_unknown_cost_is_not_zero(study: Path) -> None:
    write_json(study / "judges" / "aa" / "run.json", record("judge:n@2", "unknown"))
    write_json(study / "judges" / "bb" / "run.json", record("judge:m@1", 0.25))
    write_json(study / "judges" / "cc" / "run.json", record("judge:o@3", 1, finished=False))
    assert [(cost.rater, cost.cost) for cost in judge_costs(study)] == [
        ("judge:m@1", 0.25),
        ("judge:n@2", None),
    ]
    report(ReportSettings(study=study, rounds=200))
    page = (study / "report.html").read_text()
    assert "replied 4, busy 1" in page
    assert '<span class="none">unknown</span>' in page
    assert "0.25" in page


def test_the_headline(reported: Path) -> None:
    names = {name: f'<span class="name">{name}</span>' for name in ("tuned", "base", "scratch")}
    assert (
        "<h1>{tuned} against {base} and {scratch}</h1>".format_map(names)
        in (reported / "report.html").read_text()
    )
