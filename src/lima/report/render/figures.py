"""Which figures a report has: preferences, gaps, helpfulness, quality and safety, each from its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from lima import console
from lima.extras import install
from lima.files import write_text
from lima.report.numbers.analysis import Numbers
from lima.report.numbers.overview import Overview, SystemRow
from lima.report.numbers.preferences import FEW_PAIRS, PairFinding, PairResult, leading
from lima.report.numbers.ratings import MeanRating, ShareRating
from lima.report.render.charts import (
    NARROW,
    WIDE,
    BarRow,
    DotRow,
    Segment,
    dots,
    for_file,
    for_page,
    forest,
    stacked_bars,
)
from lima.report.render.curves import LINES, CurvePoint, curve, matrix
from lima.report.render.wording import interval
from lima.statistics.estimates import Estimate, Result

QUALITY_COLOURS = {"excellent": "win", "pass": "tie", "fail": "loss"}
SAFETY_COLOURS = {"safe": "win", "unsafe": "loss"}
EVEN = 0.5
NAMES = (
    "ranking",
    "preferences",
    "gaps",
    "helpfulness",
    "quantity",
    "perplexity",
    "quality",
    "safety",
    "agreement",
)


@dataclass(frozen=True)
class Drawing:
    """A figure as a function of its width, with the text that replaces it for those who do not see it."""

    name: str
    description: str
    draw: Callable[[float], str]
    note: str = ""
    """What the figure leaves out, said below it."""

    @cached_property
    def wide(self) -> str:
        """The figure for a file or a screen, with colours as matplotlib wrote them."""
        return self.draw(WIDE)

    @property
    def for_page(self) -> dict[str, str]:
        """Inline SVG, ``wide`` and ``narrow`` (for a phone), with the note."""
        narrow = for_page(self.draw(NARROW), self.description)
        return {"wide": for_page(self.wide, self.description), "narrow": narrow, "note": self.note}


def drawable(figures: Sequence[Drawing]) -> list[Drawing]:
    """The figures; none without matplotlib, which comes with an extra: it is said how, and the tables have the same numbers."""
    if not figures or find_spec("matplotlib"):
        return list(figures)
    console.note(
        f"Figures are left out, the tables have their numbers. They need matplotlib: {install('figures')}"
    )
    return []


def drawings(numbers: Numbers) -> list[Drawing]:
    """The figures for which there are numbers, where they can be drawn."""
    return drawable(_wanted(numbers))


def _wanted(numbers: Numbers) -> list[Drawing]:
    found = []
    if numbers.overview and any(row.wins for row in numbers.overview[0].systems):
        found.append(_ranking(numbers.overview[0]))
    if numbers.findings:
        found += [_preferences(numbers), _gaps(numbers)]
    if any(isinstance(rating.mean, Estimate) for rating in numbers.helpfulness):
        found += [_helpfulness(numbers), *_curves(numbers)]
    if any(rating.n for rating in numbers.quality):
        found.append(_shares("quality", numbers.quality, QUALITY_COLOURS))
    if any(rating.n for rating in numbers.safety):
        found.append(_shares("safety", numbers.safety, SAFETY_COLOURS))
    if len(numbers.agreement) > 1:
        found.append(_agreement(numbers))
    return found


def write_figures(drawn: Sequence[Drawing], folder: Path) -> list[Path]:
    """Write ``<name>.svg`` for each figure; figures of a former report that have no numbers now are removed."""
    wanted = {folder / f"{figure.name}.svg": figure for figure in drawn}
    for name in NAMES:
        if (folder / f"{name}.svg") not in wanted:
            (folder / f"{name}.svg").unlink(missing_ok=True)
    for path, figure in wanted.items():
        write_text(path, for_file(figure.wide))
    return list(wanted)


def group_label(group: str) -> str:
    """A rater group in a figure: ``judge m @1f2e``."""
    return group.replace(":", " ", 1).replace("@", " @", 1)


def _ranking(seen: Overview) -> Drawing:
    """All systems on the one scale of Bradley and Terry; the reference wins half against itself, by definition."""
    rows = []
    for row in seen.systems:
        if isinstance(row.wins, Estimate):
            note = (
                f"{100 * row.wins.value:.0f} {interval(row.wins.rescaled(100), lambda x: f'{x:.0f}')}".strip()
            )
            low, high = (None if x is None else 100 * x for x in (row.wins.low, row.wins.high))
            rows.append(DotRow(row.system, note, 100 * row.wins.value, low, high, side_of_row(row)))
        elif row.system == seen.reference:
            rows.append(DotRow(row.system, "reference", 50.0, colour="ink"))
    text = f"Expected wins against {seen.reference} with intervals, strongest first; the table has the same numbers."
    words = f"wins against {seen.reference}, % of the verdicts that are no tie"
    draw = partial(forest, rows, (0, 100), (0, 25, 50, 75, 100), words=words, middle=50)
    return Drawing("ranking", text, lambda width: draw(width))


def side_of_row(row: SystemRow) -> str:
    """The colour of a system: whether its gap to the reference, with the interval of the sentences below, excludes 0.

    Without a gap, that of its expected wins: their interval lies above even, below it, or around it.
    """
    shown, even = (row.gap, 0.0) if isinstance(row.gap, Estimate) else (row.wins, EVEN)
    if not isinstance(shown, Estimate) or shown.low is None or shown.high is None:
        return "muted"
    return "win" if shown.low > even else "loss" if shown.high < even else "muted"


def _shown(numbers: Numbers) -> list[PairFinding]:
    """All pairs, or with many systems those of the first one."""
    return leading(numbers.findings, numbers.systems[0])[0]


Row = TypeVar("Row")


def _pair_rows(
    numbers: Numbers, heading: Callable[[str], Row], entry: Callable[[str, PairResult], Row]
) -> list[Row]:
    """Rows of a figure of pairs: under each pair its raters, or with many pairs under each rater the pairs."""
    shown = _shown(numbers)
    if len(shown) > FEW_PAIRS:
        shown = sorted(shown, key=_first_gap, reverse=True)
    results = [(finding, pair) for finding in shown for pair in finding.results if pair.result.n]
    rows: list[Row] = []
    if len(shown) <= FEW_PAIRS:
        for finding, members in groupby(results, key=lambda found: found[0]):
            rows.append(heading(f"{finding.system} against {finding.baseline}"))
            rows += [entry(group_label(pair.group), pair) for _, pair in members]
        return rows
    alone = len({finding.system for finding in shown}) == 1
    for group in dict.fromkeys(pair.group for _, pair in results):
        rows.append(heading(f"{group_label(group)}{f': {shown[0].system} against' if alone else ''}"))
        rows += [
            entry(pair.baseline if alone else f"{pair.system} against {pair.baseline}", pair)
            for _, pair in results
            if pair.group == group
        ]
    return rows


def _first_gap(finding: PairFinding) -> float:
    return next((p.gap.value for p in finding.results if isinstance(p.gap, Estimate)), 0.0)


def _preferences(numbers: Numbers) -> Drawing:
    rows = _pair_rows(
        numbers, BarRow, lambda label, pair: BarRow(label, f"n = {pair.result.n}", _win_tie_loss(pair))
    )
    legend = [("win", "win"), ("tie", "tie"), ("orders disagree", "split"), ("loss", "loss")]
    text = "Shares of wins, ties, pairs whose orders disagree and losses by baseline and group of raters; the table has the same numbers."
    return Drawing("preferences", text, lambda width: stacked_bars(rows, legend, width))


def _win_tie_loss(pair: PairResult) -> list[Segment]:
    result = pair.result
    return [
        _part(result.win, "win"),
        _part(pair.said_tie, "tie", whisker=False),
        *([_part(pair.disagree, "split", whisker=False)] if isinstance(pair.disagree, Estimate) else []),
        _part(result.loss, "loss", from_right=True),
    ]


def _part(result: Result, colour: str, *, whisker: bool = True, from_right: bool = False) -> Segment:
    assert isinstance(result, Estimate), result
    low, high = (result.low, result.high) if whisker else (None, None)
    return Segment(result.value, colour, low, high, from_right)


def _gaps(numbers: Numbers) -> Drawing:
    rows = _pair_rows(numbers, DotRow, lambda label, pair: _dot(label, f"n = {pair.result.n}", pair.gap, 100))
    text = "Wins minus losses in points, with intervals, by baseline and group of raters."
    return Drawing("gaps", text, lambda width: dots(rows, (-100, 100), (-100, -50, 0, 50, 100), width))


def _dot(label: str, note: str, result: Result, factor: float = 1.0) -> DotRow:
    assert isinstance(result, Estimate), result
    scaled = result.rescaled(factor)
    colour = "win"
    if factor != 1.0 and scaled.high is not None and scaled.low is not None:
        colour = "win" if scaled.low > 0 else "loss" if scaled.high < 0 else "muted"
    return DotRow(label, note, scaled.value, scaled.low, scaled.high, colour)


def _helpfulness(numbers: Numbers) -> Drawing:
    rows: list[DotRow] = []
    for group, ratings in groupby(numbers.helpfulness, key=lambda rating: rating.group):
        rows.append(DotRow(group_label(group)))
        rows += [_mean_row(rating) for rating in ratings if isinstance(rating.mean, Estimate)]
    text = "Mean helpfulness from 1 to 6 with intervals, by system and group of raters."
    return Drawing("helpfulness", text, lambda width: dots(rows, (1, 6), (1, 2, 3, 4, 5, 6), width))


def _curves(numbers: Numbers) -> list[Drawing]:
    """Helpfulness over the size of the training set, and over held-out perplexity, where three systems differ in it."""
    found = []
    known = sorted(numbers.lineages.items(), key=lambda item: item[1].epoch or 0)
    last = {lineage.examples: system for system, lineage in known if lineage.examples}  # one epoch a size
    sizes = {system: float(examples) for examples, system in last.items() if examples}
    losses = {system: lineage.heldout_perplexity for system, lineage in known if lineage.heldout_perplexity}
    for name, words, places, log in (
        ("quantity", "training examples", sizes, True),
        ("perplexity", "held-out perplexity", losses, False),
    ):
        lines = _lines(numbers, places)
        if lines:
            text = f"Mean helpfulness with intervals over {words}, a line a group of raters."
            left_out = ", ".join(group for group, _ in lines[len(LINES) :])
            note = f"Not drawn, as lines would be too many: {left_out}." if left_out else ""
            draw = partial(curve, lines[: len(LINES)], (words, "mean helpfulness"), log=log)
            found.append(Drawing(name, text, draw, note))
    return found


def _lines(numbers: Numbers, places: Mapping[str, float]) -> list[tuple[str, list[CurvePoint]]]:
    lines = []
    for group, ratings in groupby(numbers.helpfulness, key=lambda rating: rating.group):
        points = [
            CurvePoint(places[r.system], r.mean.value, r.mean.low, r.mean.high)
            for r in ratings
            if r.system in places and isinstance(r.mean, Estimate)
        ]
        if len({point.x for point in points}) > 2:
            lines.append((group_label(group), points))
    return lines


def _agreement(numbers: Numbers) -> Drawing:
    groups = list(dict.fromkeys(name for cell in numbers.agreement for name in (cell.first, cell.second)))
    place = {group: position for position, group in enumerate(groups)}
    cells = {
        (max(place[c.first], place[c.second]), min(place[c.first], place[c.second])): (
            c.accuracy.value,
            f"{100 * c.accuracy.value:.0f}",
        )
        for c in numbers.agreement
        if isinstance(c.accuracy, Estimate)
    }
    text = (
        "Tie-discounted agreement in % within and between groups of raters; the table has the same numbers."
    )
    return Drawing("agreement", text, partial(matrix, [group_label(group) for group in groups], cells))


def _mean_row(rating: MeanRating) -> DotRow:
    assert isinstance(rating.mean, Estimate), rating
    note = f"{rating.mean.value:.2f}   n = {rating.mean.n}"
    return _dot(rating.system, note, rating.mean)


def _shares(name: str, ratings: Sequence[ShareRating], colours: dict[str, str]) -> Drawing:
    rows: list[BarRow] = []
    for group, members in groupby(ratings, key=lambda rating: rating.group):
        rows.append(BarRow(group_label(group)))
        rows += [_share_row(rating, colours) for rating in members if rating.n]
    text = f"Shares of {', '.join(colours)} by system and group of raters; the table has the same numbers."
    return Drawing(name, text, lambda width: stacked_bars(rows, list(colours.items()), width))


def _share_row(rating: ShareRating, colours: dict[str, str]) -> BarRow:
    last = list(colours)[-1]
    parts = [
        _part(rating.shares[value], colour, whisker=colour != "tie", from_right=value == last)
        for value, colour in colours.items()
    ]
    return BarRow(rating.system, f"n = {rating.n}", parts)
