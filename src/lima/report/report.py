"""``lima report``: a study folder becomes report.html, report.json and figures (LIMA, sections 4 to 6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lima import console
from lima.commands import as_command, recorded_command
from lima.evaluate.settings import CompareSettings, JudgeSettings
from lima.files import read_json, write_json, write_text
from lima.report.numbers.analysis import Numbers, analyse, as_json, side_of
from lima.report.numbers.samples import all_samples, draw_samples
from lima.report.numbers.study import StudyData, read_study
from lima.report.numbers.votes import short_names
from lima.report.render.detail_pages import write_item_pages, write_rows
from lima.report.render.figures import drawings, write_figures
from lima.report.render.report_page import render
from lima.report.render.tables import latex, markdown, tables
from lima.report.render.wording import points, signed, together_in_words
from lima.report.settings import ReportSettings
from lima.runs import git_commit, versions
from lima.settings import Settings
from lima.statistics.estimates import Estimate, Result


def report(settings: ReportSettings) -> Numbers:
    """Write the report of a study and return its numbers.

    Equal inputs and settings give equal bytes, so there is no run record to resume: it is simply done again.

    Raises:
        LimaError: the folder is no study, or its files do not belong together.
    """
    study = read_study(settings.study)
    if settings.dry_run:
        _show_counts(study)
        return analyse(study, settings.model_copy(update={"rounds": 100}))
    numbers = analyse(study, settings, read_study(settings.against) if settings.against else None)
    wrote = _write(study, numbers, settings)
    _show(numbers)
    console.done(wrote)
    return numbers


def _write(study: StudyData, numbers: Numbers, settings: ReportSettings) -> list[Path]:
    """Write all files, ``report.json`` last: where it is new, so is the rest."""
    out, facts = settings.out or settings.study, provenance(settings)
    drawn = drawings(numbers)
    figures = write_figures(drawn, out / "figures")
    in_words = _write_tables(numbers, out)
    all_items = _write_all_items(study, numbers, out) if settings.all_items else None
    samples = draw_samples(study, settings.samples, settings.seed)
    side = side_of(study, numbers.systems)
    shown = [sample.id for sample in (*samples.comparisons, *samples.items)]
    write_rows(study, side.votes, side.ratings, shown, out, all_items=settings.all_items)
    page, values = out / "report.html", out / "report.json"
    write_text(page, render(numbers, samples, drawn, facts | {"all_items": all_items}))
    write_json(values, {"made_by": facts, **as_json(numbers)})
    return [page, values, *in_words, *figures]


def _write_tables(numbers: Numbers, out: Path) -> list[Path]:
    """Write the tables for papers; without a verdict there are none, and those of a former report go."""
    found = tables(numbers)
    texts = {out / "tables.md": markdown(found), out / "tables.tex": latex(found)}
    for path, text in texts.items():
        if text:
            write_text(path, text)
        else:
            path.unlink(missing_ok=True)
    return [path for path, text in texts.items() if text]


def provenance(settings: ReportSettings) -> dict[str, Any]:
    """The command that makes the same report again, with the versions it was made by."""
    return {
        "earlier": earlier_commands(settings.study),
        "command": as_command("report", settings.model_copy(update={"out": None, "dry_run": False})),
        "versions": versions(),
        "git_commit": git_commit(),
    }


def earlier_commands(study: Path) -> list[str]:
    """The commands that made the study and asked its judges, as far as their records are there."""
    kinds: dict[str, type[Settings]] = {"compare": CompareSettings, "judge": JudgeSettings}
    paths = [study / "compare.run.json", *sorted(study.glob("judges/*/run.json"))]
    records = [read_json(path) for path in paths if path.exists()]
    return [
        recorded_command(found, kinds[found["command"]]) for found in records if found.get("command") in kinds
    ]


def _write_all_items(study: StudyData, numbers: Numbers, out: Path) -> str | None:
    """Write the numbered pages; the name of the first, None where there is no item."""
    everything = all_samples(study)
    pages = write_item_pages(numbers.study, everything.comparisons, everything.items, out / "report_items")
    return pages[0].name if pages else None


def _show_counts(study: StudyData) -> None:
    rows = [[source.name, "" if source.rows is None else source.rows] for source in study.sources]
    console.table(f"{study.folder}: files of the study", ["file", "rows"], rows)


def _show(numbers: Numbers) -> None:
    for warning in numbers.warnings:
        console.warn(warning)
    if numbers.pairs:
        names = short_names({pair.group for pair in numbers.pairs})
        rows = [
            [
                f"{pair.system} v {pair.baseline}",
                names[pair.group],
                pair.result.n,
                *(_value(x) for x in (pair.result.win, pair.said_tie, pair.disagree, pair.result.loss)),
                _gap(pair.gap),
            ]
            for pair in numbers.pairs
        ]
        columns = ["pair", "rater", "n", "win", "tie", "disagree", "loss", "win − loss"]
        title = (
            f"Preferences in %; {100 * numbers.level:g} % interval of the gap, by prompt, adjusted after Holm"
        )
        console.table(title, columns, rows)
    if numbers.differences:
        _show_differences(numbers)
    for finding in numbers.findings:
        console.note(finding.sentence)
    for seen in numbers.watched:
        if seen.decided_at:
            said = f"{seen.system} against {seen.baseline}, watched: decided after {seen.decided_at} of {seen.planned} prompts"
            console.note(f"{said} by {short_names([seen.group])[seen.group]}; {seen.saved} saved.")
    for row in numbers.together:
        console.note(together_in_words(row))


def _show_differences(numbers: Numbers) -> None:
    names = short_names({row.group for row in numbers.differences})
    rows = []
    for row in numbers.differences:
        share, n = row.measure != "helpfulness", row.difference.n
        here, there = (f"{100 * x:.1f} %" if share else f"{x:.2f}" for x in (row.here, row.there))
        rows.append([row.measure, names[row.group], n, here, there, _difference(row.difference, share=share)])
    columns = ["measure", "rater", "n", "here", "there", "difference"]
    console.table(
        f"Against {numbers.against}: {100 * numbers.level:g} % intervals, paired by prompt", columns, rows
    )


def _difference(result: Result, *, share: bool) -> str:
    if share:
        return _gap(result)
    if not isinstance(result, Estimate):
        return "–"
    bounds = (
        "" if result.low is None or result.high is None else f" [{signed(result.low)}, {signed(result.high)}]"
    )
    return f"{signed(result.value)}{bounds}"


def _value(result: Result) -> str:
    return f"{100 * result.value:.1f}" if isinstance(result, Estimate) else "–"


def _gap(result: Result) -> str:
    if not isinstance(result, Estimate):
        return "–"
    if result.low is None or result.high is None:
        return points(result.value, 0)
    return f"{points(result.value, 0)} [{points(result.low, 0)}, {points(result.high, 0)}]"
