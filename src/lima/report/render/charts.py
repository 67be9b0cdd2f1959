"""Charts as SVG, drawn twice: wide, and narrow for a phone. Colours are names that the page's style resolves.

matplotlib draws on a canvas measured in points. `for_page` makes the colours follow the reader's light or dark
mode; `for_file` keeps the light ones on white, which any viewer and any paper shows.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from matplotlib.axes import Axes


WIDE, NARROW = 500.0, 250.0

COLOURS = {
    "ink": "#22262b",
    "muted": "#6a717b",
    "line": "#d9dce1",
    "win": "#2f6f9f",
    "tie": "#c9cdd3",
    "split": "#9d86ad",
    "loss": "#c8793b",
    "on-win": "#fefefe",
    "on-tie": "#2b3036",
    "on-split": "#fffefe",
    "on-loss": "#fffffe",
}
"""Light colours by the name of the page's style variable; each hex value occurs once, so it can be found again."""

ROW, HEADER, LEGEND, BAR, EDGE = 43.0, 26.0, 26.0, 15.0, 2.0
TALL = 8
"""Rows from which on an axis is named above, too."""
DENSE = 16
"""Rows from which on each takes one line, its name beside it."""


@dataclass(frozen=True)
class Segment:
    """One segment of a stacked bar: its share in [0, 1], its colour, and the interval of the share."""

    share: float
    colour: str
    low: float | None = None
    high: float | None = None
    from_right: bool = False
    """Whether the interval is measured from the bar's right end (losses)."""


@dataclass(frozen=True)
class BarRow:
    """A stacked bar with the words above it; without parts, a heading."""

    label: str
    note: str = ""
    parts: Sequence[Segment] = ()


@dataclass(frozen=True)
class DotRow:
    """A value with its interval; without a value, a heading."""

    label: str
    note: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    colour: str = "win"


def stacked_bars(rows: Sequence[BarRow], legend: Sequence[tuple[str, str]], width: float) -> str:
    """Bars of shares; ``legend`` holds (words, colour). A thin line under a bar is the interval of that share."""
    bars = [row for row in rows if row.parts]
    left, right = _beside(bars, width) if len(bars) > DENSE else (0.0, 0.0)
    height = LEGEND + sum((24.0 if left else ROW) if row.parts else HEADER for row in rows) + EDGE
    axes, finish = canvas(width, height)
    _legend(axes, legend, width)
    y = LEGEND
    for row in rows:
        if not row.parts:
            _heading(axes, row.label, y)
            y += HEADER
        elif left:
            axes.text(0, y + 8, row.label, size=9, color=COLOURS["ink"], va="center")
            axes.text(width, y + 8, row.note, size=8, color=COLOURS["muted"], va="center", ha="right")
            _bar(axes, row.parts, y, width - left - right, left)
            y += 24.0
        else:
            _words(axes, row.label, row.note, y, width)
            _bar(axes, row.parts, y + 15, width)
            y += ROW
    return finish()


def dots(
    rows: Sequence[DotRow], limits: tuple[float, float], ticks: Sequence[float], width: float, unit: str = ""
) -> str:
    """Values with intervals on one axis; a tick at 0 is drawn strong."""
    if sum(row.value is not None for row in rows) > DENSE:
        return forest(rows, limits, ticks, width, words=unit, middle=0)
    height = sum(HEADER if row.value is None else ROW - 9 for row in rows) + 22
    y = 16.0 if len(rows) > TALL else 0.0  # labels above too, where those below are out of sight
    height += y
    axes, finish = canvas(width, height)
    _axis(axes, limits, ticks, width, (y, height), unit)
    for row in rows:
        if row.value is None:
            _heading(axes, row.label, y)
            y += HEADER
            continue
        _words(axes, row.label, row.note, y, width)
        _dot(axes, row, y + 21, limits, width)
        y += ROW - 9
    return finish()


