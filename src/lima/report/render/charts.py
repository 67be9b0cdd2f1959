"""Charts as SVG, drawn twice: wide, and narrow for a phone. Colours are names that the page's style resolves.

matplotlib draws on a canvas measured in points. `for_page` makes the colours follow the reader's light or dark
mode; `for_file` keeps the light ones on white, which any viewer and any paper shows.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

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
LEADING, SMALLEST = 11.0, 7.0
"""Height of a further line of a name, and its smallest letters, in points."""
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
    sizes = [
        _heading_height(row.label, width) if not row.parts else 24.0 if left else ROW + _more(row, width)
        for row in rows
    ]
    height = LEGEND + sum(sizes) + EDGE
    axes, finish = canvas(width, height)
    _legend(axes, legend, width)
    y = LEGEND
    for row, size in zip(rows, sizes, strict=True):
        if not row.parts:
            _heading(axes, row.label, y, width)
        elif left:
            axes.text(0, y + 8, row.label, size=9, color=COLOURS["ink"], va="center")
            axes.text(width, y + 8, row.note, size=8, color=COLOURS["muted"], va="center", ha="right")
            _bar(axes, row.parts, y, width - left - right, left)
        else:
            _words(axes, row, y, width)
            _bar(axes, row.parts, y + 15 + _more(row, width), width)
        y += size
    return finish()


def dots(
    rows: Sequence[DotRow], limits: tuple[float, float], ticks: Sequence[float], width: float, unit: str = ""
) -> str:
    """Values with intervals on one axis; a tick at 0 is drawn strong."""
    if sum(row.value is not None for row in rows) > DENSE:
        return forest(rows, limits, ticks, width, words=unit, middle=0)
    sizes = [
        _heading_height(row.label, width) if row.value is None else ROW - 9 + _more(row, width)
        for row in rows
    ]
    y = 16.0 if len(rows) > TALL else 0.0  # labels above too, where those below are out of sight
    height = y + sum(sizes) + 22
    axes, finish = canvas(width, height)
    _tick_words(axes, limits, ticks, width, [height - 8, y - 8] if y else [height - 8], unit)
    for row, size in zip(rows, sizes, strict=True):
        if row.value is None:
            _heading(axes, row.label, y, width)
        else:
            _words(axes, row, y, width)
            _tick_lines(axes, (limits, ticks, 0), (0, width), (y + size - 20, y + size - 6))
            _dot(axes, row, y + size - 13, limits, width)
        y += size
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
    top, foot = 22.0, 36.0 if words else 24.0
    sizes = [
        _heading_height(row.label, width) if row.value is None else 19.0 if left else 32.0 + _more(row, width)
        for row in rows
    ]
    height = top + sum(sizes) + foot
    axes, finish = canvas(width, height)
    span = width - left - right
    scale, place = (limits, ticks, middle), (left, span)
    _scale_words(axes, scale, place, (top - 12, height - foot + 10))
    if left:
        _tick_lines(axes, scale, place, (top - 4, height - foot + 2))
    axes.text(left + span / 2, height - 10, words, size=8, color=COLOURS["muted"], ha="center", va="center")
    y = top
    for row, size in zip(rows, sizes, strict=True):
        if row.value is None:
            _heading(axes, row.label, y, width)
        elif left:
            axes.text(0, y + size / 2, row.label, size=9, color=COLOURS["ink"], va="center")
            axes.text(width, y + size / 2, row.note, size=8, color=COLOURS["muted"], va="center", ha="right")
            _dot(axes, row, y + size / 2, limits, span, left)
        else:
            _words(axes, row, y + 2, width)
            _tick_lines(axes, scale, place, (y + size - 15, y + size - 1))
            _dot(axes, row, y + size - 8, limits, span, left)
        y += size
    return finish()


def _beside(rows: Sequence[BarRow] | Sequence[DotRow], width: float) -> tuple[float, float]:
    """Room for names to the left and notes to the right, in points; none where too little would be left for values."""
    left = 5.2 * max((len(row.label) for row in rows), default=0) + 10
    right = 4.3 * max((len(row.note) for row in rows), default=0) + 10
    return (left, right) if left + right < 0.67 * width else (0.0, 0.0)


def _heading(axes: Axes, label: str, y: float, width: float) -> None:
    for number, line in enumerate(broken(label, width, 10.0)):
        axes.text(
            0, y + 12 + LEADING * number, line, size=10, weight="bold", color=COLOURS["ink"], va="center"
        )


def _heading_height(label: str, width: float) -> float:
    return HEADER + LEADING * (len(broken(label, width, 10.0)) - 1)


def _more(row: BarRow | DotRow, width: float) -> float:
    """Points that a row is higher, where its name takes more than one line."""
    return LEADING * (len(broken(row.label, _room(row, width))) - 1)


def _room(row: BarRow | DotRow, width: float) -> float:
    return width - 4.8 * len(row.note) - 8


Scale: TypeAlias = tuple[tuple[float, float], Sequence[float], float]
"""Limits, ticks, and the tick that is drawn strong."""


def _scale_words(axes: Axes, scale: Scale, place: tuple[float, float], rows: tuple[float, float]) -> None:
    """The ticks' names, above and below."""
    limits, ticks, _ = scale
    for tick in ticks:
        words = f"{'+' if tick > 0 > limits[0] else ''}{tick:g}".replace("-", "\u2212")
        for y in rows:
            x = place[0] + _place(tick, limits, place[1])
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


