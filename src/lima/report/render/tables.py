"""The main tables of a report as Markdown and as LaTeX, for papers: the same numbers as the page."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lima.report.numbers.analysis import Numbers
from lima.report.numbers.joint import Together
from lima.report.numbers.panel import Panel
from lima.report.numbers.watched import WatchedRow
from lima.report.render.wording import interval, p_text, percent, plain, points
from lima.statistics.estimates import Result, Undefined


@dataclass(frozen=True)
class TextTable:
    """A caption, column heads and rows of text, ready to print; the first two columns are words."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(numbers: Numbers) -> list[TextTable]:
    """The tables for which there are numbers."""
    level = percent(numbers.level, 0)
    found = [
        _preferences(numbers, level),
        _watched(numbers),
        _together(numbers, level),
        _helpfulness(numbers, level),
        *_shares(numbers, level),
        *_own_means(numbers, level),
        _gaps(numbers, level),
        _agreement(numbers, level),
        _calibration(numbers, level),
        *_panel(numbers.panel, level),
        _criteria(numbers, level),
        _strength(numbers, level),
    ]
    return [table for table in found if table.rows]


def _cells(results: Sequence[Result], form: Callable[[float], str] = percent) -> list[str]:
    return [cell(result, form) for result in results]


def _watched(numbers: Numbers) -> TextTable:
    return TextTable(
        "Watched: win − loss by sequences that hold at every verdict, the level shared among pairs.",
        ("Pair", "Rater", "Win − loss, points", "Decided after", "Saved", "Price in width", "n"),
        [_watched_row(row) for row in numbers.watched],
    )


def _together(numbers: Numbers, level: str) -> TextTable:
    return TextTable(
        f"People and judge together: prediction-powered means with {level} intervals by prompt, and people alone.",
        ("Figure", "Judge", "Together", "People alone", "Worth, votes", "n, votes", "Judged"),
        [_together_row(row) for row in numbers.together],
    )


def _helpfulness(numbers: Numbers, level: str) -> TextTable:
    return TextTable(
        f"Helpfulness, 1 to 6: means with {level} intervals by prompt.",
        ("System", "Rater", "Mean", "n"),
        [(row.system, row.group, cell(row.mean, plain), str(row.mean.n)) for row in numbers.helpfulness],
    )


def _shares(numbers: Numbers, level: str) -> list[TextTable]:
    return [
        TextTable(
            f"{name}: shares with {level} intervals by prompt.",
            ("System", "Rater", *(value.capitalize() for value in rows[0].shares), "n"),
            [(row.system, row.group, *_cells(list(row.shares.values())), str(row.n)) for row in rows],
        )
        for name, rows in (
            ("Quality", numbers.quality),
            ("Safety", numbers.safety),
            *((own.scale.capitalize(), own.shares) for own in numbers.scales),
        )
        if rows
    ]


def _own_means(numbers: Numbers, level: str) -> list[TextTable]:
    return [
        TextTable(
            f"{own.scale.capitalize()}, {' to '.join(list(own.choices)[:: len(own.choices) - 1])}: means with {level} intervals by prompt.",
            ("System", "Rater", "Mean", "n"),
            [(row.system, row.group, cell(row.mean, plain), str(row.mean.n)) for row in own.means],
        )
        for own in numbers.scales
        if own.means
    ]


def _gaps(numbers: Numbers, level: str) -> TextTable:
    rows = [*numbers.helpfulness_gaps, *(gap for own in numbers.scales for gap in own.gaps)]
    return TextTable(
        f"Ratings, difference by prompt with {level} t intervals; exploratory unless planned.",
        ("Scale", "Pair", "Rater", "Difference", "Planned", "n"),
        [
            (
                row.scale,
                f"{row.first} v {row.second}",
                row.group,
                cell(row.gap, plain),
                "yes" if row.planned else "no",
                str(row.gap.n),
            )
            for row in rows
        ],
    )


def _agreement(numbers: Numbers, level: str) -> TextTable:
    return TextTable(
        f"Agreement: tie-discounted accuracy with {level} intervals by prompt.",
        ("Raters", "and", "Agreement", "Where orders agree", "Chance", "n"),
        [
            (
                row.first,
                row.second,
                *_cells([row.accuracy, row.steady]),
                percent(row.chance or 0.0),
                str(row.items),
            )
            for row in numbers.agreement
        ],
    )


def _calibration(numbers: Numbers, level: str) -> TextTable:
    return TextTable(
        f"Judges beside people: agreement with ties and without, with {level} intervals by prompt.",
        ("Judge", "Tag", "With ties", "Without ties", "n", "n without ties"),
        [
            (
                row.judge,
                row.tag or "all",
                *_cells([row.agreement, row.decided]),
                *(str(x.n) for x in (row.agreement, row.decided)),
            )
            for row in numbers.calibration
        ],
    )


