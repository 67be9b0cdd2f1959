"""Figures over two numeric or named axes: curves with intervals, and the matrix of agreement."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lima.report.figures import COLOURS, LEGEND, canvas, shortened


@dataclass(frozen=True)
class CurvePoint:
    """A value with its interval at a place on a numeric axis."""

    x: float
    value: float
    low: float | None
    high: float | None
    label: str


def curve(
    lines: Sequence[tuple[str, Sequence[CurvePoint]]],
    axes_words: tuple[str, str],
    width: float,
    *,
    log: bool = False,
) -> str:
    """Values over a numeric axis, a line a group of raters; ``axes_words`` names the two axes, x first.

    With ``log`` the places lie by their logarithm: sizes of training sets that double.
    """
    height, left, top, bottom = 210.0, 34.0, LEGEND, 34.0
    axes, finish = canvas(width, height)
    every = [point for _, points in lines for point in points]
    place: Callable[[float], float] = math.log if log else float
    xs = [place(point.x) for point in every]
    ys = [bound for point in every for bound in (point.value, point.low, point.high) if bound is not None]
    x_limits, y_limits = _widened(xs), _widened(ys)

    def at(x: float, y: float) -> tuple[float, float]:
        across = left + (place(x) - x_limits[0]) / (x_limits[1] - x_limits[0]) * (width - left - 6)
        down = top + (y_limits[1] - y) / (y_limits[1] - y_limits[0]) * (height - top - bottom)
        return across, down

    for tick in _ticks(y_limits):
        y = at(every[0].x, tick)[1]
        axes.plot([left, width], [y, y], color=COLOURS["line"], linewidth=0.7, zorder=0)
        axes.text(
            left - 4,
            y,
            f"{tick:g}".replace("-", "−"),
            size=8,
            color=COLOURS["muted"],
            ha="right",
            va="center",
        )
    free = 0.0
    for x in sorted({point.x for point in every}):
        middle = at(x, 0)[0]
        if middle >= free:  # a label that would run into the one before it is left out
            words = f"{x:,.0f}" if x >= 1000 else f"{x:.3g}"
            axes.text(middle, height - 24, words, size=8, color=COLOURS["muted"], ha="center", va="center")
            free = middle + 30
    axes.text(width, height - 9, axes_words[0], size=8, color=COLOURS["muted"], ha="right", va="center")
    axes.text(0, 8, axes_words[1], size=8, color=COLOURS["muted"], ha="left", va="center")
    for colour, (name, points) in zip(LINES, lines, strict=False):
        ordered = sorted(points, key=lambda point: point.x)
        across, down = zip(*(at(point.x, point.value) for point in ordered), strict=True)
        axes.plot(across, down, color=COLOURS[colour], linewidth=1.2, marker="o", markersize=5)
        for point in ordered:
            if point.low is not None and point.high is not None:
                ends = [at(point.x, bound) for bound in (point.low, point.high)]
                axes.plot([x for x, _ in ends], [y for _, y in ends], color=COLOURS[colour], linewidth=1.8)
        if len(lines) > 1:
            axes.text(
                across[-1],
                down[-1] - 9,
                shortened(name, width / 3, 8.0),
                size=8,
                color=COLOURS[colour],
                ha="right",
            )
    return finish()


LINES = ("win", "loss", "muted", "ink")
"""Colours of the lines of a curve; more lines than these are not drawn."""


def matrix(names: Sequence[str], cells: Mapping[tuple[int, int], tuple[float, str]], width: float) -> str:
    """A triangle of values in [0, 1], darker where higher; ``cells`` maps row and column to value and note."""
    label, side = width * 0.34, (width * 0.66) / max(1, len(names))
    tall = min(side, 44.0)
    axes, finish = canvas(width, tall * len(names) + 18)
    from matplotlib.patches import Rectangle

    for row, name in enumerate(names):
        y = row * tall
        axes.text(
            0, y + tall / 2, shortened(name, label - 6, 8.5), size=8.5, color=COLOURS["ink"], va="center"
        )
        axes.text(label + (row + 0.5) * side, tall * len(names) + 9, shortened(name, side, 7.5), size=7.5,
                  color=COLOURS["muted"], ha="center", va="center")  # fmt: skip
        for column in range(row + 1):
            if (row, column) not in cells:
                continue
            value, note = cells[row, column]
            place = (label + column * side + 1, y + 1)
            axes.add_patch(Rectangle(place, side - 2, tall - 2, facecolor=COLOURS["win"], linewidth=0,
                                     alpha=0.15 + 0.85 * max(0.0, 2 * value - 1)))  # fmt: skip
            ink = COLOURS["on-win" if value > 0.72 else "ink"]
            middle = (place[0] + side / 2 - 1, place[1] + tall / 2 - 1)
            axes.text(*middle, note, size=8.5, color=ink, ha="center", va="center")
    return finish()


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