def broken(text: str, width: float, size: float = SMALLEST) -> list[str]:
    """The text in lines that fit ``width`` points: broken between words, a longer word after a slash or hyphen, never cut.

    >>> broken("one/name-of-a-system against another/name", 120)
    ['one/name-of-a-system against', 'another/name']
    """
    most = max(8, int(width / (0.56 * size)))
    lines = [""]
    for word in text.split(" "):
        if len(lines[-1]) + len(word) < most or not lines[-1]:
            lines[-1] = f"{lines[-1]} {word}".lstrip()
        else:
            lines.append(word)
        while len(lines[-1]) > most:
            last = lines.pop()
            end = max(last.rfind(mark, 0, most) for mark in "/-_.") + 1 or most
            lines += [last[:end], last[end:]]
    return lines


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


def _words(axes: Axes, row: BarRow | DotRow, y: float, width: float) -> None:
    room = _room(row, width)
    lines = broken(row.label, room)
    size = min(9.0, max(SMALLEST, room / (0.56 * max(1, *map(len, lines)))))
    for number, line in enumerate(lines):
        axes.text(0, y + 7 + LEADING * number, line, size=size, color=COLOURS["ink"], va="center")
    axes.text(width, y + 7, row.note, size=8, color=COLOURS["muted"], va="center", ha="right")


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


def _tick_lines(axes: Axes, scale: Scale, place: tuple[float, float], ends: tuple[float, float]) -> None:
    """Lines at the ticks; behind one row's interval where lines through the whole figure would cross the names."""
    limits, ticks, middle = scale
    for tick in ticks:
        x, strong = place[0] + _place(tick, limits, place[1]), tick == middle
        axes.plot([x, x], ends, color=COLOURS["muted" if strong else "line"],
                  linewidth=0.9 if strong else 0.7, zorder=0)  # fmt: skip


def _tick_words(
    axes: Axes,
    limits: tuple[float, float],
    ticks: Sequence[float],
    width: float,
    places: Sequence[float],
    unit: str,
) -> None:
    for tick in ticks:
        side = "left" if tick == ticks[0] else "right" if tick == ticks[-1] else "center"
        sign = "+" if tick > 0 and limits[0] < 0 else ""
        text = f"{sign}{tick:g}{unit}".replace("-", "−")
        x = _place(tick, limits, width)
        for y in places:
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
