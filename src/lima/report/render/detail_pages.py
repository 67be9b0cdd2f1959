"""The pages behind the report: all items (``report_items/``), and the rows of each number (``report_rows/``)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path
from urllib.parse import quote

from lima.files import write_text
from lima.records import Preference
from lima.report.numbers.rater_pairs import labels_by_rater, shown_pairs
from lima.report.numbers.ratings import Rating
from lima.report.numbers.samples import Sample
from lima.report.numbers.study import StudyData
from lima.report.numbers.votes import Vote, group_of, group_order
from lima.report.render.report_page import template_environment
from lima.report.render.wording import excerpt, last_user_turn, rows_file

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


FOLDER = "report_rows"


@dataclass(frozen=True)
class TextRow:
    """One line: the text that it is about, and the words of its cells."""

    text_id: str
    link: str
    """The text in the report or among all items; empty where it is in neither."""
    prompt: str
    cells: Sequence[str]


@dataclass(frozen=True)
class RowsPage:
    """The rows behind one number."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[TextRow]


def write_rows(
    study: StudyData,
    votes: Sequence[Vote],
    ratings: Sequence[Rating],
    shown: Sequence[str],
    out: Path,
    *,
    all_items: bool,
) -> list[Path]:
    """Write all pages; those of a former report that are not needed any more are removed.

    Args:
        study: the study of the report.
        votes: as the report counts them.
        ratings: as the report counts them.
        shown: ids of the texts that stand in ``report.html``.
        out: the report's folder.
        all_items: whether ``report_items/`` holds every text.
    """
    links = _links(study, shown, all_items=all_items)
    pages = [
        *_preferences(study, votes, links),
        *_agreements(study, votes, links),
        *_rater_pairs(study, votes, links),
        *_verdicts(study, links),
        *_ratings(study, ratings, links),
    ]
    folder, template = out / FOLDER, template_environment().get_template("rows.html")
    wanted = {page.name for page in pages}
    for old in folder.glob("*.html"):
        if old.name not in wanted:
            old.unlink()
    for page in pages:
        write_text(folder / page.name, template.render(study=study.folder.resolve().name, page=page))
    return [folder / page.name for page in pages]


def _links(study: StudyData, shown: Sequence[str], *, all_items: bool) -> dict[str, str]:
    """Where to read a text: in the report itself, else on a page of all items."""
    links = {}
    if all_items:
        for kind, ids in (("comparisons", study.comparisons), ("answers", study.items)):
            for position, text_id in enumerate(sorted(ids)):
                links[text_id] = (
                    f"../report_items/{kind}-{position // ITEMS_A_PAGE + 1:03d}.html#{quote(text_id)}"
                )
    return links | {text_id: f"../report.html#{quote(text_id)}" for text_id in shown}


def _preferences(study: StudyData, votes: Sequence[Vote], links: Mapping[str, str]) -> Iterator[RowsPage]:
    table: dict[tuple[str, str, str], list[Vote]] = defaultdict(list)
    for vote in votes:
        table[vote.group, vote.system, vote.baseline].append(vote)
    for (group, system, baseline), rows in table.items():
        yield RowsPage(
            rows_file("preference", group, system, baseline),
            f"{system} against {baseline}: {group}",
            ("Rater", "Outcome", "Credit", "Orders agree", "Longer by", "Tags"),
            [_row(study, vote.comparison, links, _vote_cells(vote)) for vote in rows],
        )


def _vote_cells(vote: Vote) -> list[str]:
    agree = {None: "", True: "yes", False: "no"}[vote.consistent]
    credit = "" if vote.credit is None else f"{vote.credit:g}"
    repeat = f" (repeat {vote.repeat + 1})" if vote.repeat else ""
    outcome = vote.outcome or "missing"
    return [vote.rater + repeat, outcome, credit, agree, f"{vote.longer_by:+d}", " ".join(vote.tags)]


def _agreements(study: StudyData, votes: Sequence[Vote], links: Mapping[str, str]) -> Iterator[RowsPage]:
    groups: dict[str, dict[str, list[Vote]]] = defaultdict(lambda: defaultdict(list))
    for vote in votes:
        if vote.outcome is not None:
            groups[vote.group][vote.comparison].append(vote)
    for first, second in combinations_with_replacement(sorted(groups, key=group_order), 2):
        rows = []
        for comparison, mine in groups[first].items():
            theirs = groups[second].get(comparison, [])
            raters = {vote.rater for vote in (*mine, *theirs)}
            if theirs and (len(raters) > 1):
                said = sorted({f"{vote.rater}: {vote.outcome}" for vote in (*mine, *theirs)})
                rows.append(
                    _row(study, comparison, links, [mine[0].system, mine[0].baseline, "; ".join(said)])
                )
        if rows:
            yield RowsPage(
                rows_file("agreement", first, second),
                f"Agreement of {first} and {second}",
                ("System", "Baseline", "Verdicts on the system"),
                rows,
            )


def _rater_pairs(study: StudyData, votes: Sequence[Vote], links: Mapping[str, str]) -> Iterator[RowsPage]:
    labels = labels_by_rater(votes)
    for first, second in shown_pairs(labels):
        shared = [comparison for comparison in labels[first] if comparison in labels[second]]
        yield RowsPage(
            rows_file("raters", first, second),
            f"{first} and {second}",
            (first, second),
            [_row(study, c, links, [labels[first][c], labels[second][c]]) for c in shared],
        )


def _verdicts(study: StudyData, links: Mapping[str, str]) -> Iterator[RowsPage]:
    """Single verdicts before orders are combined: what the bias figures count."""
    table: dict[str, list[Preference]] = defaultdict(list)
    for row in study.preferences:
        if row.label is not None:
            table[group_of(row.rater)].append(row)
    for group, rows in table.items():
        first = {"ab": "answer a", "ba": "answer b", None: "not known"}
        cells = [[row.rater, first[row.shown], _preferred(row)] for row in rows]
        yield RowsPage(
            rows_file("verdicts", group),
            f"Single verdicts: {group}",
            ("Rater", "Shown first", "Preferred"),
            [_row(study, row.comparison_id, links, words) for row, words in zip(rows, cells, strict=True)],
        )


def _preferred(row: Preference) -> str:
    return {"a": "answer a", "b": "answer b", "tie": "neither", None: "missing"}[row.label]


def _ratings(study: StudyData, ratings: Sequence[Rating], links: Mapping[str, str]) -> Iterator[RowsPage]:
    for scale in study.scales:
        table: dict[tuple[str, str], list[Rating]] = defaultdict(list)
        for rating in ratings:
            if rating.scale == scale:
                table[rating.group, rating.system].append(rating)
        for (group, system), rows in table.items():
            cells = [
                [row.rater, "missing" if row.value is None else str(row.value), " ".join(row.tags)]
                for row in rows
            ]
            yield RowsPage(
                rows_file(scale, group, system),
                f"{scale.capitalize()} of {system}: {group}",
                ("Rater", "Value", "Tags"),
                [_row(study, row.item, links, words) for row, words in zip(rows, cells, strict=True)],
            )


def _row(study: StudyData, text_id: str, links: Mapping[str, str], cells: Sequence[str]) -> TextRow:
    text = study.comparisons.get(text_id) or study.items[text_id]
    return TextRow(text_id, links.get(text_id, ""), excerpt(last_user_turn(text.messages), 70), cells)