def forest(
    rows: Sequence[DotRow],
    limits: tuple[float, float],
    ticks: Sequence[float],
    width: float,
    *,
    words: str,
    middle: float,
) -> str:
    """One line a row: name, interval, note; ``words`` name the axis, which stands above and below, ``middle`` is strong.

    Where names and notes leave less than a third of the width, they stand above the intervals.
    """
    left, right = _beside([row for row in rows if row.value is not None], width)
    line, top, foot = (19.0 if left else 32.0), 22.0, 36.0 if words else 24.0
    height = top + sum(HEADER if row.value is None else line for row in rows) + foot
    axes, finish = canvas(width, height)
    span = width - left - right
    _scale(axes, (limits, ticks, middle), (left, span), (top - 4, height - foot + 2))
    axes.text(left + span / 2, height - 10, words, size=8, color=COLOURS["muted"], ha="center", va="center")
    y = top
    for row in rows:
        if row.value is None:
            _heading(axes, row.label, y)
            y += HEADER
            continue
        middle_of_row = y + line / 2
        if left:
            axes.text(0, middle_of_row, row.label, size=9, color=COLOURS["ink"], va="center")
            axes.text(width, middle_of_row, row.note, size=8, color=COLOURS["muted"], va="center", ha="right")
        else:
            label = shortened(row.label, width - 4.8 * len(row.note), 8.0)
            axes.text(0, middle_of_row - 6, label, size=8, color=COLOURS["ink"], va="center")
            axes.text(
                width, middle_of_row - 6, row.note, size=7, color=COLOURS["muted"], va="center", ha="right"
            )
        _dot(axes, row, middle_of_row if left else middle_of_row + 6, limits, span, left)
        y += line
    return finish()


def _beside(rows: Sequence[BarRow] | Sequence[DotRow], width: float) -> tuple[float, float]:
    """Room for names to the left and notes to the right, in points; none where too little would be left for values."""
    left = 5.2 * max((len(row.label) for row in rows), default=0) + 10
    right = 4.3 * max((len(row.note) for row in rows), default=0) + 10
    return (left, right) if left + right < 0.67 * width else (0.0, 0.0)


def _heading(axes: Axes, label: str, y: float) -> None:
    axes.text(0, y + 12, label, size=10, weight="bold", color=COLOURS["ink"], va="center")


def _scale(
    axes: Axes,
    scale: tuple[tuple[float, float], Sequence[float], float],
    place: tuple[float, float],
    ends: tuple[float, float],
) -> None:
    """Lines at the ticks of a scale (limits, ticks, the strong one), each named above and below."""
    limits, ticks, middle = scale
    for tick in ticks:
        x = place[0] + _place(tick, limits, place[1])
        strong = tick == middle
        axes.plot([x, x], ends, color=COLOURS["muted" if strong else "line"],
                  linewidth=0.9 if strong else 0.7, zorder=0)  # fmt: skip
        words = f"{'+' if tick > 0 > limits[0] else ''}{tick:g}".replace("-", "\u2212")
        for y in (ends[0] - 8, ends[1] + 8):
            axes.text(x, y, words, size=8, color=COLOURS["muted"], ha="center", va="center")


