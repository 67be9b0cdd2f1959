"""All items of a study on numbered pages, for those whom a sample does not satisfy (``report_items/``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lima.files import write_text
from lima.report.numbers.samples import Sample
from lima.report.render.page import template_environment

ITEMS_A_PAGE = 100


@dataclass(frozen=True)
class ItemPage:
    """One page: its file name, its place, and its items."""

    name: str
    number: int
    items: Sequence[Sample]


def item_pages(kind: str, items: Sequence[Sample]) -> Iterator[ItemPage]:
    """``kind-001.html`` and so on."""
    for number, start in enumerate(range(0, len(items), ITEMS_A_PAGE), start=1):
        yield ItemPage(f"{kind}-{number:03d}.html", number, items[start : start + ITEMS_A_PAGE])


def write_item_pages(
    study: str, comparisons: Sequence[Sample], items: Sequence[Sample], folder: Path
) -> list[Path]:
    """Write all pages; pages of a former report that are not needed any more are removed."""
    template = template_environment().get_template("items.html")
    pages = [*item_pages("comparisons", comparisons), *item_pages("answers", items)]
    names = [page.name for page in pages]
    for old in folder.glob("*.html"):
        if old.name not in names:
            old.unlink()
    for page in pages:
        write_text(folder / page.name, template.render(study=study, page=page, names=names))
    return [folder / name for name in names]
