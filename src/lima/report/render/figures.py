"""Figures as SVG, drawn twice: wide, and narrow for a phone. Colours are names that the page's style resolves.

matplotlib draws on a canvas measured in points. `for_page` makes the colours follow the reader's light or dark
mode; `for_file` keeps the light ones on white, which any viewer and any paper shows.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDE, NARROW = 500.0, 250.0

COLOURS = {
    "ink": "#22262b",
    "muted": "#6a717b",
    "line": "#d9dce1",
    "win": "#2f6f9f",
    "tie": "#c9cdd3",
    "loss": "#c8793b",
    "on-win": "#fefefe",
    "on-tie": "#2b3036",
    "on-loss": "#fffffe",
}
"""Light colours by the name of the page's style variable; each hex value occurs once, so it can be found again."""

ROW, HEADER, LEGEND, BAR, EDGE = 43.0, 26.0, 26.0, 15.0, 2.0


@dataclass(frozen=True)
class Part:
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
    parts: Sequence[Part] = ()


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
    height = LEGEND + sum(ROW if row.parts else HEADER for row in rows) + EDGE
    axes, finish = canvas(width, height)
    _legend(axes, legend, width)
    y = LEGEND
    for row in rows:
        if row.parts:
            _words(axes, row.label, row.note, y, width)
            _bar(axes, row.parts, y + 15, width)
            y += ROW
        else:
            axes.text(0, y + 12, row.label, size=10, weight="bold", color=COLOURS["ink"], va="center")
            y += HEADER
    return finish()


def dots(
    rows: Sequence[DotRow], limits: tuple[float, float], ticks: Sequence[float], width: float, unit: str = ""
) -> str:
    """Values with intervals on one axis; a tick at 0 is drawn strong."""
    height = sum(HEADER if row.value is None else ROW - 9 for row in rows) + 22
    axes, finish = canvas(width, height)
    _axis(axes, limits, ticks, width, height, unit)
    y = 0.0
    for row in rows:
        if row.value is None:
            axes.text(0, y + 12, row.label, size=10, weight="bold", color=COLOURS["ink"], va="center")
            y += HEADER
            continue
        _words(axes, row.label, row.note, y, width)
        _dot(axes, row, y + 21, limits, width)
        y += ROW - 9
    return finish()


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
    step = min(84.0, width / max(1, len(legend)))
    for words, colour in legend:
        axes.add_patch(Rectangle((x, 4), 9, 9, facecolor=COLOURS[colour], linewidth=0))
        axes.text(x + 13, 8.5, words, size=9, color=COLOURS["muted"], va="center")
        x += step


def _words(axes: Axes, label: str, note: str, y: float, width: float) -> None:
    room = width - 4.8 * len(note) - 8
    axes.text(0, y + 7, shortened(label, room), size=9, color=COLOURS["ink"], va="center")
    axes.text(width, y + 7, note, size=8, color=COLOURS["muted"], va="center", ha="right")


def _bar(axes: Axes, parts: Sequence[Part], y: float, width: float) -> None:
    from matplotlib.patches import Rectangle

    x = 0.0
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
        _interval_line(axes, part, y + BAR + (6.0 if part.from_right else 3.0), width)


def _interval_line(axes: Axes, part: Part, y: float, width: float) -> None:
    if part.low is None or part.high is None:
        return
    low, high = (1 - part.high, 1 - part.low) if part.from_right else (part.low, part.high)
    axes.plot([low * width, high * width], [y, y], color=COLOURS[part.colour], linewidth=1.8,
              solid_capstyle="round")  # fmt: skip


def _ink_on(colour: str) -> str:
    return f"on-{colour}"


def _axis(
    axes: Axes, limits: tuple[float, float], ticks: Sequence[float], width: float, height: float, unit: str
) -> None:
    for tick in ticks:
        x = _place(tick, limits, width)
        strong = tick == 0
        axes.plot([x, x], [0, height - 18], color=COLOURS["muted" if strong else "line"],
                  linewidth=0.9 if strong else 0.7, zorder=0)  # fmt: skip
        side = "left" if tick == ticks[0] else "right" if tick == ticks[-1] else "center"
        sign = "+" if tick > 0 and limits[0] < 0 else ""
        text = f"{sign}{tick:g}{unit}".replace("-", "−")
        axes.text(x, height - 8, text, size=8, color=COLOURS["muted"], ha=side, va="center")


def _dot(axes: Axes, row: DotRow, y: float, limits: tuple[float, float], width: float) -> None:
    assert row.value is not None, row
    colour = COLOURS[row.colour]
    if row.low is not None and row.high is not None:
        ends = [_place(min(max(x, limits[0]), limits[1]), limits, width) for x in (row.low, row.high)]
        axes.plot(ends, [y, y], color=colour, linewidth=2.2, solid_capstyle="round")
    axes.plot([_place(row.value, limits, width)], [y], marker="o", markersize=6.5, color=colour)


def _place(value: float, limits: tuple[float, float], width: float) -> float:
    margin = 4.0
    return margin + (value - limits[0]) / (limits[1] - limits[0]) * (width - 2 * margin)