def for_page(svg: str, description: str) -> str:
    """The figure as an element of a page: colours from style variables, a text alternative, no fixed size."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", body)
    body = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", body)
    for name, colour in COLOURS.items():
        body = body.replace(colour, f"var(--{name})")
    label = description.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return body.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def for_file(svg: str) -> str:
    """The figure as a file of its own, on white."""
    head, tail = svg.split("<defs>", 1)
    return f'{head}<rect width="100%" height="100%" fill="#ffffff"/>\n <defs>{tail}'


def shortened(text: str, width: float, size: float = 9.0) -> str:
    """The text cut in its middle to fit ``width`` points, by the mean width of a letter."""
    most = max(6, int(width / (0.56 * size)))
    if len(text) <= most:
        return text
    head = most * 2 // 3
    return f"{text[:head]}…{text[len(text) - (most - head - 1) :]}"


def canvas(width: float, height: float) -> tuple[Axes, Callable[[], str]]:
    """Axes whose unit is a point, y downwards, and a function that ends the drawing and returns the SVG."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72))
    FigureCanvasSVG(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()

    def finish() -> str:
        stream = io.StringIO()
        for text in axes.texts:
            text.set_parse_math(False)  # a dollar sign in a system's name is no formula
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lima"}):
            figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        return stream.getvalue()

    return axes, finish


def _legend(axes: Axes, legend: Sequence[tuple[str, str]], width: float) -> None:
    from matplotlib.patches import Rectangle

    x = 0.0
    for words, colour in legend:
        axes.add_patch(Rectangle((x, 4), 9, 9, facecolor=COLOURS[colour], linewidth=0))
        axes.text(x + 13, 8.5, words, size=9, color=COLOURS["muted"], va="center")
        x += 26 + 4.8 * len(words)


def _words(axes: Axes, label: str, note: str, y: float, width: float) -> None:
    room = width - 4.8 * len(note) - 8
    size = min(9.0, max(7.0, room / (0.56 * max(1, len(label)))))  # a smaller name rather than a cut one
    axes.text(0, y + 7, shortened(label, room, size), size=size, color=COLOURS["ink"], va="center")
    axes.text(width, y + 7, note, size=8, color=COLOURS["muted"], va="center", ha="right")


def _bar(axes: Axes, parts: Sequence[Segment], y: float, width: float, left: float = 0.0) -> None:
    from matplotlib.patches import Rectangle

    x = left
    for part in parts:
        size = part.share * width
        if size > 0:
            gap = min(1.0, size / 2)
            axes.add_patch(Rectangle((x, y), size - gap, BAR, facecolor=COLOURS[part.colour], linewidth=0))
        if size >= 26:
            ink = COLOURS[_ink_on(part.colour)]
            axes.text(x + size / 2, y + BAR / 2, f"{100 * part.share:.0f} %", size=8.5, color=ink,
                      ha="center", va="center")  # fmt: skip
        x += size
        _interval_line(axes, part, y + BAR + (6.0 if part.from_right else 3.0), width, left)


def _interval_line(axes: Axes, part: Segment, y: float, width: float, left: float) -> None:
    if part.low is None or part.high is None:
        return
    low, high = (1 - part.high, 1 - part.low) if part.from_right else (part.low, part.high)
    axes.plot([left + low * width, left + high * width], [y, y], color=COLOURS[part.colour], linewidth=1.8,
              solid_capstyle="round")  # fmt: skip


def _ink_on(colour: str) -> str:
    return f"on-{colour}"


def _axis(
    axes: Axes,
    limits: tuple[float, float],
    ticks: Sequence[float],
    width: float,
    ends: tuple[float, float],
    unit: str,
) -> None:
    top, height = ends
    for tick in ticks:
        x = _place(tick, limits, width)
        strong = tick == 0
        axes.plot([x, x], [top, height - 18], color=COLOURS["muted" if strong else "line"],
                  linewidth=0.9 if strong else 0.7, zorder=0)  # fmt: skip
        side = "left" if tick == ticks[0] else "right" if tick == ticks[-1] else "center"
        sign = "+" if tick > 0 and limits[0] < 0 else ""
        text = f"{sign}{tick:g}{unit}".replace("-", "−")
        for y in (height - 8, top - 8) if top else (height - 8,):
            axes.text(x, y, text, size=8, color=COLOURS["muted"], ha=side, va="center")


def _dot(
    axes: Axes, row: DotRow, y: float, limits: tuple[float, float], width: float, left: float = 0.0
) -> None:
    assert row.value is not None, row
    colour = COLOURS[row.colour]
    if row.low is not None and row.high is not None:
        ends = [left + _place(min(max(x, limits[0]), limits[1]), limits, width) for x in (row.low, row.high)]
        axes.plot(ends, [y, y], color=colour, linewidth=2.2, solid_capstyle="round")
    axes.plot([left + _place(row.value, limits, width)], [y], marker="o", markersize=6.5, color=colour)


def _place(value: float, limits: tuple[float, float], width: float) -> float:
    margin = 4.0
    return margin + (value - limits[0]) / (limits[1] - limits[0]) * (width - 2 * margin)


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
