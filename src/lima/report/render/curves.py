"""Curves over a numeric axis and matrices of agreement as SVG, on the canvas of `lima.report.render.charts`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from lima.report.render.charts import COLOURS, LEADING, LEGEND, broken, canvas, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class CurvePoint:
    """A value with its interval at a place on a numeric axis."""

    x: float
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class _Field:
    """Where values lie on the canvas of a curve, in points."""

    width: float
    x_limits: tuple[float, float]
    y_limits: tuple[float, float]
    log: bool

    HEIGHT: ClassVar[float] = 210.0
    LEFT: ClassVar[float] = 34.0
    BOTTOM: ClassVar[float] = 34.0

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place of a value."""
        along = _along(self.x_limits, math.log(x) if self.log else x)
        across = self.LEFT + along * (self.width - self.LEFT - 6)
        down = LEGEND + (1 - _along(self.y_limits, y)) * (self.HEIGHT - LEGEND - self.BOTTOM)
        return across, down


def curve(
    lines: Sequence[tuple[str, Sequence[CurvePoint]]],
    axes_words: tuple[str, str],
    width: float,
    *,
    log: bool = False,
) -> str:
    """Values over a numeric axis, a line a group of raters (at most `LINES`); ``axes_words`` names the axes, x first.

    With ``log`` the places lie by their logarithm: sizes of training sets that double.
    """
    every = [point for _, points in lines for point in points]
    xs = [math.log(point.x) if log else point.x for point in every]
    ys = [bound for point in every for bound in (point.value, point.low, point.high) if bound is not None]
    field = _Field(width, _widened(xs), _widened(ys), log)
    axes, finish = canvas(width, field.HEIGHT)
    _scales(axes, field, sorted({point.x for point in every}), axes_words)
    for colour, (name, points) in zip(LINES, lines, strict=False):
        end = _line(axes, field, sorted(points, key=lambda point: point.x), COLOURS[colour])
        if len(lines) > 1:
            words = shortened(name, width / 3, 8.0)
            axes.text(end[0], end[1] - 9, words, size=8, color=COLOURS[colour], ha="right")
    return finish()


LINES = ("win", "loss", "muted", "ink")
"""Colours of the lines of a curve. Further lines would look alike, so they are not drawn."""


def _scales(axes: Axes, field: _Field, places: Sequence[float], axes_words: tuple[str, str]) -> None:
    style: dict[str, Any] = {"size": 8, "color": COLOURS["muted"], "va": "center"}
    for tick in _ticks(field.y_limits):
        y = field.at(places[0], tick)[1]
        axes.plot([field.LEFT, field.width], [y, y], color=COLOURS["line"], linewidth=0.7, zorder=0)
        axes.text(field.LEFT - 4, y, f"{tick:g}".replace("-", "\u2212"), ha="right", **style)
    free = 0.0
    for x in places:
        middle = field.at(x, 0)[0]
        if middle >= free:  # a label that would run into the one before it is left out
            words = f"{x:,.0f}" if x >= 1000 else f"{x:.3g}"
            axes.text(middle, field.HEIGHT - 24, words, ha="center", **style)
            free = middle + 30
    axes.text(field.width, field.HEIGHT - 9, axes_words[0], ha="right", **style)
    axes.text(0, 8, axes_words[1], ha="left", **style)


def _line(axes: Axes, field: _Field, points: Sequence[CurvePoint], colour: str) -> tuple[float, float]:
    """Draw one line with its intervals; returns its last place."""
    across, down = zip(*(field.at(point.x, point.value) for point in points), strict=True)
    axes.plot(across, down, color=colour, linewidth=1.2, marker="o", markersize=5)
    for point in points:
        if point.low is not None and point.high is not None:
            (x, low), (_, high) = field.at(point.x, point.low), field.at(point.x, point.high)
            axes.plot([x, x], [low, high], color=colour, linewidth=1.8)
    return across[-1], down[-1]


def _along(limits: tuple[float, float], value: float) -> float:
    return (value - limits[0]) / (limits[1] - limits[0])


def matrix(names: Sequence[str], cells: Mapping[tuple[int, int], tuple[float, str]], width: float) -> str:
    """A triangle of values in [0, 1], darker where higher; ``cells`` maps row and column to value and note.

    Rows are numbered, and columns carry the numbers: names of judges are long. Columns at the right without a cell are left out:
    a rater alone in its group agrees with nobody in it.
    """
    label = width * 0.4
    columns = 1 + max((column for _, column in cells), default=0)
    side = (width - label) / columns
    written = [broken(f"{row + 1}  {name}", label - 6, 8.0) for row, name in enumerate(names)]
    tall = max(min(side, 40.0), 4 + LEADING * max(map(len, written), default=0))
    axes, finish = canvas(width, tall * len(names) + 18)
    for row, lines in enumerate(written):
        y = row * tall
        for number, line in enumerate(lines):
            place = y + tall / 2 + LEADING * (number - (len(lines) - 1) / 2)
            axes.text(0, place, line, size=8.0, color=COLOURS["ink"], va="center")
        if row < columns:
            axes.text(label + (row + 0.5) * side, tall * len(names) + 9, str(row + 1), size=8.0,
                      color=COLOURS["muted"], ha="center", va="center")  # fmt: skip
        for column in range(row + 1):
            if (row, column) in cells:
                _cell(axes, cells[row, column], (label + column * side + 1, y + 1), (side - 2, tall - 2))
    return finish()


def _cell(axes: Axes, cell: tuple[float, str], place: tuple[float, float], size: tuple[float, float]) -> None:
    from matplotlib.patches import Rectangle

    value, note = cell
    dark = 0.15 + 0.85 * max(0.0, 2 * value - 1)
    axes.add_patch(Rectangle(place, *size, facecolor=COLOURS["win"], linewidth=0, alpha=dark))
    ink = COLOURS["on-win" if value > 0.72 else "ink"]
    axes.text(
        place[0] + size[0] / 2, place[1] + size[1] / 2, note, size=8.5, color=ink, ha="center", va="center"
    )


def _widened(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.12 * (high - low) or max(0.5, abs(high) * 0.1)
    return low - margin, high + margin


def _ticks(limits: tuple[float, float]) -> list[float]:
    """Three to six round numbers between the limits."""
    rough = (limits[1] - limits[0]) / 6
    step = next(s for s in (m * 10**e for e in range(-6, 9) for m in (1, 2, 5)) if s >= rough)
    first = math.ceil(limits[0] / step)
    return [round(k * step, 9) for k in range(first, math.floor(limits[1] / step) + 1)]
