"""What came out of an experiment -> a table in the terminal, ``experiment.json``, a figure and a page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lima import console
from lima.experiments.claims.bands import Check, Conclusion, State
from lima.experiments.claims.experiment import Experiment, RunScale
from lima.experiments.claims.findings import COVERS, Findings
from lima.files import write_json, write_text
from lima.report.render.charts import DotRow, dots, for_file
from lima.report.render.figures import Drawing, drawable
from lima.report.render.report_page import template_environment
from lima.report.render.tables import TextTable, cell, markdown
from lima.report.render.wording import plain
from lima.runs import git_commit, versions
from lima.statistics.estimates import Estimate, Result

LIMITS_HEAD = (
    "Limits that were fixed in advance, and where the intervals lie: within (met), beyond (missed) or across the limit "
    "(not decided). None was removed."
)
LIMITS = (
    "The world is made up and small, so every answer can be marked, and every mechanism taken apart. It shows "
    "that the code does what the paper describes and how the effects come about. It is no evidence about models "
    "of 65 billion parameters, about real knowledge, or about what people prefer."
)
"""What the built-in world can and cannot show."""


@dataclass(frozen=True)
class ExperimentOutcome:
    """An experiment, how much of it was run, and what it says."""

    experiment: Experiment
    scale: RunScale
    findings: Findings
    conclusion: Conclusion

    @property
    def table(self) -> list[list[str]]:
        """Head and rows of finished words; an experiment with one arm has its measures as rows."""
        arms, columns = list(self.findings.results), self.experiment.columns
        if len(arms) == 1:
            head = ["", arms[0]]
            return [head, *([words, self._cell(arms[0], name)] for name, words in columns.items())]
        head = ["", *columns.values()]
        return [head, *([arm, *(self._cell(arm, name) for name in columns)] for arm in arms)]

    @property
    def covers(self) -> str:
        """What the intervals cover."""
        return f"95 % intervals cover {COVERS[self.scale.unit]}."

    @property
    def size(self) -> str:
        """How much was run, and how much of the plan it is where something is missing."""
        seeds, bases = self.scale.seeds, len(self.scale.bases)
        done = max(map(len, self.findings.results.values()))
        verb = "is" if done == 1 else "are"
        partly = f" ({done} of {seeds * bases} runs {verb} finished)" if done < seeds * bases else ""
        return (
            f"{bases} base{'s' * (bases > 1)} x {seeds} seed{'s' * (seeds > 1)}{partly}, "
            f"{self.scale.questions} questions a base"
        )

    @property
    def tally(self) -> str:
        """How many of its limits are met, and how many its runs cannot decide."""
        states = [check.state for check in self.conclusion.checks]
        if not states:
            return "no limit was set"
        undecided = states.count("undecided")
        return f"{states.count('met')} of {len(states)}" + (f", {undecided} not decided" if undecided else "")

    def values(self) -> Iterator[tuple[str, str, Result]]:
        """Arm, measure and figure of every cell of the table."""
        for name in self.experiment.columns:
            for arm in self.findings.results:
                if self.findings.has(arm, name):
                    yield arm, name, self.findings.value(arm, name)

    def draw(self, width: float) -> str:
        """The figure: every value with its interval, by measure."""
        rows, heading = [], ""
        alone = len(self.findings.results) == 1
        for arm, name, result in self.values():
            words = self.experiment.columns[name]
            if words != heading and not alone:
                rows.append(DotRow(words))
            heading = words
            if isinstance(result, Estimate):
                label = words if alone else arm
                rows.append(DotRow(label, plain(result.value), result.value, result.low, result.high))
        most = max(1, math.ceil(max((row.high or row.value or 0 for row in rows), default=0)))
        return dots(rows, (0, most), [most * part / 4 for part in range(5)], width)

    def as_json(self) -> dict[str, Any]:
        """All numbers, with what is needed to read them."""
        return {
            "name": self.experiment.name,
            "claim": self.experiment.claim,
            "source": self.experiment.source,
            "paper": self.experiment.paper,
            "verdict": self.conclusion.verdict,
            "scale": {"name": self.scale.name, "size": self.size, "intervals": self.covers},
            "bands": [_check(check) for check in self.conclusion.checks],
            "values": [
                {"arm": arm, "measure": name, **asdict(result), "runs": self.findings.means(arm, name)}
                for arm, name, result in self.values()
            ],
        }

    def _cell(self, arm: str, measure: str) -> str:
        return cell(self.findings.value(arm, measure), plain) if self.findings.has(arm, measure) else "–"


def show(outcome: ExperimentOutcome) -> None:
    """Print table, bands and verdict."""
    head, *rows = outcome.table
    console.table(f"{outcome.experiment.name}: {outcome.size}", head, rows)
    if outcome.conclusion.checks:
        console.table(
            "limits fixed in advance", BAND_HEAD, [_words(check) for check in outcome.conclusion.checks]
        )
    console.results.print(f"{outcome.conclusion.verdict} {outcome.covers}", soft_wrap=True, markup=False)


def write(outcomes: Sequence[ExperimentOutcome], folder: Path) -> list[Path]:
    """Write ``experiment.html``, ``.json`` and ``.md`` and a figure for each outcome; return the paths."""
    made_by = {"versions": versions(), "git_commit": git_commit()}
    figures = drawable([Drawing(one.experiment.name, one.experiment.claim, one.draw) for one in outcomes])
    paths = [folder / f"experiment.{ending}" for ending in ("html", "json", "md")]
    write_text(paths[0], _page(outcomes, figures))
    write_json(paths[1], {"made_by": made_by, "experiments": [outcome.as_json() for outcome in outcomes]})
    write_text(paths[2], markdown_page(outcomes))
    for figure in figures:
        paths.append(folder / f"{figure.name}.svg")
        write_text(paths[-1], for_file(figure.wide))
    return paths


BAND_HEAD = ["band", "what", "wanted", "came out", ""]
JUDGED: dict[State, str] = {"met": "met", "missed": "missed", "undecided": "not decided"}


def markdown_page(outcomes: Sequence[ExperimentOutcome]) -> str:
    """The verdicts beside the paper, and every limit with what came out, for a reader of the repository."""
    claims = [
        [one.experiment.name, one.experiment.claim, one.experiment.paper, one.conclusion.verdict]
        for one in outcomes
    ]
    limits = [[*_words(check), one.experiment.name] for one in outcomes for check in one.conclusion.checks]
    found = [
        TextTable("Claims.", ("experiment", "claim", "the paper", "in the built-in world"), claims),
        TextTable(LIMITS_HEAD, (*BAND_HEAD[:4], "met?", "experiment"), limits),
    ]
    sizes = sorted({one.size for one in outcomes})
    return f"{LIMITS}\n\n{'; '.join(sizes)}. {outcomes[0].covers}\n\n{markdown([t for t in found if t.rows])}"


def _words(check: Check) -> list[str]:
    band = check.band
    words = f"{band.words}, {check.arm}" if check.arm else band.words
    return [band.id, words, band.wanted, cell(check.result, plain), JUDGED[check.state]]


def _check(check: Check) -> dict[str, Any]:
    return {
        "band": check.band.id,
        "what": check.band.words,
        "arm": check.arm,
        "wanted": check.band.wanted,
        "state": check.state,
        "met": check.state == "met",
        **asdict(check.result),
    }


def _page(outcomes: Sequence[ExperimentOutcome], figures: Sequence[Drawing]) -> str:
    environment = template_environment(Path(__file__).parent)
    environment.filters["band"] = _words
    return environment.get_template("page_of_claims.html").render(
        outcomes=outcomes,
        figures={figure.name: figure.for_page for figure in figures},
        band_head=BAND_HEAD,
        limits_head=LIMITS_HEAD,
        limits=LIMITS,
    )