def _criteria(numbers: Numbers, level: str) -> TextTable:
    return TextTable(
        f"Criteria of the protocol: shares of verdicts with {level} intervals by prompt; exploratory.",
        ("Criterion", "Pair", "Rater", "Win", "Tie", "Loss", "Win − loss, points", "n"),
        [
            (
                row.criterion,
                f"{row.pair.system} v {row.pair.baseline}",
                row.pair.group,
                *_cells([row.pair.result.win, row.pair.result.tie, row.pair.result.loss]),
                cell(row.pair.gap, points),
                str(row.pair.result.n),
            )
            for row in numbers.criteria
        ],
    )


def _strength(numbers: Numbers, level: str) -> TextTable:
    return TextTable(
        f"Strength: share of clear preferences among those for a system, with {level} intervals by prompt.",
        ("Preferred", "Over", "Rater", "Clearly", "n"),
        [
            (row.system, row.over, row.group, cell(row.clear, percent), str(row.clear.n))
            for row in numbers.strength
        ],
    )


def _panel(panel: Panel | None, level: str) -> list[TextTable]:
    if panel is None:
        return []
    caption = f"Panel: judges with independent errors that the judges are worth, with the {level} interval by prompt."
    row = (
        ", ".join(panel.judges),
        str(len(panel.judges)),
        cell(panel.effective, plain),
        str(panel.effective.n),
    )
    return [TextTable(caption, ("Judges", "Number", "Effective number", "n"), [row])]


def _preferences(numbers: Numbers, level: str) -> TextTable:
    return TextTable(
        f"Preferences: shares of verdicts with {level} intervals by prompt; p and the gap adjusted after Holm.",
        (
            "Pair",
            "Rater",
            "Win",
            "Tie",
            "Orders disagree",
            "Loss",
            "Win + tie/2",
            "Win − loss, points",
            "p",
            "n",
        ),
        [
            (
                f"{pair.system} v {pair.baseline}",
                pair.group,
                *_cells([pair.result.win, pair.said_tie, pair.disagree, pair.result.loss, pair.result.score]),
                cell(pair.gap, points),
                p_text(pair.result.sign_flip),
                str(pair.result.n),
            )
            for pair in numbers.pairs
        ],
    )


def _watched_row(row: WatchedRow) -> tuple[str, ...]:
    price = "" if row.price is None else plain(row.price)
    when = (str(row.decided_at), str(row.saved)) if row.decided_at else ("not decided", "")
    return (f"{row.system} v {row.baseline}", row.group, cell(row.gap, points), *when, price, str(row.gap.n))


def _together_row(row: Together) -> tuple[str, ...]:
    form = {"points": points, "plain": plain, "percent": percent}[row.form]
    pair = f"{row.system} v {row.baseline}" if row.baseline else row.system
    worth = "" if row.worth is None else str(row.worth)
    figures = (cell(row.both, form), cell(row.alone, form), worth, str(row.both.n), str(row.verdicts))
    return (f"{pair}: {row.measure}", row.judge, *figures)


def cell(result: Result, form: Callable[[float], str]) -> str:
    """A value with its interval in one cell."""
    if isinstance(result, Undefined):
        return "undefined"
    return f"{form(result.value)} {interval(result, form)}".rstrip()


def markdown(found: Sequence[TextTable]) -> str:
    """Pipe tables under their captions."""
    parts = []
    for table in found:
        rules = [
            "---",
            "---",
            *("---" if _is_prose(table, n) else "---:" for n in range(2, len(table.columns))),
        ]
        lines = [table.columns, rules, *table.rows]
        rows = "\n".join(_piped(line) for line in lines)
        parts.append(f"{table.caption}\n\n{rows}\n")
    return "\n".join(parts)


PROSE_WORDS = 5
"""A cell with more words than this is prose, not a figure with its interval."""


def _is_prose(table: TextTable, column: int) -> bool:
    return any(len(row[column].split()) > PROSE_WORDS for row in table.rows)


def _piped(words: Sequence[str]) -> str:
    escaped = (html.escape(word, quote=False).replace("|", "\\|") for word in words)
    return f"| {' | '.join(escaped)} |"


def latex(found: Sequence[TextTable]) -> str:
    """``tabular`` environments with booktabs rules, each in a ``table``."""
    parts = []
    for table in found:
        layout = "ll" + "r" * (len(table.columns) - 2)
        head, *rows = (
            f"{' & '.join(_escaped(word) for word in line)} \\\\" for line in (table.columns, *table.rows)
        )
        body = "\n".join(rows)
        parts.append(
            f"\\begin{{table}}\n\\caption{{{_escaped(table.caption)}}}\n\\begin{{tabular}}{{{layout}}}\n"
            f"\\toprule\n{head}\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n"
        )
    return "\n".join(parts)


LATEX = {
    "\\": "\\textbackslash{}", "&": "\\&", "%": "\\%", "$": "\\$", "#": "\\#", "_": "\\_", "{": "\\{",
    "}": "\\}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "$<$", ">": "$>$",
    "\u2212": "$-$", "\u202f": "\\,", "–": "--",
}  # fmt: skip


def _escaped(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)
